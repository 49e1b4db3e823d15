"""Every exception of buvar, on the ground floor: this module imports nothing of ours but the words of messages.

An error carries its facts as fields and writes its own sentence: what happened, where, why, and what to do next.
Where a built-in type says the same thing, the error is one of these too, so that ``except ValueError`` goes on working.
"""

from __future__ import annotations

import textwrap
import traceback
import typing as t

import attrs

from .words import Place as Place
from .words import describe as describe
from .words import did_you_mean as did_you_mean
from .words import nearest as nearest
from .words import note as note
from .words import of_service

if t.TYPE_CHECKING:
    import collections.abc as c


EXIT_FAILED: t.Final = 1
EXIT_USAGE: t.Final = 2


class BuvarError(Exception):
    """The root of all errors that buvar raises itself. They can be copied and pickled, fields and notes included."""

    def __reduce__(self) -> tuple[t.Any, ...]:
        # the default calls the class with `args`, which are not what its signature takes
        return _rebuild, (type(self), self.args, vars(self))


def _rebuild(kind: type[BuvarError], args: tuple[object, ...], fields: dict[str, object]) -> BuvarError:
    error = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(fields)
    return error


class UsageError(BuvarError):
    """The service was asked for something that cannot be: the process exits with code 2, not 1."""


def summary(error: BaseException) -> str:
    """Return the error as a person reads it: its own sentence if it is one of ours, with its type otherwise."""
    if isinstance(error, BuvarError):
        return str(error)
    if isinstance(error, BaseExceptionGroup):  # without the count that its text has: all of them follow
        return error.message
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def explain(error: BaseException) -> str:
    """Return `summary` with what is known besides: the notes, and the line of the service that led to it.

    A group tells each of its errors. A configuration error knows a better place than any line of code.
    """
    lines = [summary(error), *getattr(error, "__notes__", ())]
    if isinstance(error, BaseExceptionGroup):
        lines.extend(textwrap.indent(explain(each), "  ") for each in error.exceptions)
    elif not isinstance(error, ConfigError | DiagnosticError) and (found := place(error)):
        function = "" if found[1] is None else f" in {found[1]}"
        lines.append(f"at {found[0]}{function}")
    return "\n".join(lines)


def place(error: BaseException) -> tuple[Place, str | None] | None:
    """Return the line of the service that led to an error, and the name of the function, where that can be told."""
    if isinstance(error, SyntaxError) and error.filename:  # it was raised by the importer, but stands in what it read
        return Place(error.filename, error.lineno or 1, error.offset), None
    frames = traceback.extract_tb(error.__traceback__)
    told = of_service(frames) or ([] if isinstance(error, BuvarError) else frames)
    return (Place(told[-1].filename, told[-1].lineno or 1), told[-1].name) if told else None


def facts(text: str, detail: str = "") -> dict[str, str]:
    """Return *text*, as `explain` writes it, for a log line: its first line, and the rest (or *detail*) as a block."""
    first, _, rest = text.partition("\n")
    block = detail or rest
    return {"error": first, "exception": block} if block else {"error": first}


