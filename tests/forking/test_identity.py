"""Workers run as another user than the supervisor, and can't go back. Most of it needs root, and real forks."""

import grp
import os
import pwd
import socket
import subprocess
import sys
import tempfile

import pytest

from buvar.errors import IdentityError
from buvar.forking.identity import User

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

NOBODY = pwd.getpwnam("nobody")
NOGROUP = grp.getgrgid(NOBODY.pw_gid)
ROOT = grp.getgrgid(0).gr_name

RUN = """
import ctypes, os, sys
from buvar.errors import IdentityError
from buvar.forking.identity import User

def in_child(work):
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        work()
    finally:
        sys.stdout.flush()
        os._exit(0)

def attempt(work, *args):
    try:
        work(*args)
    except IdentityError as error:
        print(error)

def who():
    names = [os.environ.get(name) for name in ("HOME", "USER", "LOGNAME")]
    print(*os.getresuid(), *os.getresgid(), sorted(os.getgroups()), *names)

def drop_capabilities():
    "Stay root, without the right to become anybody else."
    libc, header = ctypes.CDLL(None, use_errno=True), (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, data) == 0
    data[0] &= ~(1 << 6 | 1 << 7)
    assert libc.capset(header, data) == 0, ctypes.get_errno()
"""


def lines(code, **environ):
    """Run the code in a process of its own, as root; return what it prints."""
    environ = {"HOME": "/root", "USER": "root", "LOGNAME": "root", **environ}
    command = [sys.executable, "-W", "error", "-c", RUN + code]
    done = subprocess.run(
        command, env={**os.environ, **environ}, capture_output=True, text=True, timeout=50, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


# -- who it is


@pytest.mark.parametrize(("user", "group"), [(None, None), ("", ""), (None, "")])
def test_nobody_is_asked_for(user, group):
    """Without a user and a group there is nobody to become."""
    assert User.resolve(user, group) is None


def test_who_one_is_can_be_named_by_anybody():
    """The user and group that a process has need no rights, and to become them changes nothing."""
    me = pwd.getpwuid(os.geteuid())
    before = dict(os.environ)
    for user in (me.pw_name, me.pw_uid, str(me.pw_uid)):
        found = User.resolve(user, os.getegid())
        assert (found.uid, found.gid, found.name, found.home) == (me.pw_uid, os.getegid(), me.pw_name, me.pw_dir)
        assert found.is_current
        found.become()
    assert os.environ == before


@needs_root
@pytest.mark.parametrize("user", ["nobody", NOBODY.pw_uid, str(NOBODY.pw_uid)])
@pytest.mark.parametrize("group", [None, NOGROUP.gr_name, NOGROUP.gr_gid, str(NOGROUP.gr_gid)])
def test_names_and_numbers_are_the_same(user, group):
    """A user and a group are found by name, by number, and by a number that is text; a user has a group of its own."""
    found = User.resolve(user, group)
    assert (found.uid, found.gid, found.name) == (NOBODY.pw_uid, NOBODY.pw_gid, "nobody")
    assert NOBODY.pw_gid in found.groups
    assert str(found) == f"nobody:{NOBODY.pw_gid}"


@pytest.mark.parametrize(
    ("user", "group", "text"),
    [
        ("nobdoy", None, "cannot run as user 'nobdoy': there is no such user; did you mean 'nobody'?"),
        ("a-user-of-no-name", None, "there is no such user; write the name or the number of one that there is"),
        ("no\0body", None, "there is no such user"),
        ("²", None, "there is no such user"),
        (None, f"{ROOT}t", f"there is no such group; did you mean {ROOT!r}"),
        (54321, None, "cannot run as user 54321: no user has that number, so its group is not known; set group too"),
        ("54321", None, "set group too"),
        (-1, None, "cannot run as user -1: no user has such a number; write its name, or a number from 0 on"),
        (2**32 - 1, None, "no user has such a number"),
        (str(2**70), None, "no user has such a number"),
        (os.geteuid(), 2**32 - 1, "no group has such a number"),
    ],
)
def test_who_is_not_known_is_told(user, group, text):
    """A user or group that there is not is one clear line, before anything is started."""
    with pytest.raises(IdentityError) as caught:
        User.resolve(user, group)
    assert text in str(caught.value)


@needs_root
def test_who_has_no_right_is_told():
    """A process that is not root, or has lost root's right to change, may name itself and nobody else."""
    told = lines(f"""
def without_rights():
    os.setuid({NOBODY.pw_uid})
    attempt(User.resolve, "root")
    attempt(User.resolve, None, {NOBODY.pw_gid})
    attempt(User.resolve, "nobody", 0)
def without_capabilities():
    drop_capabilities()
    attempt(User.resolve, "nobody")
    attempt(User.resolve, "root", 0)
in_child(without_rights)
in_child(without_capabilities)
""")
    reason = "this process runs as user {} and may not change that; start it as root, or leave user and group out"
    nobody, root = reason.format(NOBODY.pw_uid), reason.format(0)
    assert told == [
        f"cannot run as root:0: {nobody}",
        f"cannot run as nobody:{NOBODY.pw_gid}: {nobody}",
        f"cannot run as nobody:{NOBODY.pw_gid}: {root}",
    ]


# -- to become it


@needs_root
def test_a_worker_becomes_the_user():
    """User, group, all groups and the names in the environment are those of the user; the supervisor stays root."""
    told = lines("""
found = User.resolve("nobody")
in_child(lambda: (found.become(), who()))
who()
""")
    uid, gid = NOBODY.pw_uid, NOBODY.pw_gid
    groups = sorted(os.getgrouplist("nobody", gid))
    assert told[0] == f"{uid} {uid} {uid} {gid} {gid} {gid} {groups} {NOBODY.pw_dir} nobody nobody"
    assert told[1].startswith("0 0 0 0 0 0 ")
    assert told[1].endswith(" /root root root")


@needs_root
def test_there_is_no_way_back():
    """Neither root nor its groups can be had again, nor a file that is root's alone."""
    told = lines("""
import tempfile
def attempts(path):
    User.resolve("nobody").become()
    for work, *args in (
        (os.setuid, 0), (os.seteuid, 0), (os.setgid, 0), (os.setegid, 0), (os.setgroups, [0]), (open, path)
    ):
        try:
            work(*args)
        except PermissionError:
            print(work.__name__)
with tempfile.NamedTemporaryFile() as file:
    in_child(lambda: attempts(file.name))
""")
    assert told == ["setuid", "seteuid", "setgid", "setegid", "setgroups", "open"]


@needs_root
def test_a_user_without_a_name_has_no_home():
    """A number that the user database does not know will do, with a group: as containers have it."""
    assert lines("in_child(lambda: (User.resolve(54321, 54322).become(), who()))") == [
        "54321 54321 54321 54322 54322 54322 [54322] / None None"
    ]


@needs_root
def test_a_group_alone_can_be_changed():
    """With a group and no user, the user stays and so does its environment."""
    (told,) = lines(f"in_child(lambda: (User.resolve(None, {NOGROUP.gr_name!r}).become(), who()))")
    gid = NOGROUP.gr_gid
    assert told.startswith(f"0 0 0 {gid} {gid} {gid} ")
    assert told.endswith(" /root root root")


@needs_root
def test_to_become_it_twice_is_to_become_it_once():
    """Who has become the user is that user, also for a program that asks for it anew."""
    assert lines("""
def work():
    User.resolve("nobody").become()
    found = User.resolve("nobody")
    found.become()
    print(found.is_current)
in_child(work)
""") == ["True"]


@needs_root
def test_a_process_that_could_go_back_is_told():
    """Where the change leaves the right to undo it, as by secure bits or capabilities, it is an error."""
    told = lines("""
def work():
    PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP = 28, 1 << 2
    assert ctypes.CDLL(None).prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) == 0
    attempt(User.resolve("nobody").become)
in_child(work)
""")
    assert told == [
        f"cannot run as nobody:{NOBODY.pw_gid}: it could become its former user again; start it as root itself"
    ]


@needs_root
def test_a_change_that_is_denied_is_told():
    """What the system denies in the worker is an error with the reason, and not half a change."""
    told = lines("""
def work():
    found = User.resolve("nobody")
    drop_capabilities()
    attempt(found.become)
    print(os.geteuid())
in_child(work)
""")
    reason = "Operation not permitted; start it with the right to change users"
    assert told == [f"cannot run as nobody:{NOBODY.pw_gid}: {reason}", "0"]


# -- files


@needs_root
def test_a_socket_file_is_given_to_the_user(tmp_path):
    """The file belongs to the user and the group; a link is given itself, and what it leads to is left alone."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as sock:
        path, link, other = f"{folder}/s", f"{folder}/link", tmp_path / "other"
        sock.bind(path)
        other.touch()
        os.symlink(other, link)
        found = User.resolve("nobody")
        found.own(path)
        found.own(link)
        for each in (path, link):
            assert (os.lstat(each).st_uid, os.lstat(each).st_gid) == (NOBODY.pw_uid, NOBODY.pw_gid)
        assert other.stat().st_uid == 0


def test_a_file_that_cannot_be_given_is_told(tmp_path):
    """A file that is not there, or not ours to give, is an error that names it."""
    with pytest.raises(IdentityError, match="nothing cannot be given to it: No such file or directory"):
        User(os.geteuid(), os.getegid(), ()).own(tmp_path / "nothing")
