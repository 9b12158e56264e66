"""The verdict as a result: its files, page, terminal, and comparison with the run's own result."""

from __future__ import annotations

import dataclasses
import json
import re
from io import StringIO
from pathlib import Path

import pytest

from sim import run_directory
from sim.check import Finding, Verdict
from sim.check.read.lake import LakeReader
from sim.console import SafeConsole
from sim.errors import ENVIRONMENT, LAKE_WRONG, PASS, UNKNOWN, DirectoryError
from sim.report.result import RESULT_FILE, Result, read_result
from sim.report.verify_terminal import print_verified
from sim.report.write import (
    HTML_FILE,
    VERIFY_HTML,
    VERIFY_JSON,
    VERIFY_JUNIT,
    rebuild_all,
    write_verify,
)
from sim.verify.command import VerifyOptions, verify, writable
from sim.verify.verdict_result import Circumstances, verdict_result
from tests.support import runs
from tests.support.browser import Page
from tests.support.run_folders import folder, sample, with_digest

FILES = {VERIFY_JSON, VERIFY_HTML, VERIFY_JUNIT}
DIGEST = "9f2c" * 16


def verdict(**figures: float) -> Verdict:
    """Return a verdict that confirms the sample run, with some figures changed."""
    known = {"rows.generated": 900_000.0, "rows.ingested": 900_000.0, "rows.lost": 0.0}
    return Verdict("pass", {**known, **figures}, digest=DIGEST, objects=18_412)


def wrong() -> Verdict:
    """Return a verdict with a flood of one kind of finding, and one finding of another."""
    lost = [
        Finding(
            "lost",
            stage="ingestion",
            farm="A",
            turbine=f"A-{n:03d}",
            rows=900,
            key="k",
            detail="id 1",
        )
        for n in range(60)
    ]
    alone = Finding("object.foreign", stage="metadata", key="expanso-databricks-metadata/x")
    return dataclasses.replace(
        verdict(**{"rows.lost": 54_000.0}),
        status="fail",
        digest="ab" * 32,
        findings=[*lost, alone],
        counts={"lost": 700, "object.foreign": 1},
    )


def around(run: Path) -> Circumstances:
    return Circumstances(run, "windfleet verify x", "2026-11-30T10:00:00+00:00", 3.0, "x/lake", 1)


def printed(result: Result, place: Path) -> str:
    console = SafeConsole(StringIO())
    with console.capture() as text:
        print_verified(console, result, place)
    return text.get()


def test_the_same_lake_is_said_with_the_number_of_figures(tmp_path: Path) -> None:
    run = folder(tmp_path / "run", sample(lake=with_digest(DIGEST)))
    found = verdict_result(verdict(), None, around(run))
    assert (found.verdict, found.exit_code, found.scenario, found.seed) == (
        "pass",
        PASS,
        "quickstart",
        7,
    )
    assert found.recheck is not None
    assert (found.recheck.before, found.recheck.compared) == ("pass", 4)
    assert found.recheck.sentence == "the same figures as in result.json"
    assert found.figures["verify.rows_per_s"].value == 300_000.0


def test_differences_have_both_values(tmp_path: Path) -> None:
    run = folder(tmp_path / "run", sample(lake=with_digest(DIGEST)))
    found = verdict_result(wrong(), None, around(run))
    assert found.exit_code == LAKE_WRONG
    assert found.recheck is not None
    assert [(each.name, each.before, each.now) for each in found.recheck.differences] == [
        ("rows.lost", 0, 54_000),
        ("lake digest", DIGEST, "ab" * 32),
    ]


def test_a_run_without_a_result_is_compared_with_nothing(tmp_path: Path) -> None:
    found = verdict_result(verdict(), None, around(tmp_path))
    assert found.recheck is not None
    assert (found.recheck.before, found.recheck.sentence) == (None, "")
    assert (found.scenario, found.seed) == ("unknown", 0)


@pytest.mark.parametrize(
    ("status", "errors", "figures", "code"),
    [
        ("unknown", ["no nodes"], {}, ENVIRONMENT),
        ("unknown", ["one node"], {"rows.lost": 0.0}, UNKNOWN),
        ("fail", ["one node"], {"rows.lost": 1.0}, LAKE_WRONG),
    ],
)
def test_exit_codes(
    status: str, errors: list[str], figures: dict[str, float], code: int, tmp_path: Path
) -> None:
    found = Verdict(status, figures, errors=errors)
    assert verdict_result(found, None, around(tmp_path)).exit_code == code


