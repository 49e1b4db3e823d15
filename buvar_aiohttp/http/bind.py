"""Binding: the code that takes a handler's parameters from a request, injects the others and makes a response.

It is generated once for each handler, as straight-line code that goes wrong at the first fault; then `refusal` looks at
the whole request again, and tells all that is wrong with it.
"""

from __future__ import annotations

import inspect
import typing as t

import attrs
import msgspec
from aiohttp import web

from buvar import di
from buvar.components import missing
from buvar.di import signature
from buvar.di.text import Text

from . import bodies, markers, refusal, results, returns, sockets
from .sources import Binding, injected

if t.TYPE_CHECKING:
    import collections.abc as c

    from .chain import Step


#: what the generated code knows
_COMMON: t.Final[dict[str, t.Any]] = {
    "convert": msgspec.convert,
    "respond": results.respond,
    "stream": results.stream,
    "missing": missing,
    "Unfit": refusal.Unfit,
    "UNFIT": refusal.UNFIT,
    "check_encoding": refusal.check_encoding,
    "split": refusal.split,
    "check_texts": refusal.check_texts,
}


@attrs.frozen(eq=False)
class Options:
    """What a route says beside its handler; see `buvar_aiohttp.http.get`."""

    status: int = 200
    max_body: int | None = None
    unknown: t.Literal["refuse", "ignore"] = "refuse"
    socket: sockets.SocketOptions | None = None


def compile_endpoint(handler: t.Any, bindings: c.Sequence[Binding], adapters: di.Adapters, options: Options) -> Step:
    """Return the step that calls *handler*, with *bindings*, which are decided; the rest is injected by *adapters*."""
    return _Writer(handler, bindings, adapters, options).endpoint()


@attrs.frozen(eq=False)
class _Changed:
    """What calls a handler of which an ``around`` sets parameters: these are neither bound nor injected."""

    handler: t.Any
    bindings: c.Sequence[Binding]
    adapters: di.Adapters
    options: Options
    _steps: dict[frozenset[str], Step] = attrs.field(factory=dict, init=False)

    def step(self, changes: c.Iterable[str]) -> Step:
        """Return the step for these *changes*. Raises TypeError for a parameter that the handler does not have."""
        given = frozenset(changes)
        if given not in self._steps:
            if wrong := sorted(given - {each.name for each in self.bindings}):
                raise TypeError(f"call() got {', '.join(map(repr, wrong))}, and the handler has no such parameter")
            writer = _Writer(self.handler, self.bindings, self.adapters, self.options, given)
            self._steps[given] = writer.endpoint()
        return self._steps[given]


