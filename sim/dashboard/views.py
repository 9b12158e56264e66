"""The SQL of the page on the embedded engine, and the lakes that it refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from importlib.resources import files
from typing import Any, Final

import pyarrow as pa

from pipeline.catalog.tables import TABLES
from pipeline.records import BUCKET_PREFIX, QUARANTINE, SCHEMA_VERSION
from sim.errors import QueryError
from sim.query.engine import Engine
from sim.query.warehouse import Warehouse

METADATA: Final = f"{BUCKET_PREFIX}metadata"


class Views:
    """Views and tables of a warehouse, as of one clock. None: the time of this machine.

    One thread answers: the same lake gives the same page.
    """

    def __init__(self, warehouse: Warehouse, now: datetime | None = None) -> None:
        self.warehouse, self.now = warehouse, now

    @cached_property
    def _engine(self) -> Engine:
        return Engine(self.warehouse, self.now, threads=1)

    def rows(
        self, name: str, numbers: Mapping[str, int] | None = None, before: str = ""
    ) -> pa.Table:
        """Return the rows of `queries/<name>.sql`.

        numbers: values of its parameters (`:name`). before: SQL that it follows.
        """
        text = before + sql(name)
        for parameter, number in (numbers or {}).items():
            text = re.sub(rf":{parameter}\b", str(number), text)
        return self.answer(text)

    def answer(self, text: str) -> pa.Table:
        """Return the rows of one statement. Raises QueryError."""
        (found,) = self._engine.run(text)
        return found

    def at(self, now: datetime) -> Views:
        return Views(self.warehouse, now)


def sql(name: str) -> str:
    """Return a query of the page, in Databricks SQL."""
    return (files(__package__) / "queries" / f"{name}.sql").read_text(encoding="utf-8")


def extent(views: Views) -> dict[str, int]:
    """Return times and lengths of the lake, in microseconds.

    Raises QueryError for a lake without rows or windows, and for one of another version.
    """
    _require_stages(views)
    _require_version(views.warehouse)
    (found,) = views.rows("extent").to_pylist()
    if not found["window_us"] or found["window_us"] < 1:
        raise QueryError(f"{views.warehouse.lake.location}: its windows have no length")
    found["sample_us"] = found["sample_us"] or found["window_us"]  # one row per turbine
    return {name: int(value) for name, value in found.items()}


def instant(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1e6, UTC)


def _require_stages(views: Views) -> None:
    counts = ", ".join(
        f"(SELECT COUNT(*) FROM {table.name}) AS {table.name}"
        for table in TABLES
        if table.prefix != f"{QUARANTINE}/"  # a lake may have no row in quarantine
    )
    (found,) = views.answer(f"SELECT {counts}").to_pylist()
    empty = [table for table in TABLES if found.get(table.name) == 0]
    if not empty:
        return
    place = views.warehouse.lake.location
    if len(empty) == len(found):
        raise QueryError(f"{place}: holds no rows; deliver a run into it first")
    if [table.bucket for table in empty] == ["aggregated"]:
        raise QueryError(
            f"{place}: holds no windows: no row in aggregated/; a window closes once the data pass "
            "its end and the allowed lateness, or at a drain"
        )
    stages = ", ".join(table.prefix for table in empty)
    raise QueryError(f"{place}: is incomplete: no row in {stages} and rows in other stages")


def _require_version(warehouse: Warehouse) -> None:
    """Compare the schema version of the last manifest. A compacted lake has no manifests."""
    found = [ref for ref in warehouse.lake.bucket(METADATA) or () if ref.key.endswith(".json")]
    if not found:
        return
    last = max(found, key=lambda ref: ref.key)
    (body,) = warehouse.lake.read([last])
    try:
        document: Any = json.loads(body or b"null")
        version = document["schema_version"]
    except (ValueError, TypeError, LookupError) as error:
        raise QueryError(f"{last.name}: is no manifest of windfleet ({error})") from error
    if version != SCHEMA_VERSION:
        raise QueryError(
            f"{last.name}: the lake has schema version {version}, this windfleet reads "
            f"{SCHEMA_VERSION}; use the windfleet that made it"
        )
