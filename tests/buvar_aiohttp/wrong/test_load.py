"""Good and bad requests all at once, while a worker is killed, and while the service stops."""

import contextlib
import json
import os
import random
import signal
import threading

import pytest

from tests.buvar_aiohttp.wrong.conftest import request

pytestmark = pytest.mark.slow

JSON = "Content-Type: application/json"
ORDER = b'{"id":%d,"items":[]}'
BAD = [
    (request("/orders", JSON, method="POST", body=b"{"), 400),
    (request("/items/x"), 422),
    (request("/nothing"), 404),
    (request("/bytes", method="POST", body=b"x" * 30_000), 413),
    (request("/fail/error"), 500),
    (b"TEA\r\n\r\n", 400),
]


class Load:
    """Clients that send good and bad requests until nobody accepts connections any more."""

    def __init__(self, service, number=6):
        self.service = service
        self.good = 0
        #: the workers, as far as they are known, whose connections ended before an answer was there
        self.lost = []
        self.strange = []
        self.clients = [threading.Thread(target=self._run, args=(seed,)) for seed in range(number)]

    def __enter__(self):
        for each in self.clients:
            each.start()
        return self

    def __exit__(self, *_):
        for each in self.clients:
            each.join(30)

    def _run(self, seed):
        chance = random.Random(seed)
        with contextlib.suppress(ConnectionRefusedError):
            while True:
                with self.service.connect() as connection:
                    self._talk(connection, chance)

    def _talk(self, connection, chance):
        worker = None
        try:
            connection.send(request("/inside"))
            answer = connection.answer()
            worker = json.loads(answer.body)["pid"]
            for number in range(chance.randrange(1, 30)):
                if answer.closes:
                    return
                if chance.random() < 0.05:
                    connection.send(request("/orders", JSON, method="POST", body=b"{}")[:-1])
                    return connection.reset()
                data, status = request("/orders", JSON, method="POST", body=ORDER % number), 201
                if chance.random() < 0.5:
                    data, status = chance.choice(BAD)
                connection.send(data)
                answer = connection.answer()
                self.good += answer.status == 201
                if answer.status != status or not answer.is_whole:
                    self.strange.append((data, answer))
        except (AssertionError, ConnectionError):
            self.lost.append(worker)


def test_nothing_is_lost_when_a_worker_is_killed_and_when_all_stop(fresh):
    """Only a worker that is killed loses requests; it is replaced, and told to stop all answer what they were asked."""
    service = fresh.service
    with Load(fresh) as load:
        fresh.wait_until(lambda: load.good > 50)
        victim = service.workers()[0]
        os.kill(victim, signal.SIGKILL)
        service.await_event("worker ready", 3)
        seen = load.good
        fresh.wait_until(lambda: load.good > seen + 50)
        service.kill(signal.SIGTERM)
        assert service.wait() == 0
    assert load.strange == []
    assert set(load.lost) <= {victim, None}
    assert len(load.lost) <= len(load.clients)  # each had one connection
    assert victim not in service.workers().values()
    errors = [each for each in service.events("request failed") if each["path"] != "/fail/error"]
    assert errors == []
    assert service.plain == []
