"""What a supervisor tells of itself."""

import pytest

from buvar.forking import answers


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["buvar", "run", "--set", "db.password=hunter2"], ["buvar", "run", "--set", "db.password=***"]),
        (["buvar", "--set=db.password=hun=ter2", "x=y"], ["buvar", "--set=db.password=***", "x=y"]),
        (["buvar", "--set", "--set", "a=b"], ["buvar", "--set", "--set", "a=***"]),
        ([], []),
    ],
)
def test_what_the_command_sets_is_not_shown(command, shown):
    """A value that is set on the command line may be a secret, and a status is shown to others."""
    assert answers.masked(command) == shown
