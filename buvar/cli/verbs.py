"""The group of verbs: it lists them without importing any, and tells what goes wrong in each of them."""

from __future__ import annotations

import errno
import importlib
import sys
import typing as t

import click

if t.TYPE_CHECKING:
    import collections.abc as c
    import types

    from click.shell_completion import CompletionItem

EXIT_CODES: t.Final = (
    ("0", "all is well"),
    ("1", "the service failed, or was asked and did not do it"),
    ("2", "wrong use or configuration: nothing was started"),
)
#: what a shell calls the end by a Ctrl-C
INTERRUPTED: t.Final = 130


class Verb(t.NamedTuple):
    """A verb as it is listed. Its module, of the same name, holds a command named ``command``."""

    name: str
    help: str


class Verbs(click.Group):
    """A group that imports a verb's module when the verb is used; *sections* are its verbs by purpose."""

    def __init__(self, *args: t.Any, sections: c.Mapping[str, c.Sequence[Verb]], **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self.sections = sections
        self.verbs = {verb.name: verb for verbs in sections.values() for verb in verbs}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the verbs, in the order of their sections."""
        return [*self.verbs]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb; each has an option ``--traceback``."""
        if cmd_name not in self.verbs:
            return None
        command: click.Command = importlib.import_module(f"buvar.cli.{cmd_name}").command
        _add_traceback(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; one that there is not gets the nearest, whatever version of click this is."""
        name = args[0]
        if name not in self.verbs and not name.startswith("-") and not ctx.resilient_parsing:
            from buvar import errors

            near = errors.nearest(name, self.verbs)
            hint = f"did you mean {near!r}?" if near else f"there are {', '.join(self.verbs)}."
            ctx.fail(f"No such verb {name!r}; {hint}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> t.Any:
        """Run the verb; what goes wrong is told in one message."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            if sys.stderr.isatty():
                click.echo(err=True)  # the terminal's ^C has the line to itself
            ctx.exit(INTERRUPTED)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # who reads our output has enough: click ends without a word
            ctx.exit(tell(error, traceback=ctx.meta.get(__name__, False)))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs by purpose, and the exit codes that they have in common."""
        width = max(map(len, self.verbs))
        for title, verbs in self.sections.items():
            with formatter.section(title):
                formatter.write_dl([(verb.name.ljust(width), verb.help) for verb in verbs])
        with formatter.section("Exit codes"):
            formatter.write_dl([(code.ljust(width), text) for code, text in EXIT_CODES])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a verb or an option, without importing a verb."""
        from click.shell_completion import CompletionItem

        verbs = [CompletionItem(name, help=verb.help) for name, verb in self.verbs.items()]
        found = [verb for verb in verbs if verb.value.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]


def _add_traceback(command: click.Command) -> None:
    """Give the command the option, or if it is a group each of its own."""
    if isinstance(command, click.Group):
        for each in command.commands.values():
            _add_traceback(each)
    elif all("--traceback" not in param.opts for param in command.params):
        command.params.append(_traceback())


def _traceback() -> click.Option:
    def remember(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        ctx.meta[__name__] = value  # the contexts of a command line share it

    return click.Option(
        ["--traceback"],
        is_flag=True,
        expose_value=False,
        callback=remember,
        help="Show where in the code an error arose.",
    )


def tell(error: Exception, *, traceback: bool) -> int:
    """Write what went wrong on stderr, and return the exit code."""
    from buvar import errors

    error = error.with_traceback(_of_the_verb(error.__traceback__))
    if traceback:
        import traceback as tracebacks

        click.echo("".join(tracebacks.format_exception(error)).rstrip(), err=True)
    else:
        click.echo(f"error: {errors.explain(error)}", err=True)
    return errors.exit_code(error)


def _of_the_verb(trace: types.TracebackType | None) -> types.TracebackType | None:
    """Return what comes after click's own part, which tells nobody anything."""
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith(("click.", __name__)):
        trace = trace.tb_next
    return trace
