"""The pictures of the realism page: what each is, what one should see, and its charts.

A picture of one farm (rose, spectrum) shows the one with the most turbines read; the map of wakes
the one whose turbines differ most. Pictures that depend on the turbine type (power curve,
temperatures) have a chart for each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from sim.arrays import Floats
from sim.demo import drawings, statistics
from sim.demo.readings import FarmReadings
from sim.demo.realism_distance import distance
from sim.demo.realism_picture import (
    GUSTS_S,
    Picture,
    all_of,
    by_type,
    farm_mean,
    largest,
    step_s,
)
from sim.report.chart import Axis, Chart, Heat, Series
from sim.units import HOUR_S

SPEEDS: Final = np.arange(0.0, 30.5, 0.5)
CLASSES: Final = np.array([0.0, 3.0, 6.0, 9.0, 12.0, 15.0, 60.0])
PAINTS: Final = (
    *("data", "fault", "running", "maintenance", "curtailed", "standby", "stopped", "wind"),
)
_WIND: Final = Axis("wind speed", unit="m/s", low=0.0, high=30.0)
_HEIGHT: Final = 210


def power_curve(farms: Sequence[FarmReadings]) -> Picture:
    charts: list[tuple[str, Chart]] = []
    for number, group in enumerate(by_type(farms)):
        kind = group[0].farm.turbine_type
        wind, power = all_of(group, "wind_speed"), all_of(group, "power_output") / kind.rated_power
        known = np.isfinite(wind) & np.isfinite(power)
        edges, shares = np.arange(0.0, 30.1, 0.25), np.arange(-5.0, 115.1, 2.5)
        counts = np.histogram2d(100 * power[known], wind[known], (shares, edges))[0]
        running = known & (power > 0)
        middle, mean, _ = statistics.binned(wind[running], power[running], SPEEDS)
        found = dict(zip(np.round(middle, 2).tolist(), (100 * mean).tolist(), strict=True))
        curve = np.array(kind.power_curve).T
        xs = [round(float(x), 2) for x in edges]
        published = 100 * np.interp(xs, curve[0], curve[1] / kind.rated_power, right=np.nan)
        charts.append(
            (
                kind.name,
                Chart(
                    f"power-{number}",
                    xs,
                    [
                        Series("published curve", published.tolist(), "fault"),
                        Series("mean while running", [found.get(x) for x in xs], "ink", "points"),
                    ],
                    _WIND,
                    Axis(kind="percent", low=-5.0, high=115.0),
                    height=250,
                    heat=Heat(shares.tolist(), counts.astype(int).tolist(), "readings"),
                ),
            )
        )
    return Picture(
        "power",
        "Power curve",
        "All readings, coloured by their number, with the mean by the method of bins (IEC "
        "61400-12-1) and the published curve of the type; power in percent of rated.",
        "The cloud follows the published curve, is widest on the slope, and is flat at rated "
        "power. Readings far below it are stops, curtailment and injected faults.",
        charts,
    )


def wind_rose(farms: Sequence[FarmReadings]) -> Picture:
    readings = largest(farms)
    share = statistics.rose(
        readings.channels["wind_speed"], readings.channels["wind_direction"], CLASSES
    )
    return Picture(
        "rose",
        "Wind rose",
        f"Share of the time by direction and strength of the wind at farm {readings.farm.farm_id}.",
        "One or two main directions, and the strongest winds among them; never a circle.",
        drawing=drawings.rose(share, CLASSES),
    )


def speeds(farms: Sequence[FarmReadings]) -> Picture:
    charts: list[tuple[str, Chart]] = []
    for readings in farms:
        wind = readings.channels["wind_speed"]
        density, _ = np.histogram(wind[np.isfinite(wind)], SPEEDS, density=True)
        k, scale = statistics.weibull(wind)
        x = np.maximum(SPEEDS, 1e-9) / scale
        weibull = k / scale * x ** (k - 1) * np.exp(-(x**k)) if np.isfinite(k) else 0.0 * x
        charts.append(
            (
                f"Farm {readings.farm.farm_id}, k {k:.2f}",
                Chart(
                    f"speed-{len(charts)}",
                    SPEEDS.tolist(),
                    [
                        Series("readings", [*(100 * density).tolist(), 0.0], "data", "area"),
                        Series("Weibull", (100 * weibull).tolist(), "fault"),
                    ],
                    _WIND,
                    Axis(kind="percent", low=0.0),
                    height=150,
                ),
            )
        )
    return Picture(
        "speeds",
        "Wind speed",
        "Share of the readings per m/s at each farm, and the Weibull distribution of the same "
        "mean and deviation.",
        "Over a year the readings follow the Weibull curve with k between 1.5 and 2.6 (European "
        "Wind Atlas). Days or weeks have the shape of their weather.",
        charts,
    )


def spectrum(farms: Sequence[FarmReadings]) -> Picture:
    readings = largest(farms)
    charts = []
    step = step_s(readings)
    fast = step <= GUSTS_S
    if len(readings.times_us) > 32:
        frequency, one = statistics.spectrum(readings.channels["wind_speed"][0], step)
        _, farm = statistics.spectrum(farm_mean(readings), step)
        series = [
            Series(readings.farm.turbine_ids[readings.turbines[0]], one.tolist()),
            Series("mean of the farm", farm.tolist(), "running"),
        ]
        if fast:
            at = len(one) // 2
            slope = one[at] * (frequency / frequency[at]) ** (-2 / 3)
            series.append(Series("-2/3", slope.tolist(), "stopped", dashed=True))
        charts = [
            (
                "",
                Chart(
                    "spectrum",
                    (1 / frequency[::-1]).tolist(),
                    [
                        Series(each.label, list(each.values)[::-1], each.paint, dashed=each.dashed)
                        for each in series
                    ],
                    Axis("period", "duration", log=True),
                    Axis(unit="m²/s²", log=True),
                    height=_HEIGHT,
                ),
            )
        ]
    tail = (
        "Short periods fall with the slope -2/3 of the inertial range (dashed)."
        if fast
        else f"With a reading every {step / 60:.0f} minutes gusts are not seen, so there is no "
        "-2/3 slope."
    )
    return Picture(
        "spectrum",
        "Spectrum",
        "Energy of the wind's variations by period (frequency times spectral density), at one "
        "turbine and for the mean of its farm.",
        f"Most energy is in periods of days: weather. The mean of the farm has less at short "
        f"periods, because gusts average out. {tail}",
        charts,
    )


def memory(farms: Sequence[FarmReadings]) -> Picture:
    step = step_s(farms[0])
    lags = min(len(farms[0].times_us) // 2, int(72 * HOUR_S / step) + 1)
    every = max(1, lags // 200)
    chart = Chart(
        "memory",
        (np.arange(lags)[::every] * step).tolist(),
        [
            Series(
                f"farm {readings.farm.farm_id}",
                statistics.autocorrelation(farm_mean(readings), lags)[::every].tolist(),
                PAINTS[number % len(PAINTS)],
            )
            for number, readings in enumerate(farms)
        ],
        Axis("lag", "duration"),
        Axis(low=-0.6, high=1.05),
        height=_HEIGHT,
    )
    return Picture(
        "memory",
        "Memory",
        "Correlation of each farm's mean wind with itself some hours later.",
        "Close to 1 for an hour, about a half after half a day, around 0 after two or three days: "
        "the length of a weather system.",
        [("", chart)] if lags > 2 else (),
    )


def availability(farms: Sequence[FarmReadings]) -> Picture:
    shares = [(r.farm.farm_id, [100 * _share(r, state) for state in range(6)]) for r in farms]
    return Picture(
        "availability",
        "Availability",
        "Share of the time in each operating state, by farm.",
        "Mostly running; standby in weak wind; faults and maintenance a few percent (onshore 2 "
        "to 7 %, offshore up to 10 %: Pfaffel et al. 2017), more where the story is a failure.",
        drawing=drawings.states(shares),
    )


def _share(readings: FarmReadings, state: int) -> float:
    known = readings.status[readings.status >= 0]
    return float(np.mean(known == state)) if len(known) else 0.0


def temperatures(farms: Sequence[FarmReadings]) -> Picture:
    names = {
        "generator_temperature": "fault",
        "gearbox_temperature": "data",
        "temperature": "running",
        "ambient_temperature": "stopped",
    }
    edges = np.linspace(-0.05, 1.05, 23)
    xs = [round(100 * float(x), 2) for x in (edges[1:] + edges[:-1]) / 2]
    charts = []
    for number, group in enumerate(by_type(farms)):
        load = np.concatenate([readings.load.ravel() for readings in group])
        series = []
        for name, paint in names.items():
            middle, mean, _ = statistics.binned(load, all_of(group, name), edges)
            found = dict(zip(np.round(100 * middle, 2).tolist(), mean.tolist(), strict=True))
            label = "nacelle" if name == "temperature" else name.removesuffix("_temperature")
            series.append(Series(label, [found.get(x) for x in xs], paint))
        charts.append(
            (
                group[0].farm.turbine_type.name,
                Chart(
                    f"temperature-{number}",
                    xs,
                    series,
                    Axis("power, % of rated", "percent"),
                    Axis(unit="°C"),
                    height=_HEIGHT,
                ),
            )
        )
    return Picture(
        "temperatures",
        "Temperatures",
        "Mean temperatures by load.",
        "Generator and gearbox get warmer with load, the nacelle a little, the air outside not "
        "at all.",
        charts,
    )


def wakes(farms: Sequence[FarmReadings]) -> Picture:
    see = (
        "Turbines at the windward edge (where the arrow comes from) have more wind than those "
        "behind them, by up to 30 %. A farm of a single row shows none."
    )
    maps = [found for readings in farms if (found := _wake_map(readings)) is not None]
    if not maps:
        return Picture("wakes", "Wakes", "No samples with wind of 5 to 12 m/s.", see)
    readings, share, toward, samples = max(maps, key=lambda found: float(np.ptp(found[1])))
    places = readings.farm.positions[list(readings.turbines)]
    names = [readings.farm.turbine_ids[turbine] for turbine in readings.turbines]
    return Picture(
        "wakes",
        "Wakes",
        f"Mean wind at each turbine of farm {readings.farm.farm_id}, in percent of the farm's "
        f"mean, for wind from {toward:.0f}° at 5 to 12 m/s ({samples:,} samples).",
        see,
        drawing=drawings.wake_map(places, share, names, toward),
    )


def _wake_map(readings: FarmReadings) -> tuple[FarmReadings, Floats, float, int] | None:
    """Return (readings, % of the mean wind by turbine, direction, samples) of the main sector."""
    wind, direction = readings.channels["wind_speed"], readings.channels["wind_direction"]
    sector = 10.0
    share = statistics.rose(wind, direction, CLASSES, int(360 / sector)).sum(axis=1)
    toward = sector * float(np.argmax(share))
    radians = np.radians(np.where(np.isfinite(direction), direction, 0.0))
    heading = np.degrees(np.arctan2(np.sin(radians).mean(axis=0), np.cos(radians).mean(axis=0)))
    at = np.abs((heading - toward + 180) % 360 - 180) < sector
    mean_wind = farm_mean(readings)
    at &= (mean_wind > 5) & (mean_wind < 12)
    inside = wind[:, at]
    known = np.isfinite(inside)
    if len(wind) < 2 or not known.any(axis=1).all():
        return None
    mean = np.where(known, inside, 0.0).sum(axis=1) / known.sum(axis=1)
    return readings, 100 * mean / float(mean.mean()), toward, int(at.sum())


PICTURES: Final[tuple[Callable[[Sequence[FarmReadings]], Picture], ...]] = (
    *(power_curve, speeds, wind_rose, wakes, availability, temperatures),
    *(spectrum, memory, distance),
)
