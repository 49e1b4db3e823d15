"""What users write is type-checked."""

import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parent.parent
FILES = sorted((ROOT / "tests" / "typing").glob("*.py"))


def mypy(*args, folder):
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(folder)]
    return subprocess.run([*command, *args], cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)


@pytest.mark.timeout(180)  # a type checker with an empty cache has much to read
def test_what_users_write_has_the_right_types(tmp_path):
    """mypy, as strict as it gets, finds each type in tests/typing as asserted, and each error that is to be one."""
    assert FILES
    done = mypy(*map(str, FILES), folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
