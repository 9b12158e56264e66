"""Whole runs of a campaign: their drawn faults, and the verdict on one on LocalStack.

Not covered here: sixty of them, as in `windfleet campaign` (`make test-all` makes
twelve).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from sim.campaign import live_runs
from sim.campaign.live_faults import KINDS_EACH, LiveFaults, draw_live_faults
from sim.campaign.outcome import CleanRun
from sim.campaign.world import make_world
from sim.chaos.faults import KILL, KINDS, fault_points
from sim.check.verdict import Judged
from sim.errors import TargetError
from sim.scenario import Scenario, load
from sim.store import target
from tests.support.chaos_world import scenario_file
from tests.support.paths import SCENARIOS

CAMPAIGN = SCENARIOS / "campaign.yaml"
FLUSHES_S = (300.0, 600.0, 900.0, 1200.0)


def drawn(index: int, seed: int = 7) -> LiveFaults:
    return draw_live_faults(seed, index, ["A", "E"], FLUSHES_S, 1500.0)


def test_kinds_and_their_points_alternate() -> None:
    turns = len(KINDS) - 1
    first = [
        kind for i in range(turns // KINDS_EACH + 1) for kind in _kinds(drawn(i)) if kind != KILL
    ]
    assert sorted(first[:turns]) == sorted(set(KINDS) - {KILL})
    assert {way for i in range(66) for way in drawn(i).meant} == set(fault_points(KINDS))


def test_live_faults_follow_from_seed_and_number() -> None:
    assert drawn(3) == drawn(3)
    assert len({drawn(i).faults for i in range(20)}) == 20
    assert drawn(3).faults != drawn(3, seed=8).faults
    assert len({drawn(i).seed for i in range(60)}) == 60


@pytest.mark.parametrize("seed", [7, 8])
def test_all_live_faults_form_valid_scenarios(seed: int) -> None:
    """Every drawn fault can be written in a scenario, and some node meets it."""
    for i in range(60):
        scenario = load(
            CAMPAIGN, [f"seed={drawn(i, seed).seed}", f"faults={drawn(i, seed).faults}"]
        )
        assert [fault.kind for fault in scenario.faults] == _kinds(drawn(i, seed))


def _kinds(drawn: LiveFaults) -> list[str]:
    return [part.partition(",")[0].partition("}")[0] for part in drawn.faults.split("kind: ")[1:]]


def test_a_whole_run_is_compared_with_the_in_process_world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run twice on one store: against the right lake, and against another lake."""
    path = scenario_file(tmp_path)
    scenario = load(path)
    flush_s = make_world(scenario, tmp_path / "world").flush_s
    honest, asked = live_runs.run_clean, []

    def clean(world: object) -> CleanRun:
        asked.append(world)
        found = honest(world)  # type: ignore[arg-type]
        if len(asked) == 2:
            found.outcome.digest = "another"
        return found

    monkeypatch.setattr(live_runs, "run_clean", clean)

    def again(more: Sequence[str]) -> Scenario:
        return load(path, more)

    (_, good), (_, bad) = live_runs.make_live_runs(scenario, again, flush_s, range(2), 7, 1)
    assert good.broken == []
    assert good.injections.by_kind[KILL] >= 1
    assert good.requests > 50
    assert good.settings[0] == "seed=8"
    assert [name for name, _ in bad.broken] == ["lake.differs"]


def test_a_dead_store_or_an_unreadable_lake_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = scenario_file(tmp_path)
    scenario = load(path)
    # nothing listens there; the runs must not use it
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    unreadable = Judged(errors=["the lake could not be listed"])
    monkeypatch.setattr("sim.verify.judge.judged", lambda *_: unreadable)
    runs = live_runs.make_live_runs(
        scenario, lambda more: load(path, more), (300.0, 600.0), range(2), 7, 1
    )
    _, unread = next(runs)
    assert (unread.broken, unread.unknown) == (
        [],
        ["the oracle could not judge: the lake could not be listed"],
    )

    def dead(self: target.Target) -> None:
        raise TargetError("LocalStack died")

    monkeypatch.setattr(live_runs.target.Target, "require_alive", dead)
    with pytest.raises(TargetError, match="LocalStack died"):
        next(runs)
