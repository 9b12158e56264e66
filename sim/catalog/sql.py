"""SQL texts of the folder, from the statements of `pipeline.catalog`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pipeline.catalog import ddl, securables, statements
from pipeline.catalog.locations import Parameters, locations
from pipeline.catalog.tables import TABLES
from pipeline.records import VIBRATION_ALARM

USE_PARAMETER: Final = "USE IDENTIFIER(:schema);\n"
"""For files of a bundle: the job sets the parameter, so that a target may have its own schema."""
_DECLARED: Final = {
    "anomaly_detection": (
        f"DECLARE OR REPLACE VARIABLE threshold_value DOUBLE DEFAULT {VIBRATION_ALARM};\n"
    )
}
"""Session variables that the architecture's queries leave free: mm/s."""


def use(parameters: Parameters) -> str:
    """Return the statement that makes catalogue and schema the session's own."""
    return f"USE SCHEMA {securables.schema_name(parameters)};\n"


def tables(parameters: Parameters, create: str) -> Iterator[str]:
    """Yield the statement of each streaming table."""
    url_of = {location.bucket: location.url for location in locations(parameters)}
    for table in TABLES:
        yield ddl.streaming_table(table, url_of[table.bucket], create=create)


def views() -> Iterator[str]:
    """Yield the statement of each view, in the order in which they are created."""
    for name in statements.VIEWS:
        yield statements.view(name)


def query(name: str) -> str:
    """Return a query with the session variables that it needs."""
    return "\n".join(part for part in (_DECLARED.get(name), statements.query(name)) if part)


def refresh() -> str:
    """Return the statements that load new objects."""
    return "".join(f"REFRESH STREAMING TABLE {table.name};\n" for table in TABLES)
