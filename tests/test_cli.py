"""The command line: each refusal has an exit code and one message; the user's files stay untouched.

Not covered: whole runs (test_run.py), early ends (test_bad_luck.py), verdicts (test_defects.py).
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import lake
from pipeline.store import S3ObjectStore
from sim import run_directory
from sim.arguments import program
from sim.errors import DirectoryError
from tests.support import runs

SMALLER = (
    *("--workers", 1),
    *(
        "--set=clock.duration=1m",
        "--set=fleet.farms=[G]",
        "--set=data_faults=[]",
        "--set=expect=[]",
    ),
)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return runs.scenario(tmp_path)


@pytest.fixture
def nothing_listens() -> str:
    """Endpoint on this machine without a server."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_version_and_help() -> None:
    version = runs.command("--version")
    assert (version.code, version.err) == (0, "")
    assert re.fullmatch(r"windfleet \d+\.\d+\.\d+\n", version.out)
    shown = runs.command("--help")
    assert shown.code == 0
    for name in ("run", "verify", "plan", "check", "report", "store"):
        assert re.search(rf"^ +{name} ", shown.out, re.MULTILINE)
    assert runs.inside("version").out == version.out
    assert runs.inside("help").out == shown.out
    assert runs.inside("help", "check").out == runs.inside("check", "--help").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["COMMAND", "windfleet run quickstart", "validate a scenario"]),
        (["nosuch"], ["nosuch", "verify"]),
        (["rn"], ["'rn'", "did you mean run?"]),
        (["help", "verfy"], ["did you mean verify?"]),
        (["run", "x.yaml", "--overwite"], ["--overwite", "did you mean --overwrite?"]),
        (["run", "x.yaml", "--sets=a=1"], ["--sets=a=1", "did you mean --set?"]),
        (["demo", "--theme", "strom"], ["'strom'", "did you mean storm?"]),
        (["run"], ["SCENARIO"]),
        (["run", "x.yaml", "--worker", "2"], ["--worker"]),
        (["run", "x.yaml", "--workers", "0"], ["--workers", "'0'", "1 or more"]),
        (["store", "sideways"], ["sideways", "down"]),
        *(
            (["run", "x.yaml", "--port", port], ["--port", port, "1 to 65535"])
            for port in ("0", "65536", "99999999")
        ),
        (["store", "up", "--port", "99999999"], ["--port", "99999999", "1 to 65535"]),
        *(
            (
                [*command, "--endpoint-url", url],
                ["--endpoint-url", f"{url!r} is not a URL", "http://127.0.0.1:4566"],
            )
            for command in (["run", "x.yaml"], ["verify", "x"])
            for url in ("nonsense", "127.0.0.1:4566", "http://", "ftp://127.0.0.1")
        ),
        (
            ["run", "x.yaml", "--endpoint-url", "http://127.0.0.1:99999"],
            ["--endpoint-url", "99999 is not a port"],
        ),
        (
            ["verify", "x", "--lake", "y", "--endpoint-url", "http://127.0.0.1:1"],
            ["--endpoint-url", "not allowed"],
        ),
        (["run"], ["needs a SCENARIO", "windfleet run quickstart"]),
        (["campaign", "--quick"], ["needs a SCENARIO", "windfleet campaign campaign --quick"]),
    ],
)
def test_arguments_that_make_no_sense_are_2(arguments: list[str], words: list[str]) -> None:
    done = runs.inside(*arguments)
    code, out, err = done.code, done.out, done.err
    assert (code, out) == (2, "")
    assert all(word in err for word in words), err


