"""The pictures of a data set's README, PNG: the fleet over time, and the story's farms.

Drawn from the node databases (`readings`) before those are removed. The same data give the same
bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import matplotlib.dates
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sim.arrays import Floats
from sim.demo.dataset import Dataset
from sim.demo.picture_style import BLUE, GREEN, VERMILLION, style
from sim.demo.readings import FarmReadings
from sim.fleet.farm import Farm
from sim.model.events import Event

mdates: Any = matplotlib.dates  # has no types
PIXELS: Final = 110  # per inch
FOCUS: Final = ("vibration_level", "gearbox_temperature", "generator_temperature", "power_output")


def draw(made: Dataset, farms: Sequence[FarmReadings]) -> list[str]:
    """Draw the pictures and return their names in order of display. Raises OSError."""
    drawn = {"fleet.png": fleet(made, farms)}
    story = {
        farm
        for event in made.scenario.events
        for farm in _farms_of(event, made.scenario.fleet.farms)
    }
    for readings in farms:
        if readings.farm.farm_id in sorted(story)[:2]:
            drawn[f"farm-{readings.farm.farm_id}.png"] = raster(readings)
    for event in made.scenario.events:
        for turbine in event.turbines[:1]:
            (readings,) = (r for r in farms if r.farm.farm_id == turbine.rpartition("-")[0])
            drawn[f"turbine-{turbine}.png"] = focus(readings, turbine)
    for name, figure in drawn.items():
        save(figure, made.folder / name)
    return list(drawn)


def remove(folder: Path) -> None:
    """Remove the pictures of an earlier data set from a folder."""
    for name in ("fleet.png", "farm-*.png", "turbine-*.png"):
        for path in folder.glob(name):
            path.unlink()


def save(figure: Figure, path: Path) -> None:
    """Write a PNG without a date in it."""
    canvas: Any = FigureCanvasAgg(figure)
    canvas.print_png(str(path), metadata={"Software": None})


def fleet(made: Dataset, farms: Sequence[FarmReadings]) -> Figure:
    """Wind and power of each farm over time, the story's events shaded."""
    with style():
        figure = Figure(figsize=(11, 1.0 + 1.25 * len(farms)), dpi=PIXELS, layout="constrained")
        rows = np.atleast_1d(figure.subplots(len(farms), 1, sharex=True))
        for axes, readings in zip(rows, farms, strict=True):
            time = _dates(readings)
            with np.errstate(invalid="ignore"):
                axes.fill_between(
                    time, 100 * _mean(readings.load), color=GREEN, alpha=0.35, linewidth=0
                )
            axes.set_ylim(-2, 108)
            axes.set_ylabel("% of rated", fontsize=8)
            wind = axes.twinx()
            mean = _mean(readings.channels["wind_speed"])
            wind.plot(time, mean, color=BLUE, linewidth=1.1)
            wind.set_ylim(0, max(30.0, 1.1 * float(np.nanmax(mean, initial=0.0))))
            wind.set_ylabel("wind m/s", fontsize=8, color=BLUE)
            wind.grid(visible=False)
            farm = readings.farm
            axes.set_title(
                f"{farm.farm_id}  {farm.name}, {farm.turbines} x {farm.turbine_type.name}"
            )
            _shade(axes, made, farm)
            axes.set_xlim(mdates.date2num(time[0]), mdates.date2num(time[-1]))
        _date_axis(rows[-1])
        return figure


def raster(readings: FarmReadings) -> Figure:
    """Power as a share of rated power, as colours: a row per turbine, time to the right."""
    with style():
        figure = Figure(figsize=(11, 4.6), dpi=PIXELS, layout="constrained")
        axes = figure.subplots()
        time = _dates(readings)
        extent: Any = (
            mdates.date2num(time[0]),
            mdates.date2num(time[-1]),
            len(readings.turbines) + 0.5,
            0.5,
        )
        shown = axes.imshow(
            100 * readings.load, aspect="auto", extent=extent, cmap="viridis", vmin=0, vmax=100
        )
        shown.set_interpolation("nearest")
        axes.grid(visible=False)
        axes.set_title(f"Farm {readings.farm.farm_id}, {readings.farm.name}: every turbine's power")
        axes.set_ylabel("turbine")
        axes.yaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        figure.colorbar(shown, ax=axes, label="% of rated", pad=0.01)
        axes.xaxis_date()
        _date_axis(axes)
        return figure


def focus(readings: FarmReadings, turbine: str) -> Figure:
    """One turbine compared with the middle half of its farm's turbines."""
    place = list(readings.turbines).index(readings.farm.turbine_ids.index(turbine))
    with style():
        figure = Figure(figsize=(11, 7.2), dpi=PIXELS, layout="constrained")
        rows = figure.subplots(len(FOCUS), 1, sharex=True)
        time = _dates(readings)
        for axes, name in zip(rows, FOCUS, strict=True):
            values = readings.channels[name]
            with np.errstate(invalid="ignore"):
                low, high = np.nanquantile(values, (0.25, 0.75), axis=0)
            axes.fill_between(
                time,
                low,
                high,
                color="#9aa7b4",
                alpha=0.6,
                linewidth=0,
                label="middle half of the farm",
            )
            axes.plot(time, values[place], color=VERMILLION, linewidth=0.9, label=turbine)
            axes.set_title(name)
        rows[0].legend(loc="upper left", frameon=False, ncols=2)
        _date_axis(rows[-1])
        return figure


def _farms_of(event: Event, farms: Sequence[Farm]) -> set[str]:
    named = {turbine.rpartition("-")[0] for turbine in event.turbines} or set(event.farms)
    return named or {farm.farm_id for farm in farms}


def _shade(axes: Axes, made: Dataset, farm: Farm) -> None:
    start = made.scenario.clock.start_us / 1e6
    for event in made.scenario.events:
        if farm.farm_id in _farms_of(event, made.scenario.fleet.farms):
            span = (
                datetime.fromtimestamp(start + event.from_s + s, UTC) for s in (0.0, event.for_s)
            )
            axes.axvspan(
                *(mdates.date2num(at) for at in span), color=VERMILLION, alpha=0.10, linewidth=0
            )


def _dates(readings: FarmReadings) -> Any:
    return readings.times_us.astype("datetime64[us]")


def _mean(values: Floats) -> Floats:
    known = np.isfinite(values)
    total: Floats = np.where(known, values, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(known.any(axis=0), total, np.nan)


def _date_axis(axes: Axes) -> None:
    locator = mdates.AutoDateLocator(tz=UTC)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator, tz=UTC))
