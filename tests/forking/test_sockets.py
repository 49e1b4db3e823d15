"""Sockets are bound once, before the fork, and leave nothing behind."""

import os
import socket
import stat
import subprocess
import sys
import tempfile

import pytest

from buvar.errors import SocketError, SocketURIError
from buvar.forking import sockets
from buvar.forking.sockets import Socket, Sockets


def has_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="the machine has no IPv6")


@pytest.fixture
def folder():
    """A folder with a short name: the path of a socket holds 107 bytes at most."""
    with tempfile.TemporaryDirectory() as name:
        yield name


def client(address):
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as connection:
        connection.settimeout(5)
        connection.connect(address)


def test_a_bound_socket_listens():
    """Port 0 finds a port, which the address tells, and connections are queued from then on."""
    with Socket("tcp://127.0.0.1:0") as sock:
        sock.bind()
        assert str(sock) == "tcp://127.0.0.1:0"
        assert str(sock.address) == f"tcp://127.0.0.1:{sock.getsockname()[1]}"
        assert sock.address.port != 0
        client(sock.getsockname())


def test_listen_does_nothing():
    """A server that calls listen again does not shrink the queue."""
    with Socket("tcp://127.0.0.1:0", backlog=100) as sock:
        sock.bind()
        sock.listen(1)
        sock.listen()
        clients = [socket.create_connection(sock.getsockname(), timeout=2) for _ in range(20)]
        for each in clients:
            each.close()


def test_sockets_are_equal_by_uri():
    """Two sockets with one canonical URI are equal, and hash alike; a socket is not equal to anything else."""
    with Socket("tcp://:0") as one, Socket("tcp://0.0.0.0:0") as two, Socket("tcp://127.0.0.1:0") as three:
        assert one == two != three
        assert hash(one) == hash(two)
        assert one != "tcp://0.0.0.0:0"


def test_a_duplicate_is_a_plain_socket():
    """It shares the queue, and its listen is the system's."""
    with Socket("tcp://127.0.0.1:0") as sock:
        sock.bind()
        with sock.dup() as twin:
            assert type(twin) is socket.socket
            assert twin.getsockname() == sock.getsockname()
            assert twin.fileno() != sock.fileno()


def test_a_socket_binds_to_its_uri_alone():
    """An address that is given to bind is a mistake, and told."""
    with Socket("tcp://127.0.0.1:0") as sock, pytest.raises(TypeError, match=r"binds to its URI, tcp://127\.0\.0\.1:0"):
        sock.bind(("127.0.0.1", 80))


def test_the_address_may_be_bound_again_at_once():
    """Connections of a former process in TIME_WAIT do not keep the port."""
    with Socket("tcp://127.0.0.1:0") as first:
        first.bind()
        address = str(first.address)
        with socket.create_connection(first.getsockname()):
            first.accept()[0].close()
    with Socket(address) as second:
        second.bind()


def test_an_address_in_use_is_told():
    """The error names the address and says what to do."""
    with Socket("tcp://127.0.0.1:0") as first:
        first.bind()
        with Socket(str(first.address)) as second, pytest.raises(SocketError) as caught:
            second.bind()
    assert str(caught.value) == (
        f"cannot listen on {second}: the address is in use; stop the process that has it, or choose another port"
    )
    assert caught.value.uri == str(second)


@pytest.mark.parametrize("uri", ["tcp://192.0.2.1:0", "tcp://no-such-host.invalid:80"])
def test_an_address_that_is_not_ours_is_told(uri):
    """An address of another machine and a name that nobody knows are socket errors."""
    with Socket(uri) as sock, pytest.raises(SocketError, match=f"cannot listen on {uri}: "):
        sock.bind()


@needs_ipv6
def test_all_addresses_are_of_both_kinds():
    """tcp://[::] listens to IPv4 as well."""
    with Socket("tcp://[::0]:0") as sock:
        sock.bind()
        port = sock.getsockname()[1]
        assert str(sock.address) == f"tcp://[::]:{port}"
        client(("127.0.0.1", port))
        socket.create_connection(("::1", port), timeout=5).close()


@needs_ipv6
def test_one_ipv6_address_is_of_one_kind():
    """tcp://[::1] is IPv6 alone."""
    with Socket("tcp://[::1]:0") as sock:
        sock.bind()
        assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
        assert str(sock.address) == f"tcp://[::1]:{sock.getsockname()[1]}"
        socket.create_connection(sock.getsockname()[:2], timeout=5).close()


