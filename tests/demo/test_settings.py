"""Arguments of `windfleet demo`: their scenario, every problem at once, the list of themes."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from sim.cli import main
from sim.demo import estimate, themes
from sim.demo.arguments import arguments
from sim.demo.settings import command, moved, overrides, scenario_of
from sim.demo.story import story_of
from sim.errors import ScenarioError
from sim.run.past_runs import PastRun
from sim.scenario import load
from sim.scenario.plan import plan


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    arguments(parser)
    return parser.parse_args(list(words))


_OF_PLACE = ("list", "help", "to", "overwrite", "empty_lake", "allow_remote")


def parsed_actions() -> list[argparse.Action]:
    parser = argparse.ArgumentParser()
    arguments(parser)
    return parser._actions


def test_arguments_become_overrides_and_the_command_repeats_them() -> None:
    args = parsed(
        *("--theme", "icing", "--days", "2", "--farms", "C", "--set", "seed=5", "--to", "x")
    )
    wanted = [
        ("--farms C", "fleet.farms=[C]"),
        ("--days 2", "clock.duration=2d"),
        ("--set 1", "seed=5"),
    ]
    assert overrides(args) == wanted
    assert command(args) == "windfleet demo --theme icing --farms C --days 2 --set=seed=5"


def test_the_command_that_repeats_a_data_set_leaves_no_option_out() -> None:
    """Each option of `demo` but those of the place."""
    values = {"theme": "icing", "layout": "turbine", "export": "flasc", "farms": "C,D"}
    given: list[str] = []
    for action in parsed_actions():
        if action.dest not in _OF_PLACE:
            value = [] if action.nargs == 0 else [values.get(action.dest, "x=1")]
            given += [action.option_strings[-1], *value]
    repeated = shlex.split(command(parsed(*given)))[2:]
    assert parsed(*repeated) == parsed(*given)


def test_a_wrong_argument_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--to", str(tmp_path / "a"), "--farms", "Z"]) == 2
    assert "name one of these farms" in capsys.readouterr().err
    assert main(["demo", "--to", str(tmp_path / "a"), "--farms", "E,Z"]) == 2
    assert "'Z'" in capsys.readouterr().err
    assert main(["demo", "--to", str(tmp_path / "a"), "--days", "nine"]) == 2
    assert "--days nine: clock.duration" in capsys.readouterr().err
    assert main(["demo", "--to", str(tmp_path / "a"), "--farms", "A"]) == 2
    assert "happens at E, F; name one of these farms" in capsys.readouterr().err
    assert (
        main(["demo", "--to", str(tmp_path / "a"), "--theme", "bearing-failure", "--days", "3"])
        == 2
    )
    assert "give it 11 days or more" in capsys.readouterr().err
    assert (
        main(["demo", "--to", str(tmp_path / "a"), "--theme", "bearing-failure", "--turbines", "4"])
        == 2
    )
    assert "theme bearing-failure: turbine 'E-007' takes no part" in capsys.readouterr().err
    length = ["--set", "clock.duration=12h"]
    assert main(["demo", "--to", str(tmp_path / "a"), "--set", "seed=3", *length]) == 2
    assert (
        "theme storm: events[0].from: begins at 18h, and the run ends at 12h"
        in capsys.readouterr().err
    )
    assert main(["demo", "--to", "http://192.0.2.1:9000"]) == 3
    assert "--allow-remote" in capsys.readouterr().err
    for place in ("http://", "s3://my-bucket/here"):
        assert main(["demo", "--to", place]) == 2
        assert "write for example http://127.0.0.1:4566" in capsys.readouterr().err
    for days in ("²", ""):
        assert main(["demo", "--to", str(tmp_path / "a"), "--days", days]) == 2
        assert "clock.duration" in capsys.readouterr().err
    for farms in (",", ""):
        assert main(["demo", "--to", str(tmp_path / "a"), "--farms", farms]) == 2
    assert "theme storm happens at E, F" in capsys.readouterr().err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not remove")
    assert main(["demo", "--to", str(tmp_path / "mine"), "--overwrite"]) == 2
    assert (
        "is not a windfleet run; choose another directory with --to DIR" in capsys.readouterr().err
    )
    assert not (tmp_path / "a").exists()


def test_every_problem_of_a_command_is_reported_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--farms", "G,Z", "--turbines", "none", "--days", "1", "--sample-every", "7m"]
    assert main(["demo", "--theme", "grid-outage", "--to", "s3://x", *words]) == 2
    lines = capsys.readouterr().err.splitlines()
    found = [(line.partition(": ")[0], line) for line in lines]
    assert [name for name, _ in found] == [
        *("--to", "--days 1", "--farms G,Z", "--farms G,Z", "--turbines none", "--sample-every 7m"),
    ]
    for text in ("happens at B", "2 days or more", "unknown farm 'Z'", "does not divide", "'none'"):
        assert any(text in line for _, line in found)


@pytest.mark.parametrize(
    ("option", "given", "setting"),
    [
        ("--days", "4", "clock.duration=4d"),
        ("--days", "0.5", "clock.duration=0.5d"),
        ("--days", "4d", "clock.duration=4d"),
        ("--days", "36h", "clock.duration=36h"),
        ("--start", "2024-07-01", "clock.start=2024-07-01T00:00:00Z"),
        ("--start", "2024-07-01T06:00:00+02:00", "clock.start=2024-07-01T06:00:00+02:00"),
    ],
)
def test_days_and_dates_as_people_type_them(option: str, given: str, setting: str) -> None:
    assert overrides(parsed(option, given)) == [(f"{option} {given}", setting)]


def test_the_story_must_fit_a_length_in_any_spelling() -> None:
    for days in ("0.5", "12h", "0.5d"):
        with pytest.raises(ScenarioError, match=f"--days {days}: the story .* give it 1 day or"):
            scenario_of(themes.theme("storm"), parsed("--days", days))
    assert scenario_of(themes.theme("storm"), parsed("--days", "26h")).clock.duration_s == 93_600


@pytest.mark.parametrize(
    ("step", "window_s", "flush_s"),
    [
        ("5m", 600, 3600),
        ("4m", 720, 3600),
        ("30m", 1800, 3600),
        ("90m", 5400, 5400),
        ("2h", 7200, 7200),
    ],
)
def test_a_step_moves_what_it_does_not_divide(step: str, window_s: int, flush_s: int) -> None:
    theme = themes.theme("grid-outage")  # windows of 10 minutes, a flush an hour
    scenario = scenario_of(theme, parsed("--sample-every", step, "--set", "clock.duration=48h"))
    assert (scenario.pipeline.window_s, scenario.pipeline.flush_every_s) == (window_s, flush_s)


def test_a_window_that_the_user_sets_stays() -> None:
    usual = load(themes.theme("grid-outage").scenario).pipeline
    args = parsed("--sample-every", "30m", "--set", "pipeline.window=20m")
    assert moved(args, usual) == []
    with pytest.raises(ScenarioError, match="30m does not divide pipeline"):
        scenario_of(themes.theme("grid-outage"), args)


def test_an_estimate_is_of_the_plan_and_of_the_last_run_of_its_size() -> None:
    storm = plan(load(themes.theme("storm").scenario))
    pace = storm.rows / storm.batches
    like = PastRun("2026-01-01", "data set, by farm", 2, storm.rows // 2, pace, 30.0, 1)
    tiny = PastRun("2026-01-02", "data set, by farm", 2, 24, pace, 5.0, 1)
    other = PastRun("2026-01-02", "data set, by turbine", 2, storm.rows, pace, 500.0, 1)
    found = {each.theme: each for each in estimate.estimates("farm", 2, [like, other, tiny])}
    assert list(found) == themes.names()
    assert (found["storm"].rows, found["storm"].turbines, found["storm"].farms) == (41_472, 72, 8)
    assert found["storm"].like == like
    assert found["storm"].seconds == pytest.approx(60.0)
    assert found["bearing-failure"].like is None
    of_turbines = {each.theme: each for each in estimate.estimates("turbine", 2, [])}
    by_farm = {each.theme: each for each in estimate.estimates("farm", 2, [])}
    for name, each in by_farm.items():
        assert of_turbines[name].seconds > each.seconds
        assert of_turbines[name].lake_bytes > each.lake_bytes


def test_the_list_has_a_line_per_theme(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--list", "--workers", "2"]) == 0
    text = capsys.readouterr().out
    for name in themes.names():
        assert any(line.startswith(name) for line in text.splitlines())
    assert "41,472" in text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("storm", ["--farms", "E"]),
        ("storm", ["--farms", "F", "--turbines", "1"]),
        ("icing", ["--farms", "D", "--turbines", "1"]),
        ("grid-outage", ["--farms", "B", "--turbines", "1"]),
        ("quiet-month", ["--turbines", "1"]),
        ("bearing-failure", ["--turbines", "19"]),
        *((name, []) for name in themes.names()),
    ],
)
def test_a_story_names_only_farms_and_turbines_of_its_set(name: str, words: list[str]) -> None:
    theme = themes.theme(name)
    fleet = scenario_of(theme, parsed(*words)).fleet
    story = story_of(theme, fleet)
    named = set(re.findall(r"\b[A-H](?:-\d{3})?(?=\b[^a-z ]| and|;)", story))
    known = {farm.farm_id for farm in fleet.farms}
    known |= {turbine for farm in fleet.farms for turbine in farm.turbine_ids}
    assert named <= known
    assert "{" not in story
    assert named or name == "quiet-month"


def test_a_set_without_a_turbine_where_its_story_happens_is_refused() -> None:
    with pytest.raises(ScenarioError, match="--turbines: no turbine of C, D is among so few"):
        scenario_of(themes.theme("icing"), parsed("--turbines", "1"))
    without = parsed("--turbines", "1", "--set", "events=[]")
    assert scenario_of(themes.theme("icing"), without).fleet.turbines == 1
