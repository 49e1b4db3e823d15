"""Fairness: connections are shared evenly, and nobody waits for a worker that does not come for them."""

import collections
import concurrent.futures
import contextlib
import itertools
import json
import os
import signal
import socket
import time
import types

import psutil
import pytest

from buvar.forking.board import Board, Cell
from buvar_aiohttp import fairness

pytestmark = pytest.mark.slow

LOOPS = ["asyncio", "uvloop"]
TCP = "sockets=['tcp://127.0.0.1:0']"
# what each worker has on the board
BOARD = """
async def board(load: plugin.Loader):
    await load(http)
    async def show(request):
        return web.json_response({each.pid: [each.connections, each.requests] for each in context.get(fork.Board)})
    context.get(web.Application).router.add_get("/board", show)
"""


@pytest.fixture
def clients():
    """Open so many connections to a service, all at once, and ask each for its worker: ``{client: pid}``."""
    with contextlib.ExitStack() as stack:

        def open_(service, number):
            made = [stack.enter_context(service.client(service.address)) for _ in range(number)]
            for each in made:
                each.send("/")
            return {each: int(each.receive()[2]) for each in made}

        yield open_


def largest(pids):
    """Return the share of the worker that has the most, in per cent."""
    return 100 * max(collections.Counter(pids).values()) / len(pids)


@pytest.mark.parametrize(("loop", "forks", "number"), [*itertools.product(LOOPS, [2, 3], [64, 256])])
def test_no_worker_has_much_more_than_its_share(run_http, clients, loop, forks, number):
    """However many connections are made at once, no worker gets more than a sixth above its share of them."""
    service = run_http(f"run(forks={forks}, {TCP})", loop)
    service.ready(forks)
    assert largest(clients(service, number).values()) <= 116 / forks


@pytest.mark.parametrize("loop", LOOPS)
def test_who_has_lost_connections_gets_the_next_ones(run_http, clients, loop):
    """When the clients of one worker have left, new connections go to that one until all have as many again."""
    service = run_http(BOARD + f"run(board, forks=2, {TCP})", loop)
    left, stayed = service.ready(2).values()
    found = clients(service, 64)
    for client, pid in found.items():
        if pid == left:
            client.close()
    staying = sum(pid == stayed for pid in found.values())
    await_connections(service, {left: 0, stayed: staying})
    again = list(clients(service, staying).values())
    assert again.count(left) > 4 * again.count(stayed)


def board(service):
    with service.client(service.address) as client:
        pid, found = int(client.get()[2]), json.loads(client.get("/board")[2])
    return pid, {int(each): numbers for each, numbers in found.items()}


def await_connections(service, expected):
    """Wait until the workers have so many connections, that of who asks aside."""
    for _ in range(2000):
        pid, found = board(service)
        found[pid][0] -= 1
        if {each: found[each][0] for each in expected} == expected:
            return
        time.sleep(0.01)
    raise AssertionError(found)


@pytest.mark.parametrize("loop", LOOPS)
def test_connections_and_requests_are_counted(run_http, clients, loop):
    """The board tells how many connections each worker has, clients that broke theirs off aside, and its requests."""
    service = run_http(BOARD + f"run(board, forks=2, {TCP})", loop)
    pids = list(service.ready(2).values())
    found = list(clients(service, 20).values())
    for _ in range(20):
        broken = service.client(service.address)
        broken.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        broken.connection.close()
        broken.file.close()
    await_connections(service, {pid: found.count(pid) for pid in pids})
    while sum(requests for _, requests in board(service)[1].values()) < 20:  # they are noted once a second
        time.sleep(0.05)


@pytest.mark.parametrize("loop", LOOPS)
def test_nobody_waits_for_a_worker_that_is_stopped(run_http, clients, loop):
    """When all workers but one do nothing, all clients are served by that one."""
    service = run_http(f"run(forks=2, {TCP})", loop)
    stopped, other = service.ready(2).values()
    os.kill(stopped, signal.SIGSTOP)
    while psutil.Process(stopped).status() != psutil.STATUS_STOPPED:
        time.sleep(0.001)
    found = [pid for _ in range(8) for pid in clients(service, 8).values()]
    assert set(found) == {other}
    os.kill(stopped, signal.SIGCONT)
    assert service.stop() == 0


@pytest.mark.parametrize("loop", LOOPS)
def test_a_worker_that_ends_gets_no_more(run_http, clients, loop):
    """While one worker drains, the other one takes all that comes; what takes its place then gets its share."""
    service = run_http(BOARD + f"run(board, forks=2, {TCP}, config=AioHttpConfig(linger=1000.0))", loop)
    ending, other = service.ready(2).values()
    held = clients(service, 16)
    os.kill(ending, signal.SIGTERM)
    while board(service)[0] == ending:
        time.sleep(0.01)
    time.sleep(0.1)  # it may still have taken what waited when it was told
    found = clients(service, 16)
    assert set(found.values()) == {other}
    for client, pid in held.items():
        if pid == ending:
            client.close()
    service.await_event("worker ready", 3)
    assert len(set(clients(service, 64).values())) == 2


