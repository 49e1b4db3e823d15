"""What tests of injection start from: a registry of their own, and a context that nothing was added to."""

import pytest

from buvar import context, di
from buvar.components import Components


@pytest.fixture
def adapters():
    return di.Adapters()


@pytest.fixture(autouse=True)
def components():
    """Give each test a root of its own, which is also where its singletons are kept."""
    components = Components()
    token = context.buvar_context.set(components)
    yield components
    context.buvar_context.reset(token)
