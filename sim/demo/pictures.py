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
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipeline.records import GEARBOX_ALARM, GENERATOR_ALARM, VIBRATION_ALARM, unit_of
from sim.arrays import Floats
from sim.demo.dataset import Dataset
from sim.demo.picture_style import BLUE, GREEN, INK, VERMILLION, style
from sim.demo.readings import FarmReadings
from sim.fleet.farm import Farm
from sim.model.events import Event

mdates: Any = matplotlib.dates  # has no types
PIXELS: Final = 110  # per inch
FOCUS: Final = ("vibration_level", "gearbox_temperature", "generator_temperature", "power_output")
ALARMS: Final = {
    "vibration_level": VIBRATION_ALARM,
    "gearbox_temperature": GEARBOX_ALARM,
    "generator_temperature": GENERATOR_ALARM,
}
SHADES: Final = {"grid.curtailment": "#E69F00", "weather.icing": "#56B4E9"}
"""Colours of events that are not VERMILLION."""
MOST_NAMES: Final = 16
"""Turbines that are named at the axis of a picture."""
FLEET: Final = (
    "Mean wind (line) and mean power as a share of rated power (area) of each farm. Shaded: the "
    "events of the story, at the farms where they happen."
)
RASTER: Final = (
    "Power of each turbine as a share of its rated power: dark is none, yellow is rated. White: no "
    "valid row, because it was lost or has not arrived, or its sensor failed."
)
FOCUS_CAPTION: Final = (
    "The turbine of the story (line) beside the middle half of its farm (band). Dotted: the limit "
    "of an alarm; dashed: the first alarm, and the failure."
)


def draw(made: Dataset, farms: Sequence[FarmReadings]) -> dict[str, str]:
    """Draw the pictures. Return their captions by name, in order of display. Raises OSError."""
    drawn = {"fleet.png": (fleet(made, farms), FLEET)}
    story = {
        farm
        for event in made.scenario.events
        for farm in _farms_of(event, made.scenario.fleet.farms)
    }
    for readings in farms:
        if readings.farm.farm_id in sorted(story)[:2]:
            drawn[f"farm-{readings.farm.farm_id}.png"] = raster(readings), RASTER
    for event in made.scenario.events:
        for turbine in event.turbines[:1]:
            (readings,) = (r for r in farms if r.farm.farm_id == turbine.rpartition("-")[0])
            drawn[f"turbine-{turbine}.png"] = focus(readings, turbine, event), FOCUS_CAPTION
    for name, (figure, _) in drawn.items():
        save(figure, made.folder / name)
    return {name: caption for name, (_, caption) in drawn.items()}


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
    """Wind and power of each farm over time, on like axes, the story's events shaded."""
    means = [_mean(readings.channels["wind_speed"]) for readings in farms]
    most = max(30.0, *(1.1 * float(np.nanmax(mean, initial=0.0)) for mean in means))
    with style():
        figure = Figure(figsize=(11, 1.7 + 1.25 * len(farms)), dpi=PIXELS, layout="constrained")
        figure.suptitle(made.theme.title, fontsize=13, fontweight="bold")
        rows = np.atleast_1d(figure.subplots(len(farms), 1, sharex=True))
        handles: dict[str, Artist] = {}
        for axes, readings, mean in zip(rows, farms, means, strict=True):
            time = _dates(readings)
            with np.errstate(invalid="ignore"):
                handles["power, % of rated"] = axes.fill_between(
                    time, 100 * _mean(readings.load), color=GREEN, alpha=0.35, linewidth=0
                )
            axes.set_ylim(-2, 108)
            axes.set_ylabel("power, %", fontsize=8)
            wind = axes.twinx()
            (handles["wind, m/s"],) = wind.plot(time, mean, color=BLUE, linewidth=1.1)
            wind.set_ylim(0, most)
            wind.set_ylabel("wind, m/s", fontsize=8, color=BLUE)
            wind.grid(visible=False)
            farm = readings.farm
            axes.set_title(
                f"{farm.farm_id}  {farm.name}, {farm.turbines} x {farm.turbine_type.name}"
            )
            handles |= _shade(axes, made, farm)
            axes.set_xlim(mdates.date2num(time[0]), mdates.date2num(time[-1]))
        _date_axis(rows[-1], farms[0])
        legend = list(handles)
        figure.legend(
            [handles[name] for name in legend],
            legend,
            loc="outside lower center",
            ncols=len(legend),
            frameon=False,
            fontsize=9,
        )
        return figure


