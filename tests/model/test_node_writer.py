"""Node files: their content equals the blocks; readable during writes; errors name the file."""

import contextlib
import hashlib
import sqlite3
import subprocess
import sys
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
import simpy

from pipeline.config import NodeConfig
from pipeline.records import CHANNEL_NAMES, NODE_COLUMNS, STATES, TABLE
from sim.errors import NodeFileError
from sim.fleet import load_fleet
from sim.fleet.nodes import node_configs
from sim.fleet.part import FarmPart
from sim.model.clock import SimClock
from sim.model.farm import FarmModel
from sim.model.faults.catalogue import DataFault
from sim.model.recording import nodefile
from sim.model.recording.nodefile import NodeWriter, _insert, _values
from tests.support.paths import ROOT

CLOCK = SimClock(1_705_276_800_000_000, 1_000_000, 900)
FAULTS = (
    DataFault("sensor.dropout", 300.0),
    DataFault("row.late", 300.0, duration_s=20, delay_s=100),
    DataFault("row.duplicate", 300.0),
)


def farm(turbines=6, farm_id="D"):
    whole = next(each for each in load_fleet().farms if each.farm_id == farm_id)
    return whole.first(turbines)


def write(directory, which, cuts=(), handles=512, clock=CLOCK):
    """Write a farm's run into node files; return the blocks."""
    env, model, blocks = simpy.Environment(), FarmModel(FarmPart.whole(which), clock, 7, FAULTS), []
    model.start(env)
    with NodeWriter(
        directory, FarmPart.whole(which), node_configs(which, 7), handles=handles
    ) as writer:
        for first, last in pairwise((0, *cuts, clock.samples)):
            env.run(until=clock.seconds(last))
            blocks.append(model.block(first, last))
            writer.write(blocks[-1])
    return blocks


def rows(path):
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(
            f"SELECT {', '.join(NODE_COLUMNS)} FROM {TABLE} ORDER BY id"
        ).fetchall()


def digests(directory):
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_a_file_contains_the_rows_of_the_blocks(tmp_path):
    which = farm()
    blocks = write(tmp_path, which, cuts=(1, 13, 600))
    nulls = 0
    for turbine, turbine_id in enumerate(which.turbine_ids):
        stored = rows(tmp_path / "D" / f"{turbine_id}.db")
        column = {
            name: np.concatenate(
                [
                    each.columns[name][each.offsets[turbine] : each.offsets[turbine + 1]]
                    for each in blocks
                ]
            )
            for name in blocks[0].columns
        }
        assert len(stored) == len(column["id"])
        for name, values in zip(NODE_COLUMNS, zip(*stored, strict=True), strict=True):
            if name == "turbine_id":
                assert set(values) == {turbine_id}
            elif name == "status":
                assert list(values) == [STATES[index] for index in column["status"]]
            elif name in CHANNEL_NAMES:
                nulls += values.count(None)
                assert np.array_equal(np.array(values, dtype=float), column[name], equal_nan=True)
                assert {type(value) for value in values} <= {float, type(None)}
            else:
                assert list(values) == column[name].tolist()
    assert nulls > 100


def test_the_configuration_is_stored_next_to_the_database(tmp_path):
    which = farm(2)
    write(tmp_path, which)
    for config in node_configs(which, 7):
        assert NodeConfig.load(tmp_path / "D" / f"{config.turbine_id}.json") == config


def test_only_the_two_files_remain(tmp_path):
    which = farm(3)
    write(tmp_path, which, cuts=(300,))
    assert sorted(path.name for path in (tmp_path / "D").iterdir()) == sorted(
        f"{turbine_id}.{kind}" for turbine_id in which.turbine_ids for kind in ("db", "json")
    )


def test_finished_files_are_not_in_wal_mode_and_reading_leaves_no_files(tmp_path):
    write(tmp_path, farm(3), cuts=(300,), handles=1)
    before = digests(tmp_path)
    for path in (tmp_path / "D").glob("*.db"):
        assert rows(path)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert digests(tmp_path) == before


def test_a_file_with_an_open_reader_is_complete(tmp_path):
    which = farm(1)
    model = FarmModel(FarmPart.whole(which), CLOCK, 7)
    model.start(simpy.Environment())
    path = tmp_path / "D" / "D-001.db"
    writer = NodeWriter(tmp_path, FarmPart.whole(which), node_configs(which, 7))
    writer.write(model.block(0, 1))
    with contextlib.closing(sqlite3.connect(path)) as reader:
        assert reader.execute(f"SELECT count(*) FROM {TABLE}").fetchone() == (1,)
        writer.close()
    writer.close()
    assert len(rows(path)) == 1


@pytest.mark.parametrize("cuts", [(60, 120, 601), tuple(range(100, 900, 100)), (899,)])
def test_bytes_depend_on_the_seed_and_not_on_block_sizes(tmp_path, cuts):
    write(tmp_path / "one", farm())
    write(tmp_path / "other", farm(), cuts=cuts)
    assert digests(tmp_path / "one") == digests(tmp_path / "other")


def test_parts_that_are_written_at_the_same_time_make_the_whole_farms_files(tmp_path):
    which = farm()
    write(tmp_path / "one", which)
    parts = [FarmPart(which, *cut) for cut in ((0, 1), (1, 4), (4, 6))]
    models = [FarmModel(part, CLOCK, 7, FAULTS) for part in parts]
    with contextlib.ExitStack() as writers:
        made = []
        for part in parts:
            made.append(
                writers.enter_context(NodeWriter(tmp_path / "other", part, node_configs(part, 7)))
            )
            assert {path.stem for path in made[-1].paths} == set(part.turbine_ids)
        for model, writer in zip(models, made, strict=True):
            env = simpy.Environment()
            model.start(env)
            env.run(until=CLOCK.seconds(CLOCK.samples))
            writer.write(model.block(0, CLOCK.samples))
    assert digests(tmp_path / "one") == digests(tmp_path / "other")


