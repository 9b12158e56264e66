"""Endpoint URLs, `http://HOST[:PORT]` or `https://HOST[:PORT]`, with one parser for every command.

An endpoint appears in logs, reports, replay lines and process lists, so it carries no secret. User
name, password, query and fragment are refused, and the refusal repeats none of them. A host has one
spelling: some libraries read `127.1`, `2130706433` and `localhost.` as this machine and others do
not, so these are refused.

Not covered: names that DNS resolves to this machine. They count as remote.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from dataclasses import dataclass

EXAMPLE = "write for example http://127.0.0.1:4566"
PORTS = {"http": 80, "https": 443}
_SECRET = {"@": "a user name or password", "?": "a query", "#": "a fragment"}
_URL = re.compile(
    r"(https?)://(\[[0-9a-f:.]+\]|[0-9a-z.-]+)(?::([0-9]{1,5}))?/?", re.IGNORECASE | re.ASCII
)
_LABEL = re.compile(r"(?!-)[0-9a-z-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_SHOWN = 120


@dataclass(frozen=True)
class Endpoint:
    """One server: `scheme` http or https, `host` in lower case, no brackets, `port` 1 to 65535."""

    scheme: str
    host: str
    port: int
    url: str

    @property
    def loopback(self) -> bool:
        """True for an endpoint on this machine."""
        if self.host == "localhost":
            return True
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return False

    @property
    def netloc(self) -> str:
        """Host and port in the form of a Host header."""
        return self.url.partition("://")[2]


def parse(text: str) -> Endpoint:
    """Parse an endpoint URL. Raise ValueError, whose text shows no password."""
    for sign, meaning in _SECRET.items():
        if sign in text:
            raise ValueError(
                f"an endpoint URL must not carry {meaning} (it has a {sign!r}): "
                "give scheme, host and port only, and credentials by "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE"
            )
    shown = repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.lower() not in PORTS or not rest.strip("/"):
        raise ValueError(f"{shown} is not a URL; {EXAMPLE}")
    found = _URL.fullmatch(text)
    if found is None:
        raise ValueError(f"{shown} is not an endpoint URL of scheme, host and port only; {EXAMPLE}")
    scheme, host = found[1].lower(), found[2].lower().strip("[]")
    if not _is_host(host, bracketed=found[2].startswith("[")):
        raise ValueError(f"{shown} does not name a host in its plain spelling; {EXAMPLE}")
    port = int(found[3]) if found[3] else PORTS[scheme]
    if not 1 <= port <= 65535:
        raise ValueError(f"{shown}: {port} is not a port; give one from 1 to 65535")
    place = f"[{host}]" if ":" in host else host
    return Endpoint(scheme, host, port, f"{scheme}://{place}" + (f":{port}" if found[3] else ""))


def _is_host(host: str, bracketed: bool) -> bool:
    """Return True for a name, a decimal IPv4 address or a bracketed IPv6 address.

    An IPv4 address in the form of IPv6 is refused: Python 3.13 spells it otherwise than 3.11 and
    takes it for loopback, which 3.11 does not.
    """
    try:
        if bracketed:
            address = ipaddress.IPv6Address(host)
            return address.ipv4_mapped is None and str(address) == host
        labels = host.split(".")
        if _NUMBER.fullmatch(labels[-1]):
            return str(ipaddress.IPv4Address(host)) == host
    except ValueError:
        return False
    return len(host) <= 253 and all(_LABEL.fullmatch(label) for label in labels)
