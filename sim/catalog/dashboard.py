"""The dashboard of the workspace (`.lvdash.json`): energy, anomalies and maintenance.

Its queries name no catalogue and no schema: the bundle sets both (`dataset_catalog`,
`dataset_schema`). Databricks does not publish the format; names and versions of the widgets are
those of its public examples. A page has a grid of six columns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

COLUMNS: Final = 6
DATASETS: Final = {
    "performance": (
        "SELECT\n"
        "  turbine_id, farm_id, date, energy_mwh, capacity_factor, time_availability, efficiency\n"
        "FROM wind_turbine_performance_view\n"
        "WHERE date IS NOT NULL"
    ),
    "anomalies": (
        "SELECT turbine_id, farm_id, kind, severity, first_time, last_time, `rows`\n"
        "FROM wind_turbine_anomaly_detection\n"
        "ORDER BY first_time DESC, turbine_id, kind"
    ),
    "maintenance": (
        "SELECT place, turbine_id, farm_id, score, component, gearbox_k, vibration_mm_s, last_day\n"
        "FROM wind_turbine_maintenance_dashboard\n"
        "ORDER BY place"
    ),
}
"""Name -> query."""
_NUMBERS: Final = frozenset({"place", "score", "gearbox_k", "vibration_mm_s", "rows"})
_TIMES: Final = frozenset({"first_time", "last_time"})


def text() -> str:
    """Return the dashboard's file."""
    widgets = [
        _at(0, 0, 6, 1, _textbox("title", "# Wind turbines")),
        _at(0, 1, 2, 1, _filter("farm", "Farm", "farm_id")),
        _at(2, 1, 2, 1, _filter("turbine", "Turbine", "turbine_id")),
        _at(0, 2, 2, 3, _counter("energy", "Energy, MWh", "SUM(`energy_mwh`)")),
        _at(2, 2, 2, 3, _counter("availability", "Availability", "AVG(`time_availability`)")),
        _at(4, 2, 2, 3, _counter("efficiency", "Efficiency", "AVG(`efficiency`)")),
        _at(0, 5, 6, 6, _by_day("daily-energy", "Energy by day and farm, MWh")),
        _at(0, 11, 6, 7, _table("maintenance-list", "Maintenance ranking", "maintenance")),
        _at(0, 18, 6, 7, _table("anomaly-list", "Anomalies", "anomalies")),
    ]
    return json_text(
        {
            "datasets": [
                {
                    "name": name,
                    "displayName": name,
                    "queryLines": [f"{line}\n" for line in query.split("\n")],
                }
                for name, query in DATASETS.items()
            ],
            "pages": [{"name": "overview", "displayName": "Overview", "layout": widgets}],
        }
    )


def json_text(value: Mapping[str, Any]) -> str:
    """Return a JSON file."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _at(x: int, y: int, width: int, height: int, widget: Mapping[str, Any]) -> dict[str, Any]:
    return {"widget": widget, "position": {"x": x, "y": y, "width": width, "height": height}}


def _textbox(name: str, line: str) -> dict[str, Any]:
    return {"name": name, "multilineTextboxSpec": {"lines": [line]}}


def _widget(
    name: str,
    title: str,
    queries: Sequence[Mapping[str, Any]],
    kind: str,
    version: int,
    encodings: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "name": name,
        "queries": list(queries),
        "spec": {
            "version": version,
            "widgetType": kind,
            "encodings": encodings,
            "frame": {"showTitle": True, "title": title},
        },
    }


def _query(
    dataset: str, fields: Mapping[str, str], whole: bool = False, name: str = "main_query"
) -> dict[str, Any]:
    """Return a widget's query. fields: name -> expression. whole: rows as they are, no groups."""
    return {
        "name": name,
        "query": {
            "datasetName": dataset,
            "fields": [{"name": each, "expression": made} for each, made in fields.items()],
            "disaggregated": whole,
        },
    }


def _counter(name: str, title: str, expression: str) -> dict[str, Any]:
    value = {"value": {"fieldName": name, "displayName": title}}
    return _widget(name, title, [_query("performance", {name: expression})], "counter", 2, value)


def _by_day(name: str, title: str) -> dict[str, Any]:
    fields = {
        "farm_id": "`farm_id`",
        "daily(date)": 'DATE_TRUNC("DAY", `date`)',
        "sum(energy_mwh)": "SUM(`energy_mwh`)",
    }
    encodings = {
        "x": {"fieldName": "daily(date)", "scale": {"type": "temporal"}, "displayName": "Day"},
        "y": {
            "fieldName": "sum(energy_mwh)",
            "scale": {"type": "quantitative"},
            "displayName": "Energy, MWh",
        },
        "color": {"fieldName": "farm_id", "scale": {"type": "categorical"}, "displayName": "Farm"},
    }
    return _widget(name, title, [_query("performance", fields)], "bar", 3, encodings)


def _filter(name: str, title: str, column: str) -> dict[str, Any]:
    """Return a filter that acts on every dataset."""
    queries = [
        _query(
            dataset,
            {
                column: f"`{column}`",
                f"{column}_associativity": "COUNT_IF(`associative_filter_predicate_group`)",
            },
            name=f"{name}_{dataset}",
        )
        for dataset in DATASETS
    ]
    encoded = [
        {"fieldName": column, "displayName": title, "queryName": query["name"]} for query in queries
    ]
    return _widget(name, title, queries, "filter-multi-select", 2, {"fields": encoded})


def _table(name: str, title: str, dataset: str) -> dict[str, Any]:
    columns = DATASETS[dataset].partition("FROM")[0].removeprefix("SELECT").split(",")
    fields = {column: f"`{column}`" for column in (each.strip(" `\n") for each in columns)}
    shown = [
        {
            "fieldName": column,
            "title": column.replace("_", " "),
            "displayName": column,
            "type": _type(column),
            "displayAs": _type(column),
            "visible": True,
            "order": number,
        }
        for number, column in enumerate(fields)
    ]
    return _widget(
        name, title, [_query(dataset, fields, whole=True)], "table", 1, {"columns": shown}
    )


def _type(column: str) -> str:
    if column in _TIMES:
        return "datetime"
    return "number" if column in _NUMBERS else "string"