def test_no_two_parts_share_a_template(tmp_path, monkeypatch):
    """Processes that made one at the same time would read each other's."""
    used = []
    monkeypatch.setattr(nodefile, "_template", lambda path: used.append(path) or b"")
    which = farm()
    for cut in ((0, 6), (0, 1), (1, 4), (4, 6)):
        part = FarmPart(which, *cut)
        NodeWriter(tmp_path, part, node_configs(part, 7))
    assert len(set(used)) == 4


def test_few_handles_write_the_same_rows(tmp_path):
    which = farm()
    write(tmp_path / "many", which, cuts=(200, 400, 600))
    write(tmp_path / "few", which, cuts=(200, 400, 600), handles=2)
    for turbine_id in which.turbine_ids:
        assert rows(tmp_path / "many/D" / f"{turbine_id}.db") == rows(
            tmp_path / "few/D" / f"{turbine_id}.db"
        )


def test_handles_are_bounded(tmp_path):
    which = farm(6)
    model = FarmModel(FarmPart.whole(which), CLOCK, 7)
    model.start(simpy.Environment())
    with NodeWriter(tmp_path, FarmPart.whole(which), node_configs(which, 7), handles=2) as writer:
        writer.write(model.block(0, 1))
        assert len(list((tmp_path / "D").glob("*-wal"))) == 2


def test_readers_see_each_block_during_writing(tmp_path):
    which = farm(1)
    env, model = simpy.Environment(), FarmModel(FarmPart.whole(which), CLOCK, 7)
    model.start(env)
    path = tmp_path / "D" / "D-001.db"
    with NodeWriter(tmp_path, FarmPart.whole(which), node_configs(which, 7)) as writer:
        assert rows(path) == []
        for first, last in ((0, 250), (250, 333)):
            env.run(until=last)
            writer.write(model.block(first, last))
            assert [row[0] for row in rows(path)] == list(range(1, last + 1))
        with contextlib.closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_that_is_not_sqlite_is_named(tmp_path):
    which = farm(2)
    model = FarmModel(FarmPart.whole(which), CLOCK, 7)
    model.start(simpy.Environment())
    writer = NodeWriter(tmp_path, FarmPart.whole(which), node_configs(which, 7))
    (tmp_path / "D" / "D-002.db").write_bytes(b"not a database at all " * 300)
    with pytest.raises(
        NodeFileError, match=r"D-002\.db: cannot write the node's database: file is not a database"
    ):
        writer.write(model.block(0, 10))
    with pytest.raises(NodeFileError, match=r"D-002\.db"):
        writer.close()
    assert len(rows(tmp_path / "D" / "D-001.db")) == 10


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "D").write_text("in the way")
    with pytest.raises(NodeFileError, match=r"/D: cannot write the node's database: File exists"):
        NodeWriter(tmp_path, FarmPart.whole(farm(1)), node_configs(farm(1), 7))


def interrupted(directory, which):
    """Write a sample, then stop in the middle of the next block: one node done, the other not."""
    model = FarmModel(FarmPart.whole(which), CLOCK, 7)
    model.start(simpy.Environment())
    with NodeWriter(directory, FarmPart.whole(which), node_configs(which, 7)) as writer:
        writer.write(model.block(0, 1))
        block = model.block(1, 60)
        writer._append(0, block, 0, 59)
        half = writer._connection(1)
        half.execute("BEGIN")
        columns = [_values(block, name, slice(20)) for name in NODE_COLUMNS if name != "turbine_id"]
        half.execute(
            _insert("D-002", 20), [value for row in zip(*columns, strict=True) for value in row]
        )
        raise KeyboardInterrupt


def test_a_blocks_rows_become_python_values_one_node_at_a_time(tmp_path):
    """All at once they take 450 bytes a row: 138 MB for an hour of the largest farm."""
    which = farm(20)
    model = FarmModel(FarmPart.whole(which), CLOCK, 7, FAULTS)
    model.start(simpy.Environment())
    block = model.block(0, 300)
    with NodeWriter(tmp_path, FarmPart.whole(which), node_configs(which, 7)) as writer:
        tracemalloc.start()
        try:
            writer.write(block)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert most < 150 * block.rows


def test_an_interrupted_block_is_rolled_back(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path, farm(2))
    assert len(rows(tmp_path / "D" / "D-001.db")) == 60
    assert len(rows(tmp_path / "D" / "D-002.db")) == 1
    assert not list((tmp_path / "D").glob("*-wal"))


FULL = """
import resource, sys
from pathlib import Path
from tests.model.test_node_writer import farm, write
# No file may grow beyond this: stands for a full disk.
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
from sim.fleet.part import FarmPart
from sim.errors import NodeFileError
try:
    write(Path(sys.argv[1]), farm(2), cuts=range(100, 900, 100))
except NodeFileError as error:
    print(error)
"""


def test_a_full_disk_is_one_error_that_names_the_file(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
    )
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    assert f"{tmp_path}/D/D-00" in done.stdout
    assert "full" in done.stdout or "disk I/O" in done.stdout
