"""The pid file names the process that has it, and nobody else takes it."""

import fcntl
import os
import pathlib
import pwd
import socket
import subprocess
import sys
import tempfile
import time

import pytest

from buvar.errors import PidFileError
from buvar.forking import pidfile
from buvar.forking.pidfile import PidFile

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="the machine does not tell of processes")

NOBODY = pwd.getpwnam("nobody").pw_uid
PRELUDE = "import os, pathlib, sys\nfrom buvar.errors import PidFileError\nfrom buvar.forking.pidfile import PidFile\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shop.pid"


@pytest.fixture
def other():
    """A process that lives, and is not ours."""
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def output(code, *args):
    command = [sys.executable, "-W", "error", "-c", PRELUDE + code, *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def refused(path):
    """Return the error, and see that it left all as it was."""
    before = sorted(os.listdir(path.parent)), path.read_bytes() if path.is_file() else None
    with pytest.raises(PidFileError) as caught:
        PidFile(path).write()
    assert (sorted(os.listdir(path.parent)), path.read_bytes() if path.is_file() else None) == before
    return caught.value


def test_the_file_is_there_inside_of_the_block(path):
    """It holds the pid in a line, everybody may read it, and nothing is left of it at the end."""
    with PidFile(path):
        assert path.read_text() == f"{os.getpid()}\n"
        assert path.stat().st_mode & 0o777 == 0o644
        assert os.listdir(path.parent) == [path.name]
    assert os.listdir(path.parent) == []


def test_the_current_folder_may_change(path, monkeypatch):
    """A relative path is that of the folder where it was named."""
    monkeypatch.chdir(path.parent)
    with PidFile(path.name):
        monkeypatch.chdir("/")
        assert path.exists()
    assert not path.exists()


def test_the_file_of_a_live_process_is_refused(path, other):
    """Another process that lives has the file: the error tells who, which file, and what to do."""
    path.write_text(f"{other.pid}\n")
    error = refused(path)
    assert (error.path, error.pid) == (str(path), other.pid)
    name = " (sleep)" if os.path.exists("/proc/self/comm") else ""
    advice = "stop that one, or choose another path"
    assert str(error) == f"cannot write the pid file {path}: process {other.pid}{name} has it; {advice}"


@needs_root
def test_the_file_of_another_users_process_is_refused():
    """A process that we may not even send a signal to is alive all the same."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        path = pathlib.Path(folder) / "shop.pid"
        path.write_text("1\n")
        code = f"""
os.setuid({NOBODY})
try:
    PidFile(sys.argv[1]).write()
except PidFileError as error:
    print(error.pid)
"""
        assert output(code, path) == "1\n"


def test_the_file_of_a_process_that_is_gone_is_replaced(path, other):
    """A stale file is no hindrance."""
    path.write_text(f"{other.pid}\n")
    other.kill()
    other.wait()
    with PidFile(path):
        assert path.read_text() == f"{os.getpid()}\n"


@needs_proc
def test_the_file_of_a_dead_process_that_nobody_buried_is_replaced(path, other):
    """A zombie serves nobody: so it is in a container whose first process does not reap."""
    path.write_text(f"{other.pid}\n")
    other.kill()
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    with PidFile(path):
        assert path.read_text() == f"{os.getpid()}\n"


@needs_proc
def test_a_number_that_was_given_again_is_replaced(path, other):
    """A process that is younger than the file did not write it: its number was reused, as after a restart."""
    path.write_text(f"{other.pid}\n")
    hour_ago = time.time() - 3600
    os.utime(path, (hour_ago, hour_ago))
    with PidFile(path):
        assert path.read_text() == f"{os.getpid()}\n"


@pytest.mark.parametrize("contents", [b"", b"\n", b"\0\0\0\0", b" \n\n"])
def test_an_empty_file_is_replaced(path, contents):
    """What a loss of power leaves is no hindrance."""
    path.write_bytes(contents)
    with PidFile(path):
        assert path.read_text() == f"{os.getpid()}\n"


@pytest.mark.parametrize(
    "contents", [b"x", b"-1", b"0", b"1 2", b"9" * 5000, b"\xff", "٣".encode(), b"[buvar]\n", b"1.5"]
)
def test_a_file_with_something_else_in_it_is_refused(path, contents):
    """A file of another kind, named by mistake, is not written over."""
    path.write_bytes(contents)
    assert "there is something else in it than a pid; remove it, or choose another path" in str(refused(path))


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("elsewhere", path)])
def test_what_is_no_plain_file_is_refused(path, make):
    """A folder, a pipe or a link is left alone, and nothing waits for it."""
    make(path)
    assert "something of that name that is no plain file" in str(refused(path))


def test_a_socket_is_refused():
    """The path of a socket is none for a pid file."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as sock:
        sock.bind(f"{folder}/s")
        assert "no plain file" in str(refused(pathlib.Path(folder) / "s"))


def test_a_path_that_cannot_be_is_refused(path):
    """A folder that does not exist, and a name that no file can have, are told with what to do."""
    with pytest.raises(PidFileError, match="its folder does not exist; make it, or choose another path"):
        PidFile(path / "in" / "none").write()
    with pytest.raises(PidFileError, match="no file can have such a name; choose another path"):
        PidFile(f"{path}\0").write()
    with pytest.raises(PidFileError, match="name too long"):
        PidFile(f"{path}{'x' * 300}").write()


@needs_root
@pytest.mark.parametrize("closed", ["folder", "file"])
def test_what_may_not_be_read_or_written_is_refused(closed):
    """A folder that is not ours to write to, and a file that is not ours to read, are told with what to do."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "shop.pid"
        os.chmod(folder, 0o755 if closed == "folder" else 0o777)
        if closed == "file":
            path.touch(0o600)
        code = f"""
os.setuid({NOBODY})
try:
    PidFile(sys.argv[1]).write()
except PidFileError as error:
    print(error)
"""
        assert "permission denied; choose a path that this user may write" in output(code, path)


def test_a_file_that_is_locked_is_refused(path, monkeypatch):
    """Who holds the file locked, as flock(1) does, is told of, and not waited for."""
    monkeypatch.setattr(pidfile, "ATTEMPTS", 3)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "another process holds it locked" in str(refused(path))


def test_a_process_that_runs_its_program_again_keeps_it(path):
    """After an exec in place the file is there as it was, it is still ours, and it is removed at the end."""
    code = """
path, again = sys.argv[1], sys.argv[2:]
file = PidFile(path)
file.write()
inode = str(os.stat(path).st_ino)
if not again:
    os.execv(sys.executable, [*sys.orig_argv, inode])
print(pathlib.Path(path).read_text() == f"{os.getpid()}\\n", again == [inode])
file.remove()
print(os.path.exists(path))
"""
    assert output(code, path) == "True True\nFalse\n"


def test_a_child_does_not_remove_it(path):
    """A forked process that ends, by whichever way, leaves the file of its parent alone."""
    code = """
with PidFile(sys.argv[1]) as file:
    if not os.fork():
        file.remove()
        sys.exit()
    os.wait()
    print(pathlib.Path(sys.argv[1]).read_text() == f"{os.getpid()}\\n")
print(os.path.exists(sys.argv[1]))
"""
    assert output(code, path) == "True\nFalse\n"


@pytest.mark.parametrize("contents", ["1\n", "", "something else"])
def test_a_file_that_is_another_ones_now_stays(path, contents):
    """What somebody else has put there is not ours to remove."""
    with PidFile(path):
        path.write_text(contents)
    assert path.read_text() == contents


def test_a_file_that_is_gone_is_no_error(path):
    """Who removed the file before did no harm, and a file that was never written is not removed."""
    with PidFile(path) as file:
        path.unlink()
    path.write_text(f"{os.getpid()}\n")
    file.remove()
    PidFile(path).remove()
    assert path.exists()


def test_of_many_starts_one_wins(path):
    """Of processes that start at the same moment, over a stale file too, exactly one gets it."""
    code = """
import subprocess
path, rounds, number = sys.argv[1], 30, 6
gone = subprocess.Popen(["true"])
gone.wait()
for _ in range(rounds):
    with open(path, "w") as file:
        file.write(f"{gone.pid}\\n")
    (go, start), (results, result), (stop, end) = os.pipe(), os.pipe(), os.pipe()
    for _ in range(number):
        if not os.fork():
            os.close(start)
            os.close(end)
            os.read(go, 1)
            try:
                PidFile(path).write()
                os.write(result, b"1")
            except PidFileError as error:
                os.write(result, b"0" if error.pid else str(error).encode())
            os.read(stop, 1)
            os._exit(0)
    os.close(start)
    found = b""
    while len(found) < number:
        found += os.read(results, 1000)
    os.close(end)
    for _ in range(number):
        os.wait()
    print("".join(sorted(found.decode())))
    for fd in (go, results, result, stop):
        os.close(fd)
"""
    assert output(code, path).splitlines() == ["000001"] * 30
