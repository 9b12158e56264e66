"""Start-up: commands that plan or check import nothing that only runs, reports or stores need.

Each name here cost a command 10 to 500 CPU-ms. Not covered: time itself, which depends on the
machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

RUNS = {"boto3", "botocore", "duckdb", "faker", "jinja2", "locust", "matplotlib", "psutil", "simpy"}
STORES = {"http.client", "urllib.request", "pipeline.lake", "pipeline.store"}
STORES |= {"sim.store.localstack", "sim.store.target"}
REPORTS = {"sim.report.html", "sim.report.result", "sim.report.terminal", "sim.measure.requests"}
TABLES = {"pyarrow.compute", "pyarrow.parquet", "sqlite3", "sim.model.machine.sensor"}
ROWS = {"numpy", "pyarrow"}
TEXTS = {"pydantic", "yaml"}
SCENARIO = "scenarios/quickstart.yaml"
PROGRAM = """
import json, sys
from sim.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print(json.dumps(sorted(sys.modules)))
"""


def test_a_part_imports_no_module_that_only_others_need() -> None:
    heavy = {"polars", "pandas", "botocore", "h11", "asyncio", "sim.chaos.proxy"}
    program = "import json, sys, sim.run.command; print(json.dumps(sorted(sys.modules)))"
    command = [sys.executable, "-c", program]
    shown = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert heavy & set(json.loads(shown.stdout)) == set()


@pytest.mark.parametrize("asked", [None, "3"])
def test_a_command_starts_no_blas_threads_unless_asked(asked: str | None) -> None:
    name = "OPENBLAS_NUM_THREADS"
    program = (
        "import os, sys; from sim.__main__ import main; sys.argv = ['windfleet', 'version']\n"
        f"try: main()\nfinally: print(os.environ[{name!r}], 'numpy' in sys.modules)"
    )
    env = {key: value for key, value in os.environ.items() if key != name}
    env |= {} if asked is None else {name: asked}
    command = [sys.executable, "-c", program]
    shown = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == f"{asked or 1} False"


def test_a_run_imports_no_data_frames() -> None:
    """ADBC's `dbapi` imports polars where it is installed."""
    program = "import json, sys, sim.run.shard; print(json.dumps(sorted(sys.modules)))"
    command = [sys.executable, "-c", program]
    shown = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert {"pandas", "polars", "pyarrow.dataset"} & set(json.loads(shown.stdout)) == set()


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (
            ["--help"],
            RUNS | STORES | REPORTS | TABLES | ROWS | TEXTS | {"rich", "importlib.metadata"},
        ),
        (["check", SCENARIO], RUNS | STORES | REPORTS | TABLES | ROWS | {"rich"}),
        (["check", "scenarios/small.yaml"], ROWS),
        (["plan", SCENARIO], RUNS | STORES | REPORTS),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_light_command_imports_no_heavy_module(arguments: list[str], heavy: set[str]) -> None:
    command = [sys.executable, "-c", PROGRAM, *arguments]
    shown = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert heavy & set(json.loads(shown.stdout.splitlines()[-1])) == set()
