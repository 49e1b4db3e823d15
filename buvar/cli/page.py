"""The picture of a service as one HTML file that needs nothing else: styles, scripts and data are in it."""

from __future__ import annotations

import html as entities
import json
import typing as t

from buvar import page

#: what ends a script, or begins a comment, in a page; as escapes they mean the same in JSON
_ESCAPES: t.Final = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
_PICTURE: t.Final = 'const picture = JSON.parse(document.getElementById("data").textContent);'

_HEAD: t.Final = """\
<meta http-equiv="Content-Security-Policy" \
content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<style>
{{style}}
</style>"""
_END: t.Final = """\
<noscript><pre>{{text}}</pre></noscript>
<script type="application/json" id="data">{{data}}</script>
<script>
"use strict";
(() => {
{{script}}
})();
</script>"""


def html(document: dict[str, t.Any], text: str) -> str:
    """Return the page of a *document*, as ``--format json`` writes it; *text* is for who runs no scripts."""
    parts = {
        "script": page.script(_PICTURE),
        "data": json.dumps(document).translate(_ESCAPES),
        "text": entities.escape(text),
    }
    head = page.fill(_HEAD, {"style": page.read(page.STYLE)})
    return page.html("buvar graph", head=head, end=page.fill(_END, parts))
