"""The section ``metrics`` of the configuration."""

from __future__ import annotations

import itertools
import math
import pathlib
import re
import typing as t

import attrs

from buvar import config
from buvar_aiohttp import networks

#: upper bounds of the buckets of latencies, in seconds
BUCKETS: t.Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

#: segments of plain characters: no parameters, no slash at the end
_PATH: t.Final = re.compile(r"(?:/[\w.~-]+)+", re.ASCII)


def _is_path(_: object, attribute: attrs.Attribute[t.Any], value: str) -> None:
    if not _PATH.fullmatch(value):
        message = f"{value!r} is no path as '/metrics': letters, digits, - _ . ~, and no slash at its end"
        raise ValueError(message, attribute)


def _are_bounds(_: object, attribute: attrs.Attribute[t.Any], value: list[float]) -> None:
    in_order = all(low < high for low, high in itertools.pairwise(value))
    if not value or not in_order or not all(0 < each < math.inf for each in value):
        raise ValueError(f"{value} are no bounds: numbers of seconds above 0, each greater than the last", attribute)


def _is_folder(_: object, attribute: attrs.Attribute[t.Any], value: str | None) -> None:
    if value is not None and not pathlib.Path(value).is_dir():
        raise ValueError(f"{value!r} is no folder; make it, or leave it out", attribute)


@attrs.define
class MetricsConfig(config.Config, section="metrics"):
    """Where the metrics are, and who may read them; everybody else gets a 404, as if there were none."""

    #: the path that Prometheus reads
    path: str = attrs.field(default="/metrics", validator=_is_path)
    #: who may read it: networks of those that connect, or "unix" for all that connect to a unix socket
    networks: list[str] = attrs.field(factory=lambda: [*networks.LOOPBACK], validator=networks.are_networks)
    #: whether requests are answered that came through a proxy, whose address is all that is known then
    proxied: bool = config.bool_var(False)
    #: the upper bounds of the buckets of latencies, in seconds
    buckets: list[float] = attrs.field(factory=lambda: [*BUCKETS], validator=_are_bounds)
    #: the folder for what workers share: by default in the memory of the machine, where there is one
    folder: str | None = attrs.field(default=None, validator=_is_folder)
