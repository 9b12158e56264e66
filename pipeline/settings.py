"""Settings of an S3 client, read once from the environment into one immutable value.

A user's settings, the same for every command and every client:

    endpoint       AWS_ENDPOINT_URL_S3, else AWS_ENDPOINT_URL; `--endpoint-url` comes before both
    region         AWS_REGION, else AWS_DEFAULT_REGION, else that of `buckets.json`
    credentials    AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, optionally AWS_SESSION_TOKEN
    profile        AWS_PROFILE, if no key is set. Its keys are read from
                   AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE (`~/.aws/credentials`,
                   `~/.aws/config`). Without keys and AWS_PROFILE, a remote endpoint uses the
                   profile `default`.
    CA bundle      AWS_CA_BUNDLE, for https
    proxies        HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY in upper or lower case, for an
                   endpoint that is not on this machine

A store on this machine needs no credentials (test/test) and never has a proxy. A store that
windfleet itself started (`own`) takes nothing from the environment.

Not covered, on purpose: roles, SSO, credential processes, container and instance metadata.
Credentials are never requested over the network.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from pipeline import endpoint
from pipeline.endpoint import Endpoint
from pipeline.ports import Refused

ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
DEFAULT_REGION: str = json.loads(
    Path(__file__).with_name("buckets.json").read_text(encoding="utf-8")
)["region"]
KEY, SECRET, TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
_FILES = (
    ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials", ""),
    ("AWS_CONFIG_FILE", "~/.aws/config", "profile "),
)
_FIX = f"set {KEY} and {SECRET}, or AWS_PROFILE for a profile that holds keys"


class SettingsError(Refused):
    """An environment that does not define a store.

    The text names the variable and the fix, and no secret.
    """


@dataclass(frozen=True)
class Credentials:
    """Keys that sign requests. Not shown by repr."""

    key: str = field(repr=False)
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Settings:
    """One S3.

    named: the endpoint as given, None for AWS itself. proxy: of HTTP, only for a remote endpoint.
    own: a server that windfleet started; no variable of the user applies to it.
    by_bucket: a connection serves one bucket best, as behind it a process does.
    """

    server: Endpoint
    region: str
    credentials: Credentials
    named: str | None = None
    ca_bundle: str | None = None
    proxy: str | None = field(default=None, repr=False)
    own: bool = False
    by_bucket: bool = False

    @property
    def place(self) -> str:
        """The endpoint in messages."""
        return self.named or "AWS S3"

    def behind(self, url: str) -> Settings:
        """Return the same S3 behind a proxy of windfleet on this machine. Raise SettingsError."""
        return replace(self, server=parsed(url), named=url, proxy=None)


Place = Settings | str | None
"""Settings, or the endpoint URL for which to read them. None: AWS itself."""
TEST = Credentials("test", "test")


def settings(place: Place, own: bool = False, by_bucket: bool = False) -> Settings:
    """Read a place's settings from the environment. Raise SettingsError."""
    if isinstance(place, Settings):
        return place
    environment = {} if own else {name: value for name, value in os.environ.items() if value}
    region = _region(environment)
    named = None if place is None else parsed(place)
    server = named or endpoint.parse(f"https://s3.{region}.amazonaws.com")
    return Settings(
        server=server,
        region=region,
        credentials=TEST if own else _credentials(environment, server),
        named=None if named is None else named.url,
        ca_bundle=_ca_bundle(environment) if server.scheme == "https" else None,
        proxy=None if server.loopback else _proxy(server),
        own=own,
        by_bucket=by_bucket,
    )


def parsed(url: str) -> Endpoint:
    """Parse an endpoint URL. Raise SettingsError."""
    try:
        return endpoint.parse(url)
    except ValueError as error:
        raise SettingsError(str(error)) from None


def endpoint_of_environment() -> str | None:
    """Return the endpoint URL of the AWS variables, None if none is set. Raise SettingsError."""
    for name in ENDPOINTS:
        if named := os.environ.get(name):
            try:
                return endpoint.parse(named).url
            except ValueError as error:
                raise SettingsError(f"{name}: {error}") from None
    return None


