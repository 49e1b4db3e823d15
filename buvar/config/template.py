"""A file to begin with: all that classes read, with what is written about it, as comments in TOML."""

from __future__ import annotations

import textwrap
import typing as t

import attrs

from . import describe, docs, masks, toml, words

if t.TYPE_CHECKING:
    import collections.abc as c

    from .claims import Claim, Section

_WIDTH: t.Final = 98


def write(claims: c.Iterable[Claim], given: c.Mapping[Section, c.Mapping[str, t.Any]] | None = None) -> str:
    """Return a TOML document with all fields of the classes of *claims*; *given* are values to be set.

    What has a default is commented out, with that default as its value; so the document says nothing but what is
    given. What is required has to be filled in.
    """
    parts: dict[Section, list[str]] = {}
    for claim in sorted(claims, key=lambda each: each.section):
        values = (given or {}).get(claim.section, {})
        for path, lines in _Writing(claim).tables((claim.cls,), (), values):
            parts.setdefault(path, []).extend(lines)
    # what is above all tables comes first
    return "\n\n".join("\n".join(lines).strip("\n") for _, lines in sorted(parts.items(), key=_is_table)) + "\n"


def _is_table(part: tuple[Section, list[str]]) -> bool:
    return bool(part[0])


class _Writing:
    def __init__(self, claim: Claim) -> None:
        self.cls = claim.cls
        self.section = claim.section
        self.names: dict[Section, str] = {}
        for each in claim.variables:
            before = f"{self.names[each.path]} or " if each.path in self.names else ""
            self.names[each.path] = before + each.name

    def tables(
        self, classes: tuple[type, ...], path: Section, given: c.Mapping[str, t.Any]
    ) -> c.Iterator[tuple[Section, list[str]]]:
        """Yield the lines of the table of the last of *classes*, and of those nested in it, by the keys of each."""
        cls = classes[-1]
        whole = self.section + path
        # an empty table within a section is not the same as none
        header = [f"{'# ' if path else ''}[{toml.dotted(whole)}]"] if whole else []
        kind = describe.origin(cls)
        lines, written = [*header, *_comment(docs.of_class(kind))], docs.of_fields(kind)
        nested = []
        for field in describe.fields(cls):
            here = (*path, field.key)
            if field.nested is not None and field.nested not in classes:
                nested.append((field.nested, here))
                continue
            default = _default(field, describe.default_of(self.cls, here))
            doc, name = written.get(field.attribute, ""), self.names.get(here, "")
            lines += _field(field, doc, name, given.get(field.key, attrs.NOTHING), default)
        yield whole, lines
        for inner, where in nested:
            yield from self.tables((*classes, inner), where, {})


def _field(field: describe.Field, doc: str, name: str, given: t.Any, default: str) -> list[str]:
    required, secret = "required" if field.required else "", "secret" if field.secret else ""
    facts = filter(None, (words.spelled(field.type), required, secret, name))
    lines = ["", *_comment(doc), *_comment(f"({', '.join(facts)})")]
    if given is not attrs.NOTHING:
        return [*lines, f"{toml.key(field.key)} = {toml.value(given)}"]
    return [*lines, f"# {toml.key(field.key)} = {default}".rstrip()]


def _default(field: describe.Field, default: t.Any) -> str:
    if default is attrs.NOTHING or default is None:
        return ""
    if field.secret and default != "":
        return toml.value(words.HIDDEN)
    try:
        return toml.value(masks.plain(default))
    except TypeError:
        return ""


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, _WIDTH)]
