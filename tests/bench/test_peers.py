"""The comparison with plain copies: rows that are missing or other are noticed, and the table."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest

from pipeline.records import CHANNEL_NAMES
from sim.bench.rounds import Cost
from tests import peer_copies, peers
from tests.support.paths import ROOT


def rows(*ids: int, wind_speed: float = 5.0) -> pa.Table:
    channels = {name: [1.5] * len(ids) for name in CHANNEL_NAMES}
    columns = {"turbine_id": ["A-001"] * len(ids), "id": list(ids), **channels}
    return pa.table(
        {**columns, "wind_speed": [wind_speed] * len(ids), "status": ["run"] * len(ids)}
    )


def test_a_whole_copy_passes_in_any_order() -> None:
    peers.require_rows(
        "polars", peers.ordered([rows(3), rows(2, 1)]), peers.ordered([rows(1, 2, 3)])
    )
    assert peers.ordered([rows(3), rows(2, 1)]).column("id").to_pylist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("copy", "text"),
    [
        (rows(1, 2), "polars: 2 rows of 3"),
        (rows(1, 2, 2), "polars: id differs from the node files"),
        (rows(1, 2, 3, wind_speed=5.5), "polars: wind_speed differs from the node files"),
    ],
)
def test_another_copy_is_refused(copy: pa.Table, text: str) -> None:
    with pytest.raises(peers.PeerError, match=text):
        peers.require_rows("polars", peers.ordered([copy]), peers.ordered([rows(1, 2, 3)]))


def test_the_table_has_every_peer_and_both_cpu_times() -> None:
    found = {600: {name: peers.Measured(objects=5, again=1.0) for name in peers.DOES}}
    for measured in found[600].values():
        measured.rounds.add(Cost(0.3, 0.06, 1.0))
        measured.rounds.add(Cost(0.6, 0.09, 1.0))
    found[600]["dlt"].again = 2.0
    head, rule, *lines = peers.lines(found, 100)
    assert head.count("|") == rule.count("|") == lines[0].count("|") == 8
    assert [re.split(r"[ (|]+", line)[1] for line in lines] == [
        *("windfleet", "polars", "DuckDB", "pandas", "dlt")
    ]
    assert all("| 5.0 + 1.0 |" in line for line in lines)
    assert [line for line in lines if "2 times the rows" in line] == lines[-1:]


def test_each_peer_has_a_copy_and_a_place_in_the_lock() -> None:
    assert {peers.US, *peer_copies.COPIES} == set(peers.DOES) == set(peers.NAMES)
    lock = (ROOT / ".lock" / "peers.txt").read_text(encoding="utf-8")
    wanted = ("polars", "duckdb", "pandas", "boto3", "dlt", "connectorx")
    for package in wanted:
        assert re.search(rf"^{package}==[\d.]+ \\\n    --hash=sha256:", lock, re.M), package
