"""Who writes to where nobody reads does not wait: what finds no room is dropped, counted and told of."""

import fcntl
import json
import os
import pty
import select
import socket
import textwrap
import tty

import pytest
import structlog

from buvar.log import lossy

F_SETPIPE_SZ = 1031


def make_pipe():
    reader, writer = os.pipe()
    fcntl.fcntl(writer, F_SETPIPE_SZ, 4096)
    return reader, writer


def make_terminal():
    reader, writer = pty.openpty()
    tty.setraw(writer)
    return reader, writer


def make_socket():
    reader, writer = socket.socketpair()
    writer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return reader.detach(), writer.detach()


@pytest.fixture(params=[make_pipe, make_terminal, make_socket])
def ends(request):
    """The two ends of something of little room; the one to read from does not wait."""
    reader, writer = request.param()
    os.set_blocking(reader, False)
    with open(reader, "rb", buffering=0) as source, open(writer, "w", encoding="utf-8") as sink:
        yield source, sink


@pytest.fixture
def stream(ends):
    """A stream that drops what finds no room."""
    with lossy.LossyStream(ends[1]) as stream:
        yield stream


def drain(source):
    """Read what there is."""
    found = b""
    while select.select([source], [], [], 0)[0] and (chunk := source.read(65536)):
        found += chunk
    return found.decode()


def fill(stream):
    """Write lines until some were lost; return those that were not."""
    written = []
    while stream.lost < 3:
        line = f"line {len(written)}\n"
        stream.write(line)
        written += [line] if not stream.lost else []
    return written


def test_what_finds_no_room_is_counted_and_told(ends, stream):
    """Nothing waits; when there is room again it is told once how many lines were lost."""
    written = fill(stream)
    with structlog.testing.capture_logs() as events:
        stream.catch_up()
        assert events == []
        found = drain(ends[0])
        stream.catch_up()
        stream.write("next\n")
        stream.write("last\n")
    assert [(each["event"], each["lost"]) for each in events] == [("log lines lost, nobody read them", 3)]
    assert found + drain(ends[0]) == "".join([*written, "next\n", "last\n"])
    assert stream.lost == 0


def test_the_flags_of_the_file_stay(ends, stream):
    """Whoever shares the file waits as before."""
    fill(stream)
    assert os.get_blocking(ends[1].fileno())


def test_a_long_line_is_not_torn(ends, stream):
    """A line of which a part was written is finished before anything else is."""
    long = "x" * 300_000 + "\n"
    stream.write(long)
    stream.write("lost\n")
    found = ""
    with structlog.testing.capture_logs() as events:
        while len(found) < len(long) or not events:
            found += drain(ends[0])
            stream.catch_up()
    assert found == long
    assert [each["lost"] for each in events] == [1]


def test_a_line_that_is_not_begun_is_lost_whole(ends, stream):
    """Where there is no room at all, nothing of a long line comes later either."""
    written = fill(stream)
    stream.write("x" * 300_000 + "\n")
    with structlog.testing.capture_logs() as events:
        found = drain(ends[0])
        stream.catch_up()
    assert events[0]["lost"] == 4
    assert found + drain(ends[0]) == "".join(written)


def test_lines_are_written_whole(ends, stream):
    """What is printed in pieces is written when the line is complete, or when it is flushed."""
    print("a", "b", end=" ", file=stream)
    assert drain(ends[0]) == ""
    print("c\nd", end="", file=stream)
    assert drain(ends[0]) == "a b c\n"
    stream.flush()
    assert drain(ends[0]) == "d"
    assert stream.fileno() == ends[1].fileno()
    assert stream.isatty() == ends[1].isatty()
    assert stream.writable()


def test_a_reader_that_is_gone_is_no_error():
    """Where nobody can read any more all is lost, and nothing raised."""
    reader, writer = make_pipe()
    with open(writer, "w", encoding="utf-8") as sink, lossy.LossyStream(sink) as stream:
        os.close(reader)
        for _ in range(3):
            stream.write("x\n")
        stream.catch_up()
        assert stream.lost == 3


def test_who_holds_it_still_writes_to_the_real_stream(ends):
    """After its end a stand-in passes on what it gets, and has closed nothing but what is its own."""
    stream = lossy.LossyStream(ends[1])
    stream.close()
    stream.close()
    stream.write("x\n")
    ends[1].flush()
    stream.buffer.write(b"y\n")
    stream.buffer.flush()
    assert drain(ends[0]) == "x\ny\n"


# -- a whole process

FULL = """
import contextlib, fcntl, json, logging, os, sys
import structlog
from buvar import log
from buvar.log import lossy
reader, writer = os.pipe()
fcntl.fcntl(writer, 1031, 4096)
os.set_blocking(reader, False)
kept = os.dup(1)
os.dup2(writer, 1)
os.dup2(writer, 2)
def drain():
    found = b""
    with contextlib.suppress(BlockingIOError):
        while chunk := os.read(reader, 65536):
            found += chunk
    return found.decode()
def end(**facts):
    os.write(kept, json.dumps(facts).encode())
    os._exit(0)
"""


