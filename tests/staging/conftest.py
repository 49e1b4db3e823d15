import asyncio

import pytest
import structlog
import uvloop

from buvar import di


@pytest.fixture(params=["asyncio", "uvloop"])
def loop_factory(request):
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}[request.param]


@pytest.fixture(autouse=True)
def logs():
    """What is logged while the test runs, as a list of dicts."""
    with structlog.testing.capture_logs() as entries:
        yield entries


@pytest.fixture
def registry():
    """What is registered is forgotten after the test."""
    adapters = di.Adapters()
    token = di.buvar_adapters.set(adapters)
    yield adapters
    di.buvar_adapters.reset(token)
