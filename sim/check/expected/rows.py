"""The expected rows of the lake: whole histories of many turbines at once, without carried state.

Written from the definitions in `pipeline.records` and the README, not from the pipeline. Rows are
sorted by owner (the index of the node in the share) and id. Every per-row array has shape (rows,).
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from pipeline.records import (
    CHANNEL_NAMES,
    ENRICHMENT,
    ENRICHMENT_NUMBERS,
    GENERATION_IDS,
    RESCUED,
    RULES,
)
from sim.check.expected.rules import Readings, broken_rules
from sim.check.read.columns import (
    Bools,
    Floats,
    Ints,
    RowIndex,
    codes,
    float_bits,
    integers,
    nulls,
    one,
)
from sim.check.read.nodes import NODE_ROWS, Node

TIMES: Final = ("timestamp", "recorded_at")
HOUR_US: Final = 3_600_000_000
SECOND_US: Final = 1_000_000
MAX_BATCH_ROWS: Final = 100_000
_YEAR_1_US: Final = int(np.datetime64("0001-01-01", "us").astype(np.int64))
_YEAR_10000_US: Final = int(np.datetime64("10000-01-01", "us").astype(np.int64))


@dataclass(frozen=True)
class Batches:
    """The batches of all nodes, in order; arrays of shape (batches,).

    `first` and `last` are ids, `start` and `end` row numbers. `hour` is the hour of the manifest.
    """

    owner: Ints
    first: Ints
    last: Ints
    start: Ints
    end: Ints
    hour: Ints


@dataclass(frozen=True)
class Expectation:
    """The expected rows of some nodes.

    `columns`  comparable form of every ingested column (`sim.check.read.columns`)
    `null`     masks of the null times
    `rule`     index in RULES of the violated rule, -1 for a valid row
    `hour`     hour of the row's key, since 1970
    `batch`    index in `batches`
    `index`    lookup of rows by (owner, id)
    """

    nodes: list[Node]
    owner: Ints
    id: Ints
    columns: dict[str, Ints]
    null: dict[str, Bools]
    vocabularies: dict[str, pa.Array]
    readings: Readings
    rule: Ints
    hour: Ints
    batch: Ints
    batches: Batches
    index: RowIndex

    def belongs(self, stage: str) -> Bools:
        """Mask of the rows that a stage must hold."""
        if stage == "ingestion":
            return np.ones(len(self.id), dtype=bool)
        return self.rule >= 0 if stage == "quarantine" else self.rule < 0


def expect(nodes: list[Node], tables: list[pa.Table]) -> Expectation:
    """Compute the expected rows. nodes[i] owns tables[i] (schema `NODE_ROWS`, in id order)."""
    table = pa.concat_tables([NODE_ROWS.empty_table(), *tables]).combine_chunks()
    owner = np.repeat(np.arange(len(nodes), dtype=np.int64), [len(t) for t in tables])
    number = integers(table.column("id"))
    vocabularies = {
        "turbine_id": _vocabulary(table.column("turbine_id"), [node.turbine for node in nodes]),
        "farm_id": pa.array(sorted({node.farm for node in nodes}), pa.string()),
        "status": _vocabulary(table.column("status"), []),
        RESCUED: _vocabulary(table.column(RESCUED), []),
        "rule": pa.array(RULES, pa.string()),
    }
    columns = {name: integers(table.column(name)) for name in ("id", *TIMES)}
    null = {name: nulls(table.column(name)) for name in TIMES}
    columns |= {name: float_bits(table.column(name)) for name in CHANNEL_NAMES}
    columns |= {
        name: codes(table.column(name), vocabularies[name])
        for name in ("turbine_id", "status", RESCUED)
    }
    columns["farm_id"] = codes(
        pa.array([node.farm for node in nodes], pa.string()), vocabularies["farm_id"]
    )[owner]
    readings = Readings(
        owner=owner,
        timestamp=columns["timestamp"],
        recorded_at=columns["recorded_at"],
        time_null=null["timestamp"] | null["recorded_at"],
        channels={
            name: one(table.column(name)).to_numpy(zero_copy_only=False) for name in CHANNEL_NAMES
        },
        own_turbine=columns["turbine_id"]
        == codes(pa.array([n.turbine for n in nodes], pa.string()), vocabularies["turbine_id"])[
            owner
        ],
        turbine_null=columns["turbine_id"] < 0,
        status=one(table.column("status")),
        misfit=np.asarray(one(table.column("misfit"))),
        rated_power=asset_numbers(nodes, "rated_power")[owner],
    )
    rule = broken_rules(readings)
    columns["rule"] = rule
    batch, batches = _batches(owner, number, columns["recorded_at"], null["recorded_at"], nodes)
    hour = _hours(
        (columns["recorded_at"], null["recorded_at"]), (columns["timestamp"], null["timestamp"])
    )
    return Expectation(
        nodes,
        owner,
        number,
        columns,
        null,
        vocabularies,
        readings,
        rule,
        hour,
        batch,
        batches,
        RowIndex(owner, number),
    )


def enrichment(node: Node) -> dict[str, str | float | None]:
    """Values from the node's configuration that every enriched row of the node carries."""
    asset, labels = node.asset, node.labels
    values: dict[str, str | float | None] = {
        **node.ids,
        "region": labels.get("region"),
        "os_arch": labels.get("os_arch"),
        "node_version": labels.get("version"),
        "operator_ref": _pseudonym(node.privacy_key, asset.get("operator_contact")),
        "technician_ref": _pseudonym(node.privacy_key, asset.get("technician")),
    }
    for name in ("latitude", "longitude"):
        exact = asset.get(name)
        values[name + "_coarse"] = None if exact is None else round(float(exact), 1)
    values |= {
        name: asset.get(name) for name in (*ENRICHMENT, *ENRICHMENT_NUMBERS) if name not in values
    }
    return values


