"""Metrics: what Prometheus reads from a real server, alone and in several workers, whatever becomes of them."""

import asyncio
import contextlib
import math
import os
import signal
import subprocess
import sys
import tempfile
import time

import aiohttp
import hypothesis
import prometheus_client.parser
import pytest
from aiohttp import web
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics import parser as openmetrics

from buvar import context, errors, plugin
from buvar.forking.board import Board, State
from buvar_aiohttp import connections
from buvar_aiohttp.metrics import latency, shared
from buvar_aiohttp.metrics.config import MetricsConfig

pytestmark = pytest.mark.slow

PATIENCE = 20.0


class Samples(dict):
    """Samples by name and labels, as a text in the format of Prometheus has them."""

    def __init__(self, text):
        families = prometheus_client.parser.text_string_to_metric_families(text)
        samples = [each for family in families for each in family.samples]
        super().__init__(((each.name, *sorted(each.labels.items())), each.value) for each in samples)
        assert len(self) == len(samples), "no sample is there twice"

    def of(self, name, **labels):
        """Return the one sample of that name and those labels, 0 if there is none."""
        return self.get((name, *sorted(labels.items())), 0.0)

    def labels(self, name, label):
        """Return what a label of a metric is."""
        return {dict(key[1:])[label] for key in self if key[0] == name}

    def sum(self, name, **labels):
        """Return the sum of all samples of that name that have those labels."""
        return sum(value for key, value in self.items() if key[0] == name and labels.items() <= dict(key[1:]).items())


async def scrape(session, **headers):
    async with session.get("/metrics", headers=headers) as response:
        assert response.status == 200
        return Samples(await response.text())


def measured(**config):
    """Return a plugin that serves some routes and measures them."""

    async def prepare(load: plugin.Loader):
        context.add(MetricsConfig(**config))
        await load("buvar_aiohttp.metrics")
        router = context.get(web.Application).router

        async def show(request):
            return web.Response(text="shown")

        async def fail(request):
            raise ValueError("it fails")

        async def break_off(request):
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"x")
            raise ValueError("it fails")

        sub = web.Application()
        sub.router.add_get("/{name}", show)
        router.add_get("/things/{id}", show)
        router.add_post("/things/{id}", show)
        router.add_get("/fail", fail)
        router.add_get("/break", break_off)
        router.add_static("/files", tempfile.gettempdir())
        context.get(web.Application).add_subapp("/sub", sub)

    return prepare


async def test_requests_are_counted_by_method_route_and_status(served):
    """Each is counted once, by the template of its route, its method and the class of its status."""
    async with served(measured()) as session:
        for number in range(3):
            await session.get(f"/things/{number}")
        await session.post("/things/1")
        await session.get("/fail")
        await session.get("/sub/x")
        await session.delete("/things/1")
        samples = await scrape(session)
    name = "http_requests_total"
    assert samples.of(name, method="GET", route="/things/{id}", status="2xx") == 3
    assert samples.of(name, method="POST", route="/things/{id}", status="2xx") == 1
    assert samples.of(name, method="GET", route="/fail", status="5xx") == 1
    assert samples.of(name, method="GET", route="/sub/{name}", status="2xx") == 1
    assert samples.of(name, method="DELETE", route="unmatched", status="4xx") == 1
    assert samples.sum(name) == 7


async def test_latencies_are_a_histogram(served):
    """Each request is in one bucket of the configured bounds, and its time in the sum."""
    async with served(measured(buckets=[0.5, 60.0])) as session:
        await session.get("/things/1")
        samples = await scrape(session)
    labels = {"method": "GET", "route": "/things/{id}", "status": "2xx"}
    name = "http_request_duration_seconds"
    assert samples.labels(f"{name}_bucket", "le") == {"0.5", "60.0", "+Inf"}
    assert samples.of(f"{name}_bucket", le="+Inf", **labels) == samples.of(f"{name}_count", **labels) == 1
    assert 0 < samples.of(f"{name}_sum", **labels) < 60


async def test_clients_cannot_make_labels(served):
    """Whatever paths and methods clients invent, there is one label for what no route matches."""
    async with served(measured()) as session:
        for number in range(50):
            await session.get(f"/nowhere/{number}?x={number}")
            await session.get(f"/things/{number}")
            await session.get(f"/files/{number}")
            await session.request(f"BREW{number}", f"/things/{number}")
        samples = await scrape(session)
    assert samples.labels("http_requests_total", "route") == {"unmatched", "/things/{id}", "/files"}
    assert samples.labels("http_requests_total", "method") == {"GET", "OTHER"}
    assert samples.sum("http_requests_total", route="unmatched", method="GET") == 50
    assert samples.sum("http_requests_total", method="OTHER") == 50