@pytest.mark.parametrize("command", ["run", "check", "plan"])
def test_an_invalid_scenario_is_2_with_every_place(tmp_path: Path, command: str) -> None:
    text = runs.SCENARIO.replace("seed: 7", "sede: 7").replace("window: 1m", "window: 1 rpm")
    text = text.replace("rows.lost == 0", "rows.losst == 0")
    path = runs.scenario(tmp_path, text)
    done = runs.inside(command, path, *(["--out", tmp_path / "run"] if command == "run" else []))
    assert done.code == 2
    assert done.said_once("seed", "window", "rows.lost"), done.err
    lines = [
        f"{path}:{n + 1}:"
        for n, line in enumerate(text.splitlines())
        if re.search("sede|rpm|losst", line)
    ]
    assert len(lines) == 3
    assert all(re.search(re.escape(line) + r"\d+: ", done.err) for line in lines), done.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("expect=[rows.nonsense == 0]", ["rows.nonsense"]),
        ("clock.end=2024-01-14T00:00:00Z", ["clock"]),
        ("fleet.turbines=0", ["turbines"]),
        ("fleet.farms=[A, Z]", ["Z"]),
        ("clock.sample_every=7s", ["sample_every"]),
        ("nosuch.key=1", ["nosuch"]),
    ],
)
def test_an_invalid_override_is_2(tiny: Path, change: str, words: list[str]) -> None:
    done = runs.inside("run", tiny, "--out", tiny.parent / "run", "--set", change)
    code, out, err = done.code, done.out, done.err
    assert (code, out) == (2, "")
    assert err.startswith("--set 1: ")
    assert err.count("\n") == 1
    assert all(word in err for word in words), err
    assert not (tiny.parent / "run").exists()


def test_a_missing_scenario_is_2(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    done = runs.inside("run", path)
    assert (done.code, done.err) == (2, f"{path}: cannot be read: No such file or directory\n")


def test_an_editor_finds_the_place_in_a_path_with_spaces(tmp_path: Path) -> None:
    (tmp_path / "wind farm").mkdir()
    path = runs.scenario(tmp_path / "wind farm", runs.SCENARIO.replace("seed: 7", "sede: 7"))
    done = runs.inside("check", path)
    code, out, err = done.code, done.out, done.err
    assert (code, out) == (2, "")
    assert all(line.startswith(f"{path}:") for line in err.splitlines()), err


def test_check_and_plan_print_and_create_nothing(tiny: Path) -> None:
    before = sorted(tiny.parent.iterdir())
    checked = runs.inside("check", tiny)
    assert (checked.code, checked.err) == (0, "")
    assert checked.out.startswith(f"{tiny}: valid; 9 turbines, 240 rows each\n")
    planned = runs.inside("plan", tiny)
    assert (planned.code, planned.err) == (0, "")
    assert re.search(r"^fleet +9 turbines in 3 farms$", planned.out, re.MULTILINE)
    assert re.search(r"^rows +2,160 in ", planned.out, re.MULTILINE)
    assert runs.control_characters(planned.out) == []
    assert sorted(tiny.parent.iterdir()) == before


def test_an_earlier_run_is_refused_then_replaced_and_other_files_stay(
    localstack: str, tmp_path: Path, tiny: Path
) -> None:
    run = runs.copy(runs.saved(localstack)[0], tmp_path / "run")
    (run / "notes.txt").write_text("mine")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    arguments = ["run", tiny, "--out", run, "--endpoint-url", localstack, "--empty-lake", *SMALLER]
    refused = runs.inside(*arguments)
    assert refused.code == 2
    assert refused.said_once(str(run), "--overwrite"), refused.err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before

    replaced = runs.inside(*arguments, "--overwrite")
    assert replaced.code == 0, replaced.text
    assert {path.name for path in (run / "nodes").iterdir()} == {"G"}
    assert {path.name for path in (run / "truth").iterdir()} == {
        f"{kind}-G.parquet" for kind in ("faults", "operations", "states", "wear")
    }
    assert not (run / "lake").exists()  # the saved lake was the earlier run's
    assert runs.result(run)["run"]["turbines"] == 2
    assert (run / "notes.txt").read_text() == "mine"


def test_a_run_without_nodes_may_be_replaced(
    localstack: str, tiny: Path, nothing_listens: str
) -> None:
    run = tiny.parent / "run"
    arguments = ["run", tiny, "--out", run, "--empty-lake", *SMALLER]
    assert runs.inside(*arguments, "--endpoint-url", nothing_listens).code == 3
    assert runs.result(run)["exit_code"] == 3
    done = runs.inside(*arguments, "--endpoint-url", localstack)
    assert (done.code, done.err) == (0, "")
    assert runs.result(run)["exit_code"] == 0


def begin(*arguments: Any) -> None:
    with run_directory.made(*arguments):
        pass


@pytest.mark.parametrize("name", ["nodes", "lake", "campaign.json"])
def test_an_earlier_run_or_campaign_is_replaced_only_on_request(tmp_path: Path, name: str) -> None:
    (tmp_path / run_directory.SCENARIO_FILE).write_text(run_directory.MARK + "name: x")
    (tmp_path / name).touch() if "." in name else (tmp_path / name).mkdir()
    (tmp_path / "campaign.html").touch()
    with pytest.raises(DirectoryError, match="--overwrite"):
        begin(tmp_path, False, "name: y", 1)
    begin(tmp_path, True, "name: y", 1)
    assert [path.name for path in tmp_path.iterdir()] == [run_directory.SCENARIO_FILE]


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        (".venv/bin/windfleet", ".venv/bin/windfleet"),
        ("my tools/windfleet", "'my tools/windfleet'"),
        ("/usr/local/bin/windfleet", "windfleet"),
        ("sim/cli.py", "windfleet"),
    ],
)
def test_the_replay_command_can_be_typed_again_and_replaces_the_run(
    tiny: Path,
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    shown: str,
) -> None:
    replays: list[str] = []
    monkeypatch.setattr(
        "sim.run.command.run",
        lambda scenario, options, console: replays.append(options.replay) or 0,
    )
    for more in ([], ["--overwrite"]):
        done = runs.inside("run", tiny, "--set", "expect=[]", *more, program=typed)
        assert done.code == 0
    assert replays == [f"{shown} run {shlex.quote(str(tiny))} --set 'expect=[]' --overwrite"] * 2


