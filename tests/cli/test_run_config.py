"""The configuration at a reload: the new generation reads it anew, and one that does not load changes nothing."""

import signal
import sys

import pytest

pytestmark = pytest.mark.slow

SHOP = """
import attrs, structlog
from buvar import config, di

@attrs.frozen
class ShopConfig(config.Config, section="shop"):
    name: str
    port: int = 80

class Shop:
    def __init__(self, settings: ShopConfig): ...

async def prepare(load: plugin.Loader):
    await load("buvar.config", serve)
    di.register(Shop)

async def tell(load: plugin.Loader):
    await load(prepare)
    settings = await di.nject(ShopConfig)
    structlog.get_logger("shop").info("configured", shop=settings.name)
"""
BASE = '[shop]\nname = "base"\n'
MAIN = """
[buvar]
plugins = ["shop:tell"]
workers = 2
sockets = ["tcp://127.0.0.1:0"]
include = ["base.toml"]
log.level = "DEBUG"
"""
ABORTED = "reload aborted, the old generation serves on"


@pytest.fixture
def shop(run_service, tmp_path):
    """A service that runs with a configuration file, which includes another one."""
    (tmp_path / "shop.py").write_text(run_service.serve + SHOP)
    (tmp_path / "base.toml").write_text(BASE)
    (tmp_path / "config.toml").write_text(MAIN)
    return run_service(command=[sys.executable, "-m", "buvar", "run", "-c", "config.toml"])


def test_a_reload_reads_all_files_anew(shop, tmp_path):
    """What a file says now is what the new generation gets, also one that is included."""
    shop.ready()
    assert shop.await_event("configured", 2, shop="base")
    (tmp_path / "base.toml").write_text('[shop]\nname = "new base"\n')
    (tmp_path / "config.toml").write_text(MAIN.replace("workers = 2", "workers = 3"))
    shop.kill(signal.SIGHUP)
    shop.await_event("reloaded", generation=2)
    assert len(shop.await_event("configured", 3, shop="new base")) == 3
    assert set(shop.await_crew(3)) == {0, 1, 2}
    assert shop.stop() == 0


WRONG = [
    (
        "config.toml",
        "[buvar\n",
        "Expected ']' at the end of a table declaration (config.toml:1:7)",
    ),
    ("config.toml", MAIN.replace("= 2", '= "many"'), "buvar.workers: expected an integer, got 'many' (config.toml:4)"),
    ("config.toml", MAIN.replace("base.toml", "gone.toml"), "there is no file gone.toml"),
    ("base.toml", "[shop]\nnaem = 'x'\n", "shop.name: is required; set 'name' in [shop]"),
    ("base.toml", BASE + "port = 'http'\n", "shop.port: expected an integer, got 'http' (base.toml:3)"),
    ("base.toml", BASE + "prot = 80\n", "shop.prot: unknown key; did you mean 'port'? (base.toml:3)"),
]


def test_a_configuration_that_does_not_load_changes_nothing(run_service, shop, tmp_path):
    """Whatever is wrong with it, the old generation serves on in the same processes, and why is told in the log."""
    pids = shop.ready()
    good = {"config.toml": MAIN, "base.toml": BASE}
    for number, (file, text, told) in enumerate(WRONG, 1):
        (tmp_path / file).write_text(text)
        shop.kill(signal.SIGHUP)
        aborted = shop.await_event(ABORTED, number)
        aborted = aborted[-1] if isinstance(aborted, list) else aborted
        assert told in aborted["error"] + aborted.get("exception", ""), text
        assert shop.workers() == pids
        assert run_service.ask(shop.address)[0] in pids.values()
        (tmp_path / file).write_text(good[file])
    shop.kill(signal.SIGHUP)
    shop.await_event("reloaded")
    assert shop.stop() == 0
