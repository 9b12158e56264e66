"""Odds of faults before a run: what `check` and `plan` say is how often faults then fire."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from sim.fleet.part import FarmPart
from sim.model.clock import SimClock
from sim.model.faults.schedule import schedule
from sim.odds import Odds, odds
from sim.report import numbers
from sim.scenario import Scenario, load
from tests.support import runs

SEEDS = 300


def scenario(folder: Path, *settings: str) -> Scenario:
    return load(runs.scenario(folder), ["data_faults=[]", *settings])


def one(folder: Path, *settings: str) -> Odds:
    (found,) = odds(scenario(folder, *settings))
    return found


@pytest.mark.parametrize(
    ("fault", "number", "fires"),
    [
        ("{kind: sensor.spike, rate: 20 per turbine-day}", 0.5, 1 - math.exp(-0.5)),
        ("{kind: sensor.spike, rate: 60 per farm-day}", 1.5, 1 - math.exp(-0.5)),
        ("{kind: sensor.spike, rate: 60 per farm-day, farms: [B]}", 2 / 3, 1 - math.exp(-1 / 6)),
    ],
)
def test_a_rare_data_fault_fires_in_the_share_of_seeds_that_is_said(
    tmp_path: Path, fault: str, number: float, fires: float
) -> None:
    """Beside the schedule itself over many seeds, within four standard deviations."""
    rare = scenario(tmp_path, f"data_faults=[{fault}]")
    (found,) = odds(rare)
    assert (found.number, found.fires) == (pytest.approx(number), pytest.approx(fires))
    assert found.text == (
        f"about {numbers.decimal(found.number)} expected, fires in {100 * fires:.0f} % of seeds"
    )
    clock = SimClock(rare.clock.start_us, rare.clock.sample_us, rare.clock.samples)
    parts = [FarmPart(farm, 0, farm.turbines) for farm in rare.fleet.farms]
    fired = sum(
        any(schedule(part, clock, seed, rare.data_faults) for part in parts)
        for seed in range(SEEDS)
    )
    error = math.sqrt(fires * (1 - fires) / SEEDS)
    assert abs(fired / SEEDS - fires) < 4 * error


def test_a_change_of_clocks_draws_a_share_of_the_nodes(tmp_path: Path) -> None:
    settings = ("clock.start=2024-03-10T05:00:00Z", "clock.duration=4h", "pipeline.window=1h")
    at = "data_faults=[{kind: clock.dst, share: 10%, farms: [A]}]"
    found = one(tmp_path, *settings, "pipeline.flush_every=1h", at)
    assert (found.number, found.fires) == (pytest.approx(0.3), pytest.approx(1 - 0.9**3))


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (
            "{kind: node.crash, at: [after-recover], share: 10%}",
            "1 call expected, fires in 61 %",
        ),
        ("{kind: store.error}", "expected, fires with every seed"),
        ("{kind: worker.kill, count: 2}", "2 workers, chosen by the seed"),
        ("{kind: farm.uplink, from: 1m, for: 1m, farms: [A]}", "1 farm"),
        ("{kind: node.offline, from: 1m, for: 1m, share: 100%}", "9 nodes, chosen by the seed"),
        (
            "{kind: node.offline, from: 1m, for: 1m, share: 1/100000}",
            "no node with this seed, fires in 0.009 %",
        ),
        ("{kind: node.crash, at: [after-history]}", "may never fire: a node makes such a call"),
    ],
)
def test_faults_of_delivery_have_odds_in_words(tmp_path: Path, fault: str, text: str) -> None:
    said = one(tmp_path, f"faults=[{fault}]").text
    assert said == text if text.endswith(("1 farm", "by the seed")) else text in said


def test_almost_every_seed_is_not_every_seed(tmp_path: Path) -> None:
    found = one(tmp_path, "data_faults=[{kind: sensor.spike, rate: 220 per turbine-day}]")
    assert found.text == "about 5.5 expected, fires in more than 99 % of seeds"


def test_check_and_plan_say_the_odds_of_every_fault(tmp_path: Path) -> None:
    path = runs.scenario(tmp_path)
    settings = ("--set", "faults=[{kind: node.crash, share: 1%}, {kind: worker.kill}]")
    loaded = load(path, [settings[1]])
    checked = runs.inside("check", path, *settings).out
    planned = " ".join(runs.inside("plan", path, *settings).out.split())
    found = odds(loaded)
    assert len(found) == len(loaded.data_faults) + len(loaded.faults)
    for each in found:
        assert each.text in checked
        assert f": {each.text}" in planned
    data = json.loads(runs.inside("check", path, *settings, "--json").out)
    assert [(each["kind"], each["fires"]) for each in data["odds"]] == [
        (each.kind, each.fires) for each in found
    ]


def test_a_scenario_without_faults_has_no_odds(tmp_path: Path) -> None:
    assert odds(scenario(tmp_path)) == []
    checked = runs.inside("check", runs.scenario(tmp_path), "--set=data_faults=[]")
    assert checked.out.count("\n") == 1
