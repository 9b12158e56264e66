"""`windfleet plan` says what a load test will do: its phases, its length and its requests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sim.load.analysis.search import FACTOR, HOLDS
from sim.load.arrivals import Nodes, of
from sim.load.outline import outline
from sim.scenario import load
from tests.support import runs
from tests.support.paths import ROOT

LOADS = sorted(path.stem for path in (ROOT / "scenarios").glob("load-*.yaml"))


@pytest.mark.parametrize("name", LOADS)
def test_the_requests_of_the_schedule_are_those_that_are_made(name: str) -> None:
    scenario = load(ROOT / "scenarios" / f"{name}.yaml")
    assert scenario.load is not None
    nodes = Nodes(scenario.fleet.turbines, scenario.pipeline.flush_every_s)
    made = [
        len(of(entry, str(i), scenario.load.mix, nodes, 7).intended_s)
        for i, entry in enumerate(scenario.load.schedule)
    ]
    found = outline(scenario.load, nodes)
    assert found.requests == pytest.approx(sum(made), abs=4 * sum(made) ** 0.5 + 2)
    assert 0 < found.least_s <= found.most_s <= scenario.load.limits.time_s


def test_the_tries_of_a_search_bound_those_of_a_store_that_is_known(tmp_path: Path) -> None:
    """Every rate of the range in turn is the highest that passes; the search is gone through."""
    scenario = load(ROOT / "scenarios" / "load-knee.yaml")
    assert scenario.load is not None
    search = scenario.load.search
    assert search is not None
    most = 0
    for knee in range(int(search.from_per_s), int(search.to_per_s) + 1):
        rate, tries, low, high = search.from_per_s, 1, 0.0, 0.0
        while rate <= knee and rate < search.to_per_s:
            low, rate, tries = rate, min(rate * FACTOR, search.to_per_s), tries + 1
        high = rate
        while low and high > low * (1 + search.within):
            middle, tries = (low * high) ** 0.5, tries + 1
            low, high = (middle, high) if middle <= knee else (low, middle)
        most = max(most, tries)
    found = outline(scenario.load, Nodes(200, 60.0))
    assert most <= found.tries <= most + 2
    sweep_s = 6 * 8.0
    assert found.least_s == sweep_s + search.each_s + search.hold_s
    assert found.most_s == sweep_s + found.tries * search.each_s + HOLDS * search.hold_s


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "load-knee",
            """\
mix: flush 1
sweep: 1, 2, 3, 4, 8, 16 users, 8s each
search: 10 to 200 requests/s, within 5%, held for 20s, \
SLO latency.flush.p95 <= 500ms and errors.share <= 1%
at most 64 requests under way, 1 process
2s of warm-up left out
stop when errors.share > 5%
at most some 12 tries of the search, longer for high percentiles
1 min 16 s to 3 min 44 s of phases""",
        ),
        (
            "load-ramp",
            """\
mix: flush 1
1-ramp: 5 to 80 requests/s in 45s
2-spike: 10 requests/s, 60 for 5s after 5s, 25s in all
at most 64 requests under way, 1 process
5s of warm-up left out
stop when errors.share > 5%
about 2,412 requests of the schedule
about 1 min 10 s of phases""",
        ),
        (
            "load-herd",
            """\
mix: flush 1
1-herd: every node at its own flush phase after an outage of 15m, speed 1, for 1m
at most 64 requests under way, 1 process
stop when errors.share > 5%
about 1,600 requests of the schedule
about 1 min of phases""",
        ),
    ],
)
def test_a_load_test_is_printed_line_by_line(name: str, lines: str) -> None:
    out = runs.inside("plan", ROOT / "scenarios" / f"{name}.yaml").out
    begin = out.index("\nload test ") + 1
    shown = out[begin : out.index(", after batches are made and the generator is calibrated")]
    assert [line[15:] for line in shown.splitlines()] == lines.splitlines()


def test_a_load_test_ends_at_its_limit_of_time() -> None:
    limited = load(ROOT / "scenarios" / "load-knee.yaml", ["load.limits.time=2m"])
    assert limited.load is not None
    found = outline(limited.load, Nodes(200, 60.0))
    assert (found.least_s, found.most_s) == (76.0, 120.0)


def test_plan_prints_the_load_test_and_json_has_it() -> None:
    out = runs.inside("plan", ROOT / "scenarios" / "load-ramp.yaml").out
    assert "load test      mix: flush 1" in out
    data = json.loads(runs.inside("plan", ROOT / "scenarios" / "load-ramp.yaml", "--json").out)
    assert data["load"]["requests"] > 1000
    assert data["needs"]["memory_bytes"] > 2**28
    assert data["needs"]["parts_at_once"] >= 1
    without = json.loads(runs.inside("plan", ROOT / "scenarios" / "small.yaml", "--json").out)
    assert without["load"] is None
