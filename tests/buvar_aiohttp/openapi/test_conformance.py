"""Services do what their documents say: schemathesis sends them what fits and what does not, and reads the answers."""

import asyncio
import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

# what a form or a header says is text, so a number in place of a text, or a text in place of a list, is no fault; a
# cookie that nobody asked for is none either
CONFIG = r"""
[[operations]]
include-path-regex = "^/(form|upload|headers)$"
checks.negative_data_rejection.enabled = false
"""
# for JSON Schema 1.0 is an integer, for msgspec it is not
HOOKS = """
import schemathesis
from hypothesis import strategies as st

numbers = st.decimals(allow_nan=False, allow_infinity=False, places=3)
schemathesis.openapi.format("decimal", numbers.map(lambda number: format(number, "f")))


def whole(value):
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: whole(each) for key, each in value.items()}
    return [whole(each) for each in value] if isinstance(value, list) else value


@schemathesis.hook
def map_body(context, body):
    return whole(body)
"""


@pytest.fixture
def attack(tmp_path):
    """Send the service at a URL what its document says, and what it does not; return what was found to be wrong."""
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    (tmp_path / "hooks.py").write_text(HOOKS)
    options = ["--max-examples=4", "--seed=1", "--phases=coverage,fuzzing", "--mode=all", "--no-color"]

    async def attack(url):
        path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", *options],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path, "SCHEMATHESIS_HOOKS": "hooks"},
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout[done.stdout.find("= FAILURES") :] + done.stderr

    return attack


async def test_a_service_with_every_kind_of_handler_does_what_its_document_says(served, shop, attack):
    """What fits is taken, what does not is refused, and each answer has a status, media type and schema as told."""
    async with served(shop.prepare) as session:
        status, found = await attack(str(session._base_url).rstrip("/"))
    assert status == 0, found


async def test_what_is_not_told_is_found(served, attack):
    """The attack is one: a status and a schema that are not in the document are found."""
    from buvar import plugin
    from buvar_aiohttp import http

    @http.get("/teapot")
    async def teapot() -> int:
        raise http.Problem(418)

    @http.get("/number")
    async def number() -> int:
        return "none"

    async def prepare(load: plugin.Loader):
        await load("buvar_aiohttp.openapi")
        http.mount(teapot, number)

    async with served(prepare) as session:
        status, found = await attack(str(session._base_url).rstrip("/"))
    assert status == 1
    assert "Undocumented status code" in found
    assert "Undocumented Content-Type" in found
