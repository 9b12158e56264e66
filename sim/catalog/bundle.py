"""The asset bundle: `databricks.yml` and the resources that it includes.

A bundle has no resource for a query, and none for a storage credential. The queries are SQL files
that the job runs; credential, locations, catalogue and grants are an administrator's (`sql/`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import yaml

from pipeline.catalog import statements
from pipeline.catalog.locations import Parameters

NAME: Final = "windfleet"
TABLES_FILE: Final = "src/pipeline/streaming_tables.sql"
DASHBOARD_FILE: Final = "src/wind_turbines.lvdash.json"
_CATALOG: Final = "${var.catalog}"
_SCHEMA: Final = "${var.schema}"
_WAREHOUSE: Final = "${var.warehouse_id}"


class _Quoted(str):
    """A text that YAML must not read as anything else, such as `1e3` or `no`."""


class _Dumper(yaml.SafeDumper):
    """Dumper that quotes the texts which a user chose."""


_Dumper.add_representer(
    _Quoted, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)


def root(parameters: Parameters) -> str:
    """Return `databricks.yml`."""
    return _yaml(
        {
            "bundle": {"name": NAME},
            "include": ["resources/*.yml"],
            "variables": {
                "catalog": {
                    "description": "catalogue of Unity Catalog; sql/ creates it",
                    "default": _Quoted(parameters.catalog),
                },
                "schema": {
                    "description": "schema of the tables and views; sql/ creates it",
                    "default": _Quoted(parameters.schema),
                },
                "warehouse_id": {
                    "description": "SQL warehouse of views, queries and dashboard",
                    "lookup": {"warehouse": "Serverless Starter Warehouse"},
                },
            },
            "targets": {
                "dev": {"mode": "development", "default": True},
                "prod": {
                    "mode": "production",
                    "workspace": {
                        "root_path": "/Workspace/Users/${workspace.current_user.userName}"
                        "/.bundle/${bundle.name}/${bundle.target}"
                    },
                },
            },
        }
    )


def pipeline() -> str:
    """Return the pipeline of the streaming tables."""
    return _resource(
        "pipelines",
        "lake",
        {
            "name": f"{NAME} lake",
            "catalog": _CATALOG,
            "schema": _SCHEMA,
            "serverless": True,
            "libraries": [{"file": {"path": f"../{TABLES_FILE}"}}],
        },
    )


def dashboard() -> str:
    """Return the dashboard; its queries get catalogue and schema here."""
    return _resource(
        "dashboards",
        "wind_turbines",
        {
            "display_name": "Wind turbines",
            "file_path": f"../{DASHBOARD_FILE}",
            "warehouse_id": _WAREHOUSE,
            "dataset_catalog": _CATALOG,
            "dataset_schema": _SCHEMA,
        },
    )


def job() -> str:
    """Return the job: load, then views, then queries and dashboard."""
    load = {
        "task_key": "load",
        "pipeline_task": {"pipeline_id": "${resources.pipelines.lake.id}"},
    }
    views = [_sql_task(name, view_file(name), ["load"]) for name in statements.VIEWS]
    made = [str(task["task_key"]) for task in views]
    queries = [_sql_task(name, f"src/queries/{name}.sql", made) for name in statements.QUERIES]
    drawn = {
        "task_key": "dashboard",
        "depends_on": [{"task_key": key} for key in made],
        "dashboard_task": {
            "dashboard_id": "${resources.dashboards.wind_turbines.id}",
            "warehouse_id": _WAREHOUSE,
        },
    }
    return _resource(
        "jobs",
        "refresh",
        {
            "name": f"{NAME} refresh",
            "max_concurrent_runs": 1,
            "schedule": {
                "quartz_cron_expression": "0 5 * * * ?",
                "timezone_id": "UTC",
                "pause_status": "UNPAUSED",
            },
            "tasks": [load, *views, *queries, drawn],
        },
    )


def view_file(name: str) -> str:
    """Return the path of a view's file within the bundle."""
    return f"src/views/{name}.sql"


def _sql_task(name: str, path: str, after: list[str]) -> dict[str, Any]:
    return {
        "task_key": name,
        "depends_on": [{"task_key": key} for key in after],
        "sql_task": {
            "warehouse_id": _WAREHOUSE,
            "file": {"path": f"../{path}", "source": "WORKSPACE"},
            "parameters": {"schema": f"`{_CATALOG}`.`{_SCHEMA}`"},
        },
    }


def _resource(kind: str, name: str, value: Mapping[str, Any]) -> str:
    return _yaml({"resources": {kind: {name: dict(value)}}})


def _yaml(value: Mapping[str, Any]) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
