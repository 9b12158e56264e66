"""Rows, size and time of each theme's data set before it is made: `windfleet demo --list`.

Rows and objects follow from the plan. Time is that of the newest data set of the layout that was
made here with as many workers, row for row; where there is none, that of the measured work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.text import Text

from pipeline.records import STAGES
from sim.demo import themes
from sim.demo.dataset import Dataset, Layout
from sim.report import numbers
from sim.run.past_runs import PastRun, of_kind, past_runs, remember
from sim.scenario import load
from sim.scenario.plan import Plan, plan
from sim.scenario.sizes import OBJECT_BYTES, ROW_BYTES
from sim.store import localstack
from sim.units import format_duration

_COMPACT_ROW_BYTES: Final = 46.0
"""Of a row of a stage in the layout `farm`: rows of many turbines, a step of minutes."""
_ENTRY_BYTES: Final = 350
"""Of an object's entry in the manifest of a farm's flush."""
_START_S: Final = 10.0
_OBJECT_S: Final = 0.001
_ROW_S: Final = 20e-6
"""CPU seconds: start, pictures and pages (10 in all of the theme storm); an object; a row.

Fitted to bearing-failure, 15.5 seconds for 129,432 rows in 3,609 objects.
"""


@dataclass(frozen=True)
class Estimate:
    """A data set before it is made. seconds: wall time. like: the run that gave it, if one did."""

    theme: str
    title: str
    turbines: int
    farms: int
    length_us: int
    step_us: int
    rows: int
    lake_bytes: int
    seconds: float
    like: PastRun | None


def estimates(layout: Layout, workers: int, past: Sequence[PastRun]) -> list[Estimate]:
    """Return one estimate per theme, by name."""
    found = []
    for name in themes.names():
        theme = themes.theme(name)
        scenario = load(theme.scenario)
        size = plan(scenario)
        objects = objects_of(size, layout)
        # Start and pictures take most of the time of a much smaller data set.
        sized = [run for run in past if run.rows * 4 >= size.rows]
        like = of_kind(sized, _kind(layout), workers, size.rows / size.batches)
        work_s = sum(objects.values()) * _OBJECT_S + size.rows * _ROW_S
        seconds = _START_S + work_s / min(workers, size.farms)
        if like is not None:
            seconds = like.seconds * size.rows / like.rows
        found.append(
            Estimate(
                name,
                theme.title,
                size.turbines,
                size.farms,
                scenario.clock.duration_us,
                scenario.clock.sample_us,
                size.rows,
                lake_bytes(size, layout),
                seconds,
                like,
            )
        )
    return found


def objects_of(size: Plan, layout: Layout) -> Mapping[str, int]:
    """Return the data objects of a lake, by stage."""
    owners = size.turbines if layout == "turbine" else size.farms
    return {stage: size.objects[stage] * owners // size.turbines for stage in STAGES}


def lake_bytes(size: Plan, layout: Layout) -> int:
    """Return the bytes of a lake."""
    if layout == "turbine":
        return sum(size.lake_bytes.values())
    objects = objects_of(size, layout)
    data = sum(objects[stage] * (OBJECT_BYTES[stage] + _ENTRY_BYTES) for stage in STAGES)
    rows = 3 * size.rows * _COMPACT_ROW_BYTES + size.windows * ROW_BYTES["aggregated"]
    return round(data + rows + size.lake_bytes["checkpoints"])


def keep(made: Dataset) -> None:
    """Keep size and time of a data set for the next estimate."""
    record, size = made.record, plan(made.scenario)
    if record.started is not None:
        past = PastRun(
            record.started,
            _kind(made.layout),
            record.workers,
            size.rows,
            size.rows / size.batches,
            made.seconds,
            record.memory_peak_bytes or 0,
            made.scenario.name,
        )
        remember(localstack.HOME, past)


def print_list(layout: Layout, workers: int, console: Console) -> None:
    """Print the themes with their sizes and times."""
    found = estimates(layout, workers, past_runs(localstack.HOME))
    for each in found:
        console.print(Text(each.theme, "bold") + Text(f"  {each.title}"), soft_wrap=True)
        step, length = format_duration(each.step_us), format_duration(each.length_us)
        time = f"{numbers.duration(round(each.seconds))}{'' if each.like else ' ?'}"
        size = f"{each.rows:,} rows, lake of {numbers.size(each.lake_bytes)}, about {time}"
        print(f"    {each.turbines:,} turbines, {length}, every {step}: {size}")
    print("windfleet demo --theme NAME; --turbines, --days and --sample-every change the size")
    if any(each.like is None for each in found):
        print("? computed, on idle cores: no data set of its kind was made here yet")


def _kind(layout: Layout) -> str:
    return f"data set, by {layout}"
