"""What the verbs of ``buvar config`` write."""

from __future__ import annotations

import json
import math
import os
import textwrap
import typing as t

import attrs
import click

from buvar import errors
from buvar.cli import findings
from buvar.config import describe, docs, effective, masks, template, toml, tree, words
from buvar.staging import codes

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.cli.rehearsed import Rehearsed
    from buvar.cli.wanted import Wanted
    from buvar.config.claims import Claim
    from buvar.config.effective import Setting
    from buvar.diagnostic import Diagnostic

_WIDTH: t.Final = 100
#: what begins the codes of what is wrong with a configuration
_CODES: t.Final = ("BV1", "BV209")


def show(service: Rehearsed, names: tuple[str, ...], *, as_json: bool) -> bool:
    """Write each value and where it came from, and tell whether something is wrong, which is told on stderr."""
    found = effective.sections(service.source)
    known = {".".join(path) for each in found for path in _table_paths(each)}
    if unknown := [name for name in names if name not in known]:
        raise errors.UsageError(f"nothing reads a section {unknown[0]!r}{errors.did_you_mean(unknown[0], known)}")
    # of several classes that read one value, the first tells it
    settings = {setting.path: setting for each in reversed(found) for setting in reversed(each.settings)}
    wanted = [s.path for each in found for s in each.settings if not names or _is_in(s, each.claim.section, names)]
    shown = [settings.pop(path) for path in wanted if path in settings]
    if as_json:
        click.echo(_json({"settings": [_setting(each) for each in shown]}))
    elif shown:
        click.echo("\n\n".join(_tables(shown)))
    problems = [each for each in service.diagnostics if each.severity != "info" and _is_of_configuration(each)]
    findings.write(problems, err=True)
    _tell_of_failed(service)
    return findings.is_bad(problems)


def env(service: Rehearsed, *, as_json: bool) -> None:
    """Write all environment variables that are read."""
    claims = _claims(service)
    if as_json:
        found = [_variable(claim, each) for claim in claims for each in claim.variables]
        click.echo(_json({"variables": found}))
    else:
        click.echo("\n\n".join(_environment(claim) for claim in claims if claim.variables))
    _tell_of_failed(service)


def write_template(service: Rehearsed) -> None:
    """Write a TOML file with all that can be configured."""
    found = service.settings
    given: t.Any = {
        ("buvar",): {"plugins": found.plugins, **({"installed": found.installed} if found.installed else {})}
    }
    click.echo(template.write(_claims(service), given), nl=False)
    _tell_of_failed(service)


def check(wanted: Wanted, *, as_json: bool, strict: bool) -> bool:
    """Write all that is wrong with the configuration, and tell whether there is something."""
    service = None
    try:
        service = wanted.rehearse()
    except errors.ConfigError as error:
        found = list(codes.diagnose(error))
    else:
        found = [each for each in service.diagnostics if _is_of_configuration(each)]
    failed = [] if service is None else _failed(service)
    keep = "1 more finding keeps" if len(failed) == 1 else f"{len(failed)} more findings keep"
    facts = f"not all was looked at: {keep} plugins from being prepared"
    findings.tell(found, *([facts] if failed else []), as_json=as_json)
    if service is not None:
        _tell_of_failed(service)
    return bool(failed) or findings.is_bad(found, strict=strict)


def _table_paths(section: effective.Section) -> c.Iterator[tuple[str, ...]]:
    """Yield the paths of the section and of the tables in it."""
    yield section.claim.section
    for setting in section.settings:
        yield from _tables_around(setting, section.claim.section)


def _tables_around(setting: Setting, section: tuple[str, ...]) -> c.Iterator[tuple[str, ...]]:
    """Yield the paths of the tables that a setting is in, from its section on, and its own if it is one."""
    path = tuple(map(str, setting.path))
    is_table = setting.field.nested is not None or isinstance(setting.value, dict)
    for depth in range(len(section), len(path) + is_table):
        yield path[:depth]


def _is_in(setting: Setting, section: tuple[str, ...], names: c.Sequence[str]) -> bool:
    return any(".".join(path) in names for path in _tables_around(setting, section))