async def test_what_is_no_request_is_counted(served):
    """A line that is no HTTP is answered with 400, and counted as what no route matches."""
    async with served(measured()) as session:
        url = session._base_url
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n")
        assert b" 400 " in await reader.readline()
        writer.close()
        samples = await scrape(session)
    assert samples.sum("http_requests_total", route="unmatched", status="4xx") == 1


async def test_what_breaks_off_has_no_status(served):
    """A response that is not whole, since its handler failed in the middle of it, is none; nothing stays in flight."""
    async with served(measured()) as session:
        with pytest.raises(aiohttp.ClientPayloadError):
            await (await session.get("/break")).read()
        samples = await scrape(session)
    assert samples.of("http_requests_total", method="GET", route="/break", status="none") == 1
    assert samples.of("http_requests_in_flight") == 1


async def test_openmetrics_is_spoken_where_it_is_asked_for(served):
    """The format is what the request accepts; nobody stores the answer."""
    async with served(measured()) as session:
        accept = "application/openmetrics-text;version=1.0.0"
        async with session.get("/metrics", headers={"Accept": accept}) as response:
            assert response.content_type == "application/openmetrics-text"
            assert response.headers["Cache-Control"] == "no-store"
            names = {each.name for each in openmetrics.text_string_to_metric_families(await response.text())}
        assert {"http_request_duration_seconds", "http_requests_in_flight", "http_connections"} <= names
        async with session.get("/metrics") as response:
            assert response.content_type == "text/plain"
        assert (await session.head("/metrics")).status == 200


async def test_what_is_going_on_is_a_gauge(served):
    """The request that reads is in flight, on a connection that is open; nothing else is."""
    async with served(measured()) as session:
        samples = await scrape(session)
    assert samples.of("http_requests_in_flight") == 1
    assert samples.of("http_connections") == 1
    assert samples.of("process_resident_memory_bytes") > 0


@pytest.mark.parametrize(
    ("config", "headers", "status"),
    [
        ({}, {}, 200),
        ({"networks": ["127.0.0.1"]}, {}, 200),
        ({"networks": ["10.0.0.0/8", "::1", "unix"]}, {}, 404),
        ({"networks": []}, {}, 404),
        ({}, {"X-Forwarded-For": "127.0.0.1"}, 404),
        ({}, {"Forwarded": "for=127.0.0.1"}, 404),
        ({"proxied": True}, {"X-Forwarded-For": "203.0.113.1"}, 200),
        ({"proxied": True, "networks": ["10.0.0.0/8"]}, {"X-Forwarded-For": "10.0.0.1"}, 404),
    ],
)
async def test_who_may_not_read_gets_a_404(served, config, headers, status):
    """Those read who connect from the networks; what came through a proxy is refused unless it is wanted."""
    async with served(measured(**config)) as session:
        assert (await session.get("/metrics", headers=headers)).status == status
        for method in ("POST", "OPTIONS"):
            found = await session.request(method, "/metrics", headers=headers)
            assert found.status == (405 if status == 200 else 404), method


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"path": "metrics"}, "is no path"),
        ({"path": "/{x}"}, "is no path"),
        ({"networks": ["10.0.0.1/8"]}, "is no network as '10.0.0.0/8'"),
        ({"networks": ["localhost"]}, "is no network"),
        ({"buckets": []}, "are no bounds"),
        ({"buckets": [1.0, 0.5]}, "are no bounds"),
        ({"buckets": [0.0, math.inf]}, "are no bounds"),
        ({"folder": "/no/such/folder"}, "is no folder"),
    ],
)
def test_what_cannot_be_is_refused(config, said):
    """A path, networks, bounds or a folder that are none are errors that say so."""
    with pytest.raises(ValueError, match=said):
        MetricsConfig(**config)


async def test_without_the_plugin_nothing_is_measured(served):
    """Connections are those of the server itself, so that requests cost what they cost without metrics."""
    kinds = set()

    async def prepare(load: plugin.Loader):
        await load("buvar_aiohttp")

        async def show(request):
            kinds.add(type(request.protocol))
            return web.Response()

        context.get(web.Application).router.add_get("/", show)

    async with served(prepare) as session:
        await session.get("/")
    assert kinds == {connections.Connection}


