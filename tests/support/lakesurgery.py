"""Changes of cells, rows and objects in a lake of `lakebuilder`.

A change that a broken pipeline would make comes with a matching manifest (`sealed`). A change of an
object afterwards, such as bit rot, leaves the manifest as it was.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.support import lakebuilder

HOUR_1 = "year=2024/month=01/day=15/hour=01"
INGESTED = f"expanso-databricks-ingestion/ingestion/{HOUR_1}/A-002-268-357.parquet"
VALIDATED = INGESTED.replace("ingestion", "validated")
ENRICHED = INGESTED.replace("ingestion", "enriched")
NEXT = INGESTED.replace("268-357", "358-447")
SPLIT = INGESTED.replace("268-357", "178-267")  # this batch has 3 rows in hour 0
OTHERS = f"expanso-databricks-ingestion/ingestion/{HOUR_1}/A-001-1-800.parquet"
FARM_B = INGESTED.replace("A-002-268-357", "B-001-358-800")
QUARANTINED = (
    "expanso-databricks-validated/_quarantine/year=2024/month=01/day=15/hour=00/A-001-1-800.parquet"
)
LET_THROUGH = QUARANTINED.replace("_quarantine/", "validated/")
# 3 windows, the first again
AGGREGATED = f"expanso-databricks-aggregated/aggregated/{HOUR_1}/A-002-448-537.parquet"
EARLIER = AGGREGATED.replace(
    "448-537", "268-357"
)  # its second is revision 0 of the window that a late row changed
LATER = AGGREGATED.replace("448-537", "538-627")  # the batch after
MANIFEST = f"expanso-databricks-metadata/metadata/{HOUR_1}/A-002-268-357.json"
CHECKPOINT = "expanso-databricks-checkpoints/checkpoints/A/A-002.json"
AT_1 = "2024-01-15T01:00:00Z"
ZEROS = VALIDATED.replace("A-002-268-357", "B-001-358-800")  # 20 rows of it read 0 degrees
HOUR_US = lakebuilder.HOUR_US


Objects = dict[str, bytes]
Changes = dict[str, bytes | None]
"""Objects to be written by `<bucket>/<key>`, or removed (None)."""


def read(content: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(content))


def write(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def edit(content: bytes, column: str, row: int, value: object) -> bytes:
    """Return the Parquet file with one cell changed."""
    table = read(content)
    mask = pa.array([i == row for i in range(len(table))])
    field = table.schema.field(column)
    return fill(
        content,
        column,
        pc.if_else(mask, pa.scalar(value, field.type), table.column(column).combine_chunks()),
    )


def fill(content: bytes, column: str, values: Any) -> bytes:
    """Return the Parquet file with a whole column changed: an array, or one value for all rows."""
    table = read(content)
    index = table.schema.get_field_index(column)
    field = table.schema.field(index)
    array = (
        values
        if isinstance(values, pa.Array | pa.ChunkedArray)
        else pa.array([values] * len(table), field.type)
    )
    return write(table.set_column(index, field, array.cast(field.type)))


def cell(content: bytes, column: str, row: int) -> Any:
    return read(content).column(column)[row].as_py()


def without(table: pa.Table, row: int) -> pa.Table:
    return pa.concat_tables([table.slice(0, row), table.slice(row + 1)])


def rejson(content: bytes, **changes: object) -> bytes:
    return json.dumps(json.loads(content) | changes).encode()


def manifest_of(lake: Objects, name: str) -> str:
    """Return the name of the manifest that names an object."""
    bucket, key = name.split("/", 1)
    for found, content in lake.items():
        if (
            "-metadata/" in found
            and {"bucket": bucket, "key": key}.items() <= _entries(content).get(name, {}).items()
        ):
            return found
    raise KeyError(name)


def _entries(content: bytes) -> dict[str, dict[str, Any]]:
    return {f"{entry['bucket']}/{entry['key']}": entry for entry in json.loads(content)["objects"]}


def entry_edit(content: bytes, edit: Callable[[list[dict[str, Any]]], object]) -> bytes:
    """Return the manifest with its list of objects changed by `edit`. `data_path` follows."""
    document = json.loads(content)
    edit(document["objects"])
    document["destination"]["data_path"] = [entry["key"] for entry in document["objects"]]
    return json.dumps(document).encode()


def sealed(lake: Objects, changes: Changes) -> Changes:
    """Return the changes, with manifests that match the changed objects."""
    out = dict(changes)
    for name, content in changes.items():
        if name not in lake or name.endswith(".json"):
            continue
        manifest = manifest_of(lake, name)
        bucket, key = name.split("/", 1)

        def correct(
            entries: list[dict[str, Any]],
            bucket: str = bucket,
            key: str = key,
            content: bytes | None = content,
        ) -> None:
            (found,) = [
                entry for entry in entries if (entry["bucket"], entry["key"]) == (bucket, key)
            ]
            if content is None:
                entries.remove(found)
            else:
                found |= facts(content, found["stage"])

        out[manifest] = entry_edit(out.get(manifest) or lake[manifest], correct)
    return out


def facts(content: bytes, stage: str) -> dict[str, Any]:
    """Return a manifest's entries about an object's content."""
    table = read(content)
    time = table.column("window_start" if stage == "aggregated" else "timestamp").cast(pa.int64())
    ids = table.column("id") if stage != "aggregated" else pa.array([], pa.int64())
    first, last, low, high = (f(column).as_py() for column in (ids, time) for f in (pc.min, pc.max))
    return {
        "rows": len(table),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "first_id": first,
        "last_id": last,
        "min_event_us": low,
        "max_event_us": high,
    }


def one_cell(
    name: str, column: str, row: int, value: object, seal: bool = True
) -> Callable[[Objects], Changes]:
    def change(lake: Objects) -> Changes:
        new = value(cell(lake[name], column, row)) if callable(value) else value
        changed: Changes = {name: edit(lake[name], column, row, new)}
        return sealed(lake, changed) if seal else changed

    return change


def column(
    name: str, column: str, values: Callable[[pa.Table], object]
) -> Callable[[Objects], Changes]:
    return lambda lake: sealed(lake, {name: fill(lake[name], column, values(read(lake[name])))})


def moved(name: str, there: str) -> Callable[[Objects], Changes]:
    return lambda lake: {name: None, there: lake[name]}


def copied(name: str, there: str) -> Callable[[Objects], Changes]:
    return lambda lake: {there: lake[name]}


def drop_row(name: str, row: int) -> Callable[[Objects], Changes]:
    return lambda lake: sealed(lake, {name: write(without(read(lake[name]), row))})


def row_twice(lake: Objects) -> Changes:
    table = read(lake[INGESTED])
    return sealed(lake, {INGESTED: write(pa.concat_tables([table.slice(0, 6), table.slice(5)]))})


def row_to(there: str, name: str = INGESTED) -> Callable[[Objects], Changes]:
    """The first row of an object, moved into another one."""

    def change(lake: Objects) -> Changes:
        here, other = read(lake[name]), read(lake[there])
        return sealed(
            lake,
            {name: write(here.slice(1)), there: write(pa.concat_tables([other, here.slice(0, 1)]))},
        )

    return change


def row_copied(there: str, name: str = INGESTED) -> Callable[[Objects], Changes]:
    """The first row of an object, also in another one."""

    def change(lake: Objects) -> Changes:
        return sealed(
            lake,
            {there: write(pa.concat_tables([read(lake[there]), read(lake[name]).slice(0, 1)]))},
        )

    return change


def swapped(a: str, b: str, seal: bool) -> Callable[[Objects], Changes]:
    def change(lake: Objects) -> Changes:
        changed: Changes = {a: lake[b], b: lake[a]}
        return sealed(lake, changed) if seal else changed

    return change


def valid_row_in_quarantine(lake: Objects) -> Changes:
    """Row 3 of A-001's first batch is in quarantine, and not in validated and enriched."""
    enriched = LET_THROUGH.replace("validated", "enriched")
    rejected = read(lake[QUARANTINED])
    row = read(lake[LET_THROUGH]).slice(2, 1)
    row = row.append_column("_rescued_data", pa.nulls(1, pa.string())).append_column(
        "rule", pa.array(["range"])
    )
    out = sealed(
        lake,
        {
            QUARANTINED: write(pa.concat_tables([row.select(rejected.column_names), rejected])),
            LET_THROUGH: write(without(read(lake[LET_THROUGH]), 2)),
            enriched: write(without(read(lake[enriched]), 2)),
        },
    )
    name = manifest_of(lake, QUARANTINED)
    content = out[name]
    assert content is not None
    rules = json.loads(content)["rejected"]
    return out | {name: rejson(content, rejected=rules | {"range": rules.get("range", 0) + 1})}


