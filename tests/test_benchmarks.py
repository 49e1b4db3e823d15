import asyncio
import collections
import contextlib
import itertools
import json
import pathlib
import shutil
import socket
import struct
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent


def bench(*arguments):
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)


@pytest.mark.slow
def test_a_quick_run_without_peers_gives_rows(tmp_path):
    """The components are measured, printed as a table and written as samples, one for each case."""
    written = tmp_path / "samples.json"
    done = bench("components", "--quick", "--no-peers", "--json", str(written))
    assert done.returncode == 0, done.stderr
    rows = json.loads(written.read_text())["Components"]
    assert {"get", "miss", "push", "child"} <= {row["case"] for row in rows}
    for row in rows:
        assert row["ours"]
        assert all(sample > 0 for sample in row["ours"])
        assert row["ratios"] == []
        assert f"| {row['case']} " in done.stdout


@pytest.mark.slow
def test_a_quick_run_of_injection_gives_ratios_to_what_is_written_by_hand(tmp_path):
    """All cases are measured but the counted ones; those that a hand writes too are told as multiples of that."""
    written = tmp_path / "samples.json"
    done = bench("di", "--quick", "--no-peers", "--json", str(written))
    assert done.returncode == 0, done.stderr
    rows = {row["case"]: row for row in json.loads(written.read_text())["Injection"]}
    assert {"one", "diamond", "scope", "keyword bound", "leak", "concurrent", "memory", "cold"} <= set(rows)
    for case, row in rows.items():
        assert set(row["samples"]) == ({"buvar"} if case == "cold" else {"by hand", "buvar"})
        assert f"| {case} " in done.stdout


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind counts the instructions")
@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="it takes long, and one interpreter shows it")
def test_instructions_are_counted_by_case(monkeypatch):
    """Each case asked for has the instructions of one run: six objects take more than one."""
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import di

    counted = di.count(di.Rival("hand"), "one", "chain")
    assert list(counted) == ["one", "chain"]
    assert 0 < counted["one"] < counted["chain"] < 100_000


def test_multiples_are_those_of_each_round(monkeypatch):
    """A relative row tells multiples of the samples by hand, another one the samples; who has none gets a dash."""
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import di

    samples = {"by hand": [1.0, 2.0, 3.0], "buvar": [2.0, 3.0, 9.0], "wireup": [3.0, 6.0, 9.0]}
    relative = di.Row("one", "ns", samples, "<= 1.70")
    assert relative.cells(["wireup", "dishka"]) == ["one", "2 ns", "2.00", "1.50-3.00", "<= 1.70", "3.00", "-"]
    bare = di.Row("cold", "ms", {"buvar": [2.0]}, relative=False)
    assert bare.cells(["wireup"]) == ["cold", "-", "2 ms", "-", "", "-"]


def test_an_unknown_benchmark_is_wrong_use():
    """A name that no benchmark has ends with code 2 and the names that there are."""
    done = bench("componets")
    assert done.returncode == 2
    assert "componets" in done.stderr
    assert "components, di, config, start, memory, throughput, http, fork, fairness, router" in done.stderr


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [([2.0, 3.0, 9.0], [1.0, 2.0, 3.0], ("2.00", "1.50-3.00")), ([1.0], [], ("-", "-"))],
)
def test_ratios_are_those_of_each_round(monkeypatch, ours, theirs, expected):
    """The ratio is the median of ours by theirs, round by round; without a peer there is none."""
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import rounds

    row = rounds.Row("case", "ns", ours, "peer", theirs)
    assert row.cells()[5:7] == expected


def test_what_never_came_about_has_no_ratio(monkeypatch):
    """Ratios are of what both did; the rest is told in a word, and written as one."""
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import rounds

    never, died = float("inf"), float("nan")
    row = rounds.Row("case", "s", [1.0, never, 2.0], "peer", [2.0, 1.0, died])
    assert row.ratios == (0.5,)
    assert row.record()["ours"] == [1.0, "never", 2.0]
    assert rounds.Row("case", "s", [never], "peer", [died]).cells()[2:6] == ("never", "peer", "died", "-")