def raster(readings: FarmReadings) -> Figure:
    """Power as a share of rated power, as colours: a row per turbine, time to the right."""
    count = len(readings.turbines)
    with style():
        figure = Figure(figsize=(11, 4.6), dpi=PIXELS, layout="constrained")
        axes = figure.subplots()
        time = _dates(readings)
        extent: Any = (
            mdates.date2num(time[0]),
            mdates.date2num(time[-1]),
            count - 0.5,
            -0.5,
        )
        shown = axes.imshow(
            100 * readings.load, aspect="auto", extent=extent, cmap="viridis", vmin=0, vmax=100
        )
        shown.set_interpolation("nearest")
        axes.grid(visible=False)
        farm = readings.farm
        axes.set_title(f"Farm {farm.farm_id}, {farm.name}: power of every turbine")
        shown_rows = range(0, count, -(-count // MOST_NAMES))
        names = [farm.turbine_ids[readings.turbines[row]] for row in shown_rows]
        axes.set_yticks(list(shown_rows), names)
        figure.colorbar(shown, ax=axes, label="% of rated power; white: no valid row", pad=0.01)
        axes.xaxis_date()
        _date_axis(axes, readings)
        return figure


def focus(readings: FarmReadings, turbine: str, event: Event) -> Figure:
    """One turbine compared with the middle half of its farm, with its first alarm and failure."""
    place = list(readings.turbines).index(readings.farm.turbine_ids.index(turbine))
    with style():
        figure = Figure(figsize=(11, 7.6), dpi=PIXELS, layout="constrained")
        farm = readings.farm
        figure.suptitle(
            f"{turbine} of {farm.name}, {farm.turbine_type.name}", fontsize=13, fontweight="bold"
        )
        rows = figure.subplots(len(FOCUS), 1, sharex=True)
        time = _dates(readings)
        begin, end = readings.times_us[0], readings.times_us[-1]
        fails = begin + round((event.from_s + event.for_s) * 1e6)
        for axes, name in zip(rows, FOCUS, strict=True):
            values = readings.channels[name]
            known = np.isfinite(values).any(axis=0)
            low, high = np.full((2, len(time)), np.nan)
            low[known], high[known] = np.nanquantile(values[:, known], (0.25, 0.75), axis=0)
            axes.fill_between(
                time,
                low,
                high,
                color="#7d8c9a",
                alpha=0.75,
                linewidth=0,
                label="middle half of the farm",
            )
            axes.plot(time, values[place], color=VERMILLION, linewidth=0.9, label=turbine)
            axes.set_title(name)
            axes.set_ylabel(unit_of(name))
            alarm = ALARMS.get(name)
            first = alarm and first_alarm(readings, values[place], alarm, event)
            if alarm and first:
                axes.axhline(alarm, color=INK, linewidth=0.8, linestyle=":")
                _mark(axes, first, "first alarm", INK, "right")
            if event.component and fails <= end:
                _mark(axes, fails, "fails" if axes is rows[0] else "", VERMILLION, "left")
            axes.set_xlim(mdates.date2num(time[0]), mdates.date2num(time[-1]))
        rows[0].legend(loc="upper left", frameon=False, ncols=2)
        _date_axis(rows[-1], readings)
        return figure


def first_alarm(readings: FarmReadings, values: Floats, alarm: float, event: Event) -> int | None:
    """Return the first time in an event that a channel reaches its alarm, None if it does not."""
    begun = readings.times_us >= readings.times_us[0] + round(event.from_s * 1e6)
    with np.errstate(invalid="ignore"):
        found = np.flatnonzero(begun & (values >= alarm))
    return int(readings.times_us[found[0]]) if len(found) else None


def _mark(axes: Axes, at_us: int, word: str, color: str, side: str) -> None:
    """Draw a line at a time, and the word, if there is one, with the date on one side."""
    at = datetime.fromtimestamp(at_us / 1e6, UTC)
    where = mdates.date2num(at)
    axes.axvline(where, color=color, linewidth=1.0, linestyle="--")
    if not word:
        return
    axes.annotate(
        f" {word} {at.day} {at:%b %H:%M} ",
        (where, 0.96),
        xycoords=("data", "axes fraction"),
        ha=side,
        va="top",
        fontsize=8,
        color=color,
    )


def _farms_of(event: Event, farms: Sequence[Farm]) -> set[str]:
    named = {turbine.rpartition("-")[0] for turbine in event.turbines} or set(event.farms)
    return named or {farm.farm_id for farm in farms}


def _shade(axes: Axes, made: Dataset, farm: Farm) -> dict[str, Artist]:
    """Shade the events at a farm. Return a handle by kind."""
    start = made.scenario.clock.start_us / 1e6
    shaded: dict[str, Artist] = {}
    for event in made.scenario.events:
        if farm.farm_id in _farms_of(event, made.scenario.fleet.farms):
            span = (
                datetime.fromtimestamp(start + event.from_s + s, UTC) for s in (0.0, event.for_s)
            )
            color = SHADES.get(event.kind, VERMILLION)
            shaded[event.kind] = axes.axvspan(
                *(mdates.date2num(at) for at in span), color=color, alpha=0.14, linewidth=0
            )
    return shaded


def _dates(readings: FarmReadings) -> Any:
    return readings.times_us.astype("datetime64[us]")


def _mean(values: Floats) -> Floats:
    known = np.isfinite(values)
    total: Floats = np.where(known, values, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(known.any(axis=0), total, np.nan)


def _date_axis(axes: Axes, readings: FarmReadings) -> None:
    """Label days in full, and hours where the axis has them."""
    begin, end = (
        datetime.fromtimestamp(us / 1e6, UTC) for us in readings.times_us[[0, -1]].tolist()
    )
    short = (end - begin).total_seconds() <= 6 * 86_400  # longer ones have ticks of whole days
    axes.xaxis.set_major_locator(mdates.AutoDateLocator(tz=UTC, minticks=4, maxticks=10))
    form = "%d %b %H:%M" if short else "%d %b"
    axes.xaxis.set_major_formatter(mdates.DateFormatter(form, tz=UTC))
    years = f"{begin.year}" if begin.year == end.year else f"{begin.year} and {end.year}"
    axes.set_xlabel(f"time in UTC, {years}", fontsize=8)