@hypothesis.given(
    st.lists(st.floats(0, 20) | st.sampled_from([0.5, 1.0, 2.0])), st.sampled_from([[1.0], [0.5, 1.0, 2.0]])
)
def test_a_shared_histogram_is_what_a_histogram_is(seconds, buckets):
    """Whatever is observed, and though the writer was replaced in between: the buckets and the sum are the same."""
    registry = CollectorRegistry()
    own = latency.alone(buckets, registry)("GET", "/", "2xx")
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/histogram_0-http.db"
        half = len(seconds) // 2
        for part in (seconds[:half], seconds[half:]):
            with contextlib.closing(latency.open_file(path)) as file:
                observe = latency.shared(buckets, file)("GET", "/", "2xx")
                for each in part:
                    own(each)
                    observe(each)
        merged = [*MultiProcessCollector.merge([path])]
    expected = [each for metric in registry.collect() for each in metric.samples if not each.name.endswith("_created")]
    found = {(each.name, *sorted(each.labels.items())): each.value for metric in merged for each in metric.samples}
    assert found == {(each.name, *sorted(each.labels.items())): each.value for each in expected}


# -- several workers

SHOP = """
import pathlib
from prometheus_client import REGISTRY, Counter, Enum, Gauge, Histogram, Info, Summary
from buvar_aiohttp.metrics.config import MetricsConfig

# as plugins do it: when they are imported, before anybody has heard of workers
ORDERS = Counter("orders", "Orders.", ["kind"])
SIZE = Histogram("size", "Sizes.", buckets=[1, 10])
WEIGHT = Summary("weight", "Weights.")
STOCK = Gauge("stock", "Stock of each worker.")
POOL = Gauge("pool", "Connections of all workers.", multiprocess_mode="livesum")
POOL.set_function(lambda: 3)
OPEN = Gauge("open_orders", "Orders that nobody has closed.", ["kind"], multiprocess_mode="livesum")
BUILD = Info("build", "The build.")
BUILD.info({"version": "1"})
MOOD = Enum("mood", "The mood.", states=["good", "bad"])

async def order(request):
    ORDERS.labels("tea").inc()
    OPEN.labels("tea").inc()
    return web.Response(text=str(os.getpid()))

async def shop(load: plugin.Loader):
    context.add(MetricsConfig(folder="."))
    ORDERS.labels("early").inc(2)
    SIZE.observe(5)
    WEIGHT.observe(7)
    STOCK.set(11)
    await load(http, "buvar_aiohttp.metrics")
    context.get(web.Application).router.add_get("/order/{number}", order)

"""
TWO = f"{SHOP}\nrun(shop, forks=2, sockets=['tcp://127.0.0.1:0'])"


def read(service):
    """Return the metrics, from whichever worker of a service answers."""
    with service.client() as client:
        return read_from(client)


def read_from(client):
    """Return the metrics, from the worker that a client is connected to."""
    status, _, body = client.get("/metrics")
    assert status == "200", body
    return Samples(body)


def order(service, number):
    """Make requests, each on a connection of its own, and return the pids of the workers that answered."""
    pids = set()
    for each in range(number):
        with service.client() as client:
            pids.add(int(client.get(f"/order/{each}")[2]))
    return pids


def read_until(source, condition):
    """Read the metrics of a service, or from a client, until *condition* holds for them, and return them."""
    deadline = time.monotonic() + PATIENCE
    while not condition(samples := read_from(source) if hasattr(source, "receive") else read(source)):
        assert time.monotonic() < deadline, dict(samples)
        time.sleep(0.05)
    return samples


LABELS = {"method": "GET", "route": "/order/{number}", "status": "2xx"}


def answered(samples):
    """Return how many orders were answered; who got the last answer may ask before that is counted."""
    return samples.of("http_requests_total", **LABELS)


def test_whoever_answers_tells_of_all_workers(run_http):
    """Counts are sums over the workers, and each worker says the same."""
    service = run_http(TWO)
    workers = set(service.ready(2).values())
    asked, pids = 0, set()
    while pids != workers:
        pids |= order(service, 10)
        asked += 10
    read_until(service, lambda samples: answered(samples) == asked)
    for _ in range(6):
        samples = read(service)
        assert answered(samples) == asked
        assert samples.of("http_request_duration_seconds_count", **LABELS) == asked
        assert samples.of("orders_total", kind="tea") == asked
        assert samples.of("buvar_workers", state="ready") == 2
        assert samples.labels("process_resident_memory_bytes", "pid") == {str(each) for each in workers}
        assert samples.labels("process_cpu_seconds_total", "slot") == {"0", "1"}
    assert service.stop() == 0


