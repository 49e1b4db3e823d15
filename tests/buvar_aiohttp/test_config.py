"""The section aiohttp: made in code, or of a configuration and the environment."""

import logging
import socket
import ssl

import pytest
from aiohttp.log import access_logger

from buvar import config, context, di, errors, fork
from buvar_aiohttp import AioHttpConfig
from buvar_aiohttp.config import Certificate

pytestmark = pytest.mark.filterwarnings("error")


def load(**section):
    return config.ConfigSource({"aiohttp": section}, env_prefix="APP").load(AioHttpConfig, "aiohttp")


def test_it_is_made_by_position_as_upstreams():
    """Host, port, path and sock come first, in this order, and all have defaults."""
    made = AioHttpConfig("", 5678, "/path", None)
    assert (made.host, made.port, made.path, made.sock) == ("", 5678, "/path", None)
    assert AioHttpConfig() == AioHttpConfig(
        shutdown_timeout=60.0, ssl_context=None, backlog=128, handle_signals=False, access_log=None, linger=2.0
    )


def test_it_is_loaded_from_its_section_and_the_environment(monkeypatch):
    """Each field can be set by a table and by a variable."""
    monkeypatch.setenv("APP_AIOHTTP_PORT", "5678")
    monkeypatch.setenv("APP_AIOHTTP_HANDLE_SIGNALS", "on")
    monkeypatch.setenv("APP_AIOHTTP_ACCESS_LOG", "true")
    monkeypatch.setenv("APP_AIOHTTP_SSL_KEY", "key.pem")
    made = load(host="localhost", port=1, linger=0.5, ssl={"cert": "cert.pem"})
    assert made == AioHttpConfig(
        "localhost",
        5678,
        handle_signals=True,
        access_log=access_logger,
        linger=0.5,
        ssl=Certificate("cert.pem", "key.pem"),
    )


@pytest.mark.parametrize(
    ("value", "logger"),
    [
        (None, None),
        (False, None),
        ("false", None),
        (True, access_logger),
        ("True", access_logger),
        ("aiohttp.log:access_logger", access_logger),
        (access_logger, access_logger),
        (logging.getLogger("mine"), logging.getLogger("mine")),
    ],
)
def test_the_access_log_may_be_given_in_many_ways(value, logger):
    """A logger, its dotted name or a boolean, in code and in a configuration."""
    assert AioHttpConfig(access_log=value).access_log is logger
    assert load(access_log=value).access_log is logger


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ({"access_log": "json:dumps"}, "aiohttp.access_log: expected a logger"),
        ({"access_log": "no.such.module"}, "aiohttp.access_log: "),
        ({"access_log": 3}, "aiohttp.access_log: expected the dotted name of a logger"),
        ({"port": 65536}, "aiohttp.port: 65536 is not between 0 and 65535"),
        ({"port": -1}, "aiohttp.port: "),
        ({"linger": -1.0}, "aiohttp.linger: -1.0 is not at least 0"),
        ({"backlog": 0}, "aiohttp.backlog: "),
        ({"sock": "http://localhost"}, "aiohttp.sock: "),
        ({"sock": "999999"}, "aiohttp.sock: "),
        ({"ssl_context": "yes"}, "aiohttp.ssl_context: expected an ssl.SSLContext from code"),
        ({"prot": 1}, "did you mean 'port'?"),
    ],
)
def test_what_does_not_fit_is_told(section, problem):
    """A wrong value is a ConfigError that names its field."""
    with pytest.raises(errors.ConfigError) as caught:
        load(**section)
    assert problem in str(caught.value)


def test_a_socket_is_made_of_a_uri():
    """In a configuration a socket is a URI; it is not bound yet."""
    with load(sock="tcp://127.0.0.1:0").sock as made:
        assert str(made) == "tcp://127.0.0.1:0"
        assert not made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


def test_a_socket_is_the_shared_one_of_its_uri():
    """The URI, or the file descriptor, of a shared socket means that socket, and none is made."""
    listener = socket.create_server(("127.0.0.1", 0))
    with (
        context.child(),
        fork.Socket("tcp://127.0.0.1:0") as shared,
        fork.Socket(f"fd://{listener.detach()}") as passed,
    ):
        context.add(shared, name=str(shared))
        context.add(passed, name=str(passed))
        assert load(sock="tcp://127.0.0.1:0").sock is shared
        assert load(sock=str(passed.uri.fd)).sock is passed
        assert load(sock=passed.uri.fd).sock is passed


async def test_a_component_goes_before_the_configuration():
    """What a plugin adds is what is injected, whatever the section says."""
    with context.child():
        made = context.add(AioHttpConfig(port=1))
        assert await di.nject(AioHttpConfig) is made


def test_a_ready_made_ssl_context_wins():
    """An SSLContext from code is taken as it is."""
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    assert AioHttpConfig(ssl_context=made, ssl=Certificate("nowhere")).load_ssl() is made
    assert AioHttpConfig().load_ssl() is None


def test_the_password_of_a_key_is_secret():
    """The password of a private key shows nowhere."""
    assert "geheim" not in repr(Certificate("cert.pem", password="geheim"))
