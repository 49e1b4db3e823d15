"""What the pages share that show a service: how its plugins, its load times and its injection are drawn.

The scripts are parts of one script: they see each other's names, and one called ``picture``, which is what is drawn:
a `buvar.staging.picture.Picture` as `attrs.asdict` writes it. A page gives it to them, in front of all others, and may
have views of its own between them and the last one.
"""

from __future__ import annotations

import importlib.resources
import re
import typing as t

STYLE: t.Final = "page.css"
#: in this order
SCRIPTS: t.Final = ("model.js", "layout.js", "drawing.js", "details.js", "times.js")
#: begins to show what the others can
START: t.Final = "main.js"

_PLACE: t.Final = re.compile(r"\{\{(\w+)\}\}")


def read(name: str) -> str:
    """Return the text of one of the files of the page."""
    return importlib.resources.files(__name__).joinpath(name).read_text("utf-8")


def script(picture: str, *views: str) -> str:
    """Return the statements of the whole script: *picture* is the one that makes the picture, *views* are more."""
    return "\n".join([picture, *map(read, SCRIPTS), *views, read(START)])


def html(title: str, *, head: str, end: str, tabs: str = "", tools: str = "", views: str = "") -> str:
    """Return a page: each part is HTML, and but for the *title* it is taken as it is.

    *head* stands in the head of the document, *tabs* behind those of the drawings, *tools* at the end of the header,
    *views* is what the tabs show, *end* stands before the end of the body, which it brings data and scripts to.
    """
    parts = {"title": title, "head": head, "tabs": tabs, "tools": tools, "views": views, "end": end}
    return fill(read("page.html"), parts)


def fill(template: str, parts: t.Mapping[str, str]) -> str:
    """Return *template* with each ``{{name}}`` replaced, in one pass: what is filled in may look like such a place."""
    return _PLACE.sub(lambda match: parts[match[1]], template)
