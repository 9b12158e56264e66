"""`index.html`: the face of a data set. Story, pictures, verdict, queries with results, files.

One file, offline: the pictures are in it.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
from markdown_it import MarkdownIt
from markupsafe import Markup

from sim.demo import dictionary, flat, notebook, snippets
from sim.demo.dataset import Dataset
from sim.errors import DemoError
from sim.report import page
from sim.whole_file import write_text

FILE: Final = "index.html"
MOST_ROWS: Final = 8
"""Rows of an answer that the page shows."""


@dataclass(frozen=True)
class Answer:
    """A query of the story with the first rows of its result, as texts."""

    sql: str
    columns: list[str]
    rows: list[list[str]]
    total: int


def write(made: Dataset, facts: dict[str, Any]) -> None:
    """Write the page. facts: those of the README. Raises DemoError, OSError."""
    write_text(made.folder / FILE, render(made, facts))


def render(made: Dataset, facts: dict[str, Any]) -> str:
    """Return the page."""
    text = MarkdownIt("commonmark", {"html": False}).render(made.story)
    return page.render(
        "index.html.j2",
        package="sim.demo",
        **facts,
        story_html=Markup(text),  # without HTML of its own
        images=[
            (name, caption, Markup(_embedded(made.folder / name)))
            for name, caption in made.pictures.items()
        ],
        answers=answers(made),
        banner=made.verdict.status,
        links=_links(made),
    )


def answers(made: Dataset) -> list[Answer]:
    """Return the answers to the story's queries. Raises DemoError."""
    queries = snippets.queries(made.story)
    if not queries:
        return []
    with duckdb.connect(config={"file_search_path": str(made.folder)}) as connection:
        try:
            connection.execute("SET threads = 1")  # floats are added in one order
            connection.execute(snippets.views(made.has_quarantine))
            return [_answer(connection, sql) for sql in queries]
        except duckdb.Error as error:
            text = f"{made.folder}: a query of the story cannot be answered: {error}"
            raise DemoError(text) from error


def _answer(connection: duckdb.DuckDBPyConnection, sql: str) -> Answer:
    found = connection.execute(sql)
    columns = [each[0] for each in found.description or []]
    rows = found.fetchall()
    shown = [[_text(value) for value in row] for row in rows[:MOST_ROWS]]
    return Answer(sql, columns, shown, len(rows))


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}"
    if hasattr(value, "tzinfo"):
        return f"{value:%Y-%m-%d %H:%M}"
    return "" if value is None else str(value)


def _embedded(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _links(made: Dataset) -> list[tuple[str, str]]:
    """Return (file, what it is) of the files that the page links to, if they are there."""
    known = {
        made.dashboard: "dashboard: the fleet, its anomalies and its maintenance ranking",
        "realism.html": "realism: what a wind engineer looks at first",
        flat.FILE: "all valid readings in one table, by turbine and time",
        dictionary.FILE: "data dictionary: columns, units, meanings, limits",
        notebook.FILE: "notebook that reads, queries and draws",
        "README.md": "how to read it with DuckDB, polars, pandas, Spark, Databricks; all files",
        "scenario.yaml": "the scenario, every default written out",
        "truth": "labels: injected faults, wear, operating states, work orders",
        "lake": "the six buckets",
        "openoa": "OpenOA's form",
        "flasc": "FLASC's form",
    }
    return [(name, text) for name, text in known.items() if name and (made.folder / name).exists()]
