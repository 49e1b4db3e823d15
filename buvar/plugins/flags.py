"""Flags: what is switched on and off by configuration, declared where it is used.

A plugin declares a flag, the section ``flags`` of the configuration switches it, and code asks::

    context.add(flags.Flag("new-checkout", help="Pay on one page"))
    …
    if flags.is_on("new-checkout"):
        …

The keys of the section are the names of the flags that the plugins have declared, and no others.
"""

from __future__ import annotations

import collections.abc as c
import contextlib
import copy
import re
import typing as t

import attrs

from buvar import config, context, errors, plugin
from buvar.config import claims, describe, docs

SECTION: t.Final = "flags"

#: what needs no quotes as a key of TOML
_NAME: t.Final = re.compile(r"[A-Za-z0-9_-]+")


def _validate(instance: Flag, _: object, default: t.Any) -> None:
    if not isinstance(default, bool):
        raise errors.DeclarationError(f"the default of the Flag {instance.name!r} is True or False, not {default!r}")
    if not _NAME.fullmatch(instance.name):
        allowed = "letters of ASCII, digits, - and _"
        raise errors.DeclarationError(
            f"the name of the Flag {instance.name!r} is a key of TOML; write it with {allowed}"
        )


@attrs.frozen
class Flag(plugin.Declaration):
    """A flag: *default* is what it is where nothing is configured, *help* says to who configures it what it switches.

    The name is a key of the section ``flags``: letters of ASCII, digits, - and _. Raises `errors.DeclarationError`.
    """

    collector: t.ClassVar[str | None] = __name__

    default: bool = attrs.field(default=False, kw_only=True, validator=_validate)
    help: str = attrs.field(default="", kw_only=True)


@attrs.frozen(eq=False)
class _Override:
    name: str
    on: bool


class Flags:
    """The flags of a stage. They are read before the run, and when somebody asks for one that was not read yet."""

    def __init__(self) -> None:
        self._components = context.current_context()
        self._values: dict[str, bool] = {}
        self._overrides: tuple[_Override, ...] = ()

    def is_on(self, flag: Flag | str) -> bool:
        """Tell whether a flag, or that of a name, is on. Raises `errors.UndeclaredError` where none is declared.

        A plugin may ask while it prepares, for what is declared by then; the section may have keys for others.
        """
        name = flag if isinstance(flag, str) else flag.name
        for override in reversed(self._overrides):
            if override.name == name:
                return override.on
        return self._find(name)

    @contextlib.contextmanager
    def override(self, flag: Flag | str, on: bool = True) -> c.Iterator[None]:
        """Have a flag on, or off, for the whole stage in a block, above all in tests; the last one wins."""
        name = flag if isinstance(flag, str) else flag.name
        self._find(name)
        override = _Override(name, on)
        self._overrides = (*self._overrides, override)
        try:
            yield
        finally:
            self._overrides = tuple(each for each in self._overrides if each is not override)

    def load(self) -> dict[str, bool]:
        """Read all flags that are declared from the configuration, and return what they are by name.

        Raises `errors.ConfigError` with all that is wrong with the section, such as a key that is no flag.
        """
        self._values = self._read()
        return dict(self._values)

    def _find(self, name: str) -> bool:
        if name not in self._values:
            self._values = {**self._values, **self._peek(name)} if self._is_preparing else self._read()
        if name not in self._values:
            hint = errors.did_you_mean(name, self._values) or "; load the plugin that declares it, or add a Flag"
            raise errors.UndeclaredError("flag", name, hint)
        return self._values[name]

    @property
    def _is_preparing(self) -> bool:
        load = self._components.get(plugin.Loader, default=None)
        return load is not None and not all(each.prepared.done() for each in load.plugins)

    def _peek(self, name: str) -> dict[str, bool]:
        """Return the value of one flag, if it is declared; nothing is claimed, since later plugins declare more."""
        asked = [each for each in self._declared if each.name == name]
        source = copy.copy(self._source)
        source.claims = claims.Claims()
        section = source.get(SECTION)
        if isinstance(section, c.Mapping):
            source[SECTION] = {key: value for key, value in section.items() if asked and key == name}
        return self._load(source, asked)

    def _read(self) -> dict[str, bool]:
        return self._load(self._source, self._declared)

    @property
    def _source(self) -> config.ConfigSource:
        source = self._components.get(config.ConfigSource, default=None)
        return config.ConfigSource() if source is None else source

    @property
    def _declared(self) -> list[Flag]:
        return [each.item for each in plugin.declared(Flag, self._components).values()]

    def _load(self, source: config.ConfigSource, declared: list[Flag]) -> dict[str, bool]:
        fields = {f"flag{number}": _field(each) for number, each in enumerate(declared)}
        loaded: t.Any = source.load(attrs.make_class("Flags", fields), SECTION)
        return {each.name: value for each, value in zip(declared, attrs.astuple(loaded, recurse=False), strict=True)}


def _field(flag: Flag) -> t.Any:
    return attrs.field(type=bool, default=flag.default, metadata={describe.KEY: flag.name, docs.HELP: flag.help})


def is_on(flag: Flag | str) -> bool:
    """Tell whether a flag of the stage is on; see `Flags.is_on`."""
    return context.get(Flags).is_on(flag)


def override(flag: Flag | str, on: bool = True) -> contextlib.AbstractContextManager[None]:
    """Have a flag of the stage on, or off, in a block; see `Flags.override`."""
    return context.get(Flags).override(flag, on)


def load_flags() -> dict[str, bool]:
    """Read all flags of the stage; see `Flags.load`."""
    return context.get(Flags).load()


def _check() -> None:
    """Have what is wrong with the section told before the run."""
    # two flags of one name are told by the check of all declarations
    with contextlib.suppress(errors.DeclarationError):
        load_flags()


async def prepare() -> None:
    """Add `Flags` to the context, and have them read when all plugins are prepared."""
    context.add(Flags())
    context.add(plugin.Check("buvar.plugins.flags", _check))
