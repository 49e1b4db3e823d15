"""The user and the group that workers run as, when the supervisor is root.

Names are looked up once, by the supervisor before it binds or forks anything: a wrong name is told at once, and workers
do not ask the user database. The supervisor stays who it is: it binds, owns files and kills. Workers become the user.
"""

from __future__ import annotations

import grp
import os
import pathlib
import pwd
import re
import typing as t

import attrs

from buvar.errors import IdentityError, did_you_mean

if t.TYPE_CHECKING:
    import collections.abc as c

#: the number that the system takes for "leave it as it is"
NOBODY_AT_ALL: t.Final = 2**32 - 1
#: the bits of ``capabilities(7)`` for the right to change the groups and the user
CAP_SETGID, CAP_SETUID = 6, 7


@attrs.frozen
class User:
    """Who to become: the numbers of a user and a group, and those of all groups that the user is in.

    *name* and *home* are None when the user database does not know the user.
    """

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str | None = None
    home: str | None = None

    def __str__(self) -> str:
        return f"{self.uid if self.name is None else self.name}:{self.gid}"

    @classmethod
    def resolve(cls, user: str | int | None = None, group: str | int | None = None) -> User | None:
        """Look up *user* and *group*, by name or by number; return None when neither is given.

        Without a user it is the present one. Without a group it is the user's own. Raises `errors.IdentityError` for
        what is not known, and when this process has no right to become it.
        """
        if user in {None, ""} and group in {None, ""}:
            return None
        uid, entry = _find_user(os.geteuid() if user is None or user == "" else user)
        if group is not None and group != "":
            gid = _find_group(group)
        elif entry is not None:
            gid = entry.pw_gid
        else:
            raise IdentityError(f"user {user!r}", "no user has that number, so its group is not known; set group too")
        if entry is None:
            found = cls(uid, gid, (gid,))
        else:
            found = cls(uid, gid, tuple(os.getgrouplist(entry.pw_name, gid)), entry.pw_name, entry.pw_dir)
        if not found.is_current and not _privileged():
            reason = f"this process runs as user {os.geteuid()} and may not change that"
            raise IdentityError(str(found), f"{reason}; start it as root, or leave user and group out")
        return found

    @property
    def is_current(self) -> bool:
        """Whether this process is that user and group already, and has no other one to go back to."""
        return _users() == {self.uid} and _groups() == {self.gid}

    def become(self) -> None:
        """Run as the user from here on: groups first, then the user, with no way back. For a worker, before any loop.

        ``HOME``, ``USER`` and ``LOGNAME`` are set as a log-in, or systemd, sets them, unless the user stays the same:
        libraries look there for files that the former user's home would deny them. A user that has no name gets ``/``
        for its home, and no ``USER``.

        Linux takes the signal of the parent's death (``PR_SET_PDEATHSIG``) back: ask for it again. Raises
        `errors.IdentityError` when it cannot be; then the process is to end, for it is neither one nor the other.
        """
        if self.is_current:
            return
        users, groups = _users(), _groups()
        try:
            os.setgroups(self._supplementary())
            os.setgid(self.gid)
            os.setuid(self.uid)
        except OSError as error:
            raise IdentityError(str(self), f"{error.strerror}; start it with the right to change users") from None
        if users != {self.uid}:
            self._check_the_way_back(users, groups)
            self._settle(os.environ)

    def _check_the_way_back(self, users: set[int], groups: set[int]) -> None:
        # capabilities that a process had without being root stay with it
        others = {0, *users} - {self.uid} if self.uid else set()
        if not self.is_current or _can_be(os.seteuid, others) or _can_be(os.setegid, groups - {self.gid}):
            raise IdentityError(str(self), "it could become its former user again; start it as root itself")

    def own(self, path: str | os.PathLike[str]) -> None:
        """Give the file at *path*, as that of a unix socket, to the user and group; a link is not followed.

        Raises `errors.IdentityError` when that is not allowed.
        """
        try:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)
        except OSError as error:
            reason = f"{os.fspath(path)} cannot be given to it: {error.strerror}; start it as root"
            raise IdentityError(str(self), reason) from None

    def _supplementary(self) -> tuple[int, ...]:
        most = os.sysconf("SC_NGROUPS_MAX")  # 65536 on Linux, 16 elsewhere
        return self.groups[:most] if most > 0 else self.groups

    def _settle(self, environ: c.MutableMapping[str, str]) -> None:
        environ["HOME"] = self.home or "/"
        for variable in ("USER", "LOGNAME"):
            environ.pop(variable, None)
            if self.name is not None:
                environ[variable] = self.name


def _find_user(user: str | int) -> tuple[int, pwd.struct_passwd | None]:
    if isinstance(user, str):
        try:
            entry = pwd.getpwnam(user)
        except (KeyError, ValueError):
            known = (each.pw_name for each in pwd.getpwall())
            user = _number("user", user, known)
        else:
            return entry.pw_uid, entry
    uid = _checked("user", user)
    try:
        return uid, pwd.getpwuid(uid)
    except KeyError:
        return uid, None


def _find_group(group: str | int) -> int:
    if isinstance(group, str):
        try:
            return grp.getgrnam(group).gr_gid
        except (KeyError, ValueError):
            group = _number("group", group, (each.gr_name for each in grp.getgrall()))
    return _checked("group", group)


def _number(kind: str, text: str, known: c.Iterable[str]) -> int:
    if text.isascii() and text.isdigit():
        return int(text)
    hint = did_you_mean(text, known) or "; write the name or the number of one that there is"
    raise IdentityError(f"{kind} {text!r}", f"there is no such {kind}{hint}")


def _checked(kind: str, number: int) -> int:
    if not 0 <= number < NOBODY_AT_ALL:
        raise IdentityError(f"{kind} {number}", f"no {kind} has such a number; write its name, or a number from 0 on")
    return number


def _users() -> set[int]:
    """Return the users that this process is and may go back to: real, effective and, where that is known, saved."""
    return {*(os.getresuid() if hasattr(os, "getresuid") else (os.getuid(), os.geteuid()))}


def _groups() -> set[int]:
    return {*(os.getresgid() if hasattr(os, "getresgid") else (os.getgid(), os.getegid()))}


def _can_be(change: c.Callable[[int], None], numbers: c.Iterable[int]) -> bool:
    """Tell whether one of the *numbers* can be had; if so, it is had now."""
    for number in numbers:
        try:
            change(number)
        except OSError:
            continue
        return True
    return False


def _privileged() -> bool:
    """Tell whether this process may change its user and groups: root in a container may have lost that right."""
    try:
        status = pathlib.Path("/proc/self/status").read_text()
    except OSError:
        return os.geteuid() == 0
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    needed = 1 << CAP_SETGID | 1 << CAP_SETUID
    return int(found[1], 16) & needed == needed if found else os.geteuid() == 0
