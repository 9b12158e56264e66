"""`windfleet list`, `figures` and `faults`: what they show is what the commands accept."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import get_args

import pytest

from sim.chaos.faults import KINDS as DELIVERY
from sim.demo.themes import names as themes
from sim.listing.faults import SECTIONS, FaultKind, faults
from sim.listing.figures import figures
from sim.listing.runs import SCHEMA_VERSION, VERDICTS, PastRun
from sim.listing.runs import runs as listed
from sim.measure.figures import FIGURES
from sim.model.events import KINDS as EVENTS
from sim.model.faults.catalogue import KINDS as DATA
from sim.report import result
from sim.report.campaign import CampaignResult
from sim.report.result import Result
from sim.resume_state import CAMPAIGN_STATE, RUN_STATE
from sim.scenario import load
from sim.shipped import names
from tests.support import runs
from tests.support.report_samples import failed, passed, unknown

SCENARIO = """\
schema_version: 1
name: one
fleet: {preset: full, farms: [A]}
clock: {start: 2024-03-10T05:00:00Z, duration: 4h, sample_every: 1s}
"""


def test_the_list_has_every_scenario_and_theme_with_a_text() -> None:
    done = runs.inside("list", "--json")
    data = json.loads(done.out)
    assert [each["name"] for each in data["scenarios"]] == names()
    assert [each["name"] for each in data["themes"]] == themes()
    texts = [each["text"] for key in ("scenarios", "themes") for each in data[key]]
    assert all(len(text) > 20 and "yaml-language-server" not in text for text in texts)
    shown = runs.inside("list", "scenarios").out
    assert all(f" {name} " in shown for name in names())
    assert "Atlantic" not in shown
    lines = {line.split()[0]: line for line in shown.splitlines()[1:] if line.strip()}
    assert lines["small"].split()[1:3] == ["Sixteen", "turbines"]
    assert "Shows where" not in shown.replace("\n", " ")


def test_runs_are_listed_with_their_verdicts(tmp_path: Path) -> None:
    good = passed()
    for name, text in (("good", good.to_json()), ("torn", "{"), ("odd", "[]")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(text)
    for name in ("ended/nodes", "stranger"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "ended" / "scenario.yaml").write_text("")
    found = {Path(run.folder).name: run for run in listed(tmp_path)}
    assert set(found) == {"good", "torn", "odd", "ended"}
    assert (found["good"].verdict, found["good"].scenario) == ("pass", good.scenario)
    assert good.lake is not None
    assert found["good"].digest == good.lake.digest
    assert found["good"].rows == good.figure("rows.generated")
    for name, words in (("torn", "cannot be read"), ("odd", "cannot be read"), ("ended", "ended")):
        assert found[name].verdict is None
        assert words in found[name].note
    shown = runs.inside("list", "runs", tmp_path).out
    assert "PASS" in shown
    assert [run.folder for run in listed(tmp_path / "good")] == [str(tmp_path / "good")]


def test_another_verdict_of_verify_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(passed().to_json())
    for again, note in (("pass", ""), ("fail", "verify: FAIL")):
        (tmp_path / "verify.json").write_text(json.dumps({"schema_version": 1, "verdict": again}))
        assert [(run.verdict, run.note) for run in listed(tmp_path)] == [("pass", note)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema_version": 99}, "schema_version is 99, this windfleet reads 1"),
        ({"verdict": "superb"}, "verdict is 'superb', not one of pass, fail, unknown"),
        ({"figures": None}, "figures is not an object"),
        ({"figures": {"rows.generated": 3}}, "rows.generated is not an object"),
        ({"run": [1]}, "run is not an object"),
        ({"run": {"started": 7}}, "started is not a text"),
        ({"lake": "x"}, "lake is not an object"),
        ({"seed": True}, "seed is not a whole number"),
        ({"seed": 10**400}, "the number 10000000… of 401 characters is out of range"),
        ({"seed": float("nan")}, "the number NaN is out of range"),
    ],
)
def test_a_result_of_another_shape_is_listed_with_the_reason(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    """In words, not as an error of Python; `history` leaves it out with the same ones."""
    (tmp_path / "result.json").write_text(json.dumps(json.loads(passed().to_json()) | change))
    (run,) = listed(tmp_path)
    assert (run.verdict, run.note) == (None, f"result.json cannot be read: {reason}")
    assert reason in " ".join(runs.inside("list", "runs", tmp_path, COLUMNS="200").out.split())


def test_a_list_reads_the_version_that_is_written() -> None:
    written = {result.SCHEMA_VERSION, CampaignResult("x", 1, "").schema_version}
    assert written == {SCHEMA_VERSION}
    assert get_args(result.Verdict) == VERDICTS


def kept(folder: Path, one: Result, started: str, **more: object) -> Path:
    """Save a run's result in a folder. more: fields of its `run`, and `load`."""
    data = json.loads(one.to_json())
    data |= {"load": more.pop("load", None)}
    data["run"] |= {"started": started} | more
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(data))
    return folder


