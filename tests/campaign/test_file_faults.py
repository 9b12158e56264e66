"""Faults of node files in pipeline, campaign and oracle: fresh files, added or lost channels."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import simpy

from pipeline import batch, generations, source
from pipeline.node import EdgeNode
from pipeline.records import CHANNEL_NAMES, GENERATION_IDS, NODE_COLUMNS, RETIRED_NAME, TABLE
from pipeline.stages import validate
from sim import check
from sim.campaign.in_process_run import CleanRunBroken, run_clean, run_once
from sim.campaign.memory_store import MemoryStore, dump
from sim.campaign.outcome import CleanRun
from sim.campaign.plan import every_call
from sim.campaign.schedule import Line, PlannedInjection, parse
from sim.campaign.world import World, build
from sim.chaos.faults import CRASH
from sim.errors import NodeFileError
from sim.fleet import load_fleet
from sim.fleet.nodes import node_configs
from sim.fleet.part import FarmPart
from sim.model.clock import SimClock
from sim.model.farm import FarmModel
from sim.model.faults.catalogue import NEW_CHANNELS, DataFault
from sim.model.recording.nodefile import NodeWriter
from tests.support.pipeline_world import config, drive, good, write

CLOCK = SimClock(1_705_279_800_000_000, 20_000_000, 60)  # 00:50, twenty minutes across an hour
SETTINGS = (300, 300, 120)
FAULTS = (
    DataFault("node.replaced", 110.0),
    DataFault("schema.added", 110.0),
    DataFault("schema.dropped", 60.0, channels=("temperature", "blade_pitch")),
    DataFault("row.late", 200.0, delay_s=240.0),
    DataFault("row.poisoned", 400.0),
    DataFault("sensor.dropout", 100.0, duration_s=60.0, channels=("temperature",)),
)


def farm(turbines: int = 3) -> Any:
    whole = next(each for each in load_fleet().farms if each.farm_id == "D")
    return whole.first(turbines)


def model(which: Any, faults: tuple[DataFault, ...] = FAULTS, clock: SimClock = CLOCK) -> FarmModel:
    made = FarmModel(FarmPart.whole(which), clock, 7, faults)
    env = simpy.Environment()
    made.start(env)
    env.run(until=clock.seconds(clock.samples))
    return made


def stored(database: Path) -> tuple[list[str], list[dict[str, Any]]]:
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = connection.execute(f"SELECT * FROM {TABLE} ORDER BY id")
        names = [column[0] for column in rows.description]
        return names, [dict(zip(names, row, strict=True)) for row in rows]


def whole_life(nodes: Path, turbine_id: str) -> list[tuple[int, list[str], dict[str, Any]]]:
    """Return (id in the lake, columns of its file, row) of every row, all files."""
    current = nodes / "D" / f"{turbine_id}.db"
    retired = len(list(current.parent.glob(f"{turbine_id}.retired-*.db")))
    files = [*(generations.retired_file(current, i) for i in range(retired)), current]
    found = []
    for generation, path in enumerate(files):
        names, rows = stored(path)
        assert [row["id"] for row in rows] == list(range(1, len(rows) + 1)), (
            "a fresh file numbers from 1"
        )
        found += [(generation * GENERATION_IDS + row["id"], names, row) for row in rows]
    return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build(tmp_path_factory.mktemp("files"), [farm()], CLOCK, 7, SETTINGS, FAULTS)


@pytest.fixture(scope="module")
def clean(world: World) -> CleanRun:
    return run_clean(world)


def test_truth_records_the_rows_of_each_file(world: World) -> None:
    which = farm()
    made = model(which)
    made.block(0, CLOCK.samples)
    kinds = set()
    for event in made.truth().to_pylist():
        if event["kind"].startswith(("node.", "schema.")) and event["rows"]:
            life = whole_life(world.final, event["turbine_id"])
            carrying = [
                (i, names, row)
                for i, names, row in life
                if event["first_id"] <= i <= event["last_id"]
            ]
            assert len(carrying) == event["rows"]
            assert carrying[-1][0] == life[-1][0], "the change must last to the last row"
            from_us = int(event["from"].timestamp() * 1e6)
            for i, names, row in life:
                carries = event["first_id"] <= i
                if event["kind"] != "node.replaced":
                    assert carries == (
                        (event["channel"] in names) == (event["kind"] == "schema.added")
                    ) or (event["kind"] == "schema.added" and row[event["channel"]] is None)
                if isinstance(row["recorded_at"], int) and row["recorded_at"] > 10**15:
                    assert (
                        carries == (row["recorded_at"] >= from_us)
                        or abs(row["recorded_at"] - from_us) > 10**14
                    )
            if event["kind"] != "schema.added":
                assert event["first_id"] % GENERATION_IDS == 1
            kinds.add(event["kind"])
    assert kinds == {"node.replaced", "schema.added", "schema.dropped"}


def test_new_channels_have_values_of_the_right_size() -> None:
    made = model(which := farm(12), FAULTS[:3]).block(0, CLOCK.samples)
    assert set(made.extra) == set(NEW_CHANNELS)
    for name, most in zip(NEW_CHANNELS, (20_000.0, 100.0), strict=True):
        begun = {change.turbine: change.row for change in made.changes if change.channel == name}
        for turbine in range(which.turbines):
            low, high = made.offsets[turbine : turbine + 2].tolist()
            values = made.extra[name][begun.get(turbine, high) : high]
            assert np.isnan(made.extra[name][low : begun.get(turbine, high)]).all()
            assert len(values) == 0 or 0.0 <= np.nanmin(values) <= np.nanmax(values) <= most


def test_a_fault_of_files_shifts_no_reading(tmp_path: Path) -> None:
    """Rows equal those of the farm without the fault, except ids and the missing channel."""
    which = farm()
    plain, changed = (model(which, faults).block(0, CLOCK.samples) for faults in ((), FAULTS[:3]))
    for name in NODE_COLUMNS:
        if name not in ("id", "turbine_id", "temperature", "blade_pitch"):
            assert np.array_equal(plain.columns[name], changed.columns[name], equal_nan=True), name
    assert (
        np.isnan(changed.columns["temperature"])
        | (changed.columns["temperature"] == plain.columns["temperature"])
    ).all()
    assert changed.changes
    assert not plain.changes


@pytest.mark.parametrize("cuts", [(7, 8, 31), tuple(range(1, 60))])
def test_the_bytes_do_not_depend_on_block_sizes(tmp_path: Path, cuts: tuple[int, ...]) -> None:
    digests = []
    for name, edges in (("whole", (0, CLOCK.samples)), ("cut", (0, *cuts, CLOCK.samples))):
        which, made = farm(), model(farm())
        with NodeWriter(
            tmp_path / name, FarmPart.whole(which), node_configs(which, 7), handles=2
        ) as writer:
            for first, last in pairwise(edges):
                writer.write(made.block(first, last))
        files = sorted((tmp_path / name).glob("*/*"))
        digests.append(
            (
                [path.name for path in files],
                [stored(p) for p in files if p.suffix == ".db"],
                made.truth(),
            )
        )
    assert digests[0] == digests[1]
    assert any(".retired-1." in name for name in digests[0][0])
    assert not any(name.endswith(("-wal", "-shm")) for name in digests[0][0])
    assert {path.read_bytes()[18:20] for path in files if path.suffix == ".db"} == {b"\x01\x01"}, (
        "not in WAL mode"
    )


def test_a_file_that_cannot_be_checkpointed_is_not_replaced(tmp_path: Path) -> None:
    """The fresh file would take over its WAL."""
    which, made = farm(1), model(farm(1), ())
    with NodeWriter(tmp_path, FarmPart.whole(which), node_configs(which, 7)) as writer:
        writer.write(made.block(0, 10))
        path = writer.paths[0]
        with contextlib.closing(sqlite3.connect(path)) as reader:
            assert reader.execute(f"SELECT count(*) FROM {TABLE}").fetchone() == (10,)
            with pytest.raises(
                NodeFileError,
                match=rf"{path.name}: cannot write the node's database: database is locked",
            ):
                writer.replace(0)
        assert sorted(p.name for p in path.parent.glob("*.db")) == [path.name]
        writer.write(made.block(10, 20))
        writer.replace(0)
        writer.write(made.block(20, CLOCK.samples))
    assert len(stored(path.with_name(RETIRED_NAME.format(stem=path.stem, generation=0)))[1]) == 20


def test_the_oracle_computes_batches_of_files_independently(tmp_path: Path) -> None:
    """Rows without a recording time that begin a fresh file start a new batch."""
    database = tmp_path / "nodes" / "A" / "A-001.db"
    database.parent.mkdir(parents=True)
    database.with_suffix(".json").write_text(config().to_json())
    write(generations.retired_file(database, 0), [good(1), good(2)])
    write(database, [good(3, id=1, recorded_at=None), good(4, id=2)])
    store = MemoryStore()
    assert len(drive([EdgeNode(config(), database)], store)) == 3
    dump(store, tmp_path / "lake")
    verdict = check.judge(tmp_path / "nodes", check.LakeReader.folder(tmp_path / "lake"), None, 1)
    assert (verdict.status, verdict.counts) == ("pass", {})


def test_a_run_without_delivery_faults_passes(
    world: World, clean: CleanRun, tmp_path: Path
) -> None:
    dump(clean.store, tmp_path / "lake")
    made = model(farm())
    made.block(0, CLOCK.samples)
    (tmp_path / "truth").mkdir()
    pq.write_table(made.truth(), tmp_path / "truth" / "faults-D.parquet")
    verdict = check.judge(
        world.final, check.LakeReader.folder(tmp_path / "lake"), tmp_path / "truth", 1
    )
    assert (verdict.status, verdict.counts) == ("pass", {})
    assert verdict.figures["rows.generated"] == sum(
        len(whole_life(world.final, t)) for t in farm().turbine_ids
    )
    assert verdict.figures["detection.recall.schema.dropped"] == 1.0
    by_kind = {entry["kind"]: entry for entry in verdict.detection}
    assert by_kind["node.replaced"]["detectable"] == by_kind["schema.added"]["detectable"] == 0
    assert verdict.quarantined_by_rule["null"] > 0


def crashes(clean: CleanRun) -> list[Line]:
    return [
        line
        for line in every_call(clean)
        if isinstance(line.items[0], PlannedInjection) and line.items[0].kind == CRASH
    ]


def one_of_each(clean: CleanRun, lines: list[Line]) -> list[Line]:
    """Return a line before and after each verb in each bucket, at the last such call."""
    found = {}
    for line in lines:
        (crash,) = line.items
        assert isinstance(crash, PlannedInjection)
        if crash.number <= len(clean.log):
            found[clean.log[crash.number - 1], crash.after] = line
    return list(found.values())


@pytest.mark.parametrize("every", [29, pytest.param(4, marks=pytest.mark.campaign)])
def test_a_crash_at_any_call_around_a_file_change_leaves_no_difference(
    world: World, clean: CleanRun, every: int
) -> None:
    lines = crashes(clean)
    assert len(lines) > 200
    each = one_of_each(clean, lines)
    assert len(each) >= 14
    for line in dict.fromkeys([*each, *lines[::every]]):
        outcome = run_once(world, clean, line)
        assert (outcome.broken, outcome.digest) == ([], clean.outcome.digest), line
        assert outcome.fired or line not in each, line


@pytest.mark.parametrize(
    "line",
    [
        "attempts=1 down=0 seed=7 node.offline[0+1100]",
        "attempts=1 down=3 seed=7 node.crash#20",
        "attempts=1 down=0 seed=7 node.offline[200+700]%0.5 node.second-writer%0.2 node.crash%0.05",
        "attempts=1 down=1 seed=9 node.second-writer%0.3 store.ack-lost%0.1 node.crash#60",
        "attempts=3 down=0 seed=5 store.error%0.2 node.second-writer%0.1 store.outage[300+400]",
    ],
)
def test_a_node_offline_during_a_file_change_loses_no_rows(
    world: World, clean: CleanRun, line: str
) -> None:
    outcome = run_once(world, clean, parse(line))
    assert outcome.fired, line
    assert (outcome.broken, outcome.digest) == ([], clean.outcome.digest)


def ids_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generations, "_with_lake_ids", lambda table, generation: table)


def retired_files_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    size = generations._size
    monkeypatch.setattr(
        generations, "_size", lambda path: None if ".retired-" in path.name else size(path)
    )


def retired_files_read_last(monkeypatch: pytest.MonkeyPatch) -> None:
    read = generations.read

    def last(database: Path, *how: Any) -> pa.Table:
        table = read(database, *how)
        order = np.lexsort((batch.ints(table, "id"), -(batch.ints(table, "id") // GENERATION_IDS)))
        return table.take(pa.array(order))

    monkeypatch.setattr(generations, "read", last)


def batches_across_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "_file_starts", lambda raw: np.zeros(raw.num_rows, dtype=bool))


def a_read_ends_with_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last batch never closes."""
    read = generations.read

    def one_file(database: Path, *how: Any) -> pa.Table:
        table = read(database, *how)
        ids = batch.ints(table, "id")
        return (
            table.filter(pa.array(ids // GENERATION_IDS == ids[0] // GENERATION_IDS))
            if len(ids)
            else table
        )

    monkeypatch.setattr(generations, "read", one_file)


def a_column_more_breaks_the_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "_misfit", lambda table: ~batch.nulls(table, "_rescued_data"))


def new_columns_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    query = source._query

    def known(connection: Any, columns: str, *how: Any) -> pa.Table:
        table = query(connection, columns, *how)
        return (
            table.select([n for n in table.column_names if n not in NEW_CHANNELS])
            if columns == "*"
            else table
        )

    monkeypatch.setattr(source, "_query", known)


def a_channel_gone_reads_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = source._typed

    def zeroed(*how: Any) -> pa.Table:
        table = typed(*how)
        for name in CHANNEL_NAMES:
            if len(table) and table.column(name).null_count == len(table):
                at = table.column_names.index(name)
                table = table.set_column(at, name, pa.array(np.zeros(len(table))))
        return table

    monkeypatch.setattr(source, "_typed", zeroed)


@pytest.mark.parametrize(
    "plant",
    [
        ids_of_the_file,
        retired_files_forgotten,
        retired_files_read_last,
        batches_across_files,
        a_read_ends_with_its_file,
        a_column_more_breaks_the_rule,
        new_columns_ignored,
        a_channel_gone_reads_zero,
    ],
)
def test_seeded_bugs_are_found_in_the_first_run(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
) -> None:
    plant(monkeypatch)
    try:
        clean = run_clean(world)
    except CleanRunBroken:
        return
    dump(clean.store, tmp_path)
    verdict = check.judge(world.final, check.LakeReader.folder(tmp_path), None, 1)
    assert verdict.status == "fail"


def test_a_missing_retired_file_is_reported(world: World, clean: CleanRun, tmp_path: Path) -> None:
    """One of several by its number, the newest by rows in the lake that no file has."""
    dump(clean.store, tmp_path / "lake")
    reader = check.LakeReader.folder(tmp_path / "lake")
    newest = max((world.final / "D").glob("*.retired-[1-9].db"), key=lambda path: path.stem[-1])
    oldest = newest.with_stem(newest.stem[:-1] + "0")
    for retired, expected in ((oldest, "unknown"), (newest, "fail")):
        kept = retired.read_bytes()
        retired.unlink()
        try:
            verdict = check.judge(world.final, reader, None, 1)
        finally:
            retired.write_bytes(kept)
        assert verdict.status == expected, verdict.counts
    assert check.judge(world.final, reader, None, 1).status == "pass"
