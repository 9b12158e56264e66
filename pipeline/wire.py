"""HTTP to one S3: signed requests over kept-alive connections, one attempt each.

Nothing comes from the environment. This is the standard library's client and not an SDK: SDKs read
dozens of variables and files by themselves, follow redirects and take proxies. Each of these can
send data to a server that the user did not name. Here a request goes to the server of the settings,
or to their proxy, and nowhere else: a redirect is an answer like any other.

Safe to share between threads: a connection that carries no request waits for the next one. If the
settings say so, a connection is kept for the requests to one bucket.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import re
import select
import socket
import ssl
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import lru_cache
from urllib.parse import quote, unquote, urlsplit

from pipeline.exchange import Answer, exchange
from pipeline.ports import Unavailable
from pipeline.settings import Settings, SettingsError
from pipeline.signature import signed

CONNECT_TIMEOUT_S = 5
MOST_IDLE = 256
"""Most connections that wait for a request."""
_NOTHING = hashlib.sha256(b"").hexdigest()
_SAFE = "/-_.~"  # S3 wants every other byte of a key encoded
_PLAIN = re.compile(r"[A-Za-z0-9._~-]*").fullmatch
Dial = Callable[[tuple[str, int], float], socket.socket]
"""Open a TCP connection to (host, port) within the given seconds. Raise OSError."""


class Wire:
    """Requests to the S3 of the settings.

    timeout_s: bound on one request, from its first byte to its last. dial: opens connections
    without TLS.
    """

    def __init__(
        self, settings: Settings, timeout_s: float, dial: Dial = socket.create_connection
    ) -> None:
        """Load the certificates that an https server needs. Raise SettingsError."""
        self.settings = settings
        self._timeout_s, self._dial = timeout_s, dial
        self._idle: defaultdict[str, list[socket.socket]] = defaultdict(list)
        self._context = tls(settings) if settings.server.scheme == "https" else None

    def ask(
        self,
        method: str,
        bucket: str,
        key: str = "",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """Send one request and return its answer, whatever its status.

        Raises Unavailable, SettingsError.
        """
        server = self.settings.server
        path = f"/{bucket}" + (f"/{_quoted(key)}" if key else "")
        encoded = _encoded(query or {})
        digest = hashlib.sha256(body) if body else None
        sent = {"host": server.netloc, **(headers or {})}
        if digest is not None:  # S3 refuses a body that changed in transit
            sent["x-amz-checksum-sha256"] = base64.b64encode(digest.digest()).decode()
        body_sha256 = _NOTHING if digest is None else digest.hexdigest()
        s = self.settings
        sent = signed(method, path, encoded, sent, body_sha256, s.region, s.credentials)
        if method == "PUT":
            sent["content-length"] = str(len(body))
        target = path + (f"?{encoded}" if encoded else "")
        try:
            return self._exchange(bucket if s.by_bucket else "", method, target, sent, body)
        except ssl.SSLCertVerificationError as error:
            raise SettingsError(
                f"{server.url}: its certificate is not trusted ({error.verify_message}); "
                "name the file of its authority with AWS_CA_BUNDLE"
            ) from error
        except TimeoutError as error:
            raise Unavailable(
                f"no answer from {server.url} within {self._timeout_s:g} s"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(f"no answer from {server.url} ({reason[:200]})") from error

    def _exchange(
        self, place: str, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        if self.settings.proxy is not None and self._context is None:
            target, headers = (
                self.settings.server.url + target,
                {**headers, **_proxy_login(self.settings.proxy)},
            )
        idle, sock = self._idle[place], self._connection(place)
        stays = False
        try:
            answer, stays = exchange(sock, method, target, headers, body)
            return answer
        finally:  # after an error, the rest must not be read as the next answer
            if stays and sum(map(len, list(self._idle.values()))) < MOST_IDLE:
                idle.append(sock)
            else:
                sock.close()

    def _connection(self, place: str) -> socket.socket:
        idle = self._idle[place]
        with contextlib.suppress(IndexError):
            while True:
                sock = idle.pop()
                if not _was_closed(sock):
                    return sock
                sock.close()
        return self._opened()

    def _opened(self) -> socket.socket:
        """Open a connection to the server, or to the proxy of the settings."""
        server, proxy = self.settings.server, self.settings.proxy
        via = urlsplit(proxy) if proxy is not None else None
        host, port = (
            (server.host, server.port) if via is None else (via.hostname or "", via.port or 80)
        )
        connect_s = min(CONNECT_TIMEOUT_S, self._timeout_s)
        if self._context is None:
            sock = self._dial((host, port), connect_s)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            connection = http.client.HTTPSConnection(
                host, port, timeout=connect_s, context=self._context
            )
            if proxy is not None:
                connection.set_tunnel(server.host, server.port, _proxy_login(proxy))
            connection.connect()
            sock = connection.sock
        sock.settimeout(self._timeout_s)
        return sock


def tls(settings: Settings) -> ssl.SSLContext:
    """Return a TLS context that trusts only the settings' CA bundle. Raise SettingsError."""
    path = ca_bundle(settings)
    # create_default_context would write keys to SSLKEYLOGFILE
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(path)
        return context
    except OSError as error:  # SSLError is a subclass
        raise SettingsError(
            f"AWS_CA_BUNDLE: {path!r} has no readable PEM certificates: {error}"
        ) from None


def ca_bundle(settings: Settings) -> str:
    """Return the path of the trusted certificates: the user's, else botocore's."""
    if settings.ca_bundle is not None:
        return settings.ca_bundle
    from botocore.httpsession import get_cert_path

    return str(get_cert_path(True))


@lru_cache(maxsize=64)
def _proxy_login(proxy: str) -> dict[str, str]:
    parts = urlsplit(proxy)
    if parts.username is None:
        return {}
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Proxy-Authorization": "Basic " + base64.b64encode(login.encode()).decode()}


def _quoted(key: str) -> str:
    """Return a key as S3 wants it in a path. Keys of a lake share few folders."""
    folder, slash, name = key.rpartition("/")
    return _quoted_folder(folder) + slash + (name if _PLAIN(name) else quote(name, safe=_SAFE))


@lru_cache(maxsize=1024)
def _quoted_folder(folder: str) -> str:
    return quote(folder, safe=_SAFE)


def _encoded(query: Mapping[str, str]) -> str:
    pairs = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in query.items()
    )
    return "&".join(f"{name}={value}" for name, value in pairs)


def _was_closed(sock: socket.socket) -> bool:
    """Return True if an idle connection holds anything to read: its end, or unrequested bytes."""
    waiting = select.poll()
    waiting.register(sock, select.POLLIN)
    return bool(waiting.poll(0))
