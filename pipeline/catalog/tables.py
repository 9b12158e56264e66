"""Streaming tables over the lake: one per stage, and one of the rejected rows.

Columns, types and units are those of `pipeline.records`. Each table has two columns more:
`_rescued_data` (values that do not fit, as JSON by column) and `_source_file` (the object's key).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from pipeline.records import DERIVED, QUARANTINE, RESCUED, unit_of
from pipeline.records.schemas import REJECTED, SCHEMAS

SOURCE_FILE: Final = "_source_file"
_TYPES: Final = {
    pa.int32(): "INT",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.string(): "STRING",
    pa.date32(): "DATE",
    pa.timestamp("us", tz="UTC"): "TIMESTAMP",
    pa.list_(pa.string()): "ARRAY<STRING>",
}
_SUBJECTS: Final = {
    "ingestion": ("raw", "rows as the nodes stored them"),
    "validated": ("validated", "rows that break no rule of validation"),
    "enriched": ("enriched", "valid rows with node and asset data"),
    "aggregated": ("aggregated", "windows per turbine; every revision"),
}
_DERIVED: Final = "valid rows with columns computed from them"


@dataclass(frozen=True)
class Table:
    """A streaming table.

    bucket: of the lake, by its short name. prefix: of the keys that it reads.
    source: schema of the objects. added: (name, Databricks type) of columns that evolution added.
    """

    name: str
    bucket: str
    prefix: str
    comment: str
    source: pa.Schema
    added: tuple[tuple[str, str], ...] = ()

    @property
    def schema(self) -> pa.Schema:
        """The source's columns, `_rescued_data` and `_source_file`."""
        plain = [field for field in self.source if field.name != RESCUED]
        return pa.schema(
            [*plain, pa.field(RESCUED, pa.string()), pa.field(SOURCE_FILE, pa.string())]
        )

    @property
    def columns(self) -> tuple[tuple[str, str, str], ...]:
        """(name, Databricks type, comment) of each column."""
        return (
            *((field.name, _TYPES[field.type], _comment(field.name)) for field in self.schema),
            *((name, kind, "") for name, kind in self.added),
        )


def _comment(column: str) -> str:
    if column == RESCUED:
        return "values that do not fit, as JSON by column"
    if column == SOURCE_FILE:
        return "key of the object that the row comes from"
    return unit_of(column)


TABLES: Final = (
    *(
        Table(f"wind_turbine_{name}", stage, f"{stage}/", comment, SCHEMAS[stage])
        for stage, (name, comment) in _SUBJECTS.items()
    ),
    *(
        Table(f"wind_turbine_{stage}", "enriched", f"{stage}/", _DERIVED, SCHEMAS[stage])
        for stage in DERIVED
    ),
    Table(
        "wind_turbine_quarantine",
        "validated",
        f"{QUARANTINE}/",
        "rejected rows, each with the rule that it breaks",
        REJECTED,
    ),
)
BY_NAME: Final = {table.name: table for table in TABLES}