def asset_numbers(nodes: list[Node], name: str) -> Floats:
    """One number of each node's asset record, shape (nodes,), NaN if it is unknown."""
    return np.array([float(node.asset.get(name) or np.nan) for node in nodes])


def late(expected: Expectation) -> int:
    """Count valid rows with an older event time than an earlier valid row of the same node."""
    valid = np.flatnonzero(expected.rule < 0)
    time = expected.columns["timestamp"][valid]
    others = np.searchsorted(expected.owner[valid], np.arange(1, len(expected.nodes)))
    return sum(int((np.maximum.accumulate(part) > part).sum()) for part in np.split(time, others))


def _pseudonym(key: str, value: str | None) -> str | None:
    if not key or not value:
        return None
    return "p-" + hmac.new(bytes.fromhex(key), value.encode(), hashlib.sha256).hexdigest()[:16]


def _vocabulary(column: pa.ChunkedArray, more: list[str]) -> pa.Array:
    return pa.concat_arrays([one(column.drop_null()), pa.array(more, pa.string())]).unique()


def _hours(*times: tuple[Ints, Bools]) -> Ints:
    """Hour of each row since 1970, shape (rows,), from its times, each with its mask of nulls.

    The last time in the years 1 to 9999 counts. A row without such a time gets hour 0.
    """
    placed = np.zeros(len(times[0][0]), dtype=np.int64)
    for time, null in times:
        dated = ~null & (time >= _YEAR_1_US) & (time < _YEAR_10000_US)
        placed[dated] = time[dated] // HOUR_US
    return placed


def _full(cut: Bools, timed: Ints, untimed: Bools) -> Bools:
    """Mask of the rows at which a batch begins because the one before is full.

    If such a row has no recording time, so has its batch: the next row with one begins another.
    `cut` gets that one. timed: places of the rows with a recording time. Each turn adds to `cut`,
    so there are no more turns than rows.
    """
    while True:
        row = np.arange(len(cut))
        full: Bools = (row - np.maximum.accumulate(np.where(cut, row, 0))) % MAX_BATCH_ROWS == 0
        begun = np.flatnonzero(full & untimed & ~cut)
        series = np.cumsum(cut)
        after = np.searchsorted(timed, begun)
        begun, after = begun[after < len(timed)], timed[after[after < len(timed)]]
        inside = series[begun] == series[after]
        if not inside.any():
            return full
        # A batch that begins elsewhere is full elsewhere: one of each series at a time.
        first = np.unique(series[begun[inside]], return_index=True)[1]
        cut[after[inside][first]] = True


def _batches(
    owner: Ints, number: Ints, recorded_at: Ints, untimed: Bools, nodes: list[Node]
) -> tuple[Ints, Batches]:
    """Index of each row's batch, and the batches.

    A new batch begins:
    - where floor(recorded_at / flush_every) changes
    - at the first row of a node file
    - at a file's first row with a recording time; rows before it are a batch of their own
    - after `MAX_BATCH_ROWS` rows; there a file begins anew, with rows before a recording time

    Any other row without a recording time goes with the row before it.
    """
    flush_us = np.array([node.flush_every_s * SECOND_US for node in nodes], dtype=np.int64)
    generation = number // GENERATION_IDS
    new_file = np.ones(len(owner), dtype=bool)
    new_file[1:] = (owner[1:] != owner[:-1]) | (generation[1:] != generation[:-1])
    timed = np.flatnonzero(~untimed)
    slot = recorded_at[timed] // flush_us[owner[timed]]
    cut = new_file.copy()
    cut[timed[1:][slot[1:] != slot[:-1]]] = True
    first_timed = np.unique(np.cumsum(new_file)[timed], return_index=True)[1]
    cut[timed[first_timed]] = True
    cut |= _full(cut, timed, untimed)
    starts = np.flatnonzero(cut)
    ends = np.append(starts[1:], len(owner))[: len(starts)]
    hour = _hours((recorded_at[starts], untimed[starts]))
    return np.cumsum(cut) - 1, Batches(
        owner[starts], number[starts], number[ends - 1], starts, ends, hour
    )
