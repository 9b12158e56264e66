"""Whole runs with faults of delivery: the lake is the one without faults.

The store is a LocalStack behind the fault proxy. Not covered: the effect of each fault on the wire
(test_proxy.py), and thousands of runs (`windfleet campaign`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.partition import bucket
from pipeline.ports import NotFound, Unavailable
from sim.campaign.memory_store import MemoryStore
from sim.chaos.faults import FOREIGN, KILL, KINDS, Crash, Fault
from sim.chaos.shard import ShardFaults
from sim.check.verdict import Verdict
from sim.run.part import part_of
from sim.run.part_index import PartIndex
from sim.run.planned_faults import PlannedFaults, counted_in, kills, planned_faults
from sim.run.record import Record
from sim.run.result import _by_chance, _never_fired, decide
from sim.scenario import load
from sim.scenario.plan import plan
from tests.support import runs
from tests.support.paths import SCENARIOS

LADDER = ("light", "medium", "heavy")
DATA, KEY = bucket("ingestion"), "ingestion/year=2024/month=01/day=15/hour=00/A-001-1-2.parquet"
FAULTS = """\
faults:
  - {kind: node.crash, share: 5%}
  - {kind: node.offline, share: 60%, from: 90s, for: 60s}
  - {kind: node.busy, share: 60%, from: 170s, for: 20s}
  - {kind: node.wal, from: 50s, for: 20s, farms: [G]}
  - {kind: node.disk-full, share: 70%, from: 50s, for: 20s, farms: [B]}
  - {kind: node.second-writer, share: 40%}
  - {kind: farm.uplink, farms: [G], from: 100s, for: 70s}
  - {kind: worker.kill, count: 2}
  - {kind: store.error, share: 8%}
  - {kind: store.reset, share: 4%}
  - {kind: store.ack-lost, share: 6%}
  - {kind: store.error-after, share: 6%}
  - {kind: store.late-commit, share: 20%, count: 1, at: [checkpoint]}
  - {kind: store.outage, from: 60s, for: 20s, farms: [A]}
  - {kind: store.truncated-get, share: 50%}
  - {kind: store.corrupted-put, share: 5%}
  - {kind: store.conflict, share: 5%}
  - {kind: store.precondition, share: 5%}
  - {kind: bucket.refuses, buckets: [metadata], from: 170s, for: 20s}
