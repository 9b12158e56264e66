"""`windfleet new`: each file passes as written, and nothing of the user's is replaced unasked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sim.fleet import load_fleet
from sim.scenario import load
from sim.shipped import names
from tests.support import runs
from tests.support.paths import ROOT


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def schema_of(file: str) -> Path:
    """Return the schema that the first line names for editors."""
    (schema,) = re.findall(r"^# yaml-language-server: \$schema=(.*)", Path(file).read_text())
    return Path(schema)


@pytest.mark.parametrize("kind", ["scenario", "load"])
def test_a_new_scenario_is_valid_and_named_after_its_file(kind: str) -> None:
    done = runs.inside("new", "My.run-2", "--kind", kind)
    assert (done.code, done.err) == (0, "")
    assert f"windfleet {'load' if kind == 'load' else 'run'} My.run-2.yaml" in done.out
    scenario = load(Path("My.run-2.yaml"))
    assert scenario.name == "My.run-2"
    assert (scenario.load is not None) == (kind == "load")
    assert scenario.expect
    assert schema_of("My.run-2.yaml") == ROOT / "scenarios" / "scenario.schema.json"


def test_a_new_fleet_loads_and_runs_with_a_shipped_scenario() -> None:
    done = runs.inside("new", "mine", "--kind", "fleet")
    assert done.code == 0
    fleet = load_fleet("mine.yaml", Path())
    assert (fleet.name, [farm.farm_id for farm in fleet.farms]) == ("mine", ["N", "S"])
    command = done.out.partition("try it with: windfleet ")[2].split()
    assert runs.inside(*command).code == 0


@pytest.mark.parametrize("name", names())
def test_every_shipped_scenario_can_be_copied(name: str) -> None:
    assert runs.inside("new", "copy", "--from", name).code == 0
    copy, origin = load(Path("copy.yaml")), load(ROOT / "scenarios" / f"{name}.yaml")
    assert copy.name == "copy"
    assert (copy.clock, copy.faults, copy.expect) == (origin.clock, origin.faults, origin.expect)
    assert schema_of("copy.yaml") == ROOT / "scenarios" / "scenario.schema.json"


def test_a_copy_of_a_load_test_is_for_load_and_its_path_is_quoted() -> None:
    Path("a b").mkdir()
    done = runs.inside("new", "a b/x.yml", "--from", "load-ramp")
    assert done.out == "a b/x.yml: written; run it with: windfleet load 'a b/x.yml'\n"
    assert [path.name for path in Path("a b").iterdir()] == ["x.yml"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["my run"], ["my run.yaml", "letters, digits", "my-run.yaml"]),
        (["x", "--from", "quickstrat"], ["quickstrat", "did you mean quickstart?"]),
        (["x", "--from", "_base"], ["there is no such scenario"]),
        (["x", "--from", "small", "--kind", "fleet"], ["--kind fleet"]),
        (["x", "--kind", "flet"], ["'flet'", "did you mean fleet?"]),
        (["."], ["is a folder"]),
        (["there"], ["there.yaml: is there", "--overwrite"]),
    ],
)
def test_what_cannot_be_written_is_2(arguments: list[str], words: list[str]) -> None:
    Path("there.yaml").write_text("precious")
    done = runs.inside("new", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.said_once(*words) or all(word in done.err for word in words), done.err
    assert [path.name for path in Path().iterdir()] == ["there.yaml"]
    assert Path("there.yaml").read_text() == "precious"
    assert runs.inside("new", "there", "--overwrite").code == 0


def test_a_folder_that_is_not_there_is_3() -> None:
    done = runs.inside("new", "none/x")
    assert (done.code, done.said_once("none/x.yaml", "No such file")) == (3, True), done.err
