"""The in-process world: every fault leaves the fault-free lake, and pipeline bugs are found.

BUGS lists known mistakes of such pipelines. They are planted one at a time; the campaign must find
each. The number of runs it took is printed (`pytest -s`).
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline import batch, node, partition, source
from pipeline.batch import ints
from pipeline.commit import Commit, Position
from pipeline.ports import ObjectStore
from pipeline.records import BUCKET_NAMES
from sim import check
from sim.campaign.in_process_run import (
    CleanRunBroken,
    InProcessRun,
    latest_start,
    run_clean,
    run_once,
    run_with_store,
)
from sim.campaign.invariants import WatchedStore, broken_invariants, wrong_rows
from sim.campaign.memory_store import dump
from sim.campaign.outcome import CleanRun
from sim.campaign.plan import every_call, every_interval, is_past_end, points_of, random_line
from sim.campaign.schedule import Line, PlannedInjection, expanded, parse
from sim.campaign.shrink import shrink
from sim.campaign.world import World, make_world
from sim.chaos.call import CHECKPOINTS, METADATA, node_of
from sim.chaos.faults import FOREIGN
from sim.scenario import load
from tests.support.chaos_world import tiny
from tests.support.commit_bugs import (
    Patch,
    batch_in_conflict_skipped,
    batch_of_whatever_was_read,
    checkpoint_before_data,
    checkpoint_written_over,
    conflict_goes_on_next_time,
    conflict_on_every_exists,
    conflict_without_a_key,
    cursor_on_the_timestamp,
    exists_trusted,
    exists_trusted_and_bytes_that_vary,
    foreign_bytes_written_over,
    foreign_checkpoint_written_over,
    foreign_manifest_trusted,
    lost_answer_taken_for_done,
    manifest_before_data,
    off_by_one_after_a_restart,
    only_first_bytes_compared,
    only_length_and_both_ends_compared,
    only_lengths_compared,
    open_windows_forgotten,
    partition_by_the_batchs_last_row,
    random_object_names,
    state_saved_although_a_bucket_refused,
)
from tests.support.paths import SCENARIOS
from tests.support.window_bugs import (
    WINDOW_BUGS,
    watermark_by_recording_time,
    watermark_of_the_batch_alone,
)

CAMPAIGN = SCENARIOS / "campaign.yaml"

BUCKETS_HIT = [partition.bucket(name) for name in BUCKET_NAMES]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return tiny(tmp_path_factory.mktemp("chaos"))


@pytest.fixture(scope="module")
def clean(world: World) -> CleanRun:
    return run_clean(world)


def test_the_run_without_faults_passes(world: World, clean: CleanRun, tmp_path: Path) -> None:
    dump(clean.store, tmp_path)
    verdict = check.judge(world.final, check.LakeReader.folder(tmp_path), None, 1)
    assert verdict.status == "pass"
    assert verdict.digest == clean.outcome.digest == clean.store.digest()
    assert verdict.figures["rows.late"] > 0
    assert {verb for verb, _ in clean.log} == {"create", "replace", "get", "list"}, (
        "no call reads earlier data"
    )
    assert clean.outcome.puts == clean.outcome.objects + clean.outcome.committed


def test_snapshots_contain_the_rows_recorded_by_then(world: World) -> None:
    for farm, configs in world.nodes:
        for config in configs:
            ids = [
                source.read(world.database(i, config), 0, 10_000).column("id").to_pylist()
                for i in range(4)
            ]
            assert [len(i) for i in ids] == sorted({len(i) for i in ids}), farm
            assert all(i == list(range(1, len(i) + 1)) for i in ids)
            for i, flush_s in enumerate(world.flush_s):
                recorded = ints(source.read(world.database(i, config), 0, 10_000), "recorded_at")
                assert recorded.max() - world.start_us < (flush_s + 1) * 1e6


def test_a_single_fault_at_any_call_leaves_the_fault_free_lake(
    world: World, clean: CleanRun
) -> None:
    """Hit every seventh call, alternating the seven ways; `windfleet campaign` hits all calls."""
    lines = every_call(clean)
    for line in [*lines[::7], *(line for line in lines if is_past_end(line, clean))]:
        outcome = run_once(world, clean, line)
        assert bool(outcome.fired) != is_past_end(line, clean), line
        assert outcome.broken == [], line
        assert outcome.digest == clean.outcome.digest or FOREIGN in {
            fired.kind for fired in outcome.fired
        }


def test_random_schedules_leave_the_fault_free_lake(world: World, clean: CleanRun) -> None:
    for index in range(30):
        line = random_line(world, len(clean.log), 1, index)
        assert parse(str(line)) == line
        outcome = run_once(world, clean, line)
        assert outcome.broken == [], line
        assert outcome.digest == clean.outcome.digest or FOREIGN in {
            fired.kind for fired in outcome.fired
        }


def test_a_run_is_a_function_of_world_and_line(world: World, clean: CleanRun) -> None:
    line = parse("seed=3 store.error%0.2 node.second-writer#20 node.crash#30 store.late-commit#33")
    first, second = run_once(world, clean, line), run_once(world, clean, line)
    assert first == second
    assert len(points_of(first)) >= 4
    assert run_once(world, clean, replace(line, seed=4)).trace != first.trace


def test_recovery_is_counted_in_virtual_time(world: World, clean: CleanRun) -> None:
    assert run_once(world, clean, parse("store.outage[0+700]")).recovery_s == [600.0]
    assert run_once(world, clean, parse("node.crash#3 down=1")).recovery_s == [300.0 * 2]
    assert run_once(world, clean, parse("node.crash#3")).recovery_s == []
    outcome = run_once(world, clean, parse("node.crash/after#20"))
    assert (outcome.recovered, outcome.acknowledged) in (
        (0, outcome.committed),
        (1, outcome.committed - 1),
    )


def test_a_run_that_does_not_end_is_stuck(
    world: World, clean: CleanRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sim.campaign import in_process_run

    monkeypatch.setattr(
        in_process_run.Schedule,
        "faults_ended",
        property(lambda self: False, lambda self, value: None),
        raising=False,
    )
    outcome = run_once(world, clean, parse("store.outage[0+1e9]".replace("1e9", "999999999")))
    assert {b.invariant for b in outcome.broken} >= {"stuck", "lake.missing"}
    assert outcome.wrong_rows.lost > 0


def test_an_unexpected_exception_is_reported(
    world: World, clean: CleanRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On an unexpected exception the process starts anew, and the run does not pass."""
    real, tries = node.commit, iter(range(10**6))

    def commit(store: ObjectStore, work: Commit, position: Position) -> Position:
        if next(tries) == 3:
            raise KeyError("an accident")
        return real(store, work, position)

    monkeypatch.setattr(node, "commit", commit)
    outcome = run_once(world, clean, Line())
    assert outcome.broken == [("raised", "KeyError: 'an accident'")]
    assert outcome.digest == clean.outcome.digest


