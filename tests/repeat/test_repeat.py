"""`--repeat N`: N runs side by side, their spread, and the exit code of the worst."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from sim.cli import main
from sim.compare.command import compared
from sim.errors import (
    ENVIRONMENT,
    INTERRUPTED,
    INVALID,
    LAKE_WRONG,
    PASS,
    THRESHOLD,
    UNKNOWN,
    DirectoryError,
    StoreGone,
)
from sim.repeat.command import repeat
from sim.replay import of_one
from sim.report.result import RESULT_FILE, Result
from tests.support import runs
from tests.support.run_folders import sample, with_digest


def maker(*results: Result) -> Callable[[Path, Console], int]:
    """Return a run that leaves these results, one after the other."""
    left = iter(results)

    def one(folder: Path, console: Console) -> int:
        console.print("progress")
        folder.mkdir(parents=True, exist_ok=True)
        result = next(left)
        (folder / RESULT_FILE).write_text(result.to_json())
        return result.exit_code

    return one


def ended(code: int, speed: float = 1000.0) -> Result:
    verdict = {PASS: "pass", UNKNOWN: "unknown", INTERRUPTED: "unknown"}.get(code, "fail")
    return sample(verdict=verdict, exit_code=code, figures={"throughput.rows_per_s": speed})


@pytest.mark.parametrize(
    ("codes", "worst"),
    [
        ((PASS, PASS), PASS),
        ((PASS, UNKNOWN), UNKNOWN),
        ((UNKNOWN, THRESHOLD, PASS), THRESHOLD),
        ((LAKE_WRONG, THRESHOLD), LAKE_WRONG),
    ],
)
def test_the_exit_code_is_that_of_the_worst_run(
    codes: tuple[int, ...], worst: int, tmp_path: Path
) -> None:
    one = maker(*(ended(code) for code in codes))
    assert repeat(len(codes), tmp_path / "out", False, "quiet", one) == worst
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        str(number) for number in range(1, len(codes) + 1)
    ]


def test_the_spread_of_measured_figures_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    speeds = (1000.0, 1100.0, 900.0)
    assert repeat(3, tmp_path, False, "text", maker(*(ended(PASS, each) for each in speeds))) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "throughput.rows_per_s 1,000 900 1,100 20.0 %" in text
    assert "freshness.p99" not in text  # modelled
    assert f"windfleet compare {tmp_path} DIR" in text
    assert len(compared([tmp_path], [tmp_path], 0.1).base) == 3


def test_json_is_one_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert repeat(2, tmp_path, False, "json", maker(ended(PASS), ended(THRESHOLD))) == THRESHOLD
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert [each["exit_code"] for each in found["runs"]] == [0, 4]
    assert found["exit_code"] == THRESHOLD
    assert found["spread"]["throughput.rows_per_s"]["runs"] == 2
    assert "progress" in err


def test_another_lake_is_a_failure_of_determinism(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = [sample(lake=with_digest(each * 32)) for each in ("ab", "ab", "cd")]
    assert repeat(3, tmp_path, False, "markdown", maker(*results)) == LAKE_WRONG
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "determin" in line)
    assert f"the lake digest of {tmp_path / '3'} is {'cd' * 8}" in line


@pytest.mark.parametrize("code", [INTERRUPTED, ENVIRONMENT])
def test_an_interrupted_run_ends_the_series(code: int, tmp_path: Path) -> None:
    assert repeat(3, tmp_path, False, "quiet", maker(ended(PASS), ended(code))) == code
    assert not (tmp_path / "3").exists()


def test_an_error_shows_the_runs_before_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = maker(ended(PASS))

    def one(folder: Path, console: Console) -> int:
        if folder.name == "2":
            raise StoreGone("gone")
        return first(folder, console)

    with pytest.raises(StoreGone):
        repeat(2, tmp_path, False, "text", one)
    assert f"{tmp_path / '1'}  PASS" in capsys.readouterr().out


@pytest.mark.parametrize("options", ["--repeat 3 --out runs/x", "--repeat=3 --out=runs/x"])
def test_a_run_of_a_series_is_replayed_alone(options: str) -> None:
    replay = f"windfleet run small {options} --set 'name=a b' --overwrite"
    want = "windfleet run small --set 'name=a b' --overwrite --out runs/x/2"
    assert of_one(replay, {"--out": "runs/x/2"}, ("--repeat",)) == want


def test_series_are_not_mixed(tmp_path: Path) -> None:
    repeat(3, tmp_path, False, "quiet", maker(*[ended(PASS)] * 3))
    for times, overwrite, words in ((3, False, "--overwrite"), (2, True, "series of 3 runs")):
        with pytest.raises(DirectoryError, match=words) as caught:
            repeat(times, tmp_path, overwrite, "quiet", maker())
        assert caught.value.exit_code == INVALID
    with pytest.raises(DirectoryError, match="is itself a run"):
        repeat(2, tmp_path / "1", True, "quiet", maker())
    assert repeat(3, tmp_path, True, "quiet", maker(*[ended(PASS)] * 3)) == PASS


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["run", "x.yaml", "--repeat", "2", "--shard", "1/2"], "--shard"),
        (["run", "x.yaml", "--repeat", "2", "--cluster", "local:2"], "--cluster"),
        (["run", "x.yaml", "--repeat", "2", "--keep"], "--keep"),
        (["run", "x.yaml", "--repeat", "2", "--serve"], "--serve"),
        (["load", "x.yaml", "--repeat", "2", "--keep"], "--keep"),
        (["load", "x.yaml", "--repeat", "2", "--master"], "--master"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    options: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(options)
    assert left.value.code == INVALID
    assert f"--repeat does not go with {named} (" in capsys.readouterr().err


def test_a_named_store_needs_an_empty_lake_each_time(tmp_path: Path) -> None:
    there = ("--endpoint-url", "http://127.0.0.1:1")
    done = runs.inside("run", runs.scenario(tmp_path), "--repeat", 2, *there)
    assert done.code == INVALID
    assert done.said_once("--empty-lake")


def test_a_run_is_repeated_with_the_same_lake(tmp_path: Path, localstack: str) -> None:
    done = runs.inside(
        *("run", runs.scenario(tmp_path), "--repeat", 2, "--out", tmp_path / "out"),
        *("--endpoint-url", localstack, "--empty-lake", "--workers", 1, "--json"),
        *("--set", "clock.duration=1m", "--set", "fleet.farms=[G]", "--set", "data_faults=[]"),
        *("--set", "expect=[rows.lost == 0]"),
    )
    assert done.code == PASS, done.text
    found = json.loads(done.out)
    first, second = found["runs"]
    assert first["digest"] == second["digest"]
    assert found["differing"] == []
    assert found["spread"]["time.total"]["runs"] == 2
