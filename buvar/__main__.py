"""``python -m buvar`` is the command ``buvar``."""

from __future__ import annotations

from buvar.cli import main

if __name__ == "__main__":
    main(prog_name="buvar")
