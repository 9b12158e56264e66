"""The Grafana dashboard over the metrics of `sim.watch.metrics`, as JSON to import.

The data source is a variable of the dashboard. `queries` lists all queries, for tests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

INTERVAL: Final = "$__rate_interval"
"""Grafana's own variable: four scrapes at least."""
_WIDTH, _HEIGHT = 12, 8
_UID: Final = "windfleet-watch"
MARK: Final = f'"uid": "{_UID}"'
"""Shows that a file is such a dashboard."""
_SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
_RANKS: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def _quantiles(name: str, where: str = "") -> dict[str, str]:
    """Return legend -> query of a histogram's quantiles."""
    return {
        rank: f"histogram_quantile({q}, sum by (le) (rate({name}_bucket{where}[{INTERVAL}])))"
        for rank, q in _RANKS.items()
    }


_PANELS: Final[tuple[tuple[str, str, dict[str, str]], ...]] = (
    (
        "Rows durable",
        "percentunit",
        {
            "farm {{farm}}": "windfleet_rows_durable_total / windfleet_rows_planned",
            "fleet": "sum(windfleet_rows_durable_total) / sum(windfleet_rows_planned)",
        },
    ),
    (
        "Rows per second",
        "rowsps",
        {"farm {{farm}}": f"rate(windfleet_rows_durable_total[{INTERVAL}])"},
    ),
    (
        "Store operations per second",
        "ops",
        {"{{kind}}": f"sum by (kind) (rate(windfleet_store_operations_total[{INTERVAL}]))"},
    ),
    (
        "Store operations per second by outcome, without ok",
        "ops",
        {
            "{{outcome}}": "sum by (outcome) "
            f'(rate(windfleet_store_operations_total{{outcome!="ok"}}[{INTERVAL}]))',
            "retries": f"sum(rate(windfleet_store_retries_total[{INTERVAL}]))",
        },
    ),
    (
        "Duration of a PUT",
        "s",
        _quantiles("windfleet_store_operation_seconds", '{kind="put"}'),
    ),
    (
        "Bytes written per second",
        "Bps",
        {"{{bucket}}": f'rate(windfleet_store_bytes_total{{kind="put"}}[{INTERVAL}])'},
    ),
    (
        "Rows under way",
        "short",
        {"farm {{farm}}": "windfleet_rows_under_way"},
    ),
    (
        "Fleet time behind the newest row",
        "s",
        {"farm {{farm}}": "windfleet_fleet_lag_seconds"},
    ),
    (
        "Time since the last batch",
        "s",
        {"farm {{farm}}": "windfleet_last_batch_age_seconds"},
    ),
    (
        "Batches durable",
        "percentunit",
        {"farm {{farm}}": "windfleet_batches_durable_total / windfleet_batches_planned"},
    ),
    (
        "Durable until (fleet time)",
        "dateTimeAsIso",
        {"farm {{farm}}": "windfleet_durable_until_timestamp_seconds * 1000"},
    ),
    (
        "Injected faults per second",
        "ops",
        {"{{kind}}": f"rate(windfleet_fault_injections_total[{INTERVAL}])"},
    ),
    (
        "Load test: requests per second",
        "reqps",
        {"{{kind}}": f"sum by (kind) (rate(windfleet_requests_total[{INTERVAL}]))"},
    ),
    (
        "Load test: requests that failed",
        "reqps",
        {
            "{{outcome}}": "sum by (outcome) "
            f'(rate(windfleet_requests_total{{outcome!="ok"}}[{INTERVAL}]))'
        },
    ),
    (
        "Load test: latency from the intended start",
        "s",
        _quantiles("windfleet_request_seconds"),
    ),
    (
        "Load test: backlog",
        "short",
        {
            "due, not started": "windfleet_requests_backlog",
            "under way": "windfleet_requests_under_way",
        },
    ),
    (
        "Load test: phase",
        "percentunit",
        {"{{phase}}": "windfleet_phase_requests_done / windfleet_phase_requests_planned"},
    ),
    (
        "Stage of the run",
        "short",
        {"{{stage}}": "windfleet_run_stage == 1"},
    ),
    (
        "Exit code",
        "short",
        {"{{verdict}}": "windfleet_run_exit_code"},
    ),
    (
        "Run",
        "short",
        {"{{command}} {{scenario}}, seed {{seed}}": "windfleet_run_info"},
    ),
)


def queries() -> Iterator[tuple[str, str]]:
    """Yield (title of the panel, query)."""
    for title, _, targets in _PANELS:
        yield from ((title, query) for query in targets.values())


def dashboard() -> str:
    """Return the dashboard as JSON."""
    made = {
        "title": "windfleet",
        "uid": _UID,
        "tags": ["windfleet"],
        "timezone": "utc",
        "schemaVersion": 39,
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "type": "datasource", "query": "prometheus", "label": "Source"}
            ]
        },
        "panels": [_panel(number, *panel) for number, panel in enumerate(_PANELS)],
    }
    return json.dumps(made, indent=1) + "\n"


def _panel(number: int, title: str, unit: str, targets: dict[str, str]) -> dict[str, Any]:
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "datasource": _SOURCE,
        "gridPos": {
            "x": _WIDTH * (number % 2),
            "y": _HEIGHT * (number // 2),
            "w": _WIDTH,
            "h": _HEIGHT,
        },
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": _SOURCE,
                "expr": expr,
                "legendFormat": legend,
            }
            for place, (legend, expr) in enumerate(targets.items())
        ],
    }
