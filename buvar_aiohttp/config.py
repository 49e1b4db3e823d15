"""The section ``aiohttp`` of the configuration."""

from __future__ import annotations

import logging
import socket
import ssl as tls
import typing as t

import attrs

from buvar import config, context, errors, fork, names
from buvar.forking import uri as uris

from . import networks
from .edges import checks, hosts
from .edges.compression import Compression
from .edges.cors import Cors
from .edges.proxies import X_FORWARDED, Header
from .edges.request_id import RequestIds

SECTION: t.Final = "aiohttp"
ACCESS_LOG: t.Final = "aiohttp.log:access_logger"
_HOSTS: t.Final = checks.each(hosts.is_pattern, hosts.EXPECTED)
_NETWORKS: t.Final = checks.each(networks.is_network, networks.EXPECTED)


@attrs.frozen
class Certificate:
    """What makes the server speak TLS: files in PEM format."""

    #: the file with the certificate and those that it builds on
    cert: str
    #: the file with the private key; by default it is in the first one too
    key: str | None = None
    #: what decrypts the key
    password: str | None = config.secret_var(None)

    def load(self) -> tls.SSLContext:
        """Read the files. Raises `errors.ConfigError` when they cannot be."""
        made = tls.create_default_context(tls.Purpose.CLIENT_AUTH)
        try:
            # without a password OpenSSL would ask for one on the terminal
            made.load_cert_chain(self.cert, self.key, self.password or "")
        except OSError as error:
            files = " and ".join(filter(None, (self.cert, self.key)))
            reason = f"{error.strerror or error}; name a certificate and its private key in PEM format"
            problem = f"cannot use {files}: {reason}"
            raise errors.ConfigError(errors.ConfigProblem(f"{SECTION}.ssl", problem)) from None
        return made


def access_logger(value: logging.Logger | str | bool | None) -> logging.Logger | None:
    """Return the logger that *value* means: True is aiohttp's own, False and None are none, text is a dotted name."""
    if isinstance(value, str):
        value = {"true": True, "false": False}.get(value.lower(), value)
    if value is True:
        value = ACCESS_LOG
    found = names.resolve(value) if isinstance(value, str) else value or None
    if found is not None and not isinstance(found, logging.Logger):
        raise errors.ConversionError(f"a logger, as {ACCESS_LOG!r} names one, or a boolean", repr(value))
    return found


@attrs.define
class AioHttpConfig(config.Config, section=SECTION):
    """Where and how the application is served.

    The server listens on *sock* if there is one, or else on *host* and *port*, or else on the unix socket *path*. Where
    a socket of that address is shared by all workers, it is that one. Without any of them it listens on all shared
    sockets.
    """

    #: the address to listen on; empty: all of IPv4; of a name its first IPv4 address
    host: str | None = None
    #: the port to listen on, 8080 by default, with TLS 8443
    port: int | None = attrs.field(default=None, validator=checks.between(0, 65535))
    #: the file of a unix socket to listen on
    path: str | None = None
    #: a socket: its URI, or the number of its file descriptor
    sock: socket.socket | None = None
    #: seconds that requests in flight may take at stop
    shutdown_timeout: float = attrs.field(default=60.0, validator=checks.between(0))
    #: what to speak TLS with, from code
    ssl_context: tls.SSLContext | None = None
    #: the length of the queue of a socket that is not shared
    backlog: int = attrs.field(default=128, validator=checks.between(1))
    #: whether aiohttp handles INT and TERM in place of the stage: nothing is drained then
    handle_signals: bool = config.bool_var(False)
    #: the dotted name of a logger for requests; true: aiohttp's
    access_log: logging.Logger | None = attrs.field(default=None, converter=access_logger)
    #: seconds that idle connections have at stop to send one more request
    linger: float = attrs.field(default=2.0, validator=checks.between(0))
    #: makes the server speak TLS
    ssl: Certificate | None = None
    #: whether the access log has the queries of requests, in which secrets may be
    access_log_query: bool = config.bool_var(False)
    #: bytes of the longest body that is read as a whole; a longer one is answered 413
    max_body: int = attrs.field(default=1024**2, validator=checks.between(0))
    #: bytes of the longest first line of a request
    max_line_size: int = attrs.field(default=8190, validator=checks.between(1))
    #: bytes of the longest header
    max_field_size: int = attrs.field(default=8190, validator=checks.between(1))
    #: seconds after which a connection without a request is closed; better more than those of a proxy in front of it
    keepalive_timeout: float = attrs.field(default=3630.0, validator=checks.between(0))
    #: seconds that the head of a request may take, and that may pass within its body; 0: any time
    read_timeout: float = attrs.field(default=60.0, validator=checks.between(0))
    #: the hosts that are served, as 'example.org' or '*.example.org'; none: all
    hosts: list[str] = attrs.field(factory=list, validator=_HOSTS)
    #: the networks of proxies that are believed where a request came from
    proxies: list[str] = attrs.field(factory=list, validator=_NETWORKS)
    #: the headers of theirs that are believed: those that each of them sets or removes
    proxy_headers: list[Header] = attrs.field(factory=lambda: list(X_FORWARDED))
    #: which pages of other origins may read responses
    cors: Cors | None = None
    #: which responses are compressed
    compression: Compression | None = None
    #: gives each request an id
    request_id: RequestIds | None = None

    def load_ssl(self) -> tls.SSLContext | None:
        """Return what to speak TLS with, None for plain HTTP. Raises `errors.ConfigError` for bad files."""
        if self.ssl_context is not None or self.ssl is None:
            return self.ssl_context
        return self.ssl.load()


def structure_socket(value: t.Any, _: t.Any = None) -> socket.socket:
    """Make a socket of a socket URI or the number of a file descriptor: the shared one of that address, if there is."""
    if isinstance(value, socket.socket):
        return value
    text = str(value)
    uri = str(uris.parse(f"fd://{text}" if text.isdigit() else text))
    return context.get(fork.Socket, name=uri, default=None) or fork.Socket(text if "://" in text else uri)


def structure_logger(value: t.Any, _: t.Any = None) -> t.Any:
    """Take what `access_logger` makes a logger of, which is called with it later."""
    if value is None or isinstance(value, str | bool | logging.Logger):
        return access_logger(value)
    raise errors.ConversionError("the dotted name of a logger, or a boolean", repr(value))


def structure_ssl_context(value: t.Any, _: t.Any = None) -> tls.SSLContext:
    """Take an SSLContext; a configuration has none, but a table of files."""
    if isinstance(value, tls.SSLContext):
        return value
    expected = "an ssl.SSLContext from code; in a configuration write ssl = {cert = …, key = …}"
    raise errors.ConversionError(expected, repr(value))


config.relaxed_converter.register_structure_hook(socket.socket, structure_socket)
config.relaxed_converter.register_structure_hook(logging.Logger, structure_logger)
config.relaxed_converter.register_structure_hook(tls.SSLContext, structure_ssl_context)
