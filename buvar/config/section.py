"""Config: classes that are sections of the configuration, injected by their type."""

from __future__ import annotations

import typing as t

from buvar.errors import ConfigError, ConfigProblem, describe

from .source import ConfigSource

C = t.TypeVar("C", bound="Config")


class SkipSection:
    """The type of `skip_section`, which stands for "no section was given" where None is the root."""

    def __repr__(self) -> str:
        return "skip_section"


skip_section: t.Final = SkipSection()


class Config:
    """The base of configuration classes: ``class DbConfig(Config, section="db")``, an attrs class or a dataclass.

    ``section=None`` means the root, as does no section at all, unless a base class has one. One section belongs to one
    class: a second one raises `ConfigError`, but for the same class again (same module, same name), as after a reload.

    What the fields want is looked at when the class is first loaded, since its decorator runs after it was defined; two
    fields that would share an environment variable raise `ConfigError` then.
    """

    __slots__ = ()

    #: what is told of one that was not found
    __buvar_hint__: t.ClassVar[str] = "await load('buvar.config') to have it built from the configuration"
    __buvar_config_section__: t.ClassVar[str | SkipSection | None] = skip_section
    #: section -> the class that it belongs to
    __buvar_config_sections__: t.ClassVar[dict[str | None, type[Config]]] = {}

    def __init_subclass__(cls, *, section: str | SkipSection | None = skip_section, **kwargs: t.Any) -> None:
        super().__init_subclass__(**kwargs)
        if isinstance(section, SkipSection):
            # a decorator that makes a class with slots defines it once more, and passes no keywords: it takes over
            section = vars(cls).get("__buvar_config_section__", skip_section)
            if not isinstance(section, SkipSection):
                Config.__buvar_config_sections__[section] = cls
            return
        other = Config.__buvar_config_sections__.get(section)
        if other is not None and describe(other) != describe(cls):
            name = "the root of the configuration" if section is None else f"the section {section!r}"
            message = f"{name} belongs to {describe(other)} and cannot be {describe(cls)}'s too; name another section"
            raise ConfigError(ConfigProblem(section or "", message, code="BV109"))
        cls.__buvar_config_section__ = section
        Config.__buvar_config_sections__[section] = cls

    @classmethod
    async def adapt(cls: type[C], source: ConfigSource | None = None) -> C:
        """Build any subclass from its section; without a source, from the environment alone (and no prefix).

        Raises `ConfigError` with all that is wrong.
        """
        return (ConfigSource() if source is None else source).load(cls, name_of(cls))


def classes_by_section() -> dict[str | None, t.Any]:
    """Return all known classes by their sections; None is the root."""
    return {**Config.__buvar_config_sections__}


def name_of(cls: type[Config]) -> str | None:
    """Return the section of a class, None for the root."""
    section = cls.__buvar_config_section__
    return None if isinstance(section, SkipSection) else section