def exit_code(error: BaseException) -> int:
    """Return what a process exits with that *error* ended."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, BaseExceptionGroup):
        return min(map(exit_code, error.exceptions), key=lambda code: code != EXIT_FAILED)
    return EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED


class ComponentLookupError(BuvarError, LookupError):
    """No component is filed under this key and name.

    Fields: *key*, *name*, *names* (the names under which the key does have components), *hint* (what else is known).
    """

    def __init__(self, key: object, name: object = None, names: c.Iterable[object] = (), hint: str = "") -> None:
        super().__init__("Component not found", key, name)
        self.key = key
        self.name = name
        self.names = tuple(names)
        self.hint = hint

    def __str__(self) -> str:
        names = ", ".join("unnamed" if name is None else repr(name) for name in self.names)
        known = f"; there is {names}{self.hint}" if names else self.hint
        known = known or "; add one, or load the plugin that does"
        return f"no component {describe(self.key, self.name)} in the context{known}"


class NameNotFoundError(UsageError, ModuleNotFoundError):
    """A dotted name leads nowhere: no such module, or the module has no such attribute.

    What the module itself fails to import is never hidden behind this error.
    Fields: *dotted* (the name as it was written), *reason*, *missing* (a module that does not exist, or None).
    """

    def __init__(self, dotted: str, reason: str, missing: str | None = None) -> None:
        super().__init__(f"{dotted!r} was not found: {reason}", name=dotted)
        self.dotted = dotted
        self.reason = reason
        self.missing = missing


class DottedNameError(UsageError, ValueError):
    """A text is no dotted name. Fields: *dotted* (the text)."""

    def __init__(self, dotted: str) -> None:
        super().__init__(f"{dotted!r} is no name of a module or of something in it; write 'package.module:attribute'")
        self.dotted = dotted


class PluginError(UsageError, ValueError):
    """What was named is no plugin, or does not behave like one. Fields: *plugin*, *reason*."""

    def __init__(self, plugin: str, reason: str) -> None:
        super().__init__(f"{plugin} is not a plugin: {reason}")
        self.plugin = plugin
        self.reason = reason


class ExportError(UsageError, ValueError):
    """A plugin exports what it cannot. Fields: *plugin*, *key*, *reason*."""

    def __init__(self, plugin: str, key: object, reason: str) -> None:
        super().__init__(f"{plugin} exports {describe(key)}: {reason}")
        self.plugin = plugin
        self.key = key
        self.reason = reason


class DeclarationError(UsageError, ValueError):
    """Declarations clash, or one is wrong in itself. Fields: *problems* (a sentence for each)."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class UndeclaredError(BuvarError, LookupError):
    """No plugin declares what was asked for. Fields: *kind* (as in "flag"), *name*."""

    def __init__(self, kind: str, name: str, hint: str = "; load the plugin that declares it") -> None:
        super().__init__(f"no {kind} {name!r} is declared{hint}")
        self.kind = kind
        self.name = name


class PermissionDenied(BuvarError):
    """What was asked for needs permissions that are not granted. Fields: *missing* (their names)."""

    def __init__(self, *missing: str) -> None:
        super().__init__(f"permission denied: {', '.join(missing)}")
        self.missing = missing


class LeaderError(UsageError, ValueError):
    """What was given to `plugin.leader` cannot run in the leader, or not there. Fields: *task* (its name), *reason*."""

    def __init__(self, task: str, reason: str) -> None:
        super().__init__(f"{task} cannot be a leader's task: {reason}")
        self.task = task
        self.reason = reason


class StageError(BuvarError, RuntimeError):
    """A stage was asked to do what its phase does not allow."""


class StartTimeoutError(BuvarError, TimeoutError):
    """Some plugins were still preparing when the time for the start was over.

    Fields: *seconds* (the limit), *stuck* (plugin name -> the stack of its task, as text).
    """

    def __init__(self, seconds: float, stuck: c.Mapping[str, str]) -> None:
        self.seconds = seconds
        self.stuck = dict(stuck)
        super().__init__(seconds, self.stuck)

    def __str__(self) -> str:
        stacks = "\n".join(f"{name}:\n{stack}" for name, stack in self.stuck.items())
        return f"not started after {self.seconds:g} s, still preparing: {', '.join(self.stuck)}\n{stacks}"


class DiagnosticError(UsageError):
    """A check before the run found an error. Fields: *diagnostic* (a `buvar.diagnostic.Diagnostic`)."""

    def __init__(self, diagnostic: t.Any) -> None:
        super().__init__(diagnostic)
        self.diagnostic = diagnostic

    def __str__(self) -> str:
        return str(self.diagnostic)


class SocketError(UsageError, OSError):
    """A socket cannot be bound or taken over. Fields: *uri*, *reason*."""

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(f"cannot listen on {uri}: {reason}")
        self.uri = uri
        self.reason = reason


class SocketURIError(UsageError, TypeError, ValueError):
    """A socket URI is none that we know. Fields: *uri*, *reason*."""

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(f"{uri!r} is no socket URI: {reason}")
        self.uri = uri
        self.reason = reason


class IdentityError(UsageError):
    """The workers cannot run as a user or a group. Fields: *who*, *reason*."""

    def __init__(self, who: str, reason: str) -> None:
        super().__init__(f"cannot run as {who}: {reason}")
        self.who = who
        self.reason = reason