def bad_row_let_through(lake: Objects) -> Changes:
    bad, good = read(lake[QUARANTINED]), read(lake[LET_THROUGH])
    row = bad.slice(3, 1).select(good.column_names)
    return sealed(
        lake,
        {QUARANTINED: write(without(bad, 3)), LET_THROUGH: write(pa.concat_tables([good, row]))},
    )


def windows_kept(keep: Callable[[pa.Table], pa.Table]) -> Callable[[Objects], Changes]:
    return lambda lake: sealed(lake, {AGGREGATED: write(keep(read(lake[AGGREGATED])))})


def window_of_no_rows(lake: Objects) -> Changes:
    first = read(lake[AGGREGATED]).slice(0, 1)
    start = lakebuilder.START_US // HOUR_US * HOUR_US
    content = fill(write(first), "window_start", start)
    return {AGGREGATED.replace("hour=01", "hour=00").replace("448-537", "628-717"): content}


def window_to(name: str, row: int, to: str, **cells: object) -> Callable[[Objects], Changes]:
    """A window of an object, copied into that of another batch, with some cells changed."""

    def change(lake: Objects) -> Changes:
        window = write(read(lake[name]).slice(row, 1))
        for column, value in cells.items():
            window = edit(
                window, column, 0, value(cell(window, column, 0)) if callable(value) else value
            )
        return sealed(
            lake,
            {to: write(pa.concat_tables([read(lake[to]), read(window)]).sort_by("window_start"))},
        )

    return change


