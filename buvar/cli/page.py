"""The picture of a service as one HTML file that needs nothing else: styles, scripts and data are in it."""

from __future__ import annotations

import html as entities
import importlib.resources
import json
import re
import typing as t

_FOLDER: t.Final = "page"
#: in this order they are one script
_SCRIPTS: t.Final = ("model.js", "layout.js", "drawing.js", "details.js", "times.js", "main.js")
#: what ends a script, or begins a comment, in a page; as escapes they mean the same in JSON
_ESCAPES: t.Final = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def html(document: dict[str, t.Any], text: str) -> str:
    """Return the page of a *document*, as ``--format json`` writes it; *text* is for who runs no scripts."""
    parts = {
        "style": _read("page.css"),
        "script": "\n".join(map(_read, _SCRIPTS)),
        "data": json.dumps(document).translate(_ESCAPES),
        "text": entities.escape(text),
    }
    # in one pass, since what is filled in may look like a place to fill in
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _read("page.html"))


def _read(name: str) -> str:
    return importlib.resources.files("buvar.cli").joinpath(_FOLDER, name).read_text("utf-8")
