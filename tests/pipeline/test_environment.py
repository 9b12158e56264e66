"""Every command sends bytes to the named store only, with any variables, proxies and files."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import runs
from tests.support.hostile import ENDPOINTS, PROXIES, USERS, hostile, known
from tests.support.pipeline_world import config, good, write
from tests.support.servers import Reply, Served, served

ONE = "fleet: {preset: as-drawn, farms: [A], turbines: 2}"
CLOCK = "clock: {start: 2024-01-15T00:58:00Z, duration: 4m, sample_every: 10s}"
PIPELINE = "pipeline: {flush_every: 1m, window: 1m, allowed_lateness: 10s}"
LOAD = "load: {users: 2, warm_up: 1s, schedule: [{kind: constant, rate: 4/s, for: 3s}]}"
WORLD = f"schema_version: 1\nname: tiny\nseed: 7\n{ONE}\n{CLOCK}\n{PIPELINE}\n"
UNTIL = "2024-01-15T01:00:00Z"
PAGE = b"<html><body>It works</body></html>"


@pytest.fixture
def world(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(WORLD + LOAD + "\n")
    return path


@pytest.fixture
def around(tmp_path: Path) -> Iterator[tuple[Served, dict[str, str]]]:
    with hostile(tmp_path / "home") as found:
        yield found


def deliver(database: Path, url: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """`python -m pipeline`."""
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pipeline",
            "--db",
            database,
            "--endpoint-url",
            url,
            "--until",
            UNTIL,
        ],
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_every_variable_of_the_libraries_is_set(around: tuple[Served, dict[str, str]]) -> None:
    _, env = around
    assert known() <= {*env, *USERS}
    assert {*PROXIES, *ENDPOINTS} <= set(env)
    assert len(known()) > 60
    assert {
        "AWS_METADATA_ENDPOINT",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CSM_HOST",
    } <= known()


def test_run_verify_and_one_node_by_hand(
    world: Path, tmp_path: Path, clean_lake: str, around: tuple[Served, dict[str, str]]
) -> None:
    listener, env = around
    out = tmp_path / "run"
    there = ("--endpoint-url", clean_lake)
    done = runs.quick("run", world, "--out", out, *there, "--workers", 1, **env)
    assert done.code == 0, done.text
    assert runs.quick("verify", out, *there, "--workers", 1, **env).code == 0
    (tmp_path / "Z-001.json").write_text(config("Z-001").to_json())
    node = write(tmp_path / "Z-001.db", [good(i, turbine_id="Z-001") for i in range(1, 9)])
    handed = deliver(node, clean_lake, env)
    assert (handed.returncode, handed.stderr) == (0, "")
    tables = ("--warehouse", tmp_path / "warehouse", "--format", "csv")
    counted = "SELECT COUNT(*) AS n FROM wind_turbine_raw"
    query = runs.quick("query", counted, *there, *tables, **env)
    assert query.code == 0, query.text
    assert int(query.out.split()[1]) > 8
    for remote in (f"read_csv('{listener.url}/x.csv')", f"'{listener.url}/x.parquet'"):
        refused = runs.quick("query", f"SELECT * FROM {remote}", *there, *tables, **env)
        assert refused.code == 2, refused.text
    assert "theirs" not in json.dumps(runs.result(out))
    assert (listener.connections, listener.requests) == (0, [])


def test_load(
    world: Path, tmp_path: Path, clean_lake: str, around: tuple[Served, dict[str, str]]
) -> None:
    listener, env = around
    done = runs.quick(
        "load", world, "--out", tmp_path / "load", "--endpoint-url", clean_lake, **env
    )
    assert done.code in (0, 7), done.text  # 7: other processes delayed the generator
    assert (listener.connections, listener.requests) == (0, [])


def test_demo(tmp_path: Path, clean_lake: str, around: tuple[Served, dict[str, str]]) -> None:
    listener, env = around
    small = (
        "--farms",
        "E",
        "--turbines",
        "1",
        "--days",
        "1",
        "--sample-every",
        "1h",
        "--set",
        "events=[]",
    )
    inside = f"import os; os.chdir({str(tmp_path)!r})"  # the copy in a folder, demo/storm
    demo = runs.quick("demo", "--to", clean_lake, *small, "--workers", 1, plant=inside, **env)
    assert demo.code == 0, demo.text
    assert (listener.connections, listener.requests) == (0, [])


def test_campaign_and_commands_without_a_store(
    world: Path, tmp_path: Path, around: tuple[Served, dict[str, str]]
) -> None:
    listener, env = around
    world.write_text(
        world.read_text()
        .replace("turbines: 2", "turbines: 1")
        .replace("duration: 4m", "duration: 2m")
    )
    users = {
        "AWS_PROFILE": "nobody",
        "AWS_REGION": "no where",
        "AWS_ACCESS_KEY_ID": "half",
        "AWS_CA_BUNDLE": "/none",
    }
    out = tmp_path / "campaign"
    campaign = runs.quick(
        "campaign",
        world,
        "--runs",
        1,
        "--loads",
        0,
        "--wired",
        1,
        "--workers",
        1,
        "--out",
        out,
        **env,
        **users,
    )
    assert campaign.code in (0, 6), campaign.text  # 6: a worker ended before it could be killed
    for command in (("plan", world), ("check", world)):
        assert runs.quick(*command, **env, **users).code == 0
    assert (listener.connections, listener.requests) == (0, [])


def test_the_store_of_this_checkout(tmp_path: Path, around: tuple[Served, dict[str, str]]) -> None:
    listener, env = around
    users = {"AWS_PROFILE": "nobody", "AWS_REGION": "no where", "AWS_SECRET_ACCESS_KEY": "half"}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    up = ("store", "up", "--port", port)
    with runs.kept(*up, **env, **users) as done:
        assert done.code == 0, done.text
        assert "six buckets in us-west-2" in done.out
        assert runs.quick("store", "status", **env, **users).out.startswith("up: ")
        down = runs.quick("store", "down", **env, **users)
        assert (down.code, down.out.startswith("down: ")) == (0, True)
    assert (listener.connections, listener.requests) == (0, [])


def test_a_web_page_as_endpoint_is_an_error(world: Path, tmp_path: Path) -> None:
    farm = tmp_path / "run" / "nodes" / "A"
    farm.mkdir(parents=True)
    (farm / "A-001.json").write_text(config().to_json())
    node = write(farm / "A-001.db", [good(1)])
    with served(Reply(200, PAGE, (("ETag", '"e"'),))) as server:
        there = ("--endpoint-url", server.url)
        commands = [
            ("run", world, "--out", tmp_path / "new", *there),
            ("verify", tmp_path / "run", *there, "--workers", 1),
            ("load", world, "--out", tmp_path / "load", *there),
            ("demo", "--to", server.url, "--days", "1", "--set", "events=[]"),
            ("query", "SELECT 1 AS a", *there, "--warehouse", tmp_path / "warehouse"),
        ]
        for command in commands:
            done = runs.inside(*command)
            assert done.code == 3, done.text
            assert f"{server.url} answers, but not as S3 does" in done.text
        handed = deliver(node, server.url, {})
        assert handed.returncode == 3
        assert "answers, but not as S3 does" in handed.stderr


@pytest.mark.parametrize(
    "url", ["http://user:hunter2@127.0.0.1:1", "http://127.0.0.1:1/?key=hunter2"]
)
def test_no_command_takes_or_shows_a_secret_in_an_endpoint(
    world: Path,
    tmp_path: Path,
    url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pipeline.__main__ import main as pipeline_main
    from sim.cli import main

    (tmp_path / "run" / "nodes").mkdir(parents=True)
    commands = [
        ("run", str(world), "--out", str(tmp_path / "out")),
        ("load", str(world), "--out", str(tmp_path / "out")),
        ("verify", str(tmp_path / "run")),
    ]
    monkeypatch.chdir(tmp_path)
    for command in commands:
        with pytest.raises(SystemExit, match="2"):
            main([*command, "--endpoint-url", url])
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        assert main(list(command)) == 2
        monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert main(["demo", "--to", url]) == 2
    with pytest.raises(SystemExit, match="2"):
        pipeline_main(["--db", "none.db", "--endpoint-url", url])
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
    with pytest.raises(SystemExit, match="2"):
        pipeline_main(["--db", "none.db"])
    printed = capsys.readouterr()
    assert (printed.out + printed.err).count("an endpoint URL must not carry") == 9
    assert "hunter2" not in printed.out + printed.err
    assert not (tmp_path / "out").exists()


def test_without_credentials_a_remote_store_gets_no_request(tmp_path: Path) -> None:
    (tmp_path / "A-001.json").write_text(config().to_json())
    node = write(tmp_path / "A-001.db", [good(1)])
    done = deliver(node, "https://s3.example.invalid", {"HOME": str(tmp_path)})
    assert done.returncode == 3
    assert done.stderr.startswith(
        "error: no credentials for https://s3.example.invalid: set AWS_ACCESS_KEY_ID and"
    )
    assert "169.254" not in done.stderr
    assert done.stderr.count("\n") == 1