"""


def run(
    endpoint_url: str, path: Path, out: Path, *more: object, processes: bool = False
) -> tuple[runs.Ended, dict[str, Any]]:
    where = ("--out", out, "--endpoint-url", endpoint_url, "--empty-lake")
    done = (runs.quick if processes else runs.inside)(
        "run", path, *where, "--workers", 1 + processes, *more
    )
    return done, runs.result(out)


def fired(result: dict[str, Any]) -> dict[str, int]:
    return {fault["kind"]: fault["fired"] for fault in result["faults"]}


def test_a_run_with_faults_gives_the_lake_without_them(localstack: str, tmp_path: Path) -> None:
    path = runs.scenario(
        tmp_path, runs.SCENARIO.replace("expect:", FAULTS + "expect:").replace("  - freshness", "#")
    )
    clean_done, clean = run(localstack, path, tmp_path / "clean", "--set", "faults=[]")
    assert clean_done.code == 0, clean_done.text
    done, result = run(localstack, path, tmp_path / "run", processes=True)
    assert done.code == 0, done.text
    assert result["lake"]["digest"] == clean["lake"]["digest"]
    assert result["lake"]["rows_by_stage"] == clean["lake"]["rows_by_stage"]
    assert clean["faults"] == []
    assert [kind for kind, times in fired(result).items() if not times] == []
    assert fired(result)[KILL] == 2
    assert len(result["faults"]) == len({fault.kind for fault in load(path).faults})
    assert all(f"{kind} " in done.out for kind in fired(result))  # the terminal has its table
    assert done.left == clean_done.left == []


def test_a_share_that_draws_no_node_is_a_note_with_its_odds(
    localstack: str, tmp_path: Path
) -> None:
    never = "faults: [{kind: store.conflict, share: 1/1000000000}]\n"
    scenario = runs.scenario(tmp_path, runs.SCENARIO.replace("  - freshness", "#") + never)
    done, result = run(localstack, scenario, tmp_path / "run")
    assert done.code == result["exit_code"] == 0, done.text
    assert result["faults"] == [{"fired": 0, "kind": "store.conflict", "planned": 1}]
    assert result["errors"] == []
    (note,) = result["notes"]
    assert note.startswith("store.conflict never fired; share 1e-07 % of about ")
    assert note.endswith("calls: the chance of that was more than 99 %")
    assert f"note: {note}" in done.out
    assert note in (tmp_path / "run" / "report.html").read_text()


def test_foreign_bytes_fail_the_run_by_design_and_the_verdict_names_the_key(
    localstack: str, tmp_path: Path
) -> None:
    foreign = "faults: [{kind: store.foreign-object, at: [data], farms: [A], count: 1}]\n"
    done, result = run(
        localstack, runs.scenario(tmp_path, runs.SCENARIO + foreign), tmp_path / "run"
    )
    assert done.code == result["exit_code"] == 5, done.text
    (error,) = result["errors"]
    found = re.search(
        r"1 nodes could not deliver everything; (A-\d+): (\S+) exists with other content", error
    )
    assert found, error
    assert any(finding["key"] == found[2] for finding in result["findings"])
    assert {finding["turbine"] for finding in result["findings"] if finding["turbine"]} == {
        found[1]
    }


@pytest.mark.parametrize(
    ("fault", "kind", "never"),
    [
        ("{kind: store.error, share: 50%, at: [recover]}", "store.error", 0.5**9),
        ("{kind: store.error, at: [recover]}", "store.error", 0.0),
        ("{kind: store.truncated-get}", "store.truncated-get", None),
        ("{kind: node.crash, at: [after-history]}", "node.crash", None),
        ("{kind: store.outage, from: 50s, for: 20s}", "store.outage", 0.0),
        ("{kind: worker.kill}", "worker.kill", 0.0),
        ("{kind: node.second-writer, share: 1/1000000}", "node.second-writer", (1 - 1e-6) ** 9),
        (
            "{kind: store.slow, at: [recover]}, {kind: store.reset, at: [recover]}",
            "store.reset",
            None,
        ),
        ("{kind: store.slow, share: 1%}, {kind: store.slow, at: [recover]}", "store.slow", 0.0),
    ],
)
def test_the_probability_that_a_fault_never_fires(
    tmp_path: Path, fault: str, kind: str, never: float | None
) -> None:
    scenario = load(runs.scenario(tmp_path, runs.SCENARIO + f"faults: [{fault}]\n"))
    found = planned_faults(scenario, plan(scenario))[kind]
    assert found.never == (never if never is None else pytest.approx(never))
    assert found.certain is (never == 0.0)
    assert bool(found.risk) is not found.certain


def test_only_what_was_certain_leaves_the_verdict_unknown() -> None:
    right = Verdict(status="pass")
    for never, verdict in ((0.0, "unknown"), (0.66, "pass"), (None, "pass")):
        record = Record(
            verdict=right, planned={"node.crash": PlannedFaults(1, never, "share 10 % of 4 nodes")}
        )
        assert decide(record, [])[0] == verdict
        assert bool(_never_fired(record)) is (verdict == "unknown")
        assert bool(_by_chance(record)) is (verdict == "pass")
        record.injections.by_point["node.crash before", "data"] = 1
        assert decide(record, [])[0] == "pass"
        assert (_never_fired(record), _by_chance(record)) == ((), ())


def test_the_wire_of_another_machine_is_not_broken(tmp_path: Path) -> None:
    path = runs.scenario(tmp_path, runs.SCENARIO + "faults: [{kind: store.error}]\n")
    there = ("--endpoint-url", "http://192.0.2.1:9", "--allow-remote")
    keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    done = runs.inside("run", path, "--out", tmp_path / "run", *there, **keys)
    assert done.code == 3
    assert done.said_once(
        "http://192.0.2.1:9", "only plain HTTP on this machine", "--set 'faults=[]'"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", LADDER)
def test_rung(name: str) -> None:
    scenario = load(SCENARIOS / f"chaos-{name}.yaml")
    assert 16 <= scenario.fleet.turbines <= 24
    assert load(SCENARIOS / f"chaos-{name}.yaml", ["faults=[]"]).faults == ()


def test_the_ladder_climbs_to_the_whole_catalogue() -> None:
    kinds = [
        {fault.kind for fault in load(SCENARIOS / f"chaos-{name}.yaml").faults} for name in LADDER
    ]
    # after that rung the lake differs
    assert kinds[0] < kinds[1] < kinds[2] == set(KINDS) - {FOREIGN}


@pytest.mark.campaign
@pytest.mark.parametrize("name", LADDER)
def test_each_rung_of_the_ladder_passes(localstack: str, tmp_path: Path, name: str) -> None:
    path = SCENARIOS / f"chaos-{name}.yaml"
    _, clean = run(localstack, path, tmp_path / "clean", "--set", "faults=[]")
    done, result = run(localstack, path, tmp_path / "run")
    assert done.code == 0, done.text
    assert result["lake"]["digest"] == clean["lake"]["digest"]
    assert all(fired(result).values())


class Sea:
    """Faults of a shard over a store in memory. fired: kinds of injected faults, in order."""

    def __init__(self, *faults: Fault, farm: str = "A", seed: int = 7) -> None:
        self.now_s = 0.0
        self.fired: list[str] = []
        self.store = MemoryStore()
        self.faults = ShardFaults(
            seed, farm, faults, lambda: self.now_s, lambda way: self.fired.append(way[0])
        )


@pytest.mark.parametrize(("at", "there"), [("before-data", False), ("after-data", True)])
def test_a_crash_takes_the_whole_process(at: str, there: bool) -> None:
    sea = Sea(Fault("node.crash", at=(at,), count=1))
    life = sea.faults.new_process(sea.store)
    with pytest.raises(Crash):
        life.create(DATA, KEY, b"x")
    assert ((DATA, KEY) in sea.store.objects) is there
    with pytest.raises(Crash):
        life.get(DATA, KEY)  # every thread of a dead process has ended
    after = sea.faults.new_process(sea.store)
    if not there:
        after.create(DATA, KEY, b"x")
    assert after.get(DATA, KEY)[0] == b"x"
    assert sea.fired == [f"node.crash {at.partition('-')[0]}"]


def test_a_crash_needs_its_point_and_farm() -> None:
    assert (
        Sea(Fault("node.crash", at=("before-manifest",)))
        .faults.new_process(MemoryStore())
        .create(DATA, KEY, b"x")
    )
    assert (
        Sea(Fault("node.crash", farms=("B",)))
        .faults.new_process(MemoryStore())
        .create(DATA, KEY, b"x")
    )
    sea = Sea(Fault("node.crash", at=("before-recover",)))
    with pytest.raises(Crash):
        sea.faults.new_process(sea.store).get(bucket("checkpoints"), "checkpoints/A/A-001.json")


def test_a_cut_line_passes_nothing_and_recovers() -> None:
    sea = Sea(Fault("farm.uplink", from_s=10, for_s=5))
    line = sea.faults.uplink(sea.store)
    for sea.now_s in (10.0, 14.9):
        assert sea.faults.cut_off()
        assert sea.faults.keeps_out()
        with pytest.raises(Unavailable):
            line.create(DATA, KEY, b"x")
    for sea.now_s in (9.9, 15.0):
        assert not sea.faults.cut_off()
        with pytest.raises(NotFound):
            line.get(DATA, KEY)
    assert sea.fired == ["farm.uplink"] * 2
    assert not Sea(Fault("farm.uplink", for_s=5, farms=("B",))).faults.cut_off()


def test_nodes_are_chosen_by_their_share_and_only_in_the_window() -> None:
    turbines = [f"A-{i:03}" for i in range(1, 201)]
    sea = Sea(
        Fault("node.offline", share=0.3, from_s=10, for_s=5), Fault("node.second-writer", share=0.3)
    )
    assert not any(sea.faults.offline(turbine) for turbine in turbines)
    sea.now_s = 10.0
    off = [turbine for turbine in turbines if sea.faults.offline(turbine)]
    assert 30 <= len(off) <= 90
    assert sea.fired == ["node.offline"] * len(off)
    second = sea.faults.second_writers(turbines)
    assert 30 <= len(second) <= 90
    assert second != off
    assert not sea.faults.keeps_out()


def test_planned_faults_follow_from_the_scenario(tmp_path: Path) -> None:
    faults = FAULTS.replace("count: 2", "count: 5").replace(
        "share: 8%", "share: 8%, farms: [A], at: [checkpoint]"
    )
    scenario = load(runs.scenario(tmp_path, runs.SCENARIO + faults))
    planned = planned_faults(scenario, plan(scenario))
    meant = {kind: faults.times for kind, faults in planned.items()}
    assert set(meant) == {fault.kind for fault in scenario.faults}
    assert (
        meant[KILL],
        meant["store.late-commit"],
        meant["farm.uplink"],
        meant["bucket.refuses"],
    ) == (5, 1, 1, 3)
    assert meant["store.error"] == 1  # 3 nodes of A commit 4 batches each
    assert meant["store.conflict"] > 5
    whole = part_of(scenario.fleet).farms
    due = kills(scenario, whole)
    assert sum(len(rows) for rows in due.values()) == 5
    assert all(0 < at < 240 * runs.TURBINES[farm] for farm, rows in due.items() for at in rows)
    assert kills(scenario, whole) == due


@pytest.mark.parametrize("count", [2, 3, 9])
def test_every_part_has_its_own_of_the_counted_faults(tmp_path: Path, count: int) -> None:
    faults = FAULTS.replace("count: 2", "count: 5").replace(
        "share: 8%", "share: 8%, farms: [B], count: 7"
    )
    scenario = load(runs.scenario(tmp_path, runs.SCENARIO + faults))
    fleet = scenario.fleet
    parts = [part_of(fleet, PartIndex(n, count)).farms for n in range(1, count + 1)]
    due = [rows for farms in parts for rows in kills(scenario, farms).values()]
    assert sum(map(len, due)) == 5, "whatever the cut"
    counted = [counted_in(scenario.faults, fleet, farms) for farms in parts]
    for number, fault in enumerate(scenario.faults):
        shares = [each[number].count for each in counted]
        if fault.count is None or fault.kind == KILL:
            assert set(shares) == {fault.count}
        else:
            assert sum(share or 0 for share in shares) == fault.count
            elsewhere = [
                share
                for share, farms in zip(shares, parts, strict=True)
                if fault.farms and not {farm.farm.farm_id for farm in farms} & {*fault.farms}
            ]
            assert not any(elsewhere)
    assert counted_in(scenario.faults, fleet, part_of(fleet).farms) == scenario.faults
