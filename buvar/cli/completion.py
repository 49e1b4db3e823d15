"""``buvar completion``: the script that has a shell complete the words of the command ``buvar``."""

from __future__ import annotations

import os
import typing as t

import click

#: shell -> how its script is installed
INSTALL: t.Final = {
    "bash": 'add this line to ~/.bashrc:\n\n  eval "$(buvar completion bash)"\n',
    "zsh": 'add this line to ~/.zshrc, below compinit:\n\n  eval "$(buvar completion zsh)"\n',
    "fish": "run this once:\n\n  buvar completion fish > ~/.config/fish/completions/buvar.fish\n",
}


@click.command("completion")
@click.argument("shell", required=False, type=click.Choice([*INSTALL]))
def command(shell: str | None) -> None:
    """Write the script that completes buvar's words with TAB.

    It completes verbs, options, plugins by the modules in the current folder, and configuration files. Without a SHELL
    it is said how to install the script of the one that you use.

    \b
    Examples:
      buvar completion                       how to install it
      eval "$(buvar completion bash)"        use it in this bash
    """
    if shell is None:
        used = os.path.basename(os.environ.get("SHELL", ""))  # noqa: PTH119  # pathlib is slower to import than all this
        if used not in INSTALL:
            raise click.UsageError(f"it is not known which shell you use; name one of {', '.join(INSTALL)}")
        click.echo(f"To complete the words of buvar in {used}, {INSTALL[used]}\nThen open a new shell.")
        return
    from click.shell_completion import get_completion_class

    root = click.get_current_context().find_root()
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(root.command, {}, "buvar", "_BUVAR_COMPLETE").source())
