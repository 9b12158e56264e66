"""The S3 client of all commands: endpoints, settings, signatures, requests, listings, refusals."""

from __future__ import annotations

import hashlib
import pickle
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from botocore.loaders import Loader

from pipeline import endpoint, lake, store
from pipeline.ports import Refused, StoreError, Unavailable
from pipeline.sdk import s3_client
from pipeline.settings import Credentials, SettingsError, endpoint_of_environment, settings
from pipeline.signature import signed
from pipeline.store import S3ObjectStore
from sim.check import LakeError
from sim.store.s3_lake import s3_lake
from tests.support.hostile import PROXIES, hostile
from tests.support.servers import TLS, Reply, Served, query, served

BUCKET = "expanso-databricks-ingestion"
KEY = "ingestion/year=2024/month=01/day=15/hour=00/A-001-1-2.parquet"
XML = b"<?xml version='1.0'?>"
PUT = Reply(200, b"", (("ETag", '"e"'),))
BOTH = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def page(*keys: str, more: str = "false", inside: str = "") -> bytes:
    items = "".join(f"<Contents><Key>{key}</Key><Size>1</Size></Contents>" for key in keys)
    return (
        XML
        + f"<ListBucketResult><IsTruncated>{more}</IsTruncated>{inside}{items}".encode()
        + b"</ListBucketResult>"
    )


# --- endpoints


@pytest.mark.parametrize(
    ("text", "url", "loopback"),
    [
        ("http://127.0.0.1:4566", "http://127.0.0.1:4566", True),
        ("HTTP://127.0.0.1:4566/", "http://127.0.0.1:4566", True),
        ("http://127.8.8.8", "http://127.8.8.8", True),
        ("http://[::1]:4566", "http://[::1]:4566", True),
        ("http://LocalHost:1", "http://localhost:1", True),
        ("http://localhost.example.com", "http://localhost.example.com", False),
        ("https://s3.us-west-2.amazonaws.com", "https://s3.us-west-2.amazonaws.com", False),
        ("http://10.0.0.1:65535", "http://10.0.0.1:65535", False),
        ("http://0.0.0.0:1", "http://0.0.0.0:1", False),
        ("https://minio", "https://minio", False),
    ],
)
def test_an_endpoint_has_scheme_host_and_port(text: str, url: str, loopback: bool) -> None:
    found = endpoint.parse(text)
    assert (found.url, found.loopback) == (url, loopback)
    assert endpoint.parse(found.url) == found


@pytest.mark.parametrize(
    "text",
    [
        "nonsense", "", "http://", "http:///", "ftp://127.0.0.1", "//127.0.0.1", "127.0.0.1:4566",
        "http:127.0.0.1", "http://127.0.0.1:0", "http://127.0.0.1:65536", "http://127.0.0.1:99999",
        "http://127.0.0.1:", "http://h:-1", "http://h:1x", "http://h:١", "http://127.0.0.1/lake",
        "http://127.0.0.1//", "http://127.0.0.1\\.example.com", " http://127.0.0.1",
        "http://127.0.0.1 ", "http://127.0.0.1\n", "http://127.0.0.1\t:1", "http://127.0.0.1%2e",
        "http://127.1", "http://2130706433", "http://0x7f.0.0.1", "http://0x7f000001",
        "http://0177.0.0.1", "http://127.0.0.01", "http://localhost.", "http://127.0.0.1.",
        "http://ⓛocalhost", "http://büro", "http://[::1%25lo]", "http://[::1", "http://::1",
        "http://[0:0:0:0:0:0:0:1]", "http://-a", "http://a..b", "http://a_b", "http://.",
        "http://[::ffff:7f00:1]", "http://[::ffff:127.0.0.1]", f"http://{'a' * 64}",
    ],
)  # fmt: skip
def test_an_invalid_endpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"http://127\.0\.0\.1:4566|is not a port"):
        endpoint.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "http://user:hunter2@127.0.0.1:4566", "http://user:hunter2/x@127.0.0.1",
        "http://hunter2@127.0.0.1", "http://127.0.0.1@evil.example:hunter2",
        "http://127.0.0.1?key=hunter2", "http://127.0.0.1/?key=hunter2", "http://127.0.0.1#hunter2",
        "http://user:hun?ter2@h", "HTTP://:hunter2@h", "x://user:hunter2@h",
    ],
)  # fmt: skip
def test_a_secret_in_an_endpoint_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="must not carry") as refused:
        endpoint.parse(text)
    assert "hunter2" not in str(refused.value)
    assert "hun" not in str(refused.value)