def _tell_of_failed(service: Rehearsed) -> None:
    """Tell that what only plugins know that failed is missing."""
    if others := _failed(service):
        click.echo("plugins fail to prepare, what only they read is not told here; see buvar check:", err=True)
        findings.write(others, err=True)


def _failed(service: Rehearsed) -> list[Diagnostic]:
    errors_of_plugins = (d for d in service.diagnostics if d.severity == "error" and d.code.startswith("BV2"))
    return [each for each in errors_of_plugins if not _is_of_configuration(each)]


def _is_of_configuration(found: Diagnostic) -> bool:
    return found.code.startswith(_CODES)


def _claims(service: Rehearsed) -> list[Claim]:
    """Return all that may be read, also by classes that nobody has asked for yet."""
    if problems := effective.claim_all(service.source):
        raise errors.ConfigError(*problems)
    return sorted(service.source.claims, key=lambda claim: claim.section)


def _json(document: dict[str, t.Any]) -> str:
    return json.dumps(_jsonable(document), indent=2, allow_nan=False)


def _jsonable(value: t.Any) -> t.Any:
    """Write what JSON has nothing for, as moments and infinity, as text."""
    if isinstance(value, dict):
        return {key: _jsonable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_jsonable(inner) for inner in value]
    is_json = value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
    return value if is_json else str(value)


# -- show


def _tables(shown: c.Iterable[Setting]) -> c.Iterator[str]:
    tables: dict[tuple[t.Any, ...], list[Setting]] = {}
    for setting in shown:
        tables.setdefault(setting.path[:-1], []).append(setting)
    # what is above all tables comes first, whoever reads it
    for path, settings in sorted(tables.items(), key=lambda table: bool(table[0])):
        lines = [_line(setting) for setting in settings]
        width = min(max(len(text) for text, _ in lines), _WIDTH // 2)
        head = [click.style(f"[{toml.dotted(map(str, path))}]", bold=True)] if path else []
        yield "\n".join([*head, *(f"{text:<{width}}  {click.style(why, dim=True)}" for text, why in lines)])


def _line(setting: Setting) -> tuple[str, str]:
    key, origin = toml.key(str(setting.path[-1])), findings.shorten(setting.origin)
    if setting.value is None:
        return f"# {key} =", f"# {origin}"
    return f"{key} = {toml.value(setting.value)}", f"# {origin}"


def _setting(setting: Setting) -> dict[str, t.Any]:
    origin = attrs.asdict(setting.origin) if isinstance(setting.origin, errors.Place) else setting.origin
    return {"path": str(setting), "value": setting.value, "origin": origin, "secret": setting.secret}


# -- env


def _environment(claim: Claim) -> str:
    lines = [click.style(f"# [{'.'.join(claim.section)}]" if claim.section else "# above all tables", bold=True)]
    for variable in claim.variables:
        facts = _variable(claim, variable)
        default = "" if facts["default"] is None else f" = {toml.value(facts['default'])}"
        notes = ", ".join(name for name in ("required", "secret", "set") if facts[name])
        lines.append(f"{variable.name}  {facts['type']}{default}{f'  ({notes})' if notes else ''}")
        lines += textwrap.wrap(facts["help"], _WIDTH, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines)


def _variable(claim: Claim, variable: describe.Variable) -> dict[str, t.Any]:
    field = variable.field
    default = None if variable.from_file else describe.default_of(claim.cls, variable.path)
    told = None if default is attrs.NOTHING else masks.plain(default, secret=field.secret)
    above = [field for _, field in describe.chain(claim.cls, variable.path)][:-1]
    required = field.required and all(each.required and not each.optional for each in above)
    return {
        "variable": variable.name,
        "path": tree.dotted(claim.section + variable.path),
        "type": "path of a file that holds the value" if variable.from_file else words.spelled(field.type),
        "default": told,
        "required": required and not variable.from_file,
        "secret": field.secret,
        "set": variable.name in os.environ,
        "help": docs.of_nested(claim.cls, variable.path),
    }