def test_a_backlog_longer_than_one_read(
    world: World, clean: CleanRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node offline from the first row on delivers all rows, a batch at a time."""
    manifests = [
        json.loads(body) for (bucket, _), body in clean.store.objects.items() if bucket == METADATA
    ]
    for module in (node, batch):
        monkeypatch.setattr(
            module, "READ_ROWS", max(each["source"]["record_count"] for each in manifests) + 1
        )
    for line in (
        "node.offline[0+1100]",
        "seed=3 node.offline[0+1100]%0.5 store.error%0.2 node.crash%0.05",
    ):
        outcome = run_once(world, clean, parse(line))
        assert {fired.kind for fired in outcome.fired} >= {"node.offline"}
        assert (outcome.broken, outcome.digest) == ([], clean.outcome.digest)


# --- seeded bugs of the pipeline: each must be found


@dataclass(frozen=True)
class Bug:
    plant: Patch
    names: frozenset[str]


def bug(plant: Patch, *names: str) -> Any:
    return pytest.param(Bug(plant, frozenset(names)), id=plant.__name__)


# the row at the cursor is not the checkpoint's row
BUGS = [
    bug(checkpoint_before_data, "clean"),
    bug(manifest_before_data, "clean"),
    bug(random_object_names, "oracle"),
    bug(batch_of_whatever_was_read, "oracle"),
    bug(partition_by_the_batchs_last_row, "lake.missing", "stopped"),
    bug(exists_trusted_and_bytes_that_vary, "manifest.ahead", "lake.altered"),
    bug(cursor_on_the_timestamp, "clean"),
    bug(off_by_one_after_a_restart, "stopped"),
    bug(state_saved_although_a_bucket_refused, "manifest.ahead"),
    bug(checkpoint_written_over, "checkpoint.regressed"),
    bug(lost_answer_taken_for_done, "checkpoint.ahead"),
    bug(conflict_on_every_exists, "stopped"),
    bug(open_windows_forgotten, "lake.missing", "stopped"),
    bug(exists_trusted, "foreign.unnoticed"),
    bug(only_lengths_compared, "foreign.unnoticed"),
    bug(only_first_bytes_compared, "foreign.unnoticed"),
    bug(only_length_and_both_ends_compared, "foreign.unnoticed"),
    bug(foreign_bytes_written_over, "foreign.overwritten"),
    bug(batch_in_conflict_skipped, "checkpoint.ahead"),
    bug(conflict_goes_on_next_time, "foreign.unnoticed"),
    bug(conflict_without_a_key, "stopped"),
]


def until_found(world: World, tmp_path: Path, most: int) -> tuple[int, set[str], Line | None]:
    """Count the runs until one breaks; the fault-free run and its verdict are the first."""
    try:
        clean = run_clean(world)
    except CleanRunBroken:
        return 1, {"clean"}, None
    dump(clean.store, tmp_path)
    verdict = check.judge(world.final, check.LakeReader.folder(tmp_path), None, 1)
    if verdict.status != "pass":
        return 1, {"oracle", *verdict.counts}, None
    single = every_call(clean)
    # a campaign makes all runs; the order is random
    order = np.random.default_rng(1).permutation(len(single)).tolist()
    at_random: Iterator[Line] = (random_line(world, len(clean.log), 1, i) for i in range(most))
    mixed = chain.from_iterable(zip((single[i] for i in order), at_random, strict=False))
    for runs, line in enumerate(islice(mixed, most), 2):
        outcome = run_once(world, clean, line)
        if outcome.broken:
            return runs, {name for name, _ in outcome.broken}, line
    return most, set(), None


@pytest.mark.parametrize("bug", BUGS)
def test_seeded_bugs_are_found(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bug: Bug
) -> None:
    bug.plant(monkeypatch)
    runs, names, line = until_found(world, tmp_path, 150)
    print(f"\n{bug.plant.__name__}: found by run {runs}, {', '.join(sorted(names))}; {line or ''}")
    assert names & bug.names, names


@pytest.mark.parametrize(
    ("plant", "bucket", "name"),
    [
        (foreign_checkpoint_written_over, CHECKPOINTS, "foreign.overwritten"),
        (foreign_manifest_trusted, METADATA, "checkpoint.ahead"),
    ],
)
def test_bugs_that_few_calls_show(
    world: World,
    clean: CleanRun,
    monkeypatch: pytest.MonkeyPatch,
    plant: Patch,
    bucket: str,
    name: str,
) -> None:
    """One call in fifty shows them; a campaign hits all calls, this test the first of the kind."""
    first = next(n for n, call in enumerate(clean.log, 1) if call == ("create", bucket))
    line = Line((PlannedInjection(FOREIGN, first),))
    assert run_once(world, clean, line).broken == []
    plant(monkeypatch)
    assert name in {broken.invariant for broken in run_once(world, clean, line).broken}


def test_foreign_bytes_stop_their_node_only(world: World, clean: CleanRun, tmp_path: Path) -> None:
    """Plant them in each bucket in turn: the oracle fails that lake and names the key."""
    struck = [
        next(n for n, call in enumerate(clean.log, 1) if call == ("create", bucket))
        for bucket in BUCKETS_HIT
    ]
    for number in (*struck, struck[0] + 40):
        line = Line((PlannedInjection(FOREIGN, number),))
        outcome, store = run_with_store(world, clean, line)
        assert outcome.broken == [], line
        assert [fired.kind for fired in outcome.fired] == [FOREIGN]
        (((bucket, key), met),) = store.planted.items()
        assert store.objects[bucket, key] == met.body != clean.store.objects[bucket, key]
        others = {place for place in clean.store.objects if node_of(place) != met.turbine}
        assert others
        assert all(
            store.objects[place] == clean.store.objects[place]
            for place in others
            if place[0] != METADATA
        )
        dump(store, tmp_path / str(number))
        verdict = check.judge(world.final, check.LakeReader.folder(tmp_path / str(number)), None, 1)
        assert verdict.status == "fail"
        assert any(finding.key.endswith(key) for finding in verdict.findings), (
            key,
            verdict.findings,
        )


def test_equal_bytes_of_another_writer_are_no_conflict(world: World, clean: CleanRun) -> None:
    """The same bytes as the node's, from another writer, at every create."""
    real = WatchedStore.create

    class Twice(WatchedStore):
        def create(self, bucket: str, key: str, body: bytes) -> str:
            real(self, bucket, key, body)
            return real(self, bucket, key, body)

    state = InProcessRun(world, Line())
    state.store.__class__ = Twice
    assert state.all_flushes()
    assert (state.broken, state.store.broken) == ([], [])
    assert state.store.lake_digest() == clean.outcome.digest


@pytest.fixture(scope="module")
def varied(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The scenario of `windfleet campaign`: its windows end within a flush, and rows come late."""
    return make_world(load(CAMPAIGN), tmp_path_factory.mktemp("varied"))


def test_the_run_without_window_bugs_passes(varied: World, tmp_path: Path) -> None:
    assert until_found(varied, tmp_path, 0) == (0, set(), None)


@pytest.mark.parametrize("plant", WINDOW_BUGS, ids=lambda plant: plant.__name__)
def test_seeded_bugs_of_windows_are_found(
    varied: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plant: Patch
) -> None:
    plant(monkeypatch)
    runs, names, line = until_found(varied, tmp_path, 1)
    print(f"\n{plant.__name__}: found by run {runs}, {', '.join(sorted(names))}; {line or ''}")
    assert WINDOW_BUGS[plant] in names, names


@pytest.mark.parametrize(
    ("plant", "fault", "finding"),
    [
        (
            watermark_by_recording_time,
            "{kind: row.late, rate: 9000 per turbine-day, delay: 9m}",
            "window.early",
        ),
        (
            watermark_of_the_batch_alone,
            "{kind: sensor.dropout, rate: 300 per turbine-day, duration: 6m}",
            "window.missing",
        ),
    ],
)
def test_seeded_bugs_that_need_data_of_their_own_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plant: Patch, fault: str, finding: str
) -> None:
    """They show where most rows come late, and where the last batch is rejected completely."""
    varied = make_world(load(CAMPAIGN, [f"data_faults=[{fault}]"]), tmp_path / "world")
    assert until_found(varied, tmp_path / "right", 0) == (0, set(), None)
    plant(monkeypatch)
    runs, names, _ = until_found(varied, tmp_path / "lake", 1)
    assert (runs, finding in names) == (1, True)


def test_a_failing_schedule_shrinks_to_the_relevant_faults(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state_saved_although_a_bucket_refused(monkeypatch)
    clean = run_clean(world)
    line = parse(
        "seed=2 node.crash#9 bucket.refuses[300+600]=enriched store.error%0.05 store.ack-lost#50"
    )
    failing = run_once(world, clean, line)
    assert failing.broken
    smallest, outcome = shrink(
        partial(run_once, world, clean), failing, line, expanded(line, failing.fired)
    )
    assert outcome.broken
    assert len(smallest.items) == 1
    assert run_once(world, clean, parse(str(smallest))).broken


def test_the_store_detects_each_wrong_write() -> None:
    def manifest_of(**cells: Any) -> bytes:
        entry = {"bucket": "expanso-databricks-ingestion", "key": "a", "bytes": 1, "sha256": "x"}
        return json.dumps(
            {
                "turbine_id": "A-001",
                "source": {"first_id": 1, "last_id": 5},
                "objects": [entry],
                **cells,
            }
        ).encode()

    def checkpoint(last_id: int, batches: int) -> bytes:
        return json.dumps({"turbine_id": "A-001", "last_id": last_id, "batches": batches}).encode()

    store = WatchedStore()
    etag = store.create(CHECKPOINTS, "c", checkpoint(5, 1))
    store.create(METADATA, "m1", manifest_of())
    store.create(METADATA, "m2", manifest_of())
    store.replace(CHECKPOINTS, "c", checkpoint(4, 1), etag)
    store.replace(METADATA, "m2", manifest_of(), store.get(METADATA, "m2")[1])
    assert [name for name, _ in store.broken] == [
        "checkpoint.ahead",
        "manifest.ahead",
        "manifest.ahead",
        "manifest.shared",
        "checkpoint.regressed",
        "data.overwritten",
        "manifest.ahead",
        "manifest.shared",
    ]


def copy_of(clean: CleanRun) -> tuple[WatchedStore, Counter[str]]:
    """Return a store with the fault-free run's objects, and the commits that made them."""
    store = WatchedStore()
    for (bucket, key), body in sorted(
        clean.store.objects.items(), key=lambda item: item[0][0] in (METADATA, CHECKPOINTS)
    ):
        if bucket != CHECKPOINTS:
            store.create(bucket, key, body)
    for (bucket, key), body in clean.store.objects.items():
        if bucket == CHECKPOINTS:
            store.create(bucket, key, body)
    return store, Counter({key: 1 for bucket, key in store.objects if bucket == METADATA})


def test_the_finished_lake_is_compared_with_the_fault_free_lake(clean: CleanRun) -> None:
    places = sorted(clean.store.objects)
    data = next(place for place in places if place[0].endswith("ingestion"))
    meta = next(place for place in places if place[0] == METADATA)
    state = next(place for place in places if place[0] == CHECKPOINTS)

    def broken_by(change: Callable[[WatchedStore], Any]) -> set[str]:
        store, commits = copy_of(clean)
        change(store)
        return {name for name, _ in broken_invariants(store, clean.store, commits, 1)}

    def later(store: WatchedStore) -> None:
        store.objects[meta] = store.objects[meta].replace(
            b'"upload_timestamp":"2024', b'"upload_timestamp":"2025'
        )

    assert broken_by(lambda store: None) == set()
    assert broken_by(later) == set()
    assert broken_by(lambda store: store.objects.pop(data)) == {"lake.missing"}
    assert broken_by(lambda store: store.objects.update({data: b"x"})) == {"lake.altered"}
    assert broken_by(lambda store: store.create(data[0], "more", b"x")) == {
        "lake.debris",
        "data.unnamed",
    }
    assert broken_by(lambda store: store.objects.update({(CHECKPOINTS, "more"): b"x"})) == {
        "debris"
    }
    assert broken_by(lambda store: store.objects.pop(meta)) == {"manifest.differs"}
    assert broken_by(lambda store: store.objects.update({meta: b"{}"})) == {"manifest.differs"}
    assert broken_by(lambda store: store.objects.pop(state)) == {"checkpoint.differs"}
    assert broken_by(lambda store: store.puts.update({data: 3})) == {"writes.unbounded"}
    assert broken_by(lambda store: store.puts.update({data: 2})) == set()


def test_rows_lost_doubled_and_misplaced_are_counted(clean: CleanRun) -> None:
    bucket, key = next(
        place for place in sorted(clean.store.objects) if place[0].endswith("ingestion")
    )
    body = clean.store.objects[bucket, key]
    rows = pq.read_table(io.BytesIO(body)).num_rows
    store, _ = copy_of(clean)
    assert wrong_rows(store, clean.store) == (0, 0, 0)
    store.objects[bucket, key.replace(".parquet", "x.parquet")] = body
    assert wrong_rows(store, clean.store) == (0, rows, 0)
    del store.objects[bucket, key]
    assert wrong_rows(store, clean.store) == (0, 0, 0)
    moved = key.replace("hour=00", "hour=05")
    store.objects[bucket, moved] = store.objects.pop((bucket, key.replace(".parquet", "x.parquet")))
    assert wrong_rows(store, clean.store) == (0, 0, rows)
    del store.objects[bucket, moved]
    assert wrong_rows(store, clean.store) == (rows, 0, 0)


def test_a_crash_stops_all_nodes_of_the_process(world: World) -> None:
    """Every node reads its position from the lake again, also without a fault of its own."""

    def recoveries(text: str) -> int:
        state = InProcessRun(world, parse(text))
        assert state.all_flushes()
        return sum(" get expanso-databricks-checkpoints/" in entry for entry in state.calls())

    nodes = len(world.nodes[0][1])
    assert recoveries("") == nodes
    assert recoveries("node.crash#20") == 2 * nodes


def test_a_run_from_the_first_possible_fault_equals_a_run_from_the_start(
    world: World, clean: CleanRun
) -> None:
    single, begun = every_call(clean), Counter[int]()
    lines = [
        *single[::120],
        *every_interval(world)[::2],
        *(random_line(world, len(clean.log), 2, i) for i in range(5)),
    ]
    for line in lines:
        whole = run_once(world, replace(clean, starts=[]), line)
        assert run_once(world, clean, line) == whole, line
        start = latest_start(world, clean, line)
        begun[start.flush if start else 0] += 1
    assert min(begun.values()) > 0
    assert set(begun) == set(range(len(world.flush_s)))
