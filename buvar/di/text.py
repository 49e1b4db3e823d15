"""Text: a function that is written line by line, and the objects that it names."""

from __future__ import annotations

import itertools
import linecache
import typing as t
import weakref

if t.TYPE_CHECKING:
    import types

_numbers = itertools.count(1)


class Text:
    """The lines of a function called *plan*, and its global *names*."""

    def __init__(self, names: dict[str, t.Any]) -> None:
        self.names = names
        self.lines: list[str] = []

    def write(self, indent: int, line: str) -> None:
        """Write a line."""
        self.lines.append("    " * indent + line)

    def name(self, hint: str, value: t.Any) -> str:
        """Return the name under which the plan knows *value*."""
        word = "".join(one if one.isascii() and one.isalnum() else "_" for one in hint)
        name = f"{word.lstrip('0123456789')}_{len(self.names)}"
        self.names[name] = value
        return name

    def evaluate(self, title: str) -> t.Any:
        """Return the function; its text can be read as long as it lives. *title* says in tracebacks what it is for."""
        text = "\n".join(self.lines) + "\n"
        file = f"<buvar plan {next(_numbers)}: {title}>"
        exec(compile(text, file, "exec"), self.names)  # noqa: S102 - to run generated code is what a plan is
        plan = t.cast("types.FunctionType", self.names.pop("plan"))
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        weakref.finalize(plan, linecache.cache.pop, file, None).atexit = False
        return plan