def began(folder: Path, state: str) -> Path:
    """Leave the state of an interrupted run or campaign in a folder."""
    (folder / state).parent.mkdir(parents=True)
    (folder / state).write_text("{}")
    return folder


def test_every_kind_of_run_is_listed_by_its_time_with_what_it_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    good, bad, none = passed(), failed(), unknown()
    kept(Path("runs/a"), good, "2026-11-23T15:42:29+00:00")
    kept(Path("runs/b"), bad, "2026-11-22T08:00:01+00:00", part="part 1 of 2")
    kept(Path("runs/c/1"), none, "2026-11-24T00:00:00+00:00", load={"phases": []})
    began(Path("runs/d"), RUN_STATE)
    began(kept(Path("runs/e"), good, "2026-11-25T00:00:00+00:00"), RUN_STATE)
    Path("runs/e/scenario.yaml").touch()
    began(Path("runs/f g"), CAMPAIGN_STATE)
    Path("runs/h").mkdir()
    document = {"schema_version": 1, "verdict": "fail", "scenario": "chaos-light", "seed": 3}
    Path("runs/h/campaign.json").write_text(json.dumps(document))
    began(Path("runs/i"), RUN_STATE)
    Path("runs/i/scenario.yaml").touch()
    Path("runs/i/nodes").mkdir()
    way = "go on with `windfleet run --resume runs"
    assert good.lake is not None
    assert bad.lake is not None
    first = PastRun(
        "runs/a", "run", "pass", "quickstart", 7, "2026-11-23T15:42:29+00:00", 900_000, 71.3
    )
    first = replace(first, digest=good.lake.digest)
    day = PastRun("runs/b", "part 1 of 2", "fail", "fleet-day", 20_240_115)
    found = [
        PastRun("runs/d", "run", None, resumable=True, note=f"began; {way}/d`"),
        PastRun(
            "runs/f g",
            "campaign",
            None,
            resumable=True,
            note="began; go on with `windfleet campaign --resume 'runs/f g'`",
        ),
        PastRun("runs/h", "campaign", "fail", "chaos-light", 3),
        PastRun("runs/i", "run", None, resumable=True, note=f"ended without a result; {way}/i`"),
        replace(
            day,
            started="2026-11-22T08:00:01+00:00",
            rows=129_600_000,
            seconds=8412.0,
            digest=bad.lake.digest,
        ),
        first,
        PastRun("runs/c/1", "load test", "unknown", "quickstart", 7, "2026-11-24T00:00:00+00:00"),
        replace(
            first,
            folder="runs/e",
            started="2026-11-25T00:00:00+00:00",
            resumable=True,
            note=f"{way}/e`",
        ),
    ]
    assert listed(Path("runs")) == found
    assert list(json.loads(runs.inside("list", "--json").out)) == ["scenarios", "themes", "runs"]
    assert json.loads(runs.inside("list", "runs", "--json").out) == {
        "runs": [asdict(each) for each in found]
    }
    _, head, _, *lines = table(runs.inside("list", "runs").out)
    assert head == ["verdict", "run", "kind", "started", "rows", "time"]
    assert lines == [
        ["NONE", f"runs/d ({found[0].note})", "run", "–", "–"],
        ["NONE", f"runs/f g ({found[1].note})", "campaign", "–", "–"],
        ["FAIL", "runs/h", "campaign", "–", "–"],
        ["NONE", f"runs/i ({found[3].note})", "run", "–", "–"],
        ["FAIL", "runs/b", "part 1 of 2", "2026-11-22 08:00", "129,600,000", "2 h 20 min"],
        ["PASS", "runs/a", "run", "2026-11-23 15:42", "900,000", "1 min 11 s"],
        ["UNKNOWN", "runs/c/1", "load test", "2026-11-24 00:00", "–", "–"],
        ["PASS", f"runs/e ({way}/e`)", "run", "2026-11-25 00:00", "900,000", "1 min 11 s"],
    ]


