"""A store of several processes: the answers of one, whatever a connection mixes; and their end."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psutil
import pytest

from pipeline import lake
from pipeline.settings import settings
from pipeline.store import S3ObjectStore
from sim import cli
from sim.errors import TargetError
from sim.store import localstack, processes
from sim.store.localstack import BODIES_IN_MEMORY_BYTES, EmbeddedLocalStack
from sim.store.server_record import Server
from sim.store.target import Options, Target
from tests.support.raw_http import Answer, Connection, request

OWN = [f"bucket-{number}" for number in range(8)]
NAMES = [*lake.BUCKETS.values(), *OWN]
DATES = re.compile(rb"<CreationDate>[^<]*</CreationDate>|<LastModified>[^<]*</LastModified>")
LARGE = bytes(range(256)) * 800


@pytest.fixture(scope="module")
def stores() -> Iterator[dict[str, EmbeddedLocalStack]]:
    """The stock server of one process, and two of several, with all buckets."""
    with (
        EmbeddedLocalStack("stock") as one,
        EmbeddedLocalStack("short", 3) as short,
        EmbeddedLocalStack("stock", 2) as stock,
    ):
        found = {"one": one, "short": short, "stock": stock}
        for store in found.values():
            with Connection(store.endpoint_url) as connection:
                for name in NAMES:
                    assert connection.ask(request("PUT", f"/{name}")).code == 200
        yield found


def lasting(answer: Answer) -> tuple[object, ...]:
    status, headers, body, continued = answer.lasting
    assert isinstance(body, bytes)
    return status, headers, DATES.sub(b"", body), continued


def everywhere(stores: dict[str, EmbeddedLocalStack], *sent: bytes) -> list[Answer]:
    """Send requests over one connection of each store; all must agree. Return the answers."""
    found = {}
    for name, store in stores.items():
        with Connection(store.endpoint_url) as connection:
            found[name] = [connection.ask(each) for each in sent]
    for number, each in enumerate(sent):
        kinds = {name: lasting(answers[number]) for name, answers in found.items()}
        assert kinds["short"] == kinds["stock"] == kinds["one"], each[:200]
    return found["one"]


def test_a_connection_that_mixes_buckets_gets_the_answers_of_one_process(
    stores: dict[str, EmbeddedLocalStack],
) -> None:
    key, put_again = "a=1/k", ("If-None-Match", "*")
    sent = []
    for body in (b"x", LARGE):
        sent += [request("PUT", f"/{name}/{key}", body) for name in NAMES]
        sent += [request("GET", f"/{name}/{key}") for name in NAMES]
        for name in NAMES:  # the owner changes after each of several requests
            sent += [
                request("PUT", f"/{name}/continued", body, ("Expect", "100-continue")),
                request("GET", f"/{name}?list-type=2"),
                request("GET", f"/none-{name}/k"),
                request("GET", f"/{name}?location"),
                request("GET", "/_localstack/none"),
            ]
        for name in NAMES:
            sent += [request("HEAD", f"/{name}/{key}"), request("GET", f"/{NAMES[0]}/none")]
        sent += [request("GET", f"/{name}/{key}?tagging") for name in NAMES]
        sent += [request("PUT", f"/{name}/{key}", b"y", put_again) for name in NAMES]
        sent += [request("DELETE", f"/{name}/{key}") for name in NAMES]
    found = everywhere(stores, *sent)
    assert [answer.body for answer in found[len(NAMES) : 2 * len(NAMES)]] == [b"x"] * len(NAMES)


def test_pipelined_requests_of_different_owners_are_answered_in_their_order(
    stores: dict[str, EmbeddedLocalStack],
) -> None:
    """In pieces that end anywhere, with answers that fill the buffers of a slow reader."""
    sent, heads = b"", []
    for number in range(40):
        for name in NAMES[:7]:
            key = f"/{name}/pipelined/{number}"
            sent += request("PUT", key, LARGE[: number * 5_000 + 1])
            sent += request("GET", key) + request("HEAD", key)
            heads += [False, False, True]
    found = {}
    for kind, store in stores.items():
        with Connection(store.endpoint_url) as connection:
            writer = threading.Thread(target=_in_pieces, args=(connection.socket, sent))
            writer.start()
            time.sleep(0.2)
            found[kind] = [connection.answer(of_head).lasting for of_head in heads]
            writer.join()
    assert found["short"] == found["stock"] == found["one"]


def _in_pieces(connection: socket.socket, sent: bytes) -> None:
    at, size = 0, 1
    while at < len(sent):
        connection.sendall(sent[at : at + size])
        at, size = at + size, (size * 7 + 3) % 100_007


def test_the_list_of_buckets_is_that_of_all_processes(
    stores: dict[str, EmbeddedLocalStack],
) -> None:
    listed = everywhere(
        stores,
        request("GET", "/"),
        request("GET", "/?prefix=bucket-"),
        request("GET", "/?max-buckets=3"),
        request("GET", "/?bucket-region=us-east-1"),
        request("PUT", "/one-more"),
        request("PUT", "/one-more"),
        request("GET", "/"),
        request("DELETE", "/one-more"),
        request("DELETE", "/one-more"),
        request("GET", "/"),
    )
    names = [re.findall(rb"<Name>([^<]*)</Name>", answer.body) for answer in listed]
    assert names[0] == names[-1] == sorted(name.encode() for name in NAMES)
    assert len(names[2]) == 3


HOST = "s3.us-east-1.localhost.localstack.cloud"


@pytest.mark.parametrize("name", NAMES)
def test_every_way_to_name_a_bucket_reaches_its_owner(
    stores: dict[str, EmbeddedLocalStack], name: str
) -> None:
    encoded = f"%{ord(name[0]):x}{name[1:]}"
    found = everywhere(
        stores,
        request("PUT", f"/{name}/named", b"here"),
        request("GET", "/named", None, host=f"{name}.{HOST}"),
        request("GET", f"http://127.0.0.1:4566/{name}/named"),
        request("GET", f"/{encoded}/named"),
        request("GET", f"//{name}/named"),
        request("GET", f"/{name}"),
        request("HEAD", f"/{name}/"),
        request("GET", f"/{name}?"),
        request("GET", "/", None, host=f"{name}.{HOST}"),
    )
    assert [answer.body for answer in found[1:3]] == [b"here"] * 2


def test_of_concurrent_creates_exactly_one_wins(stores: dict[str, EmbeddedLocalStack]) -> None:
    """Over connections that come from every process."""
    url = stores["short"].endpoint_url

    def create(number: int) -> list[int]:
        codes = []
        with Connection(url) as connection:
            for race in range(20):
                connection.ask(request("HEAD", f"/{NAMES[(number + race) % len(NAMES)]}"))
                key = f"/{NAMES[race % len(NAMES)]}/race-{race}"
                codes.append(
                    connection.ask(request("PUT", key, b"%d" % number, ("If-None-Match", "*"))).code
                )
        return codes

    with ThreadPoolExecutor(16) as pool:
        codes = list(pool.map(create, range(16)))
    for race in range(20):
        assert sorted(each[race] for each in codes) == [200] + [412] * 15


@pytest.mark.parametrize("kind", ["one", "short", "stock"])
def test_boto3_finds_one_store(stores: dict[str, EmbeddedLocalStack], kind: str) -> None:
    s3 = lake.client(stores[kind].endpoint_url)
    for name in OWN:
        upload = s3.create_multipart_upload(Bucket=name, Key="parts")["UploadId"]
        parts: list[dict[str, Any]] = [
            {
                "PartNumber": number,
                "ETag": s3.upload_part(
                    Bucket=name, Key="parts", UploadId=upload, PartNumber=number, Body=body
                )["ETag"],
            }
            for number, body in ((1, b"a" * (5 << 20)), (2, b"b"))
        ]
        s3.complete_multipart_upload(
            Bucket=name, Key="parts", UploadId=upload, MultipartUpload={"Parts": parts}
        )
        assert s3.head_object(Bucket=name, Key="parts")["ContentLength"] == (5 << 20) + 1
        s3.copy_object(Bucket=name, Key="copy", CopySource={"Bucket": name, "Key": "parts"})
        deleted = s3.delete_objects(
            Bucket=name, Delete={"Objects": [{"Key": key} for key in ("parts", "copy")]}
        )
        assert len(deleted["Deleted"]) == 2
    names = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    assert names >= set(NAMES)


def test_a_copy_between_two_processes_is_right_or_refused_by_name(
    stores: dict[str, EmbeddedLocalStack],
) -> None:
    codes = set()
    with Connection(stores["short"].endpoint_url) as connection:
        assert connection.ask(request("PUT", f"/{OWN[0]}/source", b"copied")).code == 200
        for name in OWN:
            source = ("x-amz-copy-source", f"/{OWN[0]}/source")
            answer = connection.ask(
                request("PUT", f"/{name}/target", None, source, ("Content-Length", "0"))
            )
            codes.add(answer.code)
            if answer.code == 501:
                named = f"{OWN[0]} and {name} belong to different processes of this store: copy by"
                assert named.encode() in answer.body
                assert connection.ask(request("GET", f"/{name}/target")).code == 404
            else:
                assert connection.ask(request("GET", f"/{name}/target")).body == b"copied"
    assert codes == {200, 501}


def test_the_client_keeps_a_connection_for_each_bucket(
    stores: dict[str, EmbeddedLocalStack],
) -> None:
    place = settings(stores["short"].endpoint_url)
    for by_bucket, expected in ((True, {OWN[0]: 1, OWN[1]: 1}), (False, {"": 1})):
        client = S3ObjectStore(replace(place, by_bucket=by_bucket))
        for number in range(6):
            client.create(OWN[number % 2], f"kept/{by_bucket}/{number}", b"")
        idle = client._wire._idle
        assert {name: len(waiting) for name, waiting in idle.items()} == expected


def test_every_process_works_and_is_counted(stores: dict[str, EmbeddedLocalStack]) -> None:
    store = stores["short"]
    assert len(store.pids) == 3
    client = S3ObjectStore(Target(store.endpoint_url, store).store)
    before = [_cpu_s(pid) for pid in store.pids]
    for number in range(60):
        for name in lake.BUCKETS.values():
            client.create(name, f"counted/{number}", LARGE)
    used = [_cpu_s(pid) - old for pid, old in zip(store.pids, before, strict=True)]
    assert min(used) > 0.1 * max(used)
    assert store.cpu_seconds() >= sum(used)


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


@pytest.mark.parametrize("victim", [0, 1])
def test_a_process_that_dies_ends_the_store_with_its_name(victim: int) -> None:
    with EmbeddedLocalStack("short", 2) as store:
        pids = store.pids
        store.require_alive()
        os.kill(pids[victim], signal.SIGKILL)
        named = "exit code -9" if victim == 0 else r"exit code 97(?s:.*)process 1 of the store"
        with pytest.raises(TargetError, match=f"stopped unexpectedly .*{named}"):
            _watch(store, 10)
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


def _watch(store: EmbeddedLocalStack, seconds: float) -> None:
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        store.require_alive()
        time.sleep(0.01)


def test_the_number_comes_from_the_argument_else_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(processes.VARIABLE, raising=False)
    assert (processes.chosen(None), processes.chosen(3)) == (1, 3)
    monkeypatch.setenv(processes.VARIABLE, "2")
    assert (processes.chosen(None), processes.chosen(1)) == (2, 1)
    for wrong in ("0", "7", "two", "1.5", "-1"):
        monkeypatch.setenv(processes.VARIABLE, wrong)
        with pytest.raises(TargetError, match=rf"{processes.VARIABLE}={wrong} .* give 1 to 6"):
            processes.chosen(None)
    with pytest.raises(TargetError, match="--store-processes=7 is no number"):
        processes.chosen(7)


def test_several_processes_are_named_and_share_the_memory() -> None:
    url = "http://127.0.0.1:4566"
    one, three = (Target(url, EmbeddedLocalStack("short", number)) for number in (1, 3))
    assert one.described() == {
        "store": f"embedded LocalStack, short gateway, {url}",
        "gateway": "short",
    }
    assert three.described() == {
        "store": f"embedded LocalStack, short gateway, 3 processes, {url}",
        "gateway": "short",
        "store_processes": "3",
    }
    assert (one.store.by_bucket, three.store.by_bucket) == (False, True)
    assert three.server is not None
    assert str(BODIES_IN_MEMORY_BYTES // 3) in three.server._arguments()
    assert Options().processes == 1


def test_store_up_status_and_down_name_the_processes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(processes.VARIABLE, raising=False)
    asked = []
    server = Server("http://127.0.0.1:1", 1, 2, 3.0, "then", "", "short", 2)

    def up(port: int, gateway: str, count: int) -> Server:
        asked.append(count)
        return replace(server, processes=count)

    monkeypatch.setattr(localstack, "up", up)
    monkeypatch.setattr(localstack, "status", lambda: server)
    monkeypatch.setattr(lake, "ensure", lambda _: None)
    assert cli.main(["store", "up", "--store-processes", "2"]) == 0
    assert "(pid 2, short gateway, 2 processes), six" in capsys.readouterr().out
    assert cli.main(["store", "status"]) == 0
    assert "(pid 2, short gateway, 2 processes), since" in capsys.readouterr().out
    assert cli.main(["store", "up"]) == 0
    assert "(pid 2, short gateway), six" in capsys.readouterr().out
    assert asked == [2, 1]
    assert cli.main(["store", "up", "--store-processes", "9"]) == 2
    assert "--store-processes=9 is no number" in capsys.readouterr().err