# -- unix sockets


def test_a_unix_socket_has_its_mode(folder):
    """The file has the mode that the URI asks for, and goes with the socket."""
    sock = Socket(f"unix://{folder}/a%20b.sock?mode=660")
    sock.bind()
    path = f"{folder}/a b.sock"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
    assert str(sock.address) == str(sock) == f"unix://{folder}/a%20b.sock"
    client(path)
    sock.remove()
    assert not os.path.exists(path)
    sock.remove()


def test_a_stale_file_is_removed(folder):
    """The file of a process that is gone is no hindrance."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{folder}/s")
        dead.listen()
    sock = Socket(f"unix://{folder}/s")
    sock.bind()
    client(f"{folder}/s")
    sock.remove()


def test_a_live_file_is_left_alone(folder):
    """A socket that another process listens on is an error, and goes on listening."""
    first, second = Socket(f"unix://{folder}/s"), Socket(f"unix://{folder}/s")
    first.bind()
    with pytest.raises(SocketError, match="another process listens on it"):
        second.bind()
    second.remove()
    client(f"{folder}/s")
    first.remove()


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_is_left_alone(folder, kind):
    """A file, a folder or a link of that name is an error, and is not touched."""
    path = f"{folder}/s"
    if kind == "file":
        with open(path, "w") as file:
            file.write("precious")
    elif kind == "folder":
        os.mkdir(path)
    else:
        os.symlink("/nowhere", path)
    before = os.lstat(path)
    with Socket(f"unix://{path}") as sock:
        with pytest.raises(SocketError, match="a file of that name that is no socket"):
            sock.bind()
        sock.remove()
    assert os.lstat(path) == before


def test_a_folder_that_is_not_there_is_told(folder):
    """The error says what is missing."""
    with Socket(f"unix://{folder}/no/s") as sock, pytest.raises(SocketError, match="the folder of the socket"):
        sock.bind()


@pytest.mark.parametrize(
    ("uri", "reason"),
    [("tcp://192.0.2.1:0", "this machine has no such address"), ("tcp://nowhere.invalid:0", "the host is not known")],
)
def test_an_address_that_is_not_there_is_told(uri, reason):
    """The error says why nothing can listen there."""
    with Socket(uri) as sock, pytest.raises(SocketError, match=reason):
        sock.bind()


def test_a_file_that_took_the_place_is_not_ours(folder):
    """Where another process bound the path anew, its file stays."""
    old, new = Socket(f"unix://{folder}/s"), Socket(f"unix://{folder}/s")
    old.bind()
    os.unlink(f"{folder}/s")
    new.bind()
    old.remove()
    client(f"{folder}/s")
    new.remove()
    assert not os.path.exists(f"{folder}/s")


def test_a_file_that_is_gone_is_no_matter(folder):
    """Removing a socket whose file somebody removed is fine."""
    sock = Socket(f"unix://{folder}/s")
    sock.bind()
    os.unlink(f"{folder}/s")
    sock.remove()
    assert sock.fileno() == -1


def test_a_failure_after_the_bind_leaves_no_file(folder):
    """Where the socket is bound and cannot listen, its file goes when the socket does."""
    many = Sockets(f"unix://{folder}/s", backlog=2**40)
    with pytest.raises(OverflowError), many.bind():
        raise AssertionError
    assert os.listdir(folder) == []


# -- several


def test_sockets_are_bound_inside_of_the_block(folder):
    """They are found by canonical URI, listen inside of the block, and are closed and removed after it."""
    many = Sockets("tcp://127.0.0.1:0", f"unix://{folder}/s?mode=600")
    assert list(many) == ["tcp://127.0.0.1:0", f"unix://{folder}/s"]
    with many.bind() as bound:
        assert bound is many
        client(many["tcp://127.0.0.1:0"].getsockname())
        client(f"{folder}/s")
    assert [each.fileno() for each in many.values()] == [-1, -1]
    assert os.listdir(folder) == []


def test_one_address_is_one_socket():
    """The same address twice, spelled differently, is bound once."""
    many = Sockets("tcp://:0", "tcp://0.0.0.0:0", "tcp://0.0.0.0:00/")
    assert list(many) == ["tcp://0.0.0.0:0"]
    many.remove()


def test_a_failure_closes_all(folder):
    """Where one cannot be bound, those that were are closed and their files removed."""
    with Socket("tcp://127.0.0.1:0") as taken:
        taken.bind()
        many = Sockets(f"unix://{folder}/s", str(taken.address))
        with pytest.raises(SocketError), many.bind():
            raise AssertionError
    assert all(each.fileno() == -1 for each in many.values())
    assert os.listdir(folder) == []


def test_a_wrong_uri_closes_all():
    """Where one URI is none, no socket is left open."""
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(SocketURIError):
        Sockets("tcp://127.0.0.1:0", "nonsense")
    with pytest.raises(SocketError):
        Sockets("tcp://127.0.0.1:0", "fd://987654")
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_fork_that_leaves_the_block_closes_nothing(folder):
    """A child that leaves the block, as upstream's did, neither closes the sockets nor removes their files."""
    code = f"""
import os
from buvar.forking.sockets import Sockets
with Sockets("unix://{folder}/s").bind() as bound:
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        assert os.path.exists("{folder}/s")
if not child:
    assert bound["unix://{folder}/s"].fileno() > 0
    bound.remove()
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], timeout=20, check=True)
    assert os.listdir(folder) == []


# -- passed descriptors


def test_a_descriptor_is_taken_over():
    """fd:// is a socket that somebody else bound; its address is the real one."""
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        sock = Socket(f"fd://{theirs.detach()}")
        sock.bind()
        assert str(sock) == f"fd://{sock.fileno()}"
        assert str(sock.address) == f"tcp://127.0.0.1:{sock.getsockname()[1]}"
        client(sock.getsockname())
        assert not sock.get_inheritable()
        sock.remove()


