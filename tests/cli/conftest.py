"""What the tests of the command line share."""

import os

import pytest


@pytest.fixture
def buvar(forks):
    """Run the command in a folder, with some more environment."""
    command = "from buvar.cli import main; main(prog_name='buvar')"

    def buvar(folder, *arguments, **env):
        return forks.run(command, *arguments, cwd=folder, env={**os.environ, **env}, strict=True)

    return buvar
