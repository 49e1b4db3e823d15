"""What of a service is drawn, and in which forms."""

from __future__ import annotations

import typing as t

FORMATS: t.Final = ("text", "mermaid", "dot", "json", "html")
#: the format of a file by its suffix
SUFFIXES: t.Final[t.Mapping[str, str]] = {
    ".txt": "text",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".dot": "dot",
    ".gv": "dot",
    ".json": "json",
    ".html": "html",
    ".htm": "html",
}
#: plugins and who loads whom, who takes what from whom, or both
What: t.TypeAlias = t.Literal["plugins", "injection", "all"]