def test_the_file_of_a_descriptor_is_not_ours(folder):
    """The file of a unix socket that was passed belongs to who passed it."""
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(f"{folder}/s")
        sock = Socket(f"fd://{theirs.detach()}")
    sock.bind()
    assert str(sock.address) == f"unix://{folder}/s"
    sock.remove()
    assert os.listdir(folder) == ["s"]


def test_a_descriptor_that_is_none_is_told():
    """A number that is no descriptor is an error that says so."""
    with pytest.raises(SocketError, match=r"cannot listen on fd://987654: .*is the descriptor passed to this process"):
        Socket("fd://987654")


def test_a_descriptor_that_is_no_socket_is_told(tmp_path):
    """A file, or a socket of the wrong kind, is an error, and stays open for who owns it."""
    with open(tmp_path / "file", "w") as file, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        for each in (file, datagrams):
            with pytest.raises(SocketError, match="cannot listen on fd://"):
                Socket(f"fd://{each.fileno()}")
            os.fstat(each.fileno())


def test_passed_descriptors_are_taken_once():
    """What a service manager passes becomes URIs, and the variables are gone, so that no child takes them."""
    environ = {"LISTEN_PID": "42", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b", "HOME": "/"}
    assert sockets.passed_fds(environ, 42) == ["fd://3", "fd://4"]
    assert environ == {"HOME": "/"}
    assert sockets.passed_fds(environ, 42) == []


def test_descriptors_for_another_process_are_left_alone():
    """LISTEN_PID of another process means another process."""
    environ = {"LISTEN_PID": "41", "LISTEN_FDS": "2"}
    assert sockets.passed_fds(environ, 42) == []
    assert environ == {"LISTEN_PID": "41", "LISTEN_FDS": "2"}


@pytest.mark.parametrize("count", ["two", "-1", "", "²"])
def test_a_wrong_number_of_descriptors_is_told(count):
    """LISTEN_FDS that is no number is a socket error."""
    with pytest.raises(SocketError, match="LISTEN_FDS"):
        sockets.passed_fds({"LISTEN_PID": "42", "LISTEN_FDS": count}, 42)


# -- inheritance


def test_a_program_that_is_started_inherits_no_socket(folder):
    """Neither a bound socket nor one that was passed goes on to programs that the process starts."""
    code = "import os, sys; sys.exit(any(os.path.exists(f'/proc/self/fd/{fd}') for fd in map(int, sys.argv[1:])))"
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        theirs.set_inheritable(True)
        with Sockets("tcp://127.0.0.1:0", f"unix://{folder}/s", f"fd://{theirs.detach()}").bind() as bound:
            fds = [str(each.fileno()) for each in bound.values()]
            assert subprocess.call([sys.executable, "-c", code, *fds], close_fds=False) == 0
