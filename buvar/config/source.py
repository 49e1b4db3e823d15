"""ConfigSource: the one dict that all configuration is merged into, and where each value came from.

The order, the strongest first: `ConfigSource.override` (``--set`` of the command line), the environment, later dicts
and files, earlier ones, the default of the class.
"""

from __future__ import annotations

import collections.abc as c
import os
import tomllib
import typing as t

import attrs
from cattrs.errors import ForbiddenExtraKeysError

from buvar.components import missing
from buvar.errors import ConfigError, ConfigProblem, ConversionError, Place, did_you_mean

from . import convert, describe, files, flaws, include, texts, tree, words
from .claims import Claims

T = t.TypeVar("T")

#: registers how types are built from configured values; hooks of users count in `ConfigSource.load`
relaxed_converter: t.Final = convert.make_converter()


class ConfigSource(dict[str, t.Any]):
    """A dict that merges dicts: tables key by key, for all else the later one wins. What is merged is copied.

    *env_prefix* begins the names of the environment variables that `load` looks at: ``APP`` for ``APP_SECTION_FIELD``.
    Raises `ConfigError` where one dict has a table and another has none.
    """

    def __init__(self, *sources: c.Mapping[str, t.Any], env_prefix: str | None = None) -> None:
        super().__init__()
        self.env_prefix: tuple[str, ...] = (env_prefix,) if env_prefix else ()
        self._layers: list[files.Layer] = []
        self._options: dict[tuple[str, ...], _Option] = {}
        #: which classes were asked for which sections
        self.claims = Claims()
        self.merge(*sources)

    @classmethod
    def read(cls, *paths: str | os.PathLike[str], env_prefix: str | None = None) -> t.Self:
        """Read and merge TOML files, and what they include by ``[buvar] include``, the last being the strongest.

        Raises one `ConfigError` with all files that cannot be read or do not parse, with line and column.
        """
        source = cls(env_prefix=env_prefix)
        for document in include.read(paths):
            source._stack(files.Layer(document.values, document))
        return source

    def merge(self, *sources: c.Mapping[str, t.Any]) -> None:
        """Merge more dicts over what is here; the same rules and errors as for the class."""
        for source in sources:
            self._stack(files.Layer(tree.copy(source)))
            if isinstance(source, ConfigSource):
                # its values stand in the layer; its layers below know the places, its options stay options
                self._layers[-1:-1] = source._layers
                self._options.update(source._options)

    def override(self, path: str, text: str) -> None:
        """Set one value from the command line, stronger than all else: ``override("db.port", "5432")``.

        *path* is written like a key in TOML; *text* is a TOML value, and what is none stands for itself.
        Raises `ConfigError` for a path that is none, and for one that leads through a value that is no table.
        """
        keys = _keys(path)
        value = _toml_value(text)
        values: dict[str, t.Any] = {}
        describe.put(values, keys, value)
        self._stack(files.Layer(values), origin=f"--set {path}")
        self._options = {old: option for old, option in self._options.items() if old[: len(keys)] != keys}
        self._options[keys] = _Option(path, text, value)

    def origin(self, *path: str | int) -> Place | str | None:
        """Tell where the value at a path of keys and indices came from; None when it came from no file or option."""
        where = self.option_for(path)
        if where is not None:
            return where
        value = tree.dig(self, path)
        for layer in reversed(self._layers):
            found = tree.dig(layer.values, path)
            if found is not missing and (found is value or found == value or isinstance(found, dict)):
                place = layer.origin(path)
                if place is not None:
                    return place
        # a table that holds nothing but what an option set
        inner = (option for keys, option in self._options.items() if path and keys[: len(path)] == path)
        return next((f"--set {option.path}" for option in inner), None)

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that were read, the weakest first."""
        return tuple(layer.document.file for layer in self._layers if layer.document is not None)

    def option_for(self, path: files.Path) -> str | None:
        """Return the ``--set`` that gave the value at a path, or the table around it, if one did."""
        found = next((option for keys, option in self._options.items() if path[: len(keys)] == keys), None)
        return f"--set {found.path}" if found is not None else None

    def load(self, config_cls: type[T], name: str | None = None) -> T:
        """Build an instance from the section *name*, or from the root, and from the environment.

        *config_cls* is an attrs class or a dataclass. Raises one `ConfigError` with all that is wrong.
        Tables in the root that the class does not know are other sections, and left alone.
        """
        return t.cast("T", Loading(self, config_cls, name).run())

    def _stack(self, layer: files.Layer, origin: str | None = None) -> None:
        clashes: list[files.Path] = []
        merged = tree.merge(self, layer.values, clashes)
        if clashes:
            raise ConfigError(*(self._clash(path, layer, origin) for path in clashes))
        self.update(merged)
        self._layers.append(layer)

    def _clash(self, path: files.Path, layer: files.Layer, origin: str | None) -> ConfigProblem:
        message = _clashing(tree.dig(self, path), self.origin(*path), tree.dig(layer.values, path))
        return ConfigProblem(tree.dotted(path), message, origin or layer.origin(path), "BV108")

    def __repr__(self) -> str:
        # not the values: some of them are secret, and only classes know which
        return f"<ConfigSource: {', '.join(map(str, self)) or 'empty'}>"


@attrs.frozen
class _Option:
    """What ``--set path=text`` said: *value* is the text read as TOML, or the text itself."""

    path: str
    text: str
    value: t.Any


def _clashing(before: t.Any, place: Place | str | None, now: t.Any) -> str:
    earlier = f"in {place}" if place is not None else "before"
    return f"is {words.kind(before)} {earlier}, but {words.kind(now)} here"


def _keys(path: str) -> tuple[str, ...]:
    try:
        table: t.Any = tomllib.loads(f"{path} = 0") if "\n" not in path else None
    except (ValueError, RecursionError):
        table = None
    keys: list[str] = []
    while isinstance(table, dict) and len(table) == 1:
        key, table = next(iter(table.items()))
        keys.append(key)
    if table != 0 or not keys:
        message = f"{path!r} is no path of keys; write --set section.field=value"
        raise ConfigError(ConfigProblem("", message, code="BV111"))
    return tuple(keys)


def _toml_value(text: str) -> t.Any:
    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return table["value"] if len(table) == 1 else text


class Loading:
    """One call of `ConfigSource.load`: the values of a section, what goes over them, and what is wrong with them."""

    def __init__(self, source: ConfigSource, cls: type, name: str | None = None) -> None:
        self.source = source
        self.cls = cls
        self.section: tuple[str, ...] = (name,) if name else ()
        self.variables = source.claims.claim(cls, self.section, source.env_prefix).variables
        self.origins: dict[files.Path, str] = {}
        #: the tables that variables give, which stand beside what files say of the same table
        self.tables: dict[files.Path, c.Mapping[str, t.Any]] = {}
        self.problems: list[ConfigProblem] = []
        #: what is configured, before it is converted
        self.values: t.Any = {}

    def run(self) -> t.Any:
        """Return the instance, or raise `ConfigError`."""
        values = self.values = self._options(self._environment(self._configured()))
        cause = instance = None
        failed: list[flaws.Flaw] = []
        try:
            instance = t.cast("t.Any", relaxed_converter.structure(values, self.cls))
        except Exception as error:
            failed = list(flaws.read(error))
            if not describe.has_secrets(self.cls):
                cause = next((flaw.error for flaw in failed if flaw.unexpected), None)
        known = {problem.path for problem in self.problems}
        self.problems += [problem for flaw in failed for problem in self._told(flaw) if problem.path not in known]
        # raised out here, so that no error is chained to it that may show a secret
        if self.problems:
            raise ConfigError(*self.problems) from cause
        return instance

    def _configured(self) -> t.Any:
        if self.section:
            return self.source.get(self.section[0], {})
        known = {field.key for field in describe.fields(self.cls)}
        return {key: value for key, value in self.source.items() if key in known or not is_section(value)}

    def _environment(self, values: t.Any) -> t.Any:
        environ = os.environ
        given = [variable for variable in self.variables if variable.name in environ]
        if not given or not isinstance(values, c.Mapping):
            return values
        for variable in given:
            origin = f"environment variable {variable.name}"
            if variable.path in self.origins:
                message = f"is set twice, by {self.origins[variable.path]} too; unset one of them"
                self._problem(variable.path, message, origin, "BV112")
                continue
            self.origins[variable.path] = origin
            try:
                value = texts.from_text(relaxed_converter, variable.field, describe.text_of(variable))
            except (ConfigError, ConversionError) as error:
                found = error.problems[0] if isinstance(error, ConfigError) else ConfigProblem("", str(error))
                self._problem(variable.path, found.message, origin, found.code)
            else:
                if isinstance(value, c.Mapping):
                    self.tables[variable.path] = value
                values = tree.overlay(values, variable.path, value)
        return values

    def _options(self, values: t.Any) -> t.Any:
        depth = len(self.section)
        for keys, option in self.source._options.items():
            if keys[:depth] != self.section or not isinstance(values, c.Mapping):
                continue
            path = keys[depth:]
            if blocked := tree.blocks(values, path):
                message = _clashing(tree.dig(values, blocked), self.origin(blocked), {})
                self._problem(blocked, message, f"--set {option.path}", "BV108")
                continue
            try:
                value = self._option_value(path, option)
            except ConversionError as error:
                self._problem(path, str(error), f"--set {option.path}")
            else:
                values = tree.overlay(values, path, value)
        return values

    def _option_value(self, path: tuple[str, ...], option: _Option) -> t.Any:
        for variable in self.variables:
            depth = len(variable.path)
            if path[:depth] == variable.path:
                return texts.from_option(relaxed_converter, variable.field, path[depth:], option.text, option.value)
        return option.value

    def _problem(self, path: files.Path, message: str, origin: Place | str | None, code: str = "BV101") -> None:
        self.problems.append(ConfigProblem(tree.dotted(self.section + path), message, origin, code))

    def _told(self, flaw: flaws.Flaw) -> c.Iterator[ConfigProblem]:
        path = self.section + flaw.path
        if isinstance(flaw.error, ForbiddenExtraKeysError):
            known = [field.key for field in describe.fields(flaw.error.cl)]
            for key in sorted(flaw.error.extra_fields, key=str):
                hint = did_you_mean(str(key), known) or f"; the keys are {', '.join(known) or 'none'}"
                yield ConfigProblem(
                    tree.dotted((*path, key)), f"unknown key{hint}", self.origin((*flaw.path, key)), "BV102"
                )
        elif flaw.missing:
            advice = self._advice(flaw.path)
            yield ConfigProblem(tree.dotted(path), f"is required; {advice}", self.origin(flaw.path[:-1]), "BV103")
        else:
            yield ConfigProblem(tree.dotted(path), words.explain(flaw.error), self.origin(flaw.path))

    def _advice(self, path: files.Path) -> str:
        table = tree.dotted(self.section + path[:-1])
        if any(isinstance(key, int) for key in path):
            return f"set {path[-1]!r} in {table}"
        place = f"set {path[-1]!r} in [{table}]" if table else f"set {path[-1]!r} above all tables"
        names = [variable.name for variable in self.variables if variable.path == path]
        if not names:
            return place
        return f"{place} or the environment variable {' or '.join(names)}"

    def origin(self, path: files.Path) -> Place | str | None:
        where = self.source.option_for(self.section + path)
        if where is not None:
            return where
        for depth in range(len(path), 0, -1):
            above = path[:depth]
            if above in self.origins and (
                above not in self.tables or tree.dig(self.tables[above], path[depth:]) is not missing
            ):
                return self.origins[above]
        return self.source.origin(*self.section, *path)


def is_section(value: object) -> bool:
    """Tell a table, or an array of tables, from what can only be a value."""
    return isinstance(value, c.Mapping) or (
        isinstance(value, list) and bool(value) and all(isinstance(item, c.Mapping) for item in value)
    )
