"""`windfleet list`, `figures` and `faults`: what they show is what the commands accept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sim.chaos.faults import KINDS as DELIVERY
from sim.demo.themes import names as themes
from sim.listing.faults import FaultKind, faults
from sim.listing.runs import runs as listed
from sim.measure.figures import FIGURES
from sim.model.events import KINDS as EVENTS
from sim.model.faults.catalogue import KINDS as DATA
from sim.scenario import load
from sim.shipped import names
from tests.support import runs
from tests.support.report_samples import passed

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


def test_runs_are_listed_with_their_verdicts(tmp_path: Path) -> None:
    result = passed()
    for name, text in (("good", result.to_json()), ("torn", "{"), ("odd", "[]")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(text)
    for name in ("ended/nodes", "stranger"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "ended" / "scenario.yaml").write_text("")
    found = {Path(run.folder).name: run for run in listed(tmp_path)}
    assert set(found) == {"good", "torn", "odd", "ended"}
    assert (found["good"].verdict, found["good"].scenario) == ("pass", result.scenario)
    assert result.lake is not None
    assert found["good"].digest == result.lake.digest
    assert found["good"].rows == result.figure("rows.generated")
    for name, words in (("torn", "cannot be read"), ("odd", "cannot be read"), ("ended", "ended")):
        assert found[name].verdict is None
        assert words in found[name].note
    shown = runs.inside("list", "runs", tmp_path).out
    assert "PASS" in shown
    assert [run.folder for run in listed(tmp_path / "good")] == [str(tmp_path / "good")]


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


def test_faults_has_every_kind_of_the_catalogues() -> None:
    known = {kind.name for kind in faults(None)}
    assert known == {*EVENTS, *DATA, *DELIVERY}
    assert [kind.name for kind in faults("store.error")] == ["store.error"]
    assert {kind.section for kind in faults("clock")} == {"data_faults"}
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
    assert kind.example in runs.inside("faults", kind.name).out.replace("\n", " ")