def test_losses_of_all_rounds_are_told_by_kind(monkeypatch):
    """What was lost in each round adds up, with how; there is no ratio to none."""
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import rounds

    ours, theirs = rounds.Losses(10), rounds.Losses(10, {"reset": 2, "refused": 1})
    (row,) = rounds.compare_losses("case", {"buvar": [ours, ours], "peer": [theirs, rounds.Losses(9, {"reset": 1})]})
    assert row.cells()[2:6] == ("0 of 20", "peer", "4 of 19 (1 refused, 3 reset)", "-")


class Lossy:
    """A server that does to each request the next of these things in turn, and counts what it *did*."""

    GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n123"
    DOES = {
        "good": GOOD,
        "reset": b"",
        "no answer": b"",
        "short answer": GOOD[:-1],
        "status 503": GOOD.replace(b"200 OK", b"503 Service Unavailable"),
        "wrong answer": GOOD.replace(b"Content-Length: 3", b"X: y"),
        "timeout": None,
    }

    def __init__(self, *does):
        self.does = itertools.cycle(does)
        self.did = collections.Counter()

    @contextlib.asynccontextmanager
    async def serving(self):
        server = await asyncio.start_server(self.answer, "127.0.0.1")
        async with server:
            yield server.sockets[0].getsockname()[1]

    async def answer(self, reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                await self.do(next(self.does), reader, writer)
        writer.close()

    async def do(self, what, reader, writer):
        self.did[what] += 1
        if self.DOES[what] is None:
            await reader.readuntil(b"\r\n\r\n")  # until the client leaves
        writer.write(self.DOES[what])
        await writer.drain()
        if what == "reset":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if what in {"reset", "no answer", "short answer"}:
            writer.transport.abort()


async def enough(true):
    async with asyncio.timeout(40):
        while not true():
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("keep", [False, True], ids=["new", "kept"])
def test_clients_count_each_failure_by_its_kind(monkeypatch, keep):
    """What a lossy server did is what its clients tell, each request once: none is retried, and none overlooked."""
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import clients

    lossy = Lossy("good", "reset", "good", "no answer", "short answer", "status 503", "wrong answer", "good")

    async def main():
        async with lossy.serving() as port:
            load = clients.Load(port, clients.Kind("any", 4, keep=keep), timeout=60)
            async with load.running() as tally:
                await enough(lambda: lossy.did.total() >= 100)
            return tally

    tally = asyncio.run(main())
    did = dict(lossy.did)
    assert tally.answered == did.pop("good")
    assert tally.losses().kinds == did
    assert tally.asked == tally.answered + len(tally.failures) == lossy.did.total()
    assert set(tally.first) == {123}


def test_clients_count_what_hangs_and_what_is_refused(monkeypatch):
    """A request without an answer in time is lost, and so is one that nobody listens to."""
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import clients

    async def load(port, timeout):
        load = clients.Load(port, clients.Kind("any", 2), timeout=timeout)
        async with load.running() as tally:
            await enough(lambda: len(tally.failures) >= 3)
        return tally

    async def main():
        async with Lossy("timeout").serving() as port:
            hung = await load(port, 0.05)
        return hung, await load(port, 60)

    hung, refused = asyncio.run(main())
    assert set(hung.losses().kinds) == {"timeout"}
    assert set(refused.losses().kinds) == {"refused"}
    assert (hung.answered, refused.answered) == (0, 0)
    assert len(refused.failures) == refused.asked


def test_a_connection_that_was_closed_while_idle_is_no_loss(monkeypatch):
    """A client looks before it writes: what the server has closed by then is not used again."""
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import clients

    async def main():
        lossy = Lossy("good")
        async with lossy.serving() as port:
            connection = clients.Connection(port)
            await connection.open()
            assert await connection.ask(keep=True) == ("123", True)
            assert not connection.is_over()
            lossy.does = iter(["no answer"])
            with pytest.raises(clients.Lost, match="no answer"):
                await connection.ask(keep=True)
            assert connection.is_over()
            connection.close()

    asyncio.run(main())


def test_what_a_killed_worker_held_is_no_loss_of_its_supervisor(monkeypatch):
    """One failure on each connection of the killed worker is excused, and those of the moment when it was held."""
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import clients

    reset, refused = clients.Failure("reset", 7, 0.5, 9.0), clients.Failure("refused", 0, 0.0, 9.0)
    meanwhile = clients.Failure("reset", 9, 1.5, 9.0)
    tally = clients.Tally(asked=9, failures=[reset, reset, refused, meanwhile])
    assert tally.losses(apart_from={7, 8}).kinds == {"reset": 2, "refused": 1}
    assert tally.losses(apart_from={7, 8}, made_between=(1.0, 2.0)).kinds == {"reset": 1, "refused": 1}


SUPERVISOR = '''
"""Starts all over for HUP, and when a worker has died; nobody listens meanwhile. supervisor.py PORT WORKERS"""
import asyncio, os, signal, socket, sys, time

def work(listener):
    async def answer(reader, writer):
        try:
            while line := await reader.readuntil(b"\\r\\n\\r\\n"):
                path, _, seconds = line.split()[1].partition(b"?")
                await asyncio.sleep(float(seconds or 0))
                body = b"Hello, world" if path == b"/" else b"%d" % os.getpid()
                writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(body), body))
                if b"close" in line:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    async def serve():
        async with await asyncio.start_server(answer, sock=listener) as server:
            await server.serve_forever()

    for each in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(each, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    asyncio.run(serve())

def listen():
    return socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024)

def main():
    listener = listen()
    watched = {signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    workers = set()
    came = 0
    while came != signal.SIGTERM:
        died = set()
        while workers - died and (dead := os.waitpid(-1, os.WNOHANG)[0]):
            died.add(dead)
        workers -= died
        if died or came == signal.SIGHUP:
            for each in workers:
                os.kill(each, signal.SIGKILL)
            listener.close()
            while workers:
                workers.discard(os.wait()[0])
            time.sleep(0.5)  # clients come, and nobody listens
            listener = listen()
        for _ in range(int(sys.argv[2]) - len(workers)):
            workers.add(pid := os.fork())
            if not pid:
                work(listener)
        came = signal.sigwait(watched)
    for each in workers:
        os.kill(each, signal.SIGKILL)

main()
'''


@pytest.mark.slow
@pytest.mark.parametrize("case", ["kill", "reload-busy"])
def test_a_supervisor_that_loses_requests_is_seen_to(monkeypatch, tmp_path, case):
    """Who starts all over to replace a worker, or to reload, replaces it, and loses what comes meanwhile."""
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import fork, servers

    script = tmp_path / "supervisor.py"
    script.write_text(SUPERVISOR)
    server = servers.Server("lossy", (sys.executable, str(script), "{port}", "{workers}"))
    seconds, losses = fork.once(server, fork.CASES[case], fork.QUICK).values()
    assert 0 < seconds < float("inf")
    assert losses.asked > losses.total > 0
    assert set(losses.kinds) <= {"refused", "reset", "no answer"}


@pytest.mark.slow
def test_a_killed_worker_of_ours_is_replaced(tmp_path):
    """A quick run of one case tells the time until all workers served again, and what was lost."""
    command = [sys.executable, "-m", "benchmarks.fork", "kill", "--quick", "--no-peers"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()]
    found = {row[0]: row[2] for row in rows if row}
    assert float(found["worker killed, to serving again"]) > 0
    assert found["worker killed, not held by it"].startswith("0 of ")


@pytest.mark.slow
def test_a_quick_run_of_configuration_gives_the_ratio_to_what_is_written_by_hand(tmp_path):
    """Loading is told as a multiple of tomllib and cattrs by hand; the check of many plugins in seconds."""
    written = tmp_path / "samples.json"
    done = bench("config", "--quick", "--no-peers", "--json", str(written))
    assert done.returncode == 0, done.stderr
    load, check = json.loads(written.read_text())["Configuration"]
    assert (load["case"], load["peer"], len(load["ratios"])) == ("load", "by hand", 1)
    assert (check["case"], check["unit"], len(check["ours"])) == ("check 10 plugins", "s", 1)
    assert load["target"] in done.stdout
