"""Windows: with any late rows, the last revision equals a recomputation over all valid rows."""

from __future__ import annotations

import math
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batch import Groups
from pipeline.config import Asset, NodeConfig
from pipeline.node import EdgeNode
from pipeline.records.schemas import AGGREGATED, VALIDATED
from pipeline.stages.aggregate import window_sums
from pipeline.sums import COLUMNS, merge
from sim.campaign.memory_store import MemoryStore
from tests.support.examples import examples
from tests.support.pipeline_reference import messy, windows
from tests.support.pipeline_world import (
    FULL_ASSET,
    HOUR,
    SECOND,
    START,
    Row,
    config,
    documents,
    drain,
    drive,
    good,
    rows_of,
    write,
)


def latest(store: MemoryStore) -> dict[int, Row]:
    """Return window start -> newest revision.

    Revisions must be 0..k, each once, in the order of the batches.
    """
    revisions: dict[int, list[Row]] = defaultdict(list)
    for row in rows_of(store, "aggregated"):
        revisions[row["window_start"]].append(row)
    for rows in revisions.values():
        assert sorted(row["revision"] for row in rows) == list(range(len(rows)))
    return {start: max(rows, key=lambda row: row["revision"]) for start, rows in revisions.items()}


def check(store: MemoryStore, node: NodeConfig) -> dict[int, Row]:
    """Compare the lake's windows with a recomputation from its own validated rows."""
    expected = windows(rows_of(store, "validated"), node)
    found = latest(store)
    assert found.keys() == expected.keys()
    for start, row in found.items():
        assert row.keys() == {*expected[start], "date", "revision"}
        assert row["date"].toordinal() == 719_163 + start // (24 * HOUR)
        for name, value in expected[start].items():
            if isinstance(value, float):
                assert row[name] == pytest.approx(value, rel=1e-9, abs=1e-9), name
            else:
                assert row[name] == value, name
    return found


@settings(max_examples=examples(60), deadline=None)
@given(messy(), st.sampled_from((600, 420, 5000)), st.sampled_from((0, 300)), st.booleans())
def test_the_latest_revision_is_a_recomputation(
    rows: list[Row], window_s: int, late_s: int, known: bool
) -> None:
    node = config(
        asset=FULL_ASSET if known else Asset(), window_s=window_s, allowed_lateness_s=late_s
    )
    with tempfile.TemporaryDirectory() as folder:
        store = drain(Path(folder) / "n.db", rows, node)
    check(store, node)
    (checkpoint,) = documents(store, "checkpoints").values()
    assert checkpoint["open_windows"] == {}
    assert checkpoint["last_id"] == rows[-1]["id"]


@settings(max_examples=examples(30), deadline=None)
@given(messy(), st.integers(1, 60))
def test_a_node_that_goes_on_after_a_drain_keeps_its_windows_right(
    rows: list[Row], first: int
) -> None:
    store, node = MemoryStore(), config()
    with tempfile.TemporaryDirectory() as folder:
        database = write(Path(folder) / "n.db", rows[:first])
        drive([EdgeNode(node, database)], store)
        write(database, rows[first:])
        drive([EdgeNode(node, database)], store)
    check(store, node)