def test_metrics_that_were_made_early_are_shared_too(run_http):
    """What a plugin has made and counted before the metrics were loaded counts, in each worker."""
    service = run_http(TWO)
    workers = {str(each) for each in service.ready(2).values()}
    samples = read_until(service, lambda samples: samples.of("pool") == 6)
    assert samples.of("orders_total", kind="early") == 4
    assert samples.of("size_bucket", le="10.0") == 2
    assert samples.of("size_sum") == 10
    assert (samples.of("weight_count"), samples.of("weight_sum")) == (2, 14)
    assert samples.labels("stock", "pid") == workers
    assert samples.sum("stock") == 22
    assert samples.of("build_info", version="1") == 1
    (line,) = service.events("metrics that workers cannot share are left out")
    assert line["collectors"] == ["Enum mood"]
    assert service.stop() == 0


def test_a_killed_worker_takes_no_count_with_it(run_http):
    """Counters never go down, and of gauges only those remain that live workers have."""
    service = run_http(TWO)
    workers = service.ready(2)
    asked, pids = 0, set()
    while pids != set(workers.values()):
        pids |= order(service, 10)
        asked += 10
    for slot in (0, 1, 0):
        before = read_until(service, lambda samples: answered(samples) == asked)
        old = service.workers()[slot]
        os.kill(old, signal.SIGKILL)
        service.await_event("worker died, replacing it", worker=old)
        after = read(service)
        assert all(after[key] >= before[key] for key in before if is_count(key[0]))
        ready = {str(each) for each in service.await_crew(2).values()}
        samples = read_until(service, lambda samples, ready=ready: samples.labels("stock", "pid") == ready)
        assert answered(samples) == asked
        assert samples.labels("process_open_fds", "pid") == ready
        read_until(service, lambda samples: samples.of("pool") == 6)
    assert read(service).sum("open_orders") == 0  # those who had taken them are gone
    assert service.stop() == 0


def is_count(name):
    """Tell whether a metric counts, over all workers."""
    return name.endswith(("_total", "_count", "_bucket")) and not name.startswith("process_")


def test_a_reload_keeps_the_counts(run_http, tmp_path):
    """A new generation goes on where the old one was, and the old one's gauges go with it."""
    service = run_http(TWO)
    old = set(service.ready(2).values())
    order(service, 10)
    service.kill(signal.SIGHUP)
    service.await_event("reloaded")
    new = set(service.await_crew(2).values())
    assert not new & old
    order(service, 10)
    samples = read_until(service, lambda samples: samples.of("pool") == 6 and answered(samples) == 20)
    assert samples.labels("stock", "pid") == {str(each) for each in new}
    assert len(list(tmp_path.glob("buvar-metrics-*"))) == 1
    assert service.stop() == 0


def test_requests_in_flight_are_those_of_all_workers(run_http):
    """A request that a worker still handles is told by its siblings, and forgotten when that worker is killed."""
    service = run_http(TWO)
    service.ready(2)
    with service.client() as client, sibling(service, victim := int(client.get("/")[2])) as other:
        client.send("/sleep/30")
        service.await_event("sleeping")
        read_until(other, lambda samples: samples.of("http_requests_in_flight") == 2)
        os.kill(victim, signal.SIGKILL)
        read_until(other, lambda samples: samples.of("http_requests_in_flight") == 1)
    assert service.stop() == 0


def sibling(service, pid):
    """Return a connection to a worker other than that of *pid*."""
    deadline = time.monotonic() + PATIENCE
    while int((client := service.client()).get("/")[2]) == pid:
        client.close()
        assert time.monotonic() < deadline, "it has no sibling"
    return client


def test_the_folder_goes_with_the_service(run_http, tmp_path):
    """A service that stops leaves nothing, and what one left that was killed goes when the next one starts."""
    service = run_http(TWO)
    service.ready(2)
    (left,) = tmp_path.glob("buvar-metrics-*")
    assert left.stat().st_mode & 0o777 == 0o700
    service.kill_group(signal.SIGKILL)
    service.wait()
    service.await_nobody_left()
    assert left.exists()
    service = run_http(TWO)
    service.ready(2)
    assert not left.exists()
    assert order(service, 1)
    read_until(service, lambda samples: answered(samples) == 1)
    assert service.stop() == 0
    assert list(tmp_path.glob("buvar-metrics-*")) == []


def test_two_services_share_nothing(run_http, tmp_path):
    """Each supervisor has a folder of its own, and the start of one leaves the other's alone."""
    one, two = run_http(TWO), run_http(TWO)
    one.ready(2)
    two.ready(2)
    order(one, 3)
    assert len(list(tmp_path.glob("buvar-metrics-*"))) == 2
    read_until(one, lambda samples: answered(samples) == 3)
    assert answered(read(two)) == 0
    assert (one.stop(), two.stop()) == (0, 0)


