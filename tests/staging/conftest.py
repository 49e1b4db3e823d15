import asyncio

import pytest
import structlog
import uvloop


@pytest.fixture(params=["asyncio", "uvloop"])
def loop_factory(request):
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}[request.param]


@pytest.fixture(autouse=True)
def logs():
    """What is logged while the test runs, as a list of dicts."""
    with structlog.testing.capture_logs() as entries:
        yield entries
