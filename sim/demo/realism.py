"""realism.html: charts that a wind engineer looks at first, drawn only from generated readings.

Power curve, wind rose, spectrum, memory (autocorrelation), correlation by distance, availability,
temperatures, a map of the wakes; and the key figures of each farm. One file, offline. The page does
not judge the data; the reader does.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipeline.records import STATES
from sim.demo import realism_charts as charts
from sim.demo import statistics
from sim.demo.dataset import Dataset
from sim.demo.readings import FarmReadings

FILE: Final = "realism.html"
RUNNING: Final = STATES.index("running")
DOWN: Final = tuple(STATES.index(name) for name in ("stopped", "fault", "maintenance"))
CHARTS: Final[tuple[tuple[Callable[[Sequence[FarmReadings]], Figure], str], ...]] = (
    (charts.power_curve, "Power curve"),
    (charts.wind_rose, "Wind rose"),
    (charts.speeds, "Wind speed"),
    (charts.spectrum, "Spectrum"),
    (charts.memory, "Memory"),
    (charts.distance, "Correlation by distance"),
    (charts.availability, "Availability"),
    (charts.temperatures, "Temperatures"),
    (charts.wakes, "Wakes"),
)
"""Each chart's docstring is its caption."""


def write(made: Dataset, farms: Sequence[FarmReadings]) -> None:
    """Write the page in the data set's folder. Raises OSError."""
    with charts.style():
        drawn = [
            (title, " ".join((chart.__doc__ or "").split()), _png(chart(farms)))
            for chart, title in CHARTS
        ]
    page = Environment(
        loader=PackageLoader("sim.demo", "templates"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("realism.html.j2")
    text = page.render(
        theme=made.theme,
        fleet=made.fleet,
        seed=made.scenario.seed,
        charts=drawn,
        farms=[key_figures(f) for f in farms],
    )
    (made.folder / FILE).write_text(text, encoding="utf-8")


def key_figures(readings: FarmReadings) -> dict[str, str]:
    """One farm's key figures as texts."""
    wind = readings.channels["wind_speed"]
    k, scale = statistics.weibull(wind)
    known = readings.status >= 0
    down = np.isin(readings.status, DOWN)
    return {
        "farm": f"{readings.farm.farm_id} {readings.farm.name}",
        "turbines": f"{len(readings.turbines)} of {readings.farm.turbines}",
        "mean wind": f"{np.nanmean(wind):.2f} m/s",
        "Weibull k": f"{k:.2f}",
        "Weibull scale": f"{scale:.2f} m/s",
        "capacity factor": f"{100 * np.nanmean(readings.load):.1f} %",
        "availability": f"{100 * (1 - down[known].mean()):.1f} %",
        "below cut-in": f"{100 * np.nanmean(wind < readings.farm.turbine_type.cut_in):.0f} %",
        "ambient": f"{np.nanmean(readings.channels['ambient_temperature']):.1f} degC",
        "vibration p99": f"{np.nanquantile(readings.channels['vibration_level'], 0.99):.2f} mm/s",
    }


def _png(figure: Figure) -> str:
    buffer = io.BytesIO()
    canvas: Any = FigureCanvasAgg(figure)
    canvas.print_png(buffer, metadata={"Software": None})
    return base64.b64encode(buffer.getvalue()).decode()
