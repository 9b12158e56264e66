"""The SQL files of the catalogue."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

VIEWS: Final = (
    "wind_turbine_performance_view",
    "wind_turbine_anomaly_detection",
    "wind_turbine_maintenance_dashboard",
)
"""In the order in which they are created."""
QUERIES: Final = (
    "turbine_performance",
    "anomaly_detection",
    "maintenance_planning",
    "maintenance_planning_corrected",
)


def view(name: str) -> str:
    """Return the `CREATE OR REPLACE VIEW` statement of a view, in Databricks SQL."""
    return _read("views", name)


def query(name: str) -> str:
    """Return one of the queries, in Databricks SQL."""
    return _read("queries", name)


def _read(folder: str, name: str) -> str:
    return (files(__package__) / folder / f"{name}.sql").read_text(encoding="utf-8")
