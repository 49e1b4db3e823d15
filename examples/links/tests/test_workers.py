"""The service with several workers: what is kept when it stops, and when one of them dies."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import os
import signal
import sqlite3
import threading

import pytest

pytestmark = pytest.mark.slow


def in_parallel(service, work, times):
    """Do *work* with a client of its own, *times* times at once, and return the results."""

    def with_client(number):
        with service.client() as client:
            return work(client)

    with concurrent.futures.ThreadPoolExecutor(times) as pool:
        return list(pool.map(with_client, range(times)))


def rows(service, sql):
    with contextlib.closing(sqlite3.connect(service.database)) as database:
        return database.execute(sql).fetchall()


class Load:
    """Clients that make links and follow them until they are told to stop; each loses its connection now and then."""

    def __init__(self, service, clients=4):
        self.service = service
        self.codes = []
        self.followed = 0
        self.sent = 0
        self.strange = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        self.service.wait_until(lambda: len(self.codes) > 20)
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self):
        while not self._over.wait(0.002):
            with contextlib.suppress(OSError, http.client.HTTPException), self.service.client() as client:
                for _ in range(20):
                    self._once(client)

    def _once(self, client):
        made = client.post("https://example.org/")
        if made.status != 201:
            self.strange.append(made)
            return
        self.codes.append(made.json["code"])
        with self._lock:
            self.sent += 1
        found = client.get(f"/{made.json['code']}")
        if found.status != 302:
            self.strange.append(found)
            return
        with self._lock:
            self.followed += 1


def test_data_survives_a_restart(make_service):
    """What was shortened before a stop is found after the next start, with its hits."""
    service = make_service()
    service.start()
    with service.client() as client:
        codes = {client.add(f"https://example.org/{number}"): number for number in range(10)}
        client.get(f"/{min(codes)}")
    assert service.stop() == 0, service.log()
    service.start()
    with service.client() as client:
        for code, number in codes.items():
            assert client.get(f"/links/{code}").json["url"] == f"https://example.org/{number}"
        assert client.hits(min(codes)) == 1
    assert service.stop() == 0, service.log()


def test_data_survives_the_death_of_everything(make_service):
    """When supervisor and workers are killed at once, all links that were answered are there after the next start."""
    service = make_service()
    service.start()
    with Load(service) as load:
        service.kill()
    service.start()
    with service.client() as client:
        assert [code for code in load.codes if client.get(f"/{code}").status != 302] == []
    assert service.stop() == 0, service.log()


def test_the_configuration_of_the_main_job_works(make_service, monkeypatch):
    """The service runs on the config.toml of the repository, and the environment and the command line win over it."""
    service = make_service()
    monkeypatch.setenv("APP_LINKS_CODE_LENGTH", "9")
    bind = f"tcp://127.0.0.1:{service.port}"
    service.start("-c", "config.toml", "--bind", bind, "--set", f"database.path={service.database}")
    assert len(service.pids()) == 2
    with service.client() as client:
        assert len(client.add()) == 9
    assert service.stop() == 0, service.log()
    assert len(rows(service, "SELECT 1 FROM links")) == 1


def test_links_are_made_by_all_workers_at_once(make_service):
    """Links that many clients make at the same time all get a code of their own, and none is lost."""
    service = make_service()
    service.start()
    made = in_parallel(service, lambda client: [client.add() for _ in range(20)], 10)
    codes = {code for each in made for code in each}
    assert len(codes) == 200
    with service.client() as client:
        assert client.get("/links").json["total"] == 200
    assert service.stop() == 0, service.log()
    assert {code for (code,) in rows(service, "SELECT code FROM links")} == codes


def test_hits_of_all_workers_are_counted(make_service):
    """Hits that arrive at different workers come together, and every worker tells of them soon."""
    service = make_service()
    service.start()
    with service.client() as client:
        code = client.add()
    in_parallel(service, lambda client: [client.get(f"/{code}") for _ in range(25)], 8)

    def told_by_all():
        return set(in_parallel(service, lambda client: client.hits(code), 8)) == {200}

    service.wait_until(told_by_all)


def test_a_graceful_stop_loses_no_hit(make_service):
    """Hits that are not written yet when the service is told to stop are written before it ends, without delay."""
    service = make_service(interval=3600.0)
    service.start()
    with service.client() as client:
        code = client.add()
    in_parallel(service, lambda client: [client.get(f"/{code}") for _ in range(25)], 8)
    assert service.stop() == 0, service.log()
    assert rows(service, "SELECT code, count FROM hits") == [(code, 200)]


def test_a_stop_under_load_loses_nothing(make_service):
    """When the service is stopped under load, every link and every redirect that was answered is in the database."""
    service = make_service()
    service.start()
    with Load(service) as load:
        assert service.stop() == 0, service.log()
    assert load.strange == []
    assert set(load.codes) <= {code for (code,) in rows(service, "SELECT code FROM links")}
    ((counted,),) = rows(service, "SELECT sum(count) FROM hits")
    assert load.followed <= counted <= load.sent


def test_a_worker_that_is_killed_takes_no_link_with_it(make_service):
    """When a worker is killed under load, the service goes on, the worker is replaced, and no link is lost."""
    service = make_service()
    service.start()
    with Load(service) as load:
        victim = service.pids()[0]
        before = len(load.codes)
        os.kill(victim, signal.SIGKILL)
        service.wait_until(lambda: len(load.codes) > before + 50)
        service.wait_until(lambda: victim not in service.pids() and len(service.pids()) == 2)
    assert load.strange == []
    with service.client() as client:
        assert [code for code in load.codes if client.get(f"/links/{code}").status != 200] == []
    assert rows(service, "PRAGMA integrity_check") == [("ok",)]
    assert service.stop() == 0, service.log()
    ((counted,),) = rows(service, "SELECT sum(count) FROM hits")
    # a hit is counted at most once; what is missing is what the killed worker had collected
    assert 0 < counted <= load.sent


def test_hits_are_counted_after_a_worker_was_killed(make_service):
    """The workers that are left, and the new one, count every hit."""
    service = make_service()
    service.start()
    with service.client() as client:
        code = client.add()
    victim = service.pids()[0]
    os.kill(victim, signal.SIGKILL)
    service.wait_until(lambda: victim not in service.pids() and len(service.pids()) == 2)
    in_parallel(service, lambda client: [client.get(f"/{code}") for _ in range(10)], 8)
    assert service.stop() == 0, service.log()
    assert rows(service, "SELECT count FROM hits") == [(80,)]


def test_many_workers_make_the_database_together(make_service):
    """Workers that start at the same time on no database at all agree on one, and none of them fails."""
    service = make_service(workers=6)
    service.start()
    service.wait_until(lambda: len(service.pids()) == 6)
    in_parallel(service, lambda client: client.add(), 12)
    assert service.stop() == 0, service.log()
    assert len(rows(service, "SELECT 1 FROM links")) == 12
    assert "locked" not in service.log()


def test_a_busy_database_holds_up_writes_only(make_service):
    """While another process writes for long, links are followed, hits wait, and new links are 503 with Retry-After."""
    service = make_service(workers=1, busy_timeout=0.2, interval=0.05)
    service.start()
    with (
        service.client() as client,
        contextlib.closing(sqlite3.connect(service.database, isolation_level=None)) as other,
    ):
        code = client.add()
        other.execute("BEGIN IMMEDIATE")
        assert [client.get(f"/{code}").status for _ in range(5)] == [302] * 5
        refused = client.post("https://example.org/")
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        service.wait_until(lambda: "hits not written" in service.log())
        assert client.hits(code) == 5
        other.execute("ROLLBACK")
        service.wait_until(lambda: rows(service, "SELECT code, count FROM hits") == [(code, 5)])
        assert client.post("https://example.org/").status == 201


@pytest.mark.parametrize("workers", [1, 2])
def test_a_database_that_cannot_be_opened_is_named(make_service, workers):
    """A service whose database file cannot be one ends at once with code 1, and says which file it is."""
    service = make_service(workers=workers)
    service.database.mkdir(parents=True)
    service.run()
    assert service.process.wait(30) == 1
    assert "links.sqlite3" in service.log()
    assert "section database" in service.log()
    assert "uncaught" not in service.log()