def test_a_place_that_is_no_run_is_never_touched(tiny: Path) -> None:
    folder = tiny.parent / "precious"
    (folder / "nodes").mkdir(parents=True)
    (folder / "nodes" / "letter.txt").write_text("dear")
    file = tiny.parent / "file"
    file.write_text("dear")
    for place in (folder, file):
        done = runs.inside("run", tiny, "--out", place, "--overwrite")
        assert done.code == 2
        assert done.said_once(str(place), "not a windfleet run", "--out"), done.err
    assert [path.name for path in folder.rglob("*")] == ["nodes", "letter.txt"]
    assert file.read_text() == "dear"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_users_scenario_does_not_turn_its_folder_into_a_run(
    tmp_path: Path, overwrite: bool
) -> None:
    """A user's file with the name of a run's scenario survives `--out` of its folder."""
    (tmp_path / run_directory.SCENARIO_FILE).write_text("name: mine  # and my notes")
    (tmp_path / "truth").mkdir()
    with pytest.raises(DirectoryError, match="not a windfleet run"):
        begin(tmp_path, overwrite, "name: y", 1)
    assert (tmp_path / run_directory.SCENARIO_FILE).read_text() == "name: mine  # and my notes"
    assert (tmp_path / "truth").is_dir()


def test_a_replaced_run_leaves_nothing(tmp_path: Path) -> None:
    """A killed run leaves folders with a dot, its work in progress. They go, too."""
    begin(tmp_path, False, "name: x", 1)
    folders = ("nodes/A", "truth", "lake", "warehouse", ".operations", ".struck-A", ".load/phases")
    for name in folders:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").touch()
    for name in ("result.json", "dashboard.html"):
        (tmp_path / name).touch()
    (tmp_path / "notes.txt").touch()  # the user's own
    begin(tmp_path, True, "name: y", 1)
    assert {path.name for path in tmp_path.iterdir()} == {run_directory.SCENARIO_FILE, "notes.txt"}