def table(text: str) -> list[list[str]]:
    """Return the cells of the lines of a table, without empty ones."""
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines() if line.strip()]


def test_a_folder_without_runs_is_said_to_have_none(tmp_path: Path) -> None:
    assert runs.inside("list", "runs", tmp_path).out == f"runs\nnone in {tmp_path}\n"


def test_a_folder_that_is_not_there_is_2(tmp_path: Path) -> None:
    done = runs.inside("list", "runs", tmp_path / "none")
    assert (done.code, done.said_once("none: there is no such folder")) == (2, True)


def test_figures_are_found_by_name_meaning_and_unit() -> None:
    assert {each["name"] for each in json.loads(runs.inside("figures", "--json").out)} == set(
        FIGURES
    )
    found = {each["name"] for each in json.loads(runs.inside("figures", "missing", "--json").out)}
    assert "rows.lost" in found
    assert len(found) < len(FIGURES) / 4
    users = {each["unit"] for each in json.loads(runs.inside("figures", "users", "--json").out)}
    assert "users" in users
    done = runs.inside("figures", "latensy")
    assert (done.code, done.out) == (2, "")
    assert done.said_once("'latensy'", "did you mean", "latency")


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("p999", "latency.flush.p999"),  # in names only
        ("coherency", "load.usl.beta"),  # in descriptions only
        ("Contention", "load.usl.alpha"),
        ("requests/s", "store.put_ceiling_per_s"),  # as units only
        ("USD", "cost.per_day"),
    ],
)
def test_a_word_of_one_place_is_enough(word: str, name: str) -> None:
    found = figures(word)
    assert found[name] is FIGURES[name]
    assert len(found) < len(FIGURES) / 4


def test_the_table_of_figures_has_what_json_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    found = [{"name": name, **asdict(figure)} for name, figure in FIGURES.items()]
    assert json.loads(runs.inside("figures", "--json").out) == found
    head, _, *lines, last = table(runs.inside("figures").out)
    assert head == ["figure", "unit", "kind", "meaning"]
    assert lines == [
        [name, figure.unit or "–", figure.kind, figure.description]
        for name, figure in sorted(FIGURES.items())
    ]
    assert last[0].startswith("A scenario names them in `expect`")


def test_faults_has_every_kind_of_the_catalogues() -> None:
    known = {kind.name for kind in faults(None)}
    assert known == {*EVENTS, *DATA, *DELIVERY}
    assert [kind.name for kind in faults("store.error")] == ["store.error"]
    assert {kind.section for kind in faults("clock")} == {"data_faults"}
    assert {kind.name for kind in faults("data_faults")} == set(DATA)
    assert all("farms" in kind.settings for kind in faults("data_faults"))
    assert [kind.name for kind in faults("veering")] == ["weather.storm"]  # in its text only
    assert [kind.name for kind in faults("node.wal")] == ["node.wal"]  # node.disk-full says it too
    done = runs.inside("faults", "node.crush")
    assert (done.code, done.said_once("'node.crush'", "node.crash")) == (2, True)


@pytest.mark.parametrize("kind", faults(None), ids=lambda kind: kind.name)
def test_the_example_of_each_kind_is_a_scenario_as_written(kind: FaultKind, tmp_path: Path) -> None:
    """The scenario spans a change of clocks for clock.dst, and four hours for the longest fault."""
    path = tmp_path / "one.yaml"
    path.write_text(f"{SCENARIO}{kind.section}:\n  {kind.example}\n")
    scenario = load(path)
    assert len(getattr(scenario, kind.section)) == 1
    written = {key.split(":")[0].strip() for key in kind.example.strip("- {}").split(", ")}
    assert written - {"kind"} <= set(kind.settings)
    shown = runs.inside("faults", kind.name).out
    assert kind.example in shown.replace("\n", " ")
    assert f"settings: {', '.join(kind.settings)}\n" in shown


def test_the_faults_of_several_sections_are_shown_by_section() -> None:
    assert json.loads(runs.inside("faults", "--json").out) == [
        asdict(kind) | {"settings": list(kind.settings)} for kind in faults(None)
    ]
    shown = runs.inside("faults").out
    places = [shown.index(f"{section}  {text}\n") for section, text in SECTIONS.items()]
    assert places == sorted(places)
    for kind in faults(None):
        at = shown.index(f" {kind.name} ")
        begun = [section for section, place in zip(SECTIONS, places, strict=True) if place < at]
        assert begun[-1] == kind.section
