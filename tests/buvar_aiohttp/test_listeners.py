"""Where the server listens: on the shared socket of its address, or else on its own."""

import pathlib

import pytest

pytestmark = pytest.mark.slow


def test_the_shared_socket_of_the_same_address_is_used(run_http, free_port):
    """An address that the supervisor bound is served from its socket, by all workers."""
    service = run_http(f"run(config=AioHttpConfig(host='', port={free_port}), forks=2, sockets=['tcp://:{free_port}'])")
    pids = service.ready(2)
    with service.client(f"tcp://127.0.0.1:{free_port}") as client:
        assert int(client.get()[2]) in pids.values()
    assert service.stop() == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_host_is_found_by_its_name_and_by_its_address(run_http, free_port, host):
    """What is bound to 127.0.0.1 is what localhost means."""
    service = run_http(
        f"run(config=AioHttpConfig({host!r}, {free_port}), forks=2, sockets=['tcp://127.0.0.1:{free_port}'])"
    )
    service.ready(2)
    with service.client() as client:
        assert client.get()[0] == "200"
    assert service.stop() == 0


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_shared_unix_socket_is_used(run_http, tmp_path, loop):
    """A path, also a relative one, is served from the shared socket; its file is gone at the end."""
    service = run_http("run(config=AioHttpConfig(path='a b'), forks=2, sockets=[f'unix://{os.getcwd()}/a b'])", loop)
    service.ready(2)
    with service.client() as client:
        assert client.get()[0] == "200"
    assert service.stop() == 0
    assert not (tmp_path / "a b").exists()


@pytest.mark.parametrize(
    ("config", "loop"),
    [
        ("host='127.0.0.1', port=0", "asyncio"),
        ("port=0", "asyncio"),
        ("port=0", "uvloop"),
        ("host='localhost', port=0", "asyncio"),
        ("host='::1', port=0", "asyncio"),
        ("path='http.sock'", "asyncio"),
        ("path='http.sock'", "uvloop"),
    ],
)
def test_without_a_shared_socket_it_binds_its_own(run_http, tmp_path, config, loop):
    """The server binds what is configured, and leaves no file behind."""
    service = run_http(f"run(config=AioHttpConfig({config}))", loop)
    with service.client() as client:
        assert client.get()[0] == "200"
    assert service.stop() == 0
    assert not (tmp_path / "http.sock").exists()


def test_a_stale_socket_file_is_no_obstacle(run_http, tmp_path):
    """What a killed service left behind is taken over."""
    config = "run(config=AioHttpConfig(path='http.sock'))"
    killed = run_http(config)
    killed.await_event("http server listens")
    killed.stop(9)
    assert (tmp_path / "http.sock").exists()
    service = run_http(config)
    with service.client() as client:
        assert client.get()[0] == "200"
    assert service.stop() == 0
    assert not (tmp_path / "http.sock").exists()


def test_without_an_address_all_shared_sockets_are_served(run_http, tmp_path):
    """Each socket is served once, though that of port 0 has two names."""
    service = run_http(f"run(forks=2, sockets=['tcp://127.0.0.1:0', 'unix://{tmp_path}/http.sock'])")
    service.ready(2)
    listens = [each["address"] for each in service.events("http server listens")]
    assert len(listens) == 2 * 2
    for address in set(listens):
        with service.client(address) as client:
            assert client.get()[0] == "200"
    assert service.stop() == 0


def test_a_given_socket_is_served(run_http):
    """A socket that is given is served, bound by its owner or a socket of ours that nobody has bound."""
    plain = "import socket; given = socket.create_server(('127.0.0.1', 0))\n"
    for made in (plain, "given = fork.Socket('tcp://127.0.0.1:0')\n"):
        service = run_http(made + "run(config=AioHttpConfig(sock=given))")
        with service.client() as client:
            assert client.get()[0] == "200"
        assert service.stop() == 0


def test_the_configuration_names_a_socket(run_http, free_port):
    """In the environment a socket is a URI, or the number of a file descriptor."""
    script = "import socket\nlistener = socket.create_server(('127.0.0.1', 0)); os.dup2(listener.fileno(), 77)\nrun()"
    for sock in (f"tcp://127.0.0.1:{free_port}", "77"):
        service = run_http(script, env={"AIOHTTP_SOCK": sock})
        with service.client() as client:
            assert client.get()[0] == "200"
        assert service.stop() == 0


def test_nothing_to_listen_on_says_what_to_set(run_http):
    """Without an address and without a shared socket the service does not start, and says how to give it one."""
    service = run_http("run()")
    assert service.wait() == 1
    assert not service.events("running tasks")
    assert "set host and port, or path, in [aiohttp]" in service.log


def test_an_address_in_use_is_told(run_http, free_port):
    """An address that another process has ends the service with code 2 and a sentence."""
    first = run_http(f"run(config=AioHttpConfig('127.0.0.1', {free_port}))")
    first.await_event("http server listens")
    second = run_http(f"run(config=AioHttpConfig('127.0.0.1', {free_port}))")
    assert second.wait() == 2
    assert f"cannot listen on tcp://127.0.0.1:{free_port}: the address is in use" in second.log
    assert first.stop() == 0


@pytest.mark.parametrize("config", ["port={port}", "path='http.sock'"])
def test_workers_do_not_compete_for_an_address(run_http, free_port, config):
    """Several workers cannot each bind one address: that is told, with the sockets that they do share."""
    config = config.format(port=free_port)
    service = run_http(f"run(config=AioHttpConfig({config}), forks=2, sockets=['tcp://127.0.0.1:0'])")
    assert service.wait() == 2
    assert (
        "2 workers cannot each bind it; add it to the sockets that they share (now: tcp://127.0.0.1:0)" in service.log
    )


def test_an_unknown_host_is_told(run_http):
    """A host name that does not resolve is one clear sentence."""
    service = run_http("run(config=AioHttpConfig('no.such.host.invalid', 80))")
    assert service.wait() == 2
    assert "cannot listen on tcp://no.such.host.invalid:80: the host is not known" in service.log


def test_a_path_that_is_no_socket_is_left_alone(run_http, tmp_path):
    """A file of the name of the socket is not removed."""
    pathlib.Path(tmp_path / "precious").write_text("data")
    service = run_http("run(config=AioHttpConfig(path='precious'))")
    assert service.wait() == 2
    assert "no socket" in service.log
    assert (tmp_path / "precious").read_text() == "data"
