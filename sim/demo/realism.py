"""realism.html: pictures that a wind engineer looks at first, drawn only from generated readings.

Power curve, wind rose, spectrum, memory (autocorrelation), correlation by distance, availability,
temperatures, a map of the wakes; and the key figures of each farm beside published ranges. Each
picture says what it is and what one should see. One file, offline.

Published ranges: shape k of the wind, 1.5 to 2.6 (Troen and Petersen 1989, European Wind Atlas,
ch. 3), which holds for a year; availability, 93 to 98 % onshore and 90 to 95 % offshore (Pfaffel,
Faulstich and Rohrig 2017, Energies 10, 1904).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.records import STATES
from sim.demo import realism_charts, statistics
from sim.demo.dataset import Dataset
from sim.demo.readings import FarmReadings
from sim.model.maintenance.site import OFFSHORE, site_of
from sim.report import page
from sim.whole_file import write_text

FILE: Final = "realism.html"
RUNNING: Final = STATES.index("running")
DOWN: Final = tuple(STATES.index(name) for name in ("stopped", "fault", "maintenance"))
DAYS_MIN: Final = 28
"""Shortest data set whose wind and stops are compared with figures of whole years."""
_DAY_US: Final = 86_400e6


@dataclass(frozen=True)
class KeyFigure:
    """One figure of a farm as text. state: pass | outside | short, or empty without a range."""

    name: str
    text: str
    range: str = ""
    state: str = ""


def write(made: Dataset, farms: Sequence[FarmReadings]) -> None:
    """Write the page in the data set's folder. Raises OSError."""
    text = render(made.theme.title, made.fleet, made.scenario.seed, farms)
    write_text(made.folder / FILE, text)


def render(title: str, fleet: str, seed: int, farms: Sequence[FarmReadings]) -> str:
    """Return the page. title: of the data set. fleet: in words."""
    pictures = [make(farms) for make in realism_charts.PICTURES]
    figures = [(f"{f.farm.farm_id} {f.farm.name}", key_figures(f)) for f in farms]
    judged = [each for _, row in figures for each in row if each.state in ("pass", "outside")]
    inside = sum(each.state == "pass" for each in judged)
    return page.render(
        "realism.html.j2",
        [chart for picture in pictures for _, chart in picture.charts],
        package="sim.demo",
        title=title,
        fleet=fleet,
        seed=seed,
        pictures=pictures,
        figures=figures,
        verdict="pass" if judged and inside == len(judged) else "unknown",
        judged=len(judged),
        inside=inside,
        days_min=DAYS_MIN,
    )


def key_figures(readings: FarmReadings) -> list[KeyFigure]:
    """Return one farm's key figures."""
    wind = readings.channels["wind_speed"]
    k, scale = statistics.weibull(wind)
    known = readings.status >= 0
    down = np.isin(readings.status, DOWN)
    available = 100 * (1 - float(down[known].mean())) if known.any() else float("nan")
    times = readings.times_us
    long_enough = float(times[-1] - times[0]) >= (DAYS_MIN - 1) * _DAY_US
    at_sea = site_of(readings.farm) is OFFSHORE
    ambient = float(np.nanmean(readings.channels["ambient_temperature"]))
    vibration = float(np.nanquantile(readings.channels["vibration_level"], 0.99))
    return [
        KeyFigure("turbines", f"{len(readings.turbines)} of {readings.farm.turbines}"),
        KeyFigure("mean wind", f"{np.nanmean(wind):.2f} m/s"),
        _in_range("Weibull k", k, 1.5, 2.6, "", 2, long_enough),
        KeyFigure("Weibull scale", f"{scale:.2f} m/s"),
        KeyFigure("capacity factor", f"{100 * np.nanmean(readings.load):.1f} %"),
        _in_range(
            "availability", available, *((90, 95) if at_sea else (93, 98)), "%", 1, long_enough
        ),
        KeyFigure(
            "below cut-in", f"{100 * np.nanmean(wind < readings.farm.turbine_type.cut_in):.0f} %"
        ),
        KeyFigure("ambient", f"{ambient:.1f} °C"),
        KeyFigure("vibration p99", f"{vibration:.2f} mm/s"),
    ]


def _in_range(
    name: str, value: float, low: float, high: float, unit: str, digits: int, long_enough: bool
) -> KeyFigure:
    text = f"{value:.{digits}f} {unit}".strip()
    state = "short" if not long_enough else "pass" if low <= value <= high else "outside"
    return KeyFigure(name, text, f"{low:g} to {high:g} {unit}".strip(), state)