def test_a_window_is_emitted_once_the_watermark_has_passed_it(tmp_path: Path) -> None:
    # to minute 46: batches of 15 minutes, lateness 5
    rows = [good(i, step_s=60) for i in range(1, 47)]
    store = MemoryStore()
    drive([EdgeNode(config(), write(tmp_path / "n.db", rows))], store, until_us=None)
    # 30..40 waits: newest is minute 44
    assert sorted(latest(store)) == [
        START,
        START + HOUR // 6,
        START + HOUR // 3,
    ]
    (checkpoint,) = documents(store, "checkpoints").values()
    assert list(checkpoint["open_windows"]) == [str(START + HOUR // 2), str(START + 4 * HOUR // 6)]


def test_a_late_row_makes_one_more_revision_of_its_window_only(tmp_path: Path) -> None:
    rows = [good(i, step_s=60) for i in range(1, 141)]
    for n, at in enumerate(
        (95, 110, 125)
    ):  # in the batches 90, 105 and 120, which keys do not have in this order
        rows[at]["timestamp"] = rows[n]["timestamp"] + SECOND
    store = drain(tmp_path / "n.db", rows)
    found = check(store, config())
    assert {start: row["revision"] for start, row in found.items() if row["revision"]} == {START: 3}
    assert {
        (r["revision"], r["rows"])
        for r in rows_of(store, "aggregated")
        if r["window_start"] == START
    } == {
        (0, 9),
        (1, 10),
        (2, 11),
        (3, 12),
    }


def test_a_late_row_of_a_window_that_had_none_makes_revision_0(tmp_path: Path) -> None:
    rows = [good(i, step_s=60) for i in range(1, 121)]
    rows[100]["timestamp"] = START - 5 * HOUR
    store = drain(tmp_path / "n.db", rows)
    assert check(store, config())[START - 5 * HOUR]["revision"] == 0


def test_a_window_longer_than_an_hour_takes_late_rows_of_all_its_hours(tmp_path: Path) -> None:
    node = config(window_s=7000)
    rows = [good(i, step_s=300) for i in range(1, 80)]
    rows[70]["timestamp"] = rows[1]["timestamp"] + SECOND
    store = drain(tmp_path / "n.db", rows, node)
    assert any(row["revision"] for row in check(store, node).values())


def test_each_anomaly_is_counted_and_named_in_order(tmp_path: Path) -> None:
    spoiled: Mapping[int, Row] = {
        1: {"vibration_level": 6.0},
        2: {"vibration_level": 5.6, "generator_temperature": 130.5},  # 5.6: no alarm
        3: {"rotor_rpm": 13.9, "gearbox_temperature": 86.0},
        4: {"rotor_rpm": 13.7},
    }
    rows = [good(i, **spoiled.get(i, {})) for i in range(1, 31)]
    rows += [good(i, power_output=0.1) for i in range(61, 91)]
    light = {"wind_speed": 4.0, "power_output": 0.0}  # too little power to judge by
    rows += [good(i, **light, rotor_rpm=5 + i / 100) for i in range(121, 130)]
    first, second, third = (
        row for _, row in sorted(latest(drain(tmp_path / "n.db", rows)).items())
    )
    assert (third["anomaly_kinds"], third["efficiency"]) == ([], 0.0)
    assert first["anomaly_kinds"] == ["vibration", "generator_heat", "gearbox_heat", "overspeed"]
    assert first["anomaly_count"] == 4
    assert (second["anomaly_kinds"], second["anomaly_count"]) == (["underperformance"], 30)


numbers = st.floats(-1e3, 1e3)


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(numbers, min_size=2, max_size=40), st.integers(1, 39), st.sampled_from((0.0, 1e6)))
def test_sums_of_two_parts_are_the_sums_of_the_whole(
    values: list[float], cut: int, offset: float
) -> None:
    values = [v + offset for v in values]
    cut = min(cut, len(values) - 1)
    both, whole = merge(sums(values[:cut]), sums(values[cut:])), sums(values)
    assert both.shape == (COLUMNS,)
    mean = math.fsum(values) / len(values)
    deviations = math.fsum((v - mean) ** 2 for v in values)
    assert both[0] == len(values)
    assert both[1] == pytest.approx(mean, rel=1e-12, abs=1e-9)
    assert both[6] == pytest.approx(deviations, rel=1e-6, abs=1e-6)
    np.testing.assert_allclose(both, whole, rtol=1e-6, atol=1e-6)


def sums(values: list[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The sums of one window whose every measure has these values."""
    columns = {field.name: pa.nulls(len(values), field.type) for field in VALIDATED}
    columns |= {f.name: pa.array(values) for f in VALIDATED if f.type == pa.float64()}
    columns["timestamp"] = pa.array(
        [START + i for i in range(len(values))], VALIDATED.field("timestamp").type
    )
    columns["status"] = pa.array(["running"] * len(values))
    table = pa.table(columns, schema=VALIDATED)
    group, start, out = window_sums(table, Groups([config()], np.array([0, len(values)])))
    assert (group.tolist(), start.tolist()) == ([0], [START])
    return out[0]


def test_no_rows_no_window(tmp_path: Path) -> None:
    store = drain(tmp_path / "n.db", [good(1, status="dancing")])
    assert rows_of(store, "aggregated") == []
    assert AGGREGATED.names[0] == "turbine_id"