def window_moved(name: str, row: int, to: str) -> Callable[[Objects], Changes]:
    def change(lake: Objects) -> Changes:
        there = window_to(name, row, to)(lake)
        return there | sealed(lake | there, {name: write(without(read(lake[name]), row))})

    return change


def first_revision_knows_all(lake: Objects) -> Changes:
    """The first revision of a window contains its late row. The second does not exist."""
    first, second = read(lake[EARLIER]), read(lake[AGGREGATED])
    final = read(edit(write(second.slice(0, 1)), "revision", 0, 0))
    return sealed(
        lake,
        {
            EARLIER: write(pa.concat_tables([first.slice(0, 1), final])),
            AGGREGATED: write(second[1:]),
        },
    )


def latest_revision_2(lake: Objects) -> Changes:
    at = read(lake[AGGREGATED]).column("revision").to_pylist().index(1)
    return sealed(lake, {AGGREGATED: edit(lake[AGGREGATED], "revision", at, 2)})


def strangers(lake: Objects) -> Changes:
    return {INGESTED.replace("A-002", "Z-001"): fill(lake[INGESTED], "turbine_id", "Z-001")}


def one_hour_on(lake: Objects) -> Changes:
    return sealed(lake, {INGESTED: write(_shifted(read(lake[INGESTED])))})


def _shifted(table: pa.Table) -> pa.Table:
    index = table.schema.get_field_index("timestamp")
    later = pc.add(table.column("timestamp").cast(pa.int64()), HOUR_US).cast(
        table.schema.field(index).type
    )
    return table.set_column(index, table.schema.field(index), later)


def schema(change: Callable[[pa.Table], pa.Table]) -> Callable[[Objects], Changes]:
    return lambda lake: sealed(lake, {ENRICHED: write(change(read(lake[ENRICHED])))})


def entry_of(lake: Objects, name: str) -> dict[str, Any]:
    """Return an object's entry in its manifest."""
    key = name.split("/", 1)[1]
    return next(e for e in json.loads(lake[manifest_of(lake, name)])["objects"] if e["key"] == key)