class _Writer(Text):
    """Writes the code; *given* are the names of parameters that the caller sets."""

    def __init__(
        self,
        handler: t.Any,
        bindings: c.Sequence[Binding],
        adapters: di.Adapters,
        options: Options,
        given: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(dict(_COMMON))
        self.given = given
        self.handler = handler
        self.bindings = bindings
        self.adapters = adapters
        self.options = options
        self.variables = {each.name: f"p{number}" for number, each in enumerate(bindings)}

    def of(self, *sources: str) -> list[Binding]:
        return [each for each in self.bindings if each.source in sources and each.name not in self.given]

    def count_given(self, mapping: str, *sources: str) -> None:
        """Write what counts the values of parameters that the caller sets: they are not unknown."""
        for each in self.bindings:
            if each.name in self.given and each.source in sources:
                self.write(1, f"left -= len({mapping}.getall({each.key!r}, ()))")

    def endpoint(self) -> Step:
        self.write(0, "async def plan(request, /, **changes):")
        self.take_given()
        if self.options.max_body is not None:
            self.write(1, f"request._client_max_size = {self.options.max_body}")
        socket = self.options.socket
        if socket is not None:
            self.write(1, f"{self.name('check_socket', sockets.check)}(request, {self.name('socket', socket)})")
        has_body = self.read_body()
        refuse = self.name("refuse", refusal.Refusal(self.handler, tuple(self.bindings), self.options.unknown).problem)
        start = len(self.lines)
        self.take_path()
        self.take_query()
        self.take_texts("header", "request.headers")
        self.take_texts("cookie", "request.cookies")
        self.take_form()
        self.take_body()
        if len(self.lines) > start:
            self.lines[start:] = ["    " + line for line in self.lines[start:]]
            self.lines.insert(start, "    try:")
            self.write(1, "except UNFIT as unfit:")
            self.write(2, f"raise {refuse}(request, unfit, {'content' if has_body else 'None'}, changes) from None")
        self.inject()
        self.call()
        return t.cast("Step", self.evaluate(signature.label(self.handler)))

    # what is bound

    def take_given(self) -> None:
        if not self.given:
            changed = _Changed(self.handler, self.bindings, self.adapters, self.options)
            self.write(1, "if changes:")
            self.write(2, f"return await {self.name('changed', changed.step)}(changes)(request, **changes)")
        for name in sorted(self.given):
            self.write(1, f"{self.variables[name]} = changes[{name!r}]")

    def read_body(self) -> bool:
        if self.of("form", "file"):
            self.write(1, f"content = await {self.name('read_form', bodies.read_form)}(request)")
        elif found := self.of("body"):
            self.write(1, f"content = await {self.name('read', bodies.reader(found[0]))}(request)")
        else:
            return False
        return True

    def take_path(self) -> None:
        bindings = self.of("path")
        if bindings or self.of("query"):
            self.write(1, "target = request._message.path")
            self.write(1, "if '%' in target:")
            self.write(2, "check_encoding(target)")
        if bindings:
            self.write(1, "match = request._match_info")
        for each in bindings:
            self.convert(1, each, f"match[{each.key!r}]")

    def take_query(self) -> None:
        bindings = self.of("query")
        refuses = self.options.unknown == "refuse"
        if not bindings and not self.given:
            if refuses:
                self.write(1, "if '?' in request._message.path and request._rel_url.raw_query_string:")
                self.write(2, "raise Unfit")
            return
        self.write(1, "query = request._rel_url.query")
        self.write(1, "left = len(query)")
        self.take("query", bindings, left=True)
        self.count_given("query", "query")
        if refuses:
            self.write(1, "if left:")
            self.write(2, "raise Unfit")

    def take_texts(self, source: str, found: str) -> None:
        if bindings := self.of(source):
            self.write(1, f"texts = {found}")
            self.take("texts", bindings, texts=True)

    def take_form(self) -> None:
        if bindings := self.of("form", "file"):
            self.write(1, "fields, left = content, len(content)")
            self.take("fields", bindings, left=True)
            self.count_given("fields", "form", "file")
            if self.options.unknown == "refuse":
                self.write(1, "if left:")
                self.write(2, "raise Unfit")

    def take(self, mapping: str, bindings: c.Iterable[Binding], *, left: bool = False, texts: bool = False) -> None:
        """Write what takes *bindings* of *mapping*.

        With *left* the values that nobody takes are counted, and so those that are given once more. *texts* are bytes
        that may be no text.
        """
        for each in bindings:
            self.write(1, f"if {each.key!r} in {mapping}:")
            if each.source == "cookie":
                self.write(2, f"values = [{mapping}[{each.key!r}]]")
            elif each.many or texts or not left or self.options.unknown == "ignore":
                self.write(2, f"values = {mapping}.getall({each.key!r})")
            else:
                self.write(2, "left -= 1")
                self.convert(2, each, f"{mapping}[{each.key!r}]")
                self.write(1, "else:")
                self.otherwise(each)
                continue
            self.take_values(each, left=left, texts=texts)
            self.write(1, "else:")
            self.otherwise(each)

    def take_values(self, binding: Binding, *, left: bool, texts: bool) -> None:
        """Write what takes a parameter of *values*."""
        if texts:
            self.write(2, "check_texts(values)")
        if left:
            self.write(2, "left -= len(values)")
        if binding.many:
            self.convert(2, binding, "split(values)" if binding.source == "header" else "values")
            return
        self.write(2, "if len(values) != 1:")
        self.write(3, "raise Unfit")
        self.convert(2, binding, "values[0]")

    def otherwise(self, binding: Binding) -> None:
        """Write what happens where the request says nothing of a parameter."""
        if binding.is_required:
            self.write(2, "raise Unfit")
            return
        default = None if binding.default is missing else binding.default
        self.write(2, f"{self.variables[binding.name]} = {self.name('default', default)}")

    def convert(self, indent: int, binding: Binding, expression: str) -> None:
        variable = self.variables[binding.name]
        if isinstance(binding.marker, markers.File):
            self.write(indent, f"{variable} = {self.name('file', bodies.file_taker(binding))}({expression})")
        elif binding.tp is str and binding.source != "form":  # of which a field may be a file
            self.write(indent, f"{variable} = {expression}")
        else:
            self.write(indent, f"{variable} = convert({expression}, {self.name('T', binding.tp)}, strict=False)")

    def take_body(self) -> None:
        for each in self.of("body"):
            decode = self.name("decode", bodies.decoder(each))
            self.write(1, f"{self.variables[each.name]} = {decode}(content)")

    # what is injected, and the call

    def inject(self) -> None:
        bindings = [each for each in self.bindings if each.marker is None and each.name not in self.given]
        for each in bindings:
            if each.tp is web.Request:
                self.write(1, f"{self.variables[each.name]} = request")
            elif each.tp is web.WebSocketResponse:  # it is opened when all else is there
                self.write(1, f"{self.variables[each.name]} = None")
        needs = injected(self.handler, bindings)
        if needs.parameters:
            variables = ", ".join(self.variables[str(each.name)] for each in needs.parameters)
            self.write(1, f"{variables} = await {self.name('inject', self.adapters.bind_injected(needs))}()")

    def call(self) -> None:
        function = self.name("handler", self.handler)
        arguments = ", ".join(
            f"{each.name}={self.variables[each.name]}" if each.keyword_only else self.variables[each.name]
            for each in self.bindings
        )
        status, socket = self.options.status, self.options.socket
        if socket is not None:
            opened, talked = self.name("opened", sockets.opened), self.name("talked", sockets.talked)
            self.write(1, f"socket = await {opened}(request, {self.name('socket', socket)})")
            for each in self.bindings:
                if each.tp is web.WebSocketResponse:
                    self.write(1, f"{self.variables[each.name]} = socket")
            self.write(1, f"return await {talked}(request, socket, {function}({arguments}))")
        elif inspect.isasyncgenfunction(self.handler):
            empty = returns.stream_type(self.handler)
            self.write(1, f"return await stream(request, {function}({arguments}), {status}, {empty!r})")
        else:
            self.write(1, f"return respond(await {function}({arguments}), {status})")
