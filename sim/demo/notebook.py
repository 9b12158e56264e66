"""`explore.ipynb`: a notebook over a data set, for pyarrow, DuckDB and matplotlib.

A notebook is JSON (format 4.5), so no library of notebooks is needed to write one.
"""

from __future__ import annotations

import json
from typing import Any, Final

from sim.demo import snippets
from sim.demo.dataset import Dataset
from sim.whole_file import write_text

FILE: Final = "explore.ipynb"
_READ: Final = """\
import duckdb
import pyarrow.parquet as pq

readings = pq.read_table("readings.parquet")
readings.num_rows, readings.column_names"""
_UNITS: Final = """\
{field.name: (field.metadata or {}).get(b"unit", b"").decode() for field in readings.schema}"""
_FARMS: Final = """\
connection = duckdb.connect()
connection.sql(\"\"\"
    SELECT farm_id, count(DISTINCT turbine_id) AS turbines, count(*) AS readings,
           round(avg(wind_speed), 1) AS wind, round(avg(power_output), 3) AS power_mw
    FROM readings GROUP BY farm_id ORDER BY farm_id
\"\"\")"""
_LABELS: Final = """\
connection.sql("SELECT kind, count(*) AS labels FROM labels GROUP BY kind ORDER BY kind")"""
_CURVE: Final = """\
import matplotlib.pyplot as plt

first = readings["turbine_id"][0].as_py()
one = connection.sql(
    "SELECT wind_speed, power_output FROM readings WHERE turbine_id = ?", params=[first]
).fetchnumpy()
plt.scatter(one["wind_speed"], one["power_output"], s=4)
plt.title(f"{first}: power over wind")
plt.xlabel("wind_speed, m/s")
plt.ylabel("power_output, MW")
plt.show()"""


def write(made: Dataset) -> None:
    """Write the notebook in the data set's folder. Raises OSError."""
    write_text(made.folder / FILE, json.dumps(document(made), indent=1) + "\n")


def document(made: Dataset) -> dict[str, Any]:
    """Return the notebook. It runs in the data set's folder."""
    views = f'connection.execute("""\n{snippets.views(made.has_quarantine)}\n""")'
    cells = [
        ("markdown", f"# {made.theme.title}\n\n{made.story}"),
        ("markdown", "## The readings\n\nOne row per reading, by turbine and time."),
        ("code", _READ),
        ("markdown", "Units are metadata of the columns; `dictionary.md` has their meanings."),
        ("code", _UNITS),
        ("code", _FARMS),
        ("markdown", "## The lake\n\nThe stages of the pipeline as views."),
        ("code", views),
    ]
    found = snippets.queries(made.story)
    if found:
        cells.append(("markdown", "## Queries that find the story"))
    cells += [("code", f'connection.sql("""\n{query}\n""")') for query in found]
    cells += [("markdown", "## The labels"), ("code", _LABELS)]
    cells += [("markdown", "## A power curve"), ("code", _CURVE)]
    return {
        "cells": [_cell(number, kind, text) for number, (kind, text) in enumerate(cells, 1)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _cell(number: int, kind: str, text: str) -> dict[str, Any]:
    cell: dict[str, Any] = {
        "cell_type": kind,
        "id": f"cell-{number}",
        "metadata": {},
        "source": text.splitlines(keepends=True),
    }
    return cell | {"execution_count": None, "outputs": []} if kind == "code" else cell