def _region(environment: Mapping[str, str]) -> str:
    for name in REGIONS:
        if region := environment.get(name):
            if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", region, re.ASCII) or len(region) > 63:
                raise SettingsError(
                    f"{name}: {region!r} is not a region; write for example {DEFAULT_REGION}"
                )
            return region
    return DEFAULT_REGION


def _ca_bundle(environment: Mapping[str, str]) -> str | None:
    path = environment.get("AWS_CA_BUNDLE")
    if path is not None and not os.path.isfile(path):
        raise SettingsError(
            f"AWS_CA_BUNDLE: {path!r} is not a file; name a file of PEM certificates, or unset it"
        )
    return path


def _proxy(server: Endpoint) -> str | None:
    """Return the proxy that the user's variables set for a remote server."""
    found = urllib.request.getproxies_environment()
    if urllib.request.proxy_bypass(f"{server.host}:{server.port}"):
        return None
    proxy = found.get(server.scheme) or found.get("all")
    if proxy is None:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(proxy)
        usable = parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise SettingsError(
            f"the proxy variables name no http://HOST:PORT for {server.url}: correct or unset them"
        )
    return proxy


def _credentials(environment: Mapping[str, str], server: Endpoint) -> Credentials:
    key, secret = environment.get(KEY), environment.get(SECRET)
    if key and secret:
        return _usable({KEY: key, SECRET: secret, TOKEN: environment.get(TOKEN)}, "")
    if key or secret:
        there, absent = (KEY, SECRET) if key else (SECRET, KEY)
        raise SettingsError(f"{there} is set without {absent}: set both, or none")
    if profile := environment.get("AWS_PROFILE"):
        return _of_profile(environment, profile)
    if server.loopback:
        return TEST
    try:
        return _of_profile(environment, "default")
    except SettingsError as error:
        raise SettingsError(f"no credentials for {server.url}: {_FIX} ({error})") from None


def _of_profile(environment: Mapping[str, str], profile: str) -> Credentials:
    known = False
    files = []
    for variable, usual, prefix in _FILES:
        path = _path(variable, environment.get(variable) or usual)
        files.append(str(path))
        sections = _sections(path)
        name = profile if profile == "default" and profile in sections else prefix + profile
        if name not in sections:
            continue
        known, section = True, sections[name]
        found = {
            field: section.get(field) or None
            for field in (KEY.lower(), SECRET.lower(), TOKEN.lower())
        }
        if found[KEY.lower()] and found[SECRET.lower()]:
            return _usable(found, f" of profile {profile!r} in {path}")
    if not known:
        raise SettingsError(f"profile {profile!r} is in neither {' nor '.join(files)}")
    raise SettingsError(
        f"profile {profile!r} holds no aws_access_key_id and aws_secret_access_key; "
        "windfleet reads keys only. For a role or SSO: "
        f"eval \"$(aws configure export-credentials --profile '{profile}' --format env)\""
    )


def _usable(found: Mapping[str, str | None], place: str) -> Credentials:
    """Return key, secret and token, in this order.

    Raises SettingsError for a value that cannot be sent; its text shows none.
    """
    for name, value in found.items():
        sent = name.upper() != SECRET  # in a header; the secret only signs
        if value is not None and not (value.isprintable() and (value.isascii() or not sent)):
            raise SettingsError(
                f"{name}{place} has a character that such a value never has; set it again"
            )
    key, secret, token = found.values()
    return Credentials(key or "", secret or "", token)


def _path(variable: str, text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise SettingsError(
            f"{variable}: {text!r}: no such home directory; give the whole path"
        ) from None


def _sections(path: Path) -> Mapping[str, Mapping[str, str]]:
    """Return the sections of an AWS file, none if it does not exist.

    Raises SettingsError, whose text shows no line of the file.
    """
    reader = configparser.RawConfigParser(default_section="", strict=False)
    try:
        reader.read_string(path.read_text(encoding="utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise SettingsError(
            f"{path} cannot be read as an AWS file ({type(error).__name__})"
        ) from None
    return {name: reader[name] for name in reader.sections()}
