"""What a class wants of a configuration: its fields, and the environment variables that set them.

The names of the variables follow from the schema: ``PREFIX_SECTION_FIELD``, nested ``PREFIX_SECTION_NESTED_FIELD``. A
secret may also be in a file that ``…_FILE`` names.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
import re
import types
import typing as t

import attr
import attrs

from buvar.errors import ConfigError, ConfigProblem, describe

if t.TYPE_CHECKING:
    import collections.abc as c

#: the key in a field's metadata that marks it as secret
SECRET: t.Final = "secret"  # noqa: S105 - the word itself
#: the key that marks it as one that is read before the environment is looked at
IN_FILES_ONLY: t.Final = "in_files_only"
#: the key in a field's metadata that says what it is called in a table, where that is no name in Python
KEY: t.Final = "key"

Target: t.TypeAlias = dict[str, t.Any]


@attrs.frozen
class Field:
    """A field of a configuration class: *key* in a table, *argument* of the class, and the *type* with names resolved.

    *attribute* is what an instance has it as, which is the key if nothing else is said.
    *nested* is the class of a field that is a table of its own; *optional* says that None may stand for that table.
    *default* is that of the class, an `attrs.Factory` where it is made anew each time. *in_files_only* says that no
    variable sets it.
    """

    key: str
    attribute: str
    argument: str
    type: t.Any
    required: bool
    secret: bool
    nested: type | None
    optional: bool
    default: t.Any = attrs.field(default=attrs.NOTHING, eq=False, repr=False)
    in_files_only: bool = False

    def make_default(self) -> t.Any:
        """Return the default, or `attrs.NOTHING` where there is none, or none that is known without an instance."""
        if not isinstance(self.default, attr.Factory):  # type: ignore[arg-type]
            return self.default
        if self.default.takes_self:
            return attrs.NOTHING
        try:
            return self.default.factory()
        except Exception:
            return attrs.NOTHING  # to load the class fails, and tells why


@attrs.frozen
class Variable:
    """An environment variable that sets the field at *path* (below the section).

    *from_file*: the value is not what it says, but what the file holds that it names.
    """

    name: str
    path: tuple[str, ...]
    field: Field
    from_file: bool = False


def has(hint: object) -> t.TypeGuard[type]:
    """Tell whether an annotation is an attrs class or a dataclass, or one with parameters, as ``Page[Item]``."""
    cls = origin(hint)
    return isinstance(cls, type) and (attrs.has(cls) or dataclasses.is_dataclass(cls))


@functools.lru_cache(maxsize=1024)
def fields(hint: t.Any) -> tuple[Field, ...]:
    """Return the fields of an attrs class or a dataclass that its constructor takes.

    Raises TypeError for any other class, `ConfigError` for an annotation that leads nowhere.
    """
    if not has(hint):
        name = describe(hint)
        raise TypeError(
            f"{name} is neither an attrs class nor a dataclass; decorate it, with @attrs.frozen for example"
        )
    cls = origin(hint)
    hints, bound = _hints(cls), _bound(hint)
    return tuple(_field(cls, field, _filled(hints.get(field.name), bound)) for field in _declared(cls) if field.init)


def _declared(cls: type) -> tuple[t.Any, ...]:
    # attrs first: a class can be both, and attrs knows more
    return tuple(attrs.fields(cls)) if attrs.has(cls) else dataclasses.fields(cls)


def _hints(cls: type) -> dict[str, t.Any]:
    if not any(_is_forward(field.type) for field in _declared(cls)):
        # for one, attrs.resolve_types was used on it
        return {field.name: field.type for field in _declared(cls)}
    try:
        return t.get_type_hints(cls, localns={cls.__name__: cls}, include_extras=True)
    except NameError as error:
        raise ConfigError(
            f"{describe(cls)}: no {error.name!r} is known in the module of the class, where its annotations are"
            " looked up; define it there, or call attrs.resolve_types(cls, globals(), locals()) where the class is"
        ) from None


def _is_forward(hint: t.Any) -> bool:
    """Tell whether an annotation has names in it that are to be looked up, as in ``list["Node"]``."""
    return isinstance(hint, str | t.ForwardRef) or (
        t.get_origin(hint) is not t.Literal and any(map(_is_forward, t.get_args(hint)))
    )


def _bound(hint: t.Any) -> dict[t.Any, t.Any]:
    """Return what stands for the type variables of a generic class and of its bases."""
    cls = origin(hint)
    bound = dict(zip(getattr(cls, "__parameters__", ()), t.get_args(hint), strict=False))
    for base in getattr(cls, "__orig_bases__", ()):
        bound |= {variable: _filled(given, bound) for variable, given in _bound(base).items() if variable not in bound}
    return bound


def _filled(hint: t.Any, bound: c.Mapping[t.Any, t.Any]) -> t.Any:
    if isinstance(hint, t.TypeVar):
        return bound.get(hint, t.Any)
    variables = getattr(hint, "__parameters__", ()) if not isinstance(hint, type) or t.get_args(hint) else ()
    return hint[tuple(bound.get(variable, t.Any) for variable in variables)] if variables else hint


def _field(cls: type, field: t.Any, hint: t.Any) -> Field:
    hint = t.Any if field.type is None else hint
    required = _required(field)
    if not required and type(field.default).__name__ == "_CountingAttr":
        raise ConfigError(
            f"{describe(cls)}.{field.name}: bool_var and secret_var are for attrs classes; in a dataclass write"
            ' a bool with its default, or dataclasses.field(repr=False, metadata={"secret": True})'
        )
    nested, optional = _nested(hint)
    secret = bool(field.metadata.get(SECRET))
    argument = getattr(field, "alias", None) or field.name
    in_files_only = bool(field.metadata.get(IN_FILES_ONLY))
    key, default = field.metadata.get(KEY) or field.name, _default(field)
    return Field(key, field.name, argument, hint, required, secret, nested, optional, default, in_files_only)


def _required(field: t.Any) -> bool:
    if isinstance(field, attr.Attribute):
        return field.default is attrs.NOTHING
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _default(field: t.Any) -> t.Any:
    if isinstance(field, attr.Attribute):
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return attrs.Factory(field.default_factory)
    return attrs.NOTHING if field.default is dataclasses.MISSING else field.default


def plain(hint: t.Any) -> t.Any:
    """Strip ``Annotated``, ``Final`` and ``NewType`` off an annotation."""
    while True:
        if t.get_origin(hint) in (t.Annotated, t.Final):
            hint = t.get_args(hint)[0]
        elif isinstance(hint, t.NewType):
            hint = hint.__supertype__
        else:
            return hint


def origin(hint: t.Any) -> t.Any:
    """Return ``list`` for ``list[int]``, and what has no parameters as it is."""
    found: t.Any = t.get_origin(hint)
    return hint if found is None else found


def is_union(hint: t.Any) -> bool:
    """Tell whether an annotation is a union, ``Optional`` included."""
    return t.get_origin(hint) in (t.Union, types.UnionType)


def members(hint: t.Any) -> tuple[t.Any, ...]:
    """Return the types that an annotation allows, None aside."""
    hint = plain(hint)
    if not is_union(hint):
        return (hint,)
    return tuple(member for arg in t.get_args(hint) if arg is not types.NoneType for member in members(arg))


def _nested(hint: t.Any) -> tuple[type | None, bool]:
    hint = plain(hint)
    allowed = members(hint)
    if len(allowed) == 1 and has(allowed[0]):
        return allowed[0], is_union(hint)
    return None, False


def classes(hint: t.Any) -> c.Iterator[type]:
    """Yield the configuration classes that stand anywhere in an annotation, as in ``list[Account]``."""
    for member in members(hint):
        if has(member):
            yield member
        for arg in t.get_args(member):
            yield from classes(arg)


def needs_itself(cls: type, above: tuple[type, ...] = ()) -> bool:
    """Tell whether a class has no instance without another instance of it."""
    above = (*above, cls)
    required = [field.nested for field in fields(cls) if field.required and not field.optional]
    return any(inner in above or needs_itself(inner, above) for inner in required if inner is not None)


def chain(cls: type, path: c.Iterable[str]) -> c.Iterator[tuple[type, Field]]:
    """Yield the fields that lead to a value, each with its class."""
    for key in path:
        field = next(field for field in fields(cls) if field.key == key)
        yield cls, field
        cls = field.nested or cls


def default_of(cls: type, path: c.Iterable[str]) -> t.Any:
    """Return the default of a value below a class, as `Field.make_default` does; defaults of whole tables count."""
    value: t.Any = attrs.NOTHING
    for owner, field in chain(cls, path):
        value = getattr(value, field.attribute, None) if isinstance(value, origin(owner)) else field.make_default()
    return value


def has_secrets(cls: type, seen: frozenset[type] = frozenset()) -> bool:
    """Tell whether a class, or one within it, has a secret field."""
    seen |= {cls}
    return any(
        field.secret or any(has_secrets(inner, seen) for inner in classes(field.type) if inner not in seen)
        for field in fields(cls)
    )


def holds_secrets(hint: t.Any) -> bool:
    """Tell whether a class that stands anywhere in an annotation has a secret field."""
    return any(map(has_secrets, classes(hint)))


def variable_name(*parts: str) -> str:
    """Return the environment variable for a place: ``variable_name("app", "db", "host")`` is ``APP_DB_HOST``."""
    return re.sub(r"\W", "_", "_".join(parts).upper())


@functools.lru_cache(maxsize=1024)
def variables(cls: type, prefix: tuple[str, ...] = ()) -> tuple[Variable, ...]:
    """List the environment variables that set the fields of a class, in the order of its fields.

    Raises `ConfigError` for two fields that would share one.
    """
    found: dict[str, Variable] = {}
    problems = []
    for variable in _variables(cls, prefix, (), (cls,)):
        other = found.setdefault(variable.name, variable)
        if other is not variable:
            both = f"{'.'.join(other.path)} and {'.'.join(variable.path)}"
            message = f"its fields {both} share the environment variable {variable.name}; rename one of them"
            problems.append(ConfigProblem(describe(cls), message, code="BV105"))
    if problems:
        raise ConfigError(*problems)
    return tuple(found.values())


def _variables(
    cls: type, prefix: tuple[str, ...], path: tuple[str, ...], seen: tuple[type, ...]
) -> c.Iterator[Variable]:
    for field in fields(cls):
        here = (*path, field.key)
        if field.in_files_only:
            continue
        if field.nested is None:
            name = variable_name(*prefix, *here)
            yield Variable(name, here, field)
            if field.secret:
                yield Variable(f"{name}_FILE", here, field, from_file=True)
        elif field.nested not in seen:  # a class within itself has no end of variables
            yield from _variables(field.nested, prefix, here, (*seen, field.nested))


def traverse_attrs(
    cls: type,
    *,
    target: Target | None = None,
    get_type_hints: c.Callable[[type], c.Mapping[str, t.Any]] | None = None,
) -> c.Iterator[tuple[tuple[str, ...], t.Any, Target]]:
    """Yield ``(path, type, target)`` for each field of a class and of the classes nested in it, the outer one first.

    *target* is the dict in which the value of the field belongs: the one given, or a dict in it per nested class.
    *get_type_hints* takes a class and returns ``{name: type}``; by default names are resolved in its module.
    """
    yield from _traverse(cls, {} if target is None else target, get_type_hints, (), (cls,))


def _traverse(
    cls: type,
    target: Target,
    get_type_hints: c.Callable[[type], c.Mapping[str, t.Any]] | None,
    path: tuple[str, ...],
    seen: tuple[type, ...],
) -> c.Iterator[tuple[tuple[str, ...], t.Any, Target]]:
    hints = {f.key: f.type for f in fields(cls)} if get_type_hints is None else get_type_hints(cls)
    names = list(hints) if get_type_hints is None else [field.name for field in _declared(origin(cls)) if field.init]
    for name in names:
        here = (*path, name)
        if not has(hints[name]) or hints[name] in seen:
            yield here, hints[name], target
            continue
        nested: Target = {}
        target[name] = nested
        yield here, hints[name], target
        yield from _traverse(hints[name], nested, get_type_hints, here, (*seen, hints[name]))


def generate_env_help(cls: type, env_prefix: str = "") -> str:
    """Return the names of all environment variables that set the fields of a class, one a line."""
    return "\n".join(variable.name for variable in variables(cls, (env_prefix,) if env_prefix else ()))


def create_env_config(cls: type, *env_prefix: str) -> dict[str, t.Any]:
    """Return what the environment says for a class, as nested dicts of text; each nested class has a dict."""
    found: dict[str, t.Any] = {}
    for _ in traverse_attrs(cls, target=found):
        pass
    for variable in variables(cls, env_prefix):
        if variable.name in os.environ:
            put(found, variable.path, text_of(variable))
    return found


def put(target: Target, path: c.Sequence[str], value: t.Any) -> None:
    """Set a value at a path in nested dicts, and make those that are missing."""
    for key in path[:-1]:
        target = target.setdefault(key, {})
    target[path[-1]] = value


def text_of(variable: Variable) -> str:
    """Return what a variable that is set says, itself or by the file that it names (without one newline at its end).

    Raises `ConfigError` when that file cannot be read, or is empty.
    """
    text = os.environ[variable.name]
    if not variable.from_file:
        return text
    if not text:
        message = f"{variable.name} is empty; name the file of the secret in it, or unset it"
    else:
        content, message = _secret_in(text)
        if content:
            return content
        message = f"{message}; correct {variable.name} or the file"
    raise ConfigError(ConfigProblem(".".join(variable.path), message, f"environment variable {variable.name}", "BV110"))


def _secret_in(file: str) -> tuple[str, str]:
    """Return what a file holds, or else what is wrong with it."""
    try:
        content = pathlib.Path(file).read_bytes().decode()
    except (OSError, ValueError) as error:
        reason = (
            "it is not UTF-8 text" if isinstance(error, UnicodeError) else getattr(error, "strerror", None) or error
        )
        return "", f"cannot read the secret from the file {file!r}: {reason}"
    return content.removesuffix("\n").removesuffix("\r"), f"the file {file!r} is empty"