@pytest.mark.parametrize("loop", LOOPS)
def test_unix_sockets_are_shared_too(run_http, clients, loop, tmp_path):
    """Connections to a unix socket are shared like those to an address."""
    service = run_http(f"run(forks=2, sockets=['unix://{tmp_path}/http.sock'])", loop)
    service.ready(2)
    assert largest(clients(service, 64).values()) <= 58


@pytest.mark.parametrize("loop", LOOPS)
def test_clients_that_close_after_each_request_are_served_by_all(run_http, loop):
    """Clients that make a connection for each request are all answered, and by every worker."""
    service = run_http(f"run(forks=2, {TCP})", loop)
    pids = set(service.ready(2).values())

    def ask(_):
        with service.client(service.address) as client:
            return int(client.get(Connection="close")[2])

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert set(pool.map(ask, range(600))) == pids


# -- what one worker decides


@pytest.fixture
def rows():
    """The rows of three workers that accept connections."""
    board = Board()
    made = [board.take(slot, 0) for slot in range(3)]
    for pid, row in enumerate(made, 1):
        row.pid, row.accepting = pid, 1
    yield made, board
    board.close()


@pytest.fixture
def restraint(rows):
    """The restraint of the first worker; its server has closed nothing yet."""
    (row, *_), board = rows
    return fairness.Restraint(types.SimpleNamespace(peak=0, lost=0), row, board)


@pytest.mark.parametrize(
    ("connections", "leaves"),
    [
        ((0, 0, 0), False),
        ((1, 0, 0), False),
        ((2, 0, 0), True),
        ((2, 0, 5), True),
        ((11, 10, 10), False),
        ((12, 10, 12), True),
        ((107, 100, 100), False),
        ((112, 100, 100), True),
        ((5, 90, 90), False),
    ],
)
def test_a_connection_is_left_to_who_has_less(rows, restraint, connections, leaves):
    """A worker takes two more than the one that has the fewest, or an eighth more, and no more."""
    for row, number in zip(rows[0], connections, strict=True):
        row.connections = number
    assert (restraint.patience() > 0) is leaves


def test_the_more_it_has_the_longer_it_waits(rows, restraint):
    """Patience grows with what a worker has too many, up to a limit."""
    found = []
    for number in (2, 4, 8, 1000):
        rows[0][0].connections = number
        found.append(restraint.patience())
    assert found == [0.005, 0.01, 0.02, fairness.LONGEST]


def test_nothing_is_left_to_who_does_not_come(rows, restraint):
    """Workers that accept nothing, are gone, or have not turned their loop for long do not count."""
    (mine, draining, hung), _ = rows
    mine.connections = 50
    draining.accepting = 0
    assert restraint.patience() > 0
    hung._cells[Cell.BEAT] = time.monotonic_ns() - fairness.SILENT - 1
    assert restraint.patience() == 0
    draining.accepting = 1
    draining.clear()
    assert restraint.patience() == 0


def test_nothing_is_left_to_others_in_vain_for_ever(rows, restraint):
    """When nobody takes what is left to them, the worker takes all for a while; then it tries again."""
    rows[0][0].connections = 50
    restraint.in_vain(fairness.VAIN / 2)
    restraint.helped()
    restraint.in_vain(fairness.VAIN / 2)
    assert restraint.patience() > 0
    restraint.in_vain(fairness.VAIN / 2)
    assert restraint.patience() == 0
    while restraint.patience() == 0:
        time.sleep(0.01)


def test_brief_connections_are_not_left_to_others(rows, restraint):
    """As many connections as a worker had at once lately it takes, if they lasted but for a moment."""
    row = rows[0][0]
    row.connections = 6
    assert restraint.patience() > 0
    restraint.server.peak, restraint.server.lost = 20, 10_000
    while restraint.patience() > 0:
        time.sleep(0.01)
    row.connections = 19
    assert restraint.patience() == 0
    row.connections = 20
    assert restraint.patience() > 0


RESTRAINED = """
async def tell(load: plugin.Loader, ready: plugin.Ready):
    await load(http)
    async def look():
        await ready.wait()
        (site,) = context.get(web.AppRunner).sites
        log.structlog.get_logger().info("looked", restrained=site.acceptor.restraint is not None)
    yield look()
"""


@pytest.mark.parametrize(("accept", "restrained"), [("shared", True), ("slots", False)])
def test_nothing_is_left_to_who_cannot_take_it(run_http, accept, restrained):
    """A queue of its own is served by its worker alone, at once: in every generation."""
    service = run_http(f"{RESTRAINED}run(tell, forks=2, accept='{accept}', {TCP})")
    assert [each["restrained"] for each in service.await_event("looked", 2)] == 2 * [restrained]
    service.kill(signal.SIGHUP)
    assert [each["restrained"] for each in service.await_event("looked", 4)] == 4 * [restrained]
    assert service.stop() == 0