class PidFileError(UsageError, OSError):
    """The pid file cannot be had. Fields: *path*, *reason*, *pid* (of the process that has it, or None)."""

    def __init__(self, path: str, reason: str, pid: int | None = None) -> None:
        super().__init__(f"cannot write the pid file {path}: {reason}")
        self.path = path
        self.reason = reason
        self.pid = pid


class ControlError(BuvarError, OSError):
    """A running service was asked and did not do it, or did not answer. Fields: *path* (of the socket), *reason*."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"the service at {path}: {reason}")
        self.path = path
        self.reason = reason


class NoServiceError(UsageError, LookupError):
    """There is no running service to ask, or it is not clear which one is meant."""


class AdapterError(UsageError):
    """A callable cannot serve as an adapter. Fields: *implementation*, *reason*, *place*."""

    def __init__(self, implementation: object, reason: str, place: Place | None = None) -> None:
        self.implementation = implementation
        self.reason = reason
        self.place = place
        super().__init__(implementation, reason)

    def __str__(self) -> str:
        name = getattr(self.implementation, "__qualname__", None) or repr(self.implementation)
        where = f" ({self.place})" if self.place is not None else ""
        return f"{name}{where} cannot be an adapter: {self.reason}"


@attrs.frozen
class Step:
    """One step on the path of a `ResolveError`: who needs what, as ``UserService(mailer)``, and where that is."""

    name: str
    place: Place | None = None

    def __str__(self) -> str:
        return self.name


#: what keeps something from being resolved: it is not there, needs itself, would outlive what it needs, is not clear
ResolveFault: t.TypeAlias = t.Literal["missing", "circle", "lifetime", "ambiguous"]


class ResolveError(BuvarError):
    """Nothing in the context and no adapter provides what was asked for.

    Fields: *target*, *path* (the names of who needed whom, the missing one first), *steps* (the same, with places),
    *reason*, *causes* (why each candidate failed), *kind* (what is wrong).
    """

    def __init__(
        self,
        target: object,
        reason: str,
        path: c.Iterable[Step | str] = (),
        causes: c.Iterable[ResolveError] = (),
        kind: ResolveFault = "missing",
    ) -> None:
        self.kind = kind
        self.target = target
        self.reason = reason
        self.steps = tuple(Step(step) if isinstance(step, str) else step for step in path)
        self.path = tuple(step.name for step in self.steps)
        self.causes = tuple(causes)
        super().__init__(reason, target, self.causes)

    def __str__(self) -> str:
        lines = [f"{' <- '.join(self.path) or describe(self.target)}: {self.reason}"]
        lines.extend(f"  {step.name} is at {step.place}" for step in self.steps if step.place is not None)
        for cause in self.causes:
            lines.extend(f"  {line}" for line in str(cause).splitlines())
        return "\n".join(lines)


@attrs.frozen
class ConfigProblem:
    """One thing that is wrong with a configuration.

    *path* is the dotted place of the value ("" for the root), *origin* where it came from: a `Place` in a file, or the
    name of an environment variable or of a command line option as text; None when it came from nowhere. *code* is that
    of a `buvar.diagnostic.Diagnostic`.
    """

    path: str
    message: str
    origin: str | Place | None = None
    code: str = attrs.field(default="BV101", eq=False)

    def __str__(self) -> str:
        where = f" ({self.origin})" if self.origin is not None else ""
        return f"{self.path}: {self.message}{where}" if self.path else f"{self.message}{where}"


class ConfigError(UsageError, ValueError):
    """A configuration cannot be read or does not fit its class; *problems* holds all there is to mend, at once."""

    def __init__(self, *problems: ConfigProblem | str) -> None:
        self.problems = tuple(ConfigProblem("", p) if isinstance(p, str) else p for p in problems)
        super().__init__(*self.problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class ConversionError(BuvarError, ValueError):
    """A configured value is not what its field expects.

    Fields: *expected* (as in "an integer"), *got* (the value as it may be shown; never the text of a secret).
    """

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(expected, got)
        self.expected = expected
        self.got = got

    def __str__(self) -> str:
        return f"expected {self.expected}, got {self.got}"


class MissingFieldError(BuvarError, KeyError):
    """A field that has no default was not configured. Fields: *field* (its name)."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field

    def __str__(self) -> str:
        return f"{self.field} is required"