@pytest.fixture
def run(forks):
    """Run code whose output is a pipe that only it reads itself, and return the facts that it ends with."""

    def run(code):
        done = forks.run(FULL + textwrap.dedent(code))
        done.check_returncode()
        return json.loads(done.stdout)

    return run


WAYS = {
    "ours": ("log.setup_logging(tty=False)", "structlog.get_logger('a').info"),
    "for a person": ("log.setup_logging(tty=True)", "structlog.get_logger('a').info"),
    "what is printed": ("log.setup_logging(tty=False, redirect_print=True)", "print"),
    "to stdout": (
        "log.setup_logging(tty=False, user_config={'handlers': {'default': {'stream': 'ext://sys.stdout'}}})",
        "structlog.get_logger('a').info",
    ),
    "the standard library's": ("logging.basicConfig(level='INFO')", "logging.getLogger('a').info"),
    "nothing set up, standard library": ("", "logging.getLogger('a').warning"),
    "nothing set up, structlog": ("", "lambda event: structlog.get_logger('a').info(event)"),
    "a file that is no file": (
        "logging.getLogger('a').addHandler(logging.FileHandler('/dev/stderr', delay=False))",
        "logging.getLogger('a').error",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_however_it_is_logged_nothing_waits(run, way):
    """Whichever way leads to stdout or stderr, lines are dropped while these are full; afterwards all is as before."""
    setup, tell = WAYS[way]
    facts = run(f"""
{setup}
before = sys.stdout, sys.stderr
tell = {tell}
with lossy.output():
    for number in range(1000):
        tell("many")
    many = drain()
    tell("next")
    next = drain()
    lossy.catch_up()
same = before == (sys.stdout, sys.stderr)
tell("after")
end(many=many, next=next, same=same, after=drain(), held=len(os.listdir("/proc/self/fd")))
""")
    assert 10 < facts["many"].count("many") < 1000
    assert facts["next"].count("next") == 1
    assert "after" in facts["after"]
    assert facts["same"]


def test_how_many_were_lost_stands_in_the_log(run):
    """The line that tells it is one like the others, and comes once."""
    facts = run("""
    log.setup_logging(tty=False)
    tell = structlog.get_logger("a").info
    with lossy.output():
        for number in range(1000):
            tell("many")
        many = drain()
        lossy.catch_up()
        lost = drain()
        lossy.catch_up()
        tell("next")
        end(many=many, lost=lost, next=drain())
    """)
    lost = json.loads(facts["lost"])
    assert (lost["event"], lost["level"]) == ("log lines lost, nobody read them", "warning")
    assert lost["lost"] + facts["many"].count("many") == 1000
    assert json.loads(facts["next"])["event"] == "next"


def test_where_not_even_that_finds_room_it_is_told_later(run):
    """The number of those that were lost is kept until the line that tells it has been written."""
    facts = run("""
    log.setup_logging(tty=False)
    tell = structlog.get_logger("a").info
    with lossy.output():
        while not sys.stderr.lost:
            tell("many")
        drain()
        room = sys.stderr._has_room
        def room_that_is_gone():
            found = room()
            os.set_blocking(writer, False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(writer, b"x")
            os.set_blocking(writer, True)
            return found
        sys.stderr._has_room = room_that_is_gone
        lossy.catch_up()
        sys.stderr._has_room = room
        drain()
        lossy.catch_up()
        end(lost=drain())
    """)
    assert json.loads(facts["lost"])["lost"] == 1


def test_a_forked_child_waits_again(run):
    """In a child that has taken the stand-ins away no line is lost: it waits for its reader, and holds nothing more."""
    facts = run("""
    log.setup_logging(tty=False)
    tell = structlog.get_logger("a").info
    with lossy.output():
        print("begun", end="")
        held = len(os.listdir("/proc/self/fd"))
        while not sys.stderr.lost:
            tell("many")
        pid = os.fork()
        if not pid:
            lossy.restore()
            tell("child", held=held - len(os.listdir("/proc/self/fd")))
            os._exit(0)
        found = ""
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            found += drain()
        end(found=found + drain())
    """)
    (child,) = [json.loads(line) for line in facts["found"].splitlines() if "child" in line]
    assert child["held"] == 2  # one for stdout, one for stderr
    assert "lost" not in facts["found"]
    assert "begun" not in facts["found"]


def test_what_is_no_pipe_is_left_alone(run, tmp_path):
    """Files are written as ever; no stream at all, one in memory and one that is closed are no error."""
    facts = run(f"""
    import io
    file = open({str(tmp_path / "log")!r}, "w")
    for stream in (file, io.StringIO(), None):
        sys.stderr = stream
        with lossy.output():
            assert sys.stderr is stream
    file.close()
    sys.stderr = file
    with lossy.output():
        end(same=sys.stderr is file)
    """)
    assert facts["same"]


def test_a_block_within_a_block_changes_nothing(run):
    """The outer block's streams are not taken away by the inner one's end."""
    facts = run("""
    with lossy.output():
        outer = sys.stderr
        with lossy.output():
            inner = sys.stderr
        end(same=outer is inner is sys.stderr)
    """)
    assert facts["same"]