def test_a_disk_that_is_too_small_is_reported_before_any_write(tmp_path: Path) -> None:
    with pytest.raises(DirectoryError, match=r"only [\d,]+ MB are free; .*--out") as raised:
        begin(tmp_path / "run", False, "name: x", 10**18)
    assert raised.value.exit_code == 3
    assert not (tmp_path / "run" / run_directory.SCENARIO_FILE).exists()


def test_a_missing_store_is_3(tiny: Path, nothing_listens: str) -> None:
    run = ["run", tiny, "--overwrite", "--out", tiny.parent / "run"]
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = str(other.getsockname()[1])
        done = runs.quick(*run, "--port", taken)
        assert done.code == 3
        assert f"Port {taken} on 127.0.0.1 is taken" in done.text
    silent = runs.inside(*run, "--endpoint-url", nothing_listens)
    assert silent.code == 3
    assert f"opening the store {nothing_listens}: stopped after" in silent.out
    assert "starting LocalStack: stopped after" in done.out
    for each in (done, silent):
        assert "Traceback" not in each.text
        assert each.left == []
    result = runs.result(tiny.parent / "run")
    assert (result["verdict"], result["exit_code"], len(result["errors"])) == ("unknown", 3, 1)


@pytest.mark.parametrize(
    ("options", "variable"),
    [
        (["--endpoint-url", "http://192.0.2.1:9000"], ""),
        (["--endpoint-url", "http://127.0.0.1.example.invalid"], ""),
        ([], "AWS_ENDPOINT_URL"),
        ([], "AWS_ENDPOINT_URL_S3"),
    ],
)
def test_load_goes_to_other_machines_only_on_request(
    tiny: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    variable: str,
) -> None:
    if variable:
        monkeypatch.setenv(variable, "http://192.0.2.1:9000")
    done = runs.inside("run", tiny, "--out", tiny.parent / "run", *options)
    code, out, err = done.code, done.out, done.err
    assert (code, out) == (3, "")
    assert err.startswith("windfleet: http://1")
    assert "--allow-remote" in err
    assert not (tiny.parent / "run").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("verify", "RUN"),
        ("verify", "RUN", "--shard", "1/2", "--out", "OUT"),
        ("verify", "RUN", "--cluster", "local:1"),
        ("query", "SELECT 1"),
        ("dashboard",),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", ""])
def test_a_lake_on_another_machine_is_read_only_on_request(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], variable: str
) -> None:
    """Not even a listing is asked for: it would carry the credentials of the environment."""
    run = tiny.parent / "run"
    (run / "nodes").mkdir(parents=True)
    for file in (tiny, tiny.with_name("fleet.yaml")):
        shutil.copy(file, run / file.name)
    tiny.rename(run / "scenario.yaml")
    (run / "result.json").write_text("{}")
    monkeypatch.setattr("sim.store.localstack.status", lambda: None)
    places = {"RUN": str(run), "OUT": str(tiny.parent / "out")}
    words = tuple(places.get(word, word) for word in words)
    asked: list[object] = []
    monkeypatch.setattr("pipeline.wire.Wire.ask", lambda *given, **named: asked.append(given))
    if variable:
        monkeypatch.setenv(variable, "http://192.0.2.1:9000")
    done = runs.inside(*words, *(() if variable else ("--endpoint-url", "http://192.0.2.1:9000")))
    assert done.code == 3, done.text
    assert done.said_once("http://192.0.2.1:9000", "--allow-remote")
    assert not asked


def places() -> list[tuple[str, argparse.Action]]:
    """Return each argument of a command that is a path."""
    return [
        (f"{command} {action.option_strings or action.dest}", action)
        for command, parser in program().commands().items()
        for action in parser._actions
        if str(action.metavar) in ("DIR", "FILE", "DIR|URL", "SCENARIO")
    ]


def test_no_place_may_be_empty() -> None:
    """An empty path would be the working directory."""
    assert len(places()) > 30
    for name, action in places():
        with pytest.raises(argparse.ArgumentTypeError, match="is a variable of the shell not set"):
            pytest.fail(f"{name} takes {action.type('') if callable(action.type) else 'any text'}")


