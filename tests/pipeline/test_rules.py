"""Validation rules one by one, and all against a plain restatement over a node's history."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline import records
from pipeline.config import Asset, NodeConfig
from tests.support.examples import examples
from tests.support.pipeline_reference import LAST, SPOIL, judge, messy
from tests.support.pipeline_world import HOUR, SECOND, Row, config, documents, drain, good, rows_of

NODE = config()
RULE_OF = {
    "no time": "null", "time 0": "time.range", "time -1": "time.range", "time 9e18": "time.range",
    "time lowest": "time.range", "time highest": "time.range", "time text": "type",
    "time real": "type", "unrecorded": "null", "recorded highest": "time.stale",
    "recorded lowest": "time.future", "null": "null", "nan": "null", "inf": "range",
    "-inf": "range", "text": "type", "blob": "type", "stranger": "identity", "nobody": "null",
    "state": "state", "range": "range", "power.rotor": "power.rotor", "power.rated": "power.rated",
    "power.wind": "power.wind", "calm": None, "shaking": None, "hot": None, "fast": None,
    "weak": None,
}  # fmt: skip


def verdicts(path: Path, rows: list[Row], node: NodeConfig = NODE) -> dict[int, str | None]:
    store = drain(path, rows, node)
    found: dict[int, str | None] = {row["id"]: None for row in rows_of(store, "validated")}
    rejected = rows_of(store, "quarantine")
    assert not found.keys() & {row["id"] for row in rejected}
    return found | {row["id"]: row["rule"] for row in rejected}


@pytest.mark.parametrize("kind", SPOIL)
def test_each_poison_breaks_its_rule_and_spares_its_neighbours(tmp_path: Path, kind: str) -> None:
    rows = [good(1), good(2, **SPOIL[kind]), good(3)]
    assert verdicts(tmp_path / "n.db", rows) == {1: None, 2: RULE_OF[kind], 3: None}


@pytest.mark.parametrize(
    ("cells", "rule"),
    [
        ({"timestamp": records.TIME_MIN_US, "recorded_at": records.TIME_MIN_US}, None),
        ({"timestamp": records.TIME_MIN_US - 1, "recorded_at": records.TIME_MIN_US}, "time.range"),
        ({"timestamp": records.TIME_MAX_US - 1, "recorded_at": records.TIME_MAX_US}, None),
        ({"timestamp": records.TIME_MAX_US, "recorded_at": records.TIME_MAX_US}, "time.range"),
        ({"recorded_at": good(1)["timestamp"] - 300 * SECOND}, None),
        ({"recorded_at": good(1)["timestamp"] - 300 * SECOND - 1}, "time.future"),
        ({"recorded_at": good(1)["timestamp"] + 30 * 24 * HOUR}, None),
        ({"recorded_at": good(1)["timestamp"] + 30 * 24 * HOUR + 1}, "time.stale"),
        ({"wind_speed": 75.0}, None),
        ({"blade_pitch": -10.000001}, "range"),
        ({"power_output": 3.75}, None),
        ({"power_output": 0.3, "wind_speed": 0.0}, None),
        ({"power_output": 0.31, "rotor_rpm": 0.5}, None),
        ({"turbine_id": "A-0011"}, "identity"),
        # SQLite makes a number of '9'
        (
            {"turbine_id": "x", "status": None, "wind_speed": "9"},
            "null",
        ),
    ],
)
def test_limits_are_those_of_the_contract(tmp_path: Path, cells: Row, rule: str | None) -> None:
    assert verdicts(tmp_path / "n.db", [good(1, **cells)]) == {1: rule}


def test_power_rules_do_not_apply_without_a_rated_power(tmp_path: Path) -> None:
    rows = [good(1, power_output=19.0, rotor_rpm=0.0, wind_speed=0.0)]
    assert verdicts(tmp_path / "n.db", rows, config(asset=Asset())) == {1: None}


def test_stuck_from_the_tenth_row_and_the_sixtieth_second(tmp_path: Path) -> None:
    fast = [good(i, step_s=2, temperature=3.0) for i in range(1, 41)]
    found = verdicts(tmp_path / "fast.db", fast)
    assert [i for i in found if found[i] == "stuck"] == list(range(31, 41))  # row 1 + 60 s
    slow = [good(i, step_s=60, temperature=3.0) for i in range(1, 13)]
    found = verdicts(tmp_path / "slow.db", slow)
    assert [i for i in found if found[i] == "stuck"] == [10, 11, 12]


@pytest.mark.parametrize("flush_every_s", [30, 70, 3600])
def test_stuck_goes_on_over_batches(tmp_path: Path, flush_every_s: int) -> None:
    rows = [good(i, temperature=3.0 if 5 <= i < 30 else 20 + i / 8) for i in range(1, 40)]
    found = verdicts(tmp_path / "n.db", rows, config(flush_every_s=flush_every_s))
    assert [i for i in sorted(found) if found[i] == "stuck"] == list(range(14, 30))


@pytest.mark.parametrize("flush_every_s", [30, 70, 3600])
@pytest.mark.parametrize("bad", [10, 11, 12, 13])
def test_a_rejected_row_ends_a_series(tmp_path: Path, bad: int, flush_every_s: int) -> None:
    """Anywhere in its batch: in the middle, first, last."""
    rows = [good(i, temperature=3.0 if 5 <= i < 30 else 20 + i / 8) for i in range(1, 40)]
    rows[bad - 1].update(status="dancing")
    found = verdicts(tmp_path / "n.db", rows, config(flush_every_s=flush_every_s))
    assert [i for i in sorted(found) if found[i]] == [bad, *range(bad + 10, 30)]


def test_resting_at_zero_is_not_stuck(tmp_path: Path) -> None:
    rows = [
        good(i, wind_speed=0.0 if i % 2 else -0.0, power_output=0.0, rotor_rpm=0.0)
        for i in range(1, 40)
    ]
    assert set(verdicts(tmp_path / "n.db", rows).values()) == {None}


def test_a_duplicate_is_found_in_the_batch_in_batches_before_and_in_hours_before(
    tmp_path: Path,
) -> None:
    rows = [good(i, step_s=60) for i in range(1, 200)]
    for at, of in ((2, 1), (40, 3), (190, 5), (191, 5)):
        rows[at]["timestamp"] = rows[of]["timestamp"]
    found = verdicts(tmp_path / "n.db", rows)
    assert [i for i in sorted(found) if found[i]] == [3, 41, 191, 192]
    assert {found[i] for i in (3, 41, 191, 192)} == {"duplicate"}


def test_a_batch_that_begins_with_the_time_the_one_before_ended_with(tmp_path: Path) -> None:
    rows = [good(i) for i in range(1, 7)]
    rows[3]["timestamp"] = rows[2]["timestamp"]
    found = verdicts(tmp_path / "n.db", rows, config(flush_every_s=20, window_s=20))
    assert [i for i in sorted(found) if found[i]] == [4]


def test_the_time_of_a_rejected_row_is_free(tmp_path: Path) -> None:
    rows = [good(1, status="dancing"), good(2), good(3), good(4)]
    rows[1]["timestamp"] = rows[0]["timestamp"]
    assert verdicts(tmp_path / "n.db", rows) == {1: "state", 2: None, 3: None, 4: None}


@settings(max_examples=examples(60), deadline=None)
@given(messy(), st.sampled_from((250, 900, 7000)))
@example([good(1), good(2, recorded_at=LAST - 1), good(3), good(4)], 900)
def test_the_rules_equal_a_plain_restatement(rows: list[Row], flush_every_s: int) -> None:
    node = config(flush_every_s=flush_every_s)
    with tempfile.TemporaryDirectory() as folder:
        store = drain(Path(folder) / "n.db", rows, node)
    expected = judge(rows, node)
    rejected = {row["id"]: row["rule"] for row in rows_of(store, "quarantine")}
    assert rejected == {i: rule for i, rule in expected.items() if rule}
    valid = [row["id"] for row in rows_of(store, "validated")]
    assert sorted(valid) == [i for i, rule in expected.items() if rule is None]
    by_rule: dict[str, int] = {}
    for document in documents(store, "metadata").values():
        for rule, n in document["rejected"].items():
            by_rule[rule] = by_rule.get(rule, 0) + n
    assert sum(by_rule.values()) == len(rejected)
    assert all(by_rule[rule] == list(rejected.values()).count(rule) for rule in by_rule)
