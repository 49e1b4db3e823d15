"""``buvar run``: bind, fork, supervise. What it works with is imported when it runs, not when it is asked for help."""

from __future__ import annotations

import click

from buvar.cli import wanted


@click.command("run")
@wanted.arguments
@click.option(
    "--workers",
    type=click.IntRange(0),
    metavar="N",
    help="How many processes serve; 0 is one for each CPU, 1 does not fork.",
)
@click.option(
    "--bind", "sockets", multiple=True, metavar="URI", help="Listen here: tcp://127.0.0.1:8080, unix:///path, fd://3."
)
@click.option("--loop", type=click.Choice(["asyncio", "uvloop"]), help="The event loop; uvloop is the faster one.")
@click.option("--reload", is_flag=True, help="Reload when files change, for development; needs buvar[cli].")
@click.option("--reload-dir", "folders", multiple=True, metavar="DIR", help="Watch this folder too; implies --reload.")
@click.option(
    "--reload-include",
    "patterns",
    multiple=True,
    metavar="GLOB",
    help="Watch these files too, as in '*.html'; implies --reload.",
)
@click.option("--traceback", is_flag=True, help="Show where in the code an error arose.")
def command(
    plugins: tuple[str, ...],
    files: tuple[str, ...],
    assignments: tuple[str, ...],
    workers: int | None,
    sockets: tuple[str, ...],
    loop: str | None,
    reload: bool,
    folders: tuple[str, ...],
    patterns: tuple[str, ...],
    traceback: bool,
) -> None:
    """Run a service made of plugins.

    A PLUGIN is a module with an async function prepare, named package.module, or such a function itself, named
    package.module:function. Modules in the current folder are found.

    \b
    Examples:
      buvar run shop.web --bind tcp://127.0.0.1:8080
      buvar run shop.web --reload           while you work on it
      buvar run -c config.toml --workers 4

    What is not said here is read from the table [buvar] of the FILEs: plugins, installed, workers, sockets, loop, log,
    timeouts. An option given here wins over it. Ctrl-C ends the service in peace: it finishes what it has begun.
    """
    from buvar.cli import serving

    given = {"plugins": plugins, "workers": workers, "sockets": sockets, "loop": loop}
    watched = serving.Watched(folders, patterns) if reload or folders or patterns else None
    serving.run(files, assignments, given, watched, traceback=traceback)