@pytest.mark.parametrize("words", [("--out", ""), ("--out=",), ("--resume", ""), ("",)])
def test_an_empty_argument_is_refused(words: tuple[str, ...]) -> None:
    done = runs.inside("run", "small", *words)
    assert done.code == 2
    assert "is a variable of the shell not set?" in done.err


@pytest.mark.parametrize(
    ("option", "variable", "value", "text"),
    [
        ("--endpoint-url", "AWS_ENDPOINT_URL", "nonsense", ": 'nonsense' is not a URL; write for"),
        ("--gateway", "WINDFLEET_GATEWAY", "quick", "=quick is no gateway: set it to short or"),
        ("--store-processes", "WINDFLEET_STORE_PROCESSES", "9", "=9 is no number of store proc"),
    ],
)
def test_a_mistake_in_the_environment_is_named_and_ends_as_one_in_an_option_does(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, option: str, variable: str, value: str, text: str
) -> None:
    given = runs.inside("run", tiny, "--out", tiny.parent / "run", option, value)
    monkeypatch.setenv(variable, value)
    done = runs.inside("run", tiny, "--out", tiny.parent / "run")
    assert (done.code, given.code, done.out) == (2, 2, "")
    assert done.err.startswith(f"windfleet: {variable}{text}")


@pytest.fixture
def foreign_bucket(clean_lake: str) -> Iterator[tuple[Any, str]]:
    """Client and name of one of the six buckets, with an object and without windfleet's mark."""
    s3, bucket = lake.client(clean_lake), lake.BUCKETS["enriched"]
    s3.put_object(Bucket=bucket, Key="theirs/data.bin", Body=b"precious")
    s3.delete_bucket_tagging(Bucket=bucket)
    yield s3, bucket
    s3.put_bucket_tagging(
        Bucket=bucket,
        Tagging={"TagSet": [{"Key": key, "Value": value} for key, value in lake.TAGS.items()]},
    )
    s3.delete_object(Bucket=bucket, Key="theirs/data.bin")


def test_a_lake_with_objects_is_refused_and_unchanged(clean_lake: str, tiny: Path) -> None:
    s3, bucket = lake.client(clean_lake), lake.BUCKETS["aggregated"]
    s3.put_object(Bucket=bucket, Key="aggregated/earlier.parquet", Body=b"rows")
    done = runs.quick("run", tiny, "--out", tiny.parent / "run", "--endpoint-url", clean_lake)
    assert done.code == 3
    assert f"{bucket}/aggregated/earlier.parquet" in done.text
    assert "--empty-lake" in done.text
    assert lake.first_object(clean_lake) == f"{bucket}/aggregated/earlier.parquet"
    s3.delete_object(Bucket=bucket, Key="aggregated/earlier.parquet")
    assert lake.first_object(clean_lake) is None


def test_a_bucket_of_another_owner_is_never_emptied(
    foreign_bucket: tuple[Any, str], localstack: str, tiny: Path
) -> None:
    s3, bucket = foreign_bucket
    s3.put_object(Bucket=lake.BUCKETS["ingestion"], Key="ingestion/ours.parquet", Body=b"rows")
    done = runs.inside(
        "run", tiny, "--out", tiny.parent / "run", "--endpoint-url", localstack, "--empty-lake"
    )
    assert done.code == 3
    assert f"Bucket {bucket} was not made by windfleet" in done.text
    assert s3.get_object(Bucket=bucket, Key="theirs/data.bin")["Body"].read() == b"precious"
    # Nothing was removed before that check.
    assert (
        s3.get_object(Bucket=lake.BUCKETS["ingestion"], Key="ingestion/ours.parquet")["Body"].read()
        == b"rows"
    )