def test_a_process_that_a_worker_forks_counts_apart(run_http):
    """What it counts is added, and what its worker counts meanwhile is not lost."""
    script = f"""{SHOP}
async def forking(load: plugin.Loader):
    await load(shop)
    ORDERS.labels("tea").inc()
    if not (pid := os.fork()):
        ORDERS.labels("tea").inc(10)
        os._exit(0)
    os.waitpid(pid, 0)
    ORDERS.labels("tea").inc()

run(forking, forks=1, supervise=True, sockets=['tcp://127.0.0.1:0'])
"""
    service = run_http(script)
    service.ready(1)
    assert read(service).of("orders_total", kind="tea") == 12
    assert service.stop() == 0


def test_the_variable_of_the_library_names_the_folder(run_http, tmp_path):
    """With PROMETHEUS_MULTIPROC_DIR, and no folder in the configuration, values are below that."""
    (tmp_path / "values").mkdir()
    script = TWO.replace('MetricsConfig(folder=".")', "MetricsConfig()")
    service = run_http(script, env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "values")})
    service.ready(2)
    order(service, 4)
    assert read(service).of("orders_total", kind="tea") == 4
    assert len(list((tmp_path / "values").glob("buvar-metrics-*"))) == 1
    assert service.stop() == 0


def test_a_unix_socket_is_read_where_that_is_allowed(run_http, tmp_path):
    """Who connects to a unix socket has no address: the word "unix" admits them."""
    script = SHOP.replace(
        'MetricsConfig(folder=".")', 'MetricsConfig(folder=".", networks=[*os.environ["WHO"].split()])'
    )
    for who, status in (("unix", "200"), ("127.0.0.1", "404")):
        address = f"unix://{tmp_path}/{who}.sock"
        service = run_http(f"{script}\nrun(shop, forks=2, sockets=[{address!r}])", env={"WHO": who})
        service.ready(2)
        with service.client(address) as client:
            assert client.get("/metrics")[0] == status
        assert service.stop() == 0


@pytest.fixture
def worker():
    """A row of a board, as a worker has it, and the board."""
    board = Board()
    row = board.take(0, 1)
    yield row, board
    board.close()


def test_a_folder_that_is_not_ones_own_is_refused(tmp_path, worker):
    """Where somebody has put a file or a link in its place, the start ends with an error that names it."""
    row, board = worker
    (tmp_path / "elsewhere").mkdir()
    found = shared.Shared.of(tmp_path, os.getpid(), row, board)
    found.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(errors.ConfigError, match=r"cannot use the folder .*buvar-metrics-.* this user's own"):
        found.enter()
    found.path.unlink()
    found.path.touch()
    with pytest.raises(errors.ConfigError, match=r"cannot use the folder .*buvar-metrics-.*File exists"):
        found.enter()


def test_only_what_nobody_needs_is_removed_at_the_start(tmp_path, worker):
    """A folder goes if its supervisor is gone and no worker has it open; what is not of its kind stays."""
    row, board = worker
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    gone = process.pid
    free, used, lives, strange = (
        tmp_path / name
        for name in (
            f"buvar-metrics-{gone}-1",
            f"buvar-metrics-{gone}-2",
            f"buvar-metrics-{os.getpid()}-3",
            "buvar-x-1",
        )
    )
    for each in (free, lives, strange):
        each.mkdir()
    orphan = shared.Shared(used, row, board)
    orphan.enter()
    found = shared.Shared.of(tmp_path, os.getpid(), row, board)
    found.enter()
    assert set(tmp_path.iterdir()) == {used, lives, strange, found.path}
    row.state = State.STOPPING
    found.leave()
    assert set(tmp_path.iterdir()) == {used, lives, strange}
    orphan.leave()
    assert set(tmp_path.iterdir()) == {lives, strange}


def test_a_worker_that_will_be_replaced_leaves_its_counts(tmp_path, worker):
    """One that ends though nobody has told it to takes its gauges with it, and nothing else."""
    row, board = worker
    found = shared.Shared.of(tmp_path, os.getpid(), row, board)
    found.enter()
    for name in ("counter_0.db", "gauge_all_0.db", "gauge_livesum_0.db", "gauge_all_10.db"):
        (found.path / name).touch()
    found.leave()
    assert {each.name for each in found.path.iterdir()} == {"counter_0.db", "gauge_all_10.db"}
