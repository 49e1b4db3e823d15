"""What type checkers know of buvar.config."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import assert_type

import attrs

from buvar import config, di
from buvar.errors import Place


@attrs.frozen
class Db(config.Config, section="typing_db"):
    host: str
    on: bool = config.bool_var(False)
    password: str = config.secret_var("")


@dataclasses.dataclass
class Data(config.Config, section="typing_data"):
    host: str = "h"


async def check() -> None:
    """Never run, only read by type checkers."""
    source = config.ConfigSource({"typing_db": {"host": "h"}}, env_prefix="APP")
    assert_type(source.load(Db, "typing_db"), Db)
    assert_type(source.load(Data), Data)
    assert_type(config.ConfigSource.read(Path("config.toml"), "more.toml", env_prefix="APP"), config.ConfigSource)
    assert_type(source.origin("typing_db", "host"), Place | str | None)
    assert_type(await Db.adapt(source), Db)
    assert_type(Db(host="h").on, bool)
    assert_type(Db(host="h", password="p").password, str)
    assert_type(await di.nject(Db, source=source), Db)
    assert_type(config.generate_env_help(Db, "APP"), str)


def test_types_are_checked_by_mypy() -> None:
    """The classes above are what they look like at run time too."""
    assert Db("h") == Db("h", on=False, password="")