def test_verify_finds_the_lake_or_names_the_fix(
    localstack: str, tmp_path: Path, nothing_listens: str
) -> None:
    run = runs.copy(runs.saved(localstack)[0], tmp_path / "run")
    (run / "lake").rename(tmp_path / "elsewhere")
    without = runs.inside("verify", run, "--workers", 1)
    assert without.code == 3
    assert without.said_once(
        str(run), "--save-lake", "--keep", "--lake DIR", "--endpoint-url URL"
    ), without.err
    named = runs.inside("verify", run, "--lake", tmp_path / "elsewhere", "--workers", 1)
    assert named.code == 0, named.text
    assert "the same figures as in result.json" in named.out
    for options in (
        ["--lake", tmp_path / "none"],
        ["--lake", run / "nodes"],
        ["--endpoint-url", nothing_listens],
    ):
        done = runs.inside("verify", run, "--workers", 1, *options)
        assert done.code == 3, done.text
        assert "Traceback" not in done.text
        assert str(options[1]) in done.text


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_verify_takes_the_endpoint_of_the_environment_after_a_saved_lake(
    localstack: str, tmp_path: Path, nothing_listens: str, variable: str
) -> None:
    run = runs.copy(runs.saved(localstack)[0], tmp_path / "run")
    assert runs.inside("verify", run, "--workers", 1, **{variable: nothing_listens}).code == 0
    (run / "lake").rename(tmp_path / "elsewhere")
    done = runs.inside("verify", run, "--workers", 1, **{variable: nothing_listens})
    assert done.code == 3
    assert nothing_listens in done.text


def lose_farm(run: Path, farm: str) -> None:
    """Remove a farm from a run: node files, ground truth, objects."""
    shutil.rmtree(run / "nodes" / farm)
    for path in [
        *(run / "truth").glob(f"*-{farm}.parquet"),
        *(run / "lake").rglob(f"{farm}-[0-9]*"),
    ]:
        path.unlink()


def test_verify_reports_a_farm_without_any_files(localstack: str, tmp_path: Path) -> None:
    run = runs.copy(runs.saved(localstack)[0], tmp_path / "run")
    lose_farm(run, "B")
    done = runs.inside("verify", run, "--workers", 1)
    assert done.code == 6, done.text
    assert done.out.count("error: ") == 1
    assert "error: 4 turbines of the scenario have no file in nodes/; first B-001\n" in done.out

    next((run / "lake").rglob("A-001-*.parquet")).unlink()
    done = runs.inside("verify", run, "--workers", 1)
    assert (done.code, done.out.count("first B-001")) == (5, 1), done.text

    (run / run_directory.SCENARIO_FILE).unlink()
    done = runs.inside("verify", run, "--workers", 1)
    assert done.code == 5, done.text
    assert re.search(
        r"^could not check for missing node files: .*scenario\.yaml", done.out, re.MULTILINE
    )


def test_a_directory_that_is_no_run_is_2(tmp_path: Path) -> None:
    for command, words in (("verify", "nodes/"), ("report", "result.json")):
        done = runs.inside(command, tmp_path)
        assert done.code == 2
        assert done.said_once(str(tmp_path), words, "run directory"), done.err


def test_report_rebuilds_the_same_bytes(localstack: str, tmp_path: Path) -> None:
    run = runs.copy(runs.saved(localstack)[0], tmp_path / "run")
    names = ("report.html", "junit.xml", "result.json")
    before = {name: (run / name).read_bytes() for name in names}
    (run / "report.html").unlink()
    (run / "junit.xml").write_text("spoiled")
    done = runs.inside("report", run)
    assert (done.code, done.err) == (0, "")
    assert done.out == f"report: {run / 'report.html'}\n"
    assert {name: (run / name).read_bytes() for name in names} == before

    result = json.loads(before["result.json"])
    (run / "result.json").write_text(json.dumps(result | {"verdict": "perhaps"}))
    done = runs.inside("report", run)
    assert done.code == 2
    assert done.said_once("result.json", "verdict"), done.err


@pytest.mark.parametrize("action", ["status", "up", "down", "logs", "install"])
def test_a_named_store_goes_with_empty_only(action: str) -> None:
    done = runs.inside("store", action, "--endpoint-url", "http://127.0.0.1:9")
    assert done.code == 2
    assert done.said_once(f"store {action}", "leave out --endpoint-url")