def test_findings_come_first_in_groups_and_figures_are_no_wall(tmp_path: Path) -> None:
    run = folder(tmp_path / "run", sample(lake=with_digest(DIGEST)))
    text = printed(verdict_result(wrong(), None, around(run)), run)
    lines = text.splitlines()
    assert lines[1] == "FAIL  Found: 54,000 rows lost."
    places = [
        text.index(part)
        for part in (
            "\nlost: 700 findings, farm A, in ingestion\n  A-000 ingestion 900 rows id 1 k\n",
            "\n  and 690 more\nobject.foreign: 1 finding, in metadata\n  metadata x\n",
            "lake digest: ",
            "differs from result.json in: rows.lost, lake digest\n  rows.lost: 0 in result.json, ",
            f"report: {run / VERIFY_HTML}",
        )
    ]
    assert places == sorted(places)
    assert not re.search(r"^rows\.\w+ +[\d,]+$", text, re.MULTILINE)


def test_findings_that_are_no_rows_are_named_in_the_sentence(tmp_path: Path) -> None:
    """A lake that fails for an upload or a foreign object is not said to be right."""
    found = dataclasses.replace(verdict(), status="fail", counts={"upload.unfinished": 2})
    text = printed(verdict_result(found, None, around(tmp_path)), tmp_path)
    assert "FAIL  Found: 2 x upload.unfinished.\n" in text


def test_the_three_files_are_written_and_the_run_stays(tmp_path: Path) -> None:
    run = folder(tmp_path / "run", sample(lake=with_digest(DIGEST)))
    rebuild_all(run)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    found = verdict_result(wrong(), None, around(run))
    write_verify(found, run)
    now = {path.name: path.read_bytes() for path in run.iterdir()}
    assert now.keys() - before.keys() == FILES
    assert {name: now[name] for name in before} == before
    assert read_result(run / VERIFY_JSON) == found
    assert '<failure message="verdict fail, exit code 5"' in now[VERIFY_JUNIT].decode()
    (run / VERIFY_HTML).unlink()
    assert rebuild_all(run) == [run / HTML_FILE, run / VERIFY_HTML]
    assert (run / VERIFY_HTML).read_bytes() == now[VERIFY_HTML]
    (run / RESULT_FILE).unlink()
    assert rebuild_all(run) == [run / VERIFY_HTML]


def test_a_place_that_cannot_hold_the_files_is_named_before_anything_is_judged(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(DirectoryError, match="--report DIR") as caught,
        writable(tmp_path / "file" / "x", True),
    ):
        raise AssertionError("the block ran")
    assert caught.value.exit_code == ENVIRONMENT


def test_a_verdict_elsewhere_leaves_the_run_alone(tmp_path: Path) -> None:
    """A directory without nodes: nothing can be judged, and that is written elsewhere."""
    run = folder(tmp_path / "run", sample())
    (run / "nodes").mkdir()
    (run / "lake").mkdir()
    before = sorted(path.name for path in run.rglob("*"))
    options = VerifyOptions(run, LakeReader.folder(run / "lake"), 1, tmp_path / "new" / "here")
    console = SafeConsole(StringIO())
    assert verify(options, console) == ENVIRONMENT
    assert sorted(path.name for path in run.rglob("*")) == before
    assert {path.name for path in (tmp_path / "new" / "here").iterdir()} == FILES
    assert read_result(tmp_path / "new" / "here" / VERIFY_JSON).verdict == "unknown"


def test_a_new_run_in_the_directory_removes_the_verdict_on_the_old_one(tmp_path: Path) -> None:
    run = folder(tmp_path / "run", sample())
    write_verify(verdict_result(verdict(), None, around(run)), run)
    with run_directory.made(run, True, "", 0):
        assert not {path.name for path in run.iterdir()} & FILES


def test_a_part_has_no_report(tmp_path: Path) -> None:
    (tmp_path / "nodes").mkdir()
    done = runs.inside("verify", tmp_path, "--shard", "1/2", "--out", tmp_path / "x", "--json")
    assert done.code == 2
    assert done.said_once("has its record only")


def test_the_page_shows_findings_first_and_what_differs(tmp_path: Path, tab: Page) -> None:
    run = folder(tmp_path / "run", sample(lake=with_digest(DIGEST)))
    write_verify(verdict_result(wrong(), None, around(run)), run)
    for width, dark in ((390, False), (1400, True)):
        tab.open(run / VERIFY_HTML, width=width, dark=dark)
        assert tab.errors == []
        assert tab.value("document.documentElement.scrollWidth") <= width
    sections = tab.value("Array.from(document.querySelectorAll('section'), (each) => each.id)")
    assert sections[:2] == ["findings", "rows"]
    rows = tab.texts("#recheck tbody tr")
    assert rows == ["rows.lost 0 54,000", f"lake digest {DIGEST[:16]} {'ab' * 8}"]
    figures = json.loads((run / VERIFY_JSON).read_text())["figures"]
    assert len(tab.texts("#figures tbody tr")) == len(figures)
