"""The other end of the control socket: finds the services of this user, and asks them."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import socket
import time
import typing as t

from buvar.errors import ControlError, NoServiceError
from buvar.forking import places

if t.TYPE_CHECKING:
    import collections.abc as c

#: seconds before who was turned away, or cut off before there was an answer, tries again
PAUSE: t.Final = 0.05
#: the longest answer that is read, in bytes; a thousand workers take a third of a mebibyte
LONGEST: t.Final = 16 * 2**20


def find(environ: c.Mapping[str, str]) -> dict[int, pathlib.Path]:
    """Return the control sockets of this user's supervisors that listen where `places.default_path` says, by pid.

    The file of one that was killed is removed.
    """
    found: dict[int, pathlib.Path] = {}
    for folder in places.folders(environ):
        if places.flaw(folder):  # not there, or somebody else could have put anything into it
            continue
        for path in sorted(folder.glob(f"*{places.SUFFIX}")):
            if path.stem.isascii() and path.stem.isdigit() and path.is_socket() and _is_live(path, int(path.stem)):
                found.setdefault(int(path.stem), path)
    return found


def _is_live(path: pathlib.Path, pid: int) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except BlockingIOError:  # its queue is full
            return True
        except ConnectionRefusedError:
            # only now: a process that answers may have its pid in another namespace
            if _is_gone(pid):
                with contextlib.suppress(OSError):  # somebody else has tidied up
                    path.unlink()
            return False
        except OSError:
            return False
    return True


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:  # another user's
        return False
    return False


def ask(path: str | os.PathLike[str], request: c.Mapping[str, t.Any], timeout: float = 5.0) -> dict[str, t.Any]:
    """Send a request to the control socket *path* and return the answer; *timeout* in seconds is for all of it.

    A connection that ends before there is an answer is made again: the supervisor may have too many clients. Raises
    `errors.NoServiceError` when nobody listens, and `errors.ControlError` when there is no answer in time, or the
    answer is an error.
    """
    deadline = time.monotonic() + timeout
    line = json.dumps(dict(request)).encode() + b"\n"
    while True:
        try:
            return _read(path, _ask_once(path, line, deadline))
        except (FileNotFoundError, ConnectionRefusedError):
            raise NoServiceError(f"no service listens on {os.fspath(path)}; is it running?") from None
        except PermissionError:
            raise ControlError(os.fspath(path), "permission denied; run this as the service's user") from None
        except (BlockingIOError, ConnectionError) as error:
            if time.monotonic() + PAUSE > deadline:
                raise ControlError(os.fspath(path), f"no answer within {timeout:g} s ({error.strerror})") from None
            time.sleep(PAUSE)
        except TimeoutError:
            reason = f"no answer within {timeout:g} s; is the supervisor stopped or overloaded?"
            raise ControlError(os.fspath(path), reason) from None
        except ControlError:
            raise
        except OSError as error:
            raise ControlError(os.fspath(path), str(error)) from None


def _ask_once(path: str | os.PathLike[str], line: bytes, deadline: float) -> bytes:
    answer = bytearray()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_left(deadline))
        connection.connect(os.fspath(path))
        # who is cut off while it sends may have an answer nevertheless
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(line)
        while not answer.endswith(b"\n"):
            connection.settimeout(_left(deadline))
            chunk = connection.recv(65536)
            if not chunk:
                raise ConnectionResetError(0, "the connection was closed")
            answer += chunk
            if len(answer) > LONGEST:
                raise ControlError(os.fspath(path), f"the answer is longer than {LONGEST} bytes")
    return bytes(answer)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _read(path: str | os.PathLike[str], answer: bytes) -> dict[str, t.Any]:
    try:
        found = json.loads(answer)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ControlError(os.fspath(path), "the answer is no JSON object; is that the control socket of a service?")
    if isinstance(found.get("error"), str):
        raise ControlError(os.fspath(path), found["error"])
    return found