def test_store_up_status_down(tiny: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    assert runs.inside("store", "status").out == "down\n"
    with runs.kept("store", "up", "--port", port) as up:
        try:
            assert (up.code, up.err) == (0, "")
            assert f"export AWS_ENDPOINT_URL={url}" in up.out
            assert lake.missing(url) == []
            assert runs.inside("store", "status").out.startswith(f"up: {url} (pid ")
            assert json.loads(runs.inside("store", "status", "--json").out)["endpoint_url"] == url
            assert runs.inside("store", "up", "--port", port).code == 0
            key = f"ingestion/year=2024/{tiny.stem}.parquet"
            S3ObjectStore(url).create(lake.BUCKETS["ingestion"], key, b"x")
            emptied = runs.inside("store", "empty")
            assert (emptied.code, emptied.err) == (0, "")
            assert emptied.out == f"{url}: 1 object removed from the six buckets\n"
            assert lake.first_object(url) is None
            assert "server.log" in runs.inside("store", "logs").out
            other = runs.inside("store", "up", "--port", port + 1)
            assert other.code == 3
            assert other.said_once(f"already running on port {port}", "windfleet store down"), (
                other.err
            )
        finally:
            down = runs.inside("store", "down")
        assert (down.code, down.err) == (0, "")
        assert down.out.startswith(f"down: {url} (pid ")
        assert runs.wait_until(lambda: not up.command.left(), 5), up.command.left()
    assert runs.inside("store", "down").out == "no store was up\n"
    assert runs.inside("store", "status").out == "down\n"
    assert json.loads(runs.inside("store", "status", "--json").out) == {"up": False}


@pytest.mark.parametrize("action", ["empty", "logs"])
def test_a_store_that_is_not_up_is_3(action: str) -> None:
    done = runs.inside("store", action)
    assert (done.code, done.out) == (3, "")
    assert done.said_once("no store is up", "windfleet store up")


def test_a_store_elsewhere_is_not_emptied_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    done = runs.inside("store", "empty", "--endpoint-url", "http://192.0.2.1:9")
    assert done.code == 3
    assert done.said_once("192.0.2.1", "--allow-remote")


def test_keep_leaves_the_store_up_for_verify(tiny: Path) -> None:
    run = tiny.parent / "run"
    with runs.kept("run", tiny, "--out", run, "--keep", *SMALLER) as done:
        try:
            assert done.code == 0, done.text
            (url,) = re.findall(
                r"the store is still running at (\S+); stop it with: windfleet store down", done.out
            )
            assert lake.first_object(url)
            # without a saved lake it looks in the store that is up
            judged = runs.inside("verify", run, "--workers", 1)
            assert judged.code == 0, judged.text
            assert "the same figures as in result.json" in judged.out
        finally:
            assert runs.inside("store", "down").code == 0
        assert runs.wait_until(lambda: not done.command.left(), 5), done.command.left()


def test_a_closed_pipe_stops_nothing(tiny: Path, localstack: str) -> None:
    gone = "import os; r, w = os.pipe(); os.close(r); os.dup2(w, 1)"
    for command in ("plan", "check"):
        done = runs.quick(command, tiny, plant=gone)
        assert (done.code, done.err) == (0, "")
    run = tiny.parent / "run"
    done = runs.quick(
        "run",
        tiny,
        "--out",
        run,
        "--endpoint-url",
        localstack,
        "--empty-lake",
        *SMALLER,
        plant=gone,
    )
    assert (done.code, done.err, done.left) == (0, "", [])
    assert runs.result(run)["verdict"] == "pass"
    assert (run / "report.html").exists()


def test_an_error_of_windfleet_itself_is_1_and_names_the_debug_variable(tiny: Path) -> None:
    plant = "def load(*_): raise ZeroDivisionError('oops')\n"
    plant += "import sim.scenario\nsim.scenario.load = load"
    done = runs.quick("check", tiny, plant=plant)
    assert done.code == 1
    assert done.said_once("ZeroDivisionError: oops", "WINDFLEET_DEBUG=1"), done.err
    assert "Traceback" in runs.quick("check", tiny, plant=plant, WINDFLEET_DEBUG="1").err
