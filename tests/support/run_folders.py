"""Run directories made from a sample result, with other figures, lakes, seeds or verdicts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from sim.measure.operations import OPERATIONS_FILE
from sim.measure.throughput import Series
from sim.report.result import RESULT_FILE, Result
from sim.run_directory import MARK, SCENARIO_FILE
from tests.support.report_samples import operations, passed


def sample(
    slower: float = 1.0, figures: dict[str, float] | None = None, short: bool = False, **fields: Any
) -> Result:
    """Return the run that passes, changed.

    slower: its throughput, divided. short: too short for spans of time. fields: of the result.
    """
    result = dataclasses.replace(passed(), **fields)
    assert result.throughput is not None
    length = 3 if short else None
    series = Series(
        1.0,
        *(
            tuple(value / slower for value in values[:length])
            for values in (result.throughput.rows_per_s, result.throughput.objects_per_s)
        ),
    )
    changed = {
        name: dataclasses.replace(result.figures[name], value=value)
        for name, value in (figures or {}).items()
    }
    return dataclasses.replace(result, throughput=series, figures={**result.figures, **changed})


def with_digest(digest: str) -> Any:
    """Return the lake of the sample under another digest."""
    lake = passed().lake
    assert lake is not None
    return dataclasses.replace(lake, digest=digest)


def folder(place: Path, result: Result, scenario: str = "", short: bool = False) -> Path:
    """Write a run directory. scenario: text of its scenario.yaml. short: few operations."""
    place.mkdir(parents=True)
    (place / RESULT_FILE).write_text(result.to_json())
    (place / SCENARIO_FILE).write_text(MARK + scenario)
    with (place / OPERATIONS_FILE).open("wb") as file:
        pq.write_table(operations(20 if short else 3000), file)
    return place