@pytest.mark.parametrize(
    "ask", [lake.client, lake.ensure, lake.first_object, s3_lake, S3ObjectStore]
)
def test_every_function_refuses_a_secret_without_repeating_it(ask: Callable[[str], object]) -> None:
    with pytest.raises(
        (lake.LakeError, LakeError, SettingsError), match="must not carry"
    ) as refused:
        ask("http://user:hunter2@127.0.0.1:1")
    assert "hunter2" not in str(refused.value)


# --- settings


def test_defaults_on_loopback_are_test_credentials_and_us_west_2() -> None:
    found = settings("http://127.0.0.1:1")
    assert (found.region, found.credentials) == ("us-west-2", Credentials("test", "test"))
    assert (found.region, found.proxy, found.ca_bundle) == (lake.REGION, None, None)


def test_supported_variables_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("")
    for name, value in {
        "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t",
        "AWS_PROFILE": "none", "AWS_DEFAULT_REGION": "eu-west-1", "AWS_CA_BUNDLE": str(bundle),
        "HTTPS_PROXY": "proxy.example:3128",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    found = settings("https://s3.example.com")
    assert found.credentials == Credentials("k", "s", "t")
    assert (found.region, found.ca_bundle, found.proxy) == (
        "eu-west-1",
        str(bundle),
        "http://proxy.example:3128",
    )
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert settings(None).server.url == "https://s3.eu-central-1.amazonaws.com"
    monkeypatch.setenv("NO_PROXY", "example.com")
    assert settings("https://s3.example.com").proxy is None
    assert settings("http://127.0.0.1:1").ca_bundle is None
    own = settings("http://127.0.0.1:1", own=True)
    assert (own.credentials, own.region) == (Credentials("test", "test"), "us-west-2")


def test_a_profile_supplies_the_keys_if_none_are_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "home" / ".aws"
    home.mkdir(parents=True)
    (home / "credentials").write_text(
        "[default]\naws_access_key_id = dk\naws_secret_access_key = ds\n[half]\nx = 1\n"
    )
    mine = "[profile mine]\naws_access_key_id=mk\naws_secret_access_key=ms\naws_session_token=mt\n"
    (home / "config").write_text(mine)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of other keys")
    assert settings("https://s3.example.com").credentials == Credentials("dk", "ds")
    assert settings("http://127.0.0.1:1").credentials == Credentials("test", "test")
    monkeypatch.setenv("AWS_PROFILE", "mine")
    for place in ("https://s3.example.com", "http://127.0.0.1:1"):
        assert settings(place).credentials == Credentials("mk", "ms", "mt")
    other = tmp_path / "other"
    other.write_text("[mine]\naws_access_key_id = ok\naws_secret_access_key = os\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(other))
    assert settings("http://127.0.0.1:1").credentials == Credentials("ok", "os")
    for profile, why in (
        ("nobody", "is in neither .*other nor .*config"),
        ("half", "is in neither"),
    ):
        monkeypatch.setenv("AWS_PROFILE", profile)
        with pytest.raises(SettingsError, match=why):
            settings("http://127.0.0.1:1")
    monkeypatch.delenv("AWS_SHARED_CREDENTIALS_FILE")
    with pytest.raises(SettingsError, match="aws configure export-credentials --profile 'half'"):
        settings("http://127.0.0.1:1")
    (home / "credentials").write_text("aws_secret_access_key = hunter2\n")
    with pytest.raises(SettingsError, match="credentials cannot be read as an AWS file") as refused:
        settings("http://127.0.0.1:1")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("variables", "place", "why"),
    [
        (
            {},
            "https://s3.example.com",
            "no credentials for https://s3.example.com: set AWS_ACCESS_KEY_ID and",
        ),
        ({}, None, "no credentials for https://s3.us-west-2.amazonaws.com: set AWS_ACCESS_KEY_ID"),
        ({"AWS_ACCESS_KEY_ID": "k"}, "http://127.0.0.1:1", "set without AWS_SECRET_ACCESS_KEY"),
        (
            {"AWS_SECRET_ACCESS_KEY": "hunter2"},
            "http://127.0.0.1:1",
            "set without AWS_ACCESS_KEY_ID",
        ),
        (
            BOTH | {"AWS_ACCESS_KEY_ID": "k\r\nX: hunter2"},
            "http://127.0.0.1:1",
            "AWS_ACCESS_KEY_ID has a character",
        ),
        (
            BOTH | {"AWS_ACCESS_KEY_ID": "k\u20ac"},
            "http://127.0.0.1:1",
            "AWS_ACCESS_KEY_ID has a character",
        ),
        (
            BOTH | {"AWS_SECRET_ACCESS_KEY": "hunter2\udce9"},
            "http://127.0.0.1:1",
            "AWS_SECRET_ACCESS_KEY has a char",
        ),
        (
            BOTH | {"AWS_SECRET_ACCESS_KEY": "hunter2\n"},
            "http://127.0.0.1:1",
            "AWS_SECRET_ACCESS_KEY has a char",
        ),
        (
            BOTH | {"AWS_SESSION_TOKEN": "hunter2\nx"},
            "http://127.0.0.1:1",
            "AWS_SESSION_TOKEN has a character",
        ),
        (
            {"AWS_PROFILE": "p", "AWS_SHARED_CREDENTIALS_FILE": "~nobody-there/x"},
            "http://127.0.0.1:1",
            "AWS_SHARED_CREDENTIALS_FILE: '~nobody-there/x': no such home",
        ),
        ({"AWS_REGION": "evil.example/"}, None, "AWS_REGION: 'evil.example/' is not a region"),
        (
            {"AWS_CA_BUNDLE": "/none.pem"},
            "https://127.0.0.1",
            "AWS_CA_BUNDLE: '/none.pem' is not a file",
        ),
        ({"AWS_CA_BUNDLE": "/dev/null"}, "https://127.0.0.1", "AWS_CA_BUNDLE"),
        (
            {"ALL_PROXY": "socks5://u:hunter2@h"},
            "http://10.0.0.1",
            "proxy variables name no http://HOST:PORT",
        ),
        (
            {"AWS_ENDPOINT_URL_S3": "http://u:hunter2@h"},
            "",
            "AWS_ENDPOINT_URL_S3: an endpoint URL must not carry",
        ),
    ],
)
def test_a_wrong_setting_is_named(
    variables: dict[str, str], place: str | None, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place == "http://10.0.0.1":
        variables = variables | BOTH
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=why) as refused:
        endpoint_of_environment() if place == "" else S3ObjectStore(place)
    assert "hunter2" not in str(refused.value)
    if place != "":
        with pytest.raises(lake.LakeError, match=why):
            lake.client(place)


def test_a_credentials_file_with_odd_keys_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "keys"
    file.write_text(
        "[p]\naws_access_key_id=k\naws_secret_access_key=hunter2\n  hunter2\n", encoding="utf-8"
    )
    monkeypatch.setenv("AWS_PROFILE", "p")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    with pytest.raises(
        SettingsError, match=r"aws_secret_access_key of profile 'p' in .*keys has a character"
    ) as refused:
        settings("http://127.0.0.1:1")
    assert "hunter2" not in str(refused.value)


def test_tls_keys_are_not_logged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """SSLKEYLOGFILE is Python's and curl's: its file lets a reader decrypt all traffic."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(TLS / "authority.pem"))
    with served(Reply(200, page("a")), tls=True) as server:
        assert S3ObjectStore(server.url).first(BUCKET) == "a"
    assert not (tmp_path / "keys").exists()


def test_secrets_are_not_shown_and_travel_to_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-hunter2")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-hunter2")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-hunter2")
    reader = s3_lake("http://127.0.0.1:1")
    assert "hunter2" not in repr(reader)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert pickle.loads(pickle.dumps(reader)) == reader


# --- requests


@pytest.mark.parametrize("token", [None, "a/token=="])
@pytest.mark.parametrize("query", ["", "list-type=2&prefix=a%2Fb%3D1"])
def test_signatures_are_those_of_botocore(
    query: str, token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = 1_705_276_800
    body, path = b"body", f"/{BUCKET}/year%3D2024/a%20b~"
    digest = hashlib.sha256(body).hexdigest()
    headers = {"host": "127.0.0.1:4566", "if-none-match": "*", "x-amz-checksum-sha256": "abc="}
    credentials = Credentials("key", "secret", token)
    mine = signed("PUT", path, query, headers, digest, "eu-west-1", credentials, moment)
    request = AWSRequest(
        "PUT", f"http://127.0.0.1:4566{path}" + (f"?{query}" if query else ""), headers, body
    )
    theirs = S3SigV4Auth(BotoCredentials("key", "secret", token), "s3", "eu-west-1")
    request.context["timestamp"] = mine["x-amz-date"]
    request.headers["X-Amz-Content-SHA256"] = digest
    if token is not None:
        request.headers["X-Amz-Security-Token"] = token
    request.headers["X-Amz-Date"] = mine["x-amz-date"]
    canonical = theirs.canonical_request(request)
    signature = theirs.signature(theirs.string_to_sign(request, canonical), request)
    assert mine["authorization"].endswith(f"Signature={signature}")


def verbs(url: str) -> list[Callable[[], object]]:
    store = S3ObjectStore(url, 5)
    return [
        partial(store.create, BUCKET, KEY, b"x"),
        partial(store.replace, BUCKET, KEY, b"x", '"e"'),
        partial(store.get, BUCKET, KEY),
        partial(store.list, BUCKET, "ingestion/", "A"),
        partial(store.first, BUCKET),
    ]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "t")
    with served(Reply(200, page())) as other:
        to = other.url.replace("127.0.0.1", "127.0.0.2" if status == 307 else "127.0.0.1")
        headers = (
            ("Location", f"{to}/elsewhere?secret=hunter2"),
            ("x-amz-bucket-region", "eu-west-1"),
        )
        with served(Reply(status, b"", headers)) as server:
            for call in verbs(server.url):
                with pytest.raises(
                    Refused, match=f"{status} redirect: .* follows no redirect.*AWS_REGION"
                ) as refused:
                    call()
                assert "hunter2" not in str(refused.value)
            for ask in (
                lake.ensure,
                lake.missing,
                lake.empty,
                lake.first_object,
                lake.incomplete_uploads,
            ):
                with pytest.raises(lake.LakeError, match="redirect"):
                    ask(server.url)
            with pytest.raises(
                lake.LakeError, match="redirect" if status != 303 else "No S3 answers"
            ):
                lake.remove(server.url, [(BUCKET, KEY)])  # botocore fails at a 303
            with pytest.raises(LakeError, match="redirect"):
                s3_lake(server.url).objects()
            assert server.requests
        assert other.connections == 0


NO_S3 = {
    "page": b"<html><body>It works</body></html>",
    "html": b"<!DOCTYPE html><html><p>It works<br></html>",
    "empty": b"",
    "json": b"{}",
    "error": XML + b"<Error><Code>InternalError</Code><Message>x</Message></Error>",
    "bare": XML + b"<ListBucketResult/>",
    "other-bucket": page("a", inside="<Name>somebody-elses</Name>"),
    "cut-off": page("a")[:-20],
    "no-next": page("a", more="true"),
    "count": page("a", inside="<KeyCount>2</KeyCount>"),
    "no-size": page().replace(b"</ListB", b"<Contents><Key>a</Key></Contents></ListB"),
    "other-root": XML + b"<Page><IsTruncated>false</IsTruncated></Page>",
    "circle": page("a", more="true", inside="<NextContinuationToken>t</NextContinuationToken>"),
}


@pytest.mark.parametrize("body", NO_S3.values(), ids=NO_S3)
@pytest.mark.parametrize("at_first", [True, False])
def test_an_invalid_listing_is_an_error_and_not_an_empty_lake(body: bytes, at_first: bool) -> None:
    more = page("a", more="true", inside="<NextContinuationToken>n</NextContinuationToken>")
    with served(*([] if at_first else [Reply(200, more)]), Reply(200, body)) as server:
        with pytest.raises(
            LakeError, match=f"{server.url} answers, but not as S3 does .*: is the endpoint right"
        ):
            s3_lake(server.url).objects()
        if at_first and body != NO_S3["circle"]:
            for ask in (lake.ensure, lake.missing, lake.empty, lake.first_object):
                with pytest.raises(lake.LakeError, match="answers, but not as S3 does"):
                    ask(server.url)


def test_an_empty_page_does_not_end_a_listing() -> None:
    """S3 may answer with fewer objects than there are, and with none."""
    token = "<NextContinuationToken>{}</NextContinuationToken>"
    empty = [page(more="true", inside=token.format(name)) for name in "xy"]
    with served(*(Reply(200, body) for body in (*empty, page("b")))) as server:
        found = S3ObjectStore(server.url).page("expanso-databricks-ingestion", "a", 1)
        assert ([key for key, *_ in found[0]], found[1]) == (["b"], False)
    with served(Reply(200, empty[0])) as server, pytest.raises(Refused, match="in a circle"):
        S3ObjectStore(server.url).page("expanso-databricks-ingestion", "a", 1)


def test_a_web_page_is_neither_an_object_nor_a_missing_key() -> None:
    for reply in (Reply(200, NO_S3["page"]), Reply(404, NO_S3["page"]), Reply(204)):
        with served(reply) as server:
            for call in verbs(server.url):
                with pytest.raises(Refused, match="answers, but not as S3 does"):
                    call()


def test_a_put_with_a_body_in_the_answer_has_not_succeeded() -> None:
    """S3 answers a PUT with an ETag and no body. A captive portal may send its own ETag."""
    for body in (NO_S3["page"], b"{}", b"<Error><Code>InternalError</Code></Error>"):
        with served(Reply(200, body, (("ETag", '"e"'),))) as server:
            store = S3ObjectStore(server.url)
            for call in (
                lambda s=store: s.create(BUCKET, KEY, b"x"),
                lambda s=store: s.replace(BUCKET, KEY, b"x", "e"),
            ):
                with pytest.raises(
                    Refused, match=r"answers, but not as S3 does \(a PUT answered with"
                ):
                    call()


def test_a_web_page_with_an_etag_is_an_object_only_with_s3s_headers() -> None:
    page_of = (("ETag", '"e"'), ("Content-Type", "text/html; charset=utf-8"))
    refused = pytest.raises(Refused, match=r"not as S3 does \(a web page\)")
    with served(Reply(200, NO_S3["page"], page_of)) as server, refused:
        S3ObjectStore(server.url).get(BUCKET, KEY)
    with served(Reply(200, NO_S3["page"], (*page_of, ("x-amz-request-id", "1")))) as server:
        assert S3ObjectStore(server.url).get(BUCKET, KEY) == (NO_S3["page"], '"e"')


def test_an_object_of_another_size_than_listed_gives_no_verdict() -> None:
    listed = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
    body = Reply(200, b"abc", (("ETag", '"e"'),))
    with served(Reply(200, page(KEY)), *[Reply(200, listed)] * 5, body) as server:
        reader = s3_lake(server.url)
        with pytest.raises(
            LakeError, match=r"3 bytes received, 1 listed; is the lake still being written to"
        ):
            list(reader.read(reader.objects()))


@pytest.mark.parametrize("body", [page("a"), b"", b"<a/>", b"<html><body>It works</body></html>"])
def test_a_wrong_answer_about_a_bucket_is_an_error(body: bytes) -> None:
    tagged = b"<Tagging><TagSet><Tag><Key>%s</Key><Value>%s</Value></Tag></TagSet></Tagging>"
    ours = Reply(200, tagged % next((k.encode(), v.encode()) for k, v in lake.TAGS.items()))
    there = Reply(200, page())
    for before, ask in (
        ([there], lake.ensure),
        ([there, ours], lake.ensure),
        ([], lake.incomplete_uploads),
    ):
        replies = (*before, Reply(200, body))
        with (
            served(*replies) as server,
            pytest.raises(lake.LakeError, match="answers, but not as S3 does"),
        ):
            ask(server.url)
    with (
        served(Reply(200, body)) as server,
        pytest.raises(lake.LakeError, match="answers, but not as S3 does"),
    ):
        lake.remove(server.url, [("b", "k")])


def test_the_listing_goes_page_by_page_and_leaves_keys_unchanged() -> None:
    inside = "<EncodingType>url</EncodingType><NextContinuationToken>n+=</NextContinuationToken>"
    first = page("a%3D1", more="true", inside=inside)
    with served(Reply(200, first), Reply(200, page("a=%31"))) as server:
        assert S3ObjectStore(server.url).list(BUCKET, "", "a=") == ["a=%31", "a=1"]
        assert [query(path).get("continuation-token") for _, path, _ in server.requests] == [
            None,
            "n+=",
        ]


def test_a_truncated_answer_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        store = S3ObjectStore(f"http://127.0.0.1:{listener.getsockname()[1]}", 2)
        heads = ("Content-Length: 9\r\n", "Transfer-Encoding: chunked\r\n", "")

        def serve() -> None:
            for head in heads:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    begun = b"9\r\nabc" if "chunked" in head else b"abc"
                    connection.sendall(
                        f'HTTP/1.1 200 OK\r\nETag: "x"\r\n{head}\r\n'.encode() + begun
                    )

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        for _ in heads:
            with pytest.raises(Unavailable, match=f"get {BUCKET}/{KEY}: no answer from"):
                store.get(BUCKET, KEY)
        thread.join()


def test_a_request_ends_in_time_and_so_does_a_slow_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        with pytest.raises(Unavailable, match=r"within 0\.2 s"):
            S3ObjectStore(f"http://127.0.0.1:{silent.getsockname()[1]}", 0.2).get(BUCKET, KEY)
        assert time.monotonic() - begun < 2


def test_a_message_begins_with_the_code_of_s3_and_is_cut() -> None:
    message = "lacked the necessary privileges " * 50
    body = f"<Error><Message>{message}&#x9b;</Message><Code>AccessDenied</Code></Error>".encode()
    with served(Reply(403, body)) as server:
        for call in verbs(server.url)[:4]:
            with pytest.raises(
                Refused, match=rf"{BUCKET}/.*: HTTP 403 AccessDenied: lacked"
            ) as refused:
                call()
            assert len(str(refused.value)) < 450
            assert str(refused.value).isprintable()


# --- the environment


@pytest.fixture
def harm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Served]:
    with hostile(tmp_path / "home") as (listener, env):
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        yield listener


def test_no_variable_or_file_redirects_or_reshapes_a_request(harm: Served) -> None:
    with served(PUT, PUT, Reply(200, page(), (("ETag", '"e"'),))) as server:
        for call in verbs(server.url):
            call()
        s3 = s3_client(settings(server.url), 5, 5)
        s3.list_objects_v2(Bucket=BUCKET)
        s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": []})
        assert s3_lake(server.url).objects() == []
        assert len(server.requests) == 5 + 2 + 6
        for _, path, headers in server.requests:
            assert path.startswith("/expanso-databricks-")
            assert "Credential=test/" in headers["authorization"]
            assert "/us-west-2/s3/" in headers["authorization"]
            assert not [
                name for name in headers if "security-token" in name or "encryption" in name
            ]
            assert "hunter2" not in str(headers)
    assert (harm.connections, harm.requests) == (0, [])


def test_a_description_of_s3_in_the_home_folder_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "s3" / "2099-01-01" / "service-2.json"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("{}")
    monkeypatch.setattr(Loader, "CUSTOMER_DATA_PATH", str(tmp_path))
    s3 = s3_client.__wrapped__(settings("http://127.0.0.1:9"), 5, 5)
    assert s3.meta.service_model.api_version == "2006-03-01"


def test_a_remote_store_is_reached_through_the_users_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    with served(PUT, Reply(200, page())) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("http://", "http://me:pass@"))
        S3ObjectStore("http://s3.example.invalid:9000").create(BUCKET, KEY, b"x")
        s3_client(settings("http://s3.example.invalid:9000"), 5, 5).list_objects_v2(Bucket=BUCKET)
        assert [path.split("/exp")[0] for _, path, _ in proxy.requests] == [
            "http://s3.example.invalid:9000"
        ] * 2
        assert [headers["host"] for _, _, headers in proxy.requests] == [
            "s3.example.invalid:9000"
        ] * 2
        assert [headers["proxy-authorization"] for _, _, headers in proxy.requests] == [
            "Basic bWU6cGFzcw=="
        ] * 2
        monkeypatch.setenv("https_proxy", proxy.url)
        with pytest.raises(StoreError):
            S3ObjectStore("https://s3.example.invalid").create(BUCKET, KEY, b"x")
        assert proxy.requests[-1][:2] == ("CONNECT", "s3.example.invalid:443")


def test_only_the_users_ca_bundle_is_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with served(
        Reply(200, page("a")), PUT, Reply(200, XML + b"<DeleteResult/>"), tls=True
    ) as there:
        for ask in verbs(there.url):
            with pytest.raises(
                (StoreError, SettingsError, lake.LakeError), match=r"(?i)certificate"
            ):
                ask()
        assert there.requests == []
        monkeypatch.setenv("AWS_CA_BUNDLE", str(TLS / "authority.pem"))
        assert S3ObjectStore(there.url).first("b") == "a"
        assert S3ObjectStore(there.url).create("b", "k", b"x") == '"e"'
        lake.remove(there.url, [("b", "k")])
        assert [verb for verb, _, _ in there.requests] == ["GET", "PUT", "POST"]


def test_an_endless_listing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_PAGES", 3)
    more = [f"<NextContinuationToken>{token}</NextContinuationToken>" for token in "abcde"]
    with served(*(Reply(200, page(inside=token, more="true")) for token in more)) as there:
        with pytest.raises(Refused, match="a listing of more than 3 pages"):
            list(S3ObjectStore(there.url).pages(BUCKET))
        assert len(there.requests) == 3
