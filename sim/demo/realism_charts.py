"""The charts of the realism page: each takes the farms' readings and returns a figure.

A chart of one farm (rose, spectrum, wakes) shows the one with the most turbines read. Charts that
depend on the turbine type (power curve, temperatures) have a panel for each.

The docstring of a chart is its caption on the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import combinations
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from pipeline.records import STATES
from sim.arrays import Floats
from sim.demo import statistics
from sim.demo.readings import FarmReadings
from sim.fleet.farm import METRES_PER_DEGREE
from sim.report.charts import BLUE, GREEN, INK, STYLE, VERMILLION
from sim.units import DAY_S, HOUR_S, MINUTE_S

SIZE: Final = (7.2, 4.4)
PIXELS: Final = 100
SPEEDS: Final = np.arange(0.0, 30.5, 0.5)
CLASSES: Final = np.array([0.0, 3.0, 6.0, 9.0, 12.0, 15.0, 60.0])
TONES: Final = ("#dfe9f2", "#b3cde3", "#7fb2d8", "#4a90c4", "#1f6aa5", "#0b3c66")
STATE_TONES: Final = (GREEN, "#b8c4d0", "#F0E442", "#E69F00", VERMILLION, "#CC79A7")


def style() -> AbstractContextManager[None]:
    """Context manager: the common style of all charts."""
    settings: Any = STYLE
    return mpl.rc_context(settings)


def _figure(columns: int = 1) -> tuple[Figure, list[Axes]]:
    figure = Figure(
        figsize=(SIZE[0] * (1 if columns == 1 else 1.35), SIZE[1]), dpi=PIXELS, layout="constrained"
    )
    return figure, list(np.atleast_1d(figure.subplots(1, columns, sharey=True)))


def _by_type(farms: Sequence[FarmReadings]) -> list[list[FarmReadings]]:
    names = sorted({readings.farm.turbine_type.name for readings in farms})
    return [[r for r in farms if r.farm.turbine_type.name == name] for name in names]


def _largest(farms: Sequence[FarmReadings]) -> FarmReadings:
    return max(farms, key=lambda readings: len(readings.turbines))


def _step_s(readings: FarmReadings) -> float:
    return (
        float(readings.times_us[1] - readings.times_us[0]) / 1e6
        if len(readings.times_us) > 1
        else 1.0
    )


def _all(farms: Sequence[FarmReadings], channel: str) -> Floats:
    return np.concatenate([readings.channels[channel].ravel() for readings in farms])


def _farm_mean(readings: FarmReadings) -> Floats:
    wind = readings.channels["wind_speed"]
    known = np.isfinite(wind)
    mean: Floats = np.where(known, wind, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(known.any(axis=0), mean, np.nan)


def power_curve(farms: Sequence[FarmReadings]) -> Figure:
    """All readings, darker where there are more.

    Mean and standard deviation by the method of bins (IEC 61400-12-1); the published curve of the
    type.
    """
    types = _by_type(farms)
    figure, panels = _figure(len(types))
    for axes, group in zip(panels, types, strict=True):
        kind = group[0].farm.turbine_type
        wind, power = _all(group, "wind_speed"), _all(group, "power_output") / kind.rated_power
        known = np.isfinite(wind) & np.isfinite(power)
        axes.hist2d(
            wind[known],
            power[known],
            bins=(150, 120),
            range=((0, 30), (-0.05, 1.15)),
            cmin=1,
            norm=LogNorm(),
            cmap="Blues",
        )
        middle, mean, deviation = statistics.binned(wind, power, SPEEDS)
        axes.errorbar(middle, mean, deviation, fmt="o", ms=2.5, lw=0.8, color=INK, label="bins")
        curve = np.array(kind.power_curve).T
        axes.plot(
            curve[0], curve[1] / kind.rated_power, color=VERMILLION, lw=1.4, label="published"
        )
        axes.set_title(kind.name)
        axes.set_xlabel("wind speed, m/s")
    panels[0].set_ylabel("power / rated")
    panels[0].legend(frameon=False, loc="upper left")
    return figure


def wind_rose(farms: Sequence[FarmReadings]) -> Figure:
    """Share of the time by direction and strength of the wind."""
    readings = _largest(farms)
    share = statistics.rose(
        readings.channels["wind_speed"], readings.channels["wind_direction"], CLASSES
    )
    figure = Figure(figsize=(SIZE[0], SIZE[1] + 0.6), dpi=PIXELS, layout="constrained")
    axes = figure.add_subplot(projection="polar")
    angle = 2 * np.pi * np.arange(len(share)) / len(share)
    base = np.zeros(len(share))
    for band, tone in enumerate(TONES):
        name = (
            f"{CLASSES[band]:.0f}-{CLASSES[band + 1]:.0f} m/s"
            if band < len(TONES) - 1
            else f"> {CLASSES[band]:.0f} m/s"
        )
        axes.bar(
            angle,
            100 * share[:, band],
            width=0.36,
            bottom=base,
            color=tone,
            edgecolor="white",
            lw=0.4,
            label=name,
        )
        base += 100 * share[:, band]
    axes.set_theta_zero_location("N")  # type: ignore[attr-defined]
    axes.set_theta_direction(-1)  # type: ignore[attr-defined]
    axes.set_xticks(np.pi / 4 * np.arange(8), ["N", "NE", "E", "SE", "S", "SW", "W", "NW"])
    axes.set_title(f"Farm {readings.farm.farm_id}, % of the time")
    figure.legend(loc="outside right center", frameon=False)
    return figure


def speeds(farms: Sequence[FarmReadings]) -> Figure:
    """Histogram of each farm, and the Weibull distribution of the same mean and deviation."""
    figure, (axes,) = _figure()
    for readings in farms:
        wind = readings.channels["wind_speed"]
        density, edges = np.histogram(wind[np.isfinite(wind)], SPEEDS, density=True)
        axes.stairs(density, edges, lw=0.8, alpha=0.6, label=f"farm {readings.farm.farm_id}")
    everything = _all(farms, "wind_speed")
    k, scale = statistics.weibull(everything)
    x = SPEEDS[1:] / scale
    axes.plot(
        SPEEDS[1:],
        k / scale * x ** (k - 1) * np.exp(-(x**k)),
        color=INK,
        lw=1.8,
        label=f"Weibull, k {k:.2f}",
    )
    axes.set_xlabel("wind speed, m/s")
    axes.set_ylabel("density")
    axes.legend(frameon=False, ncols=2, fontsize=8)
    return figure


def spectrum(farms: Sequence[FarmReadings]) -> Figure:
    """Spectrum of the wind at one turbine and of the mean of its farm: frequency times density.

    The mean averages gusts away but not weather. Dashed: the -2/3 slope of the inertial range.
    """
    readings = _largest(farms)
    figure, (axes,) = _figure()
    if len(readings.times_us) > 32:
        step = _step_s(readings)
        one = statistics.spectrum(readings.channels["wind_speed"][0], step)
        axes.loglog(*one, color=BLUE, lw=1.4, label=readings.farm.turbine_ids[readings.turbines[0]])
        axes.loglog(
            *statistics.spectrum(_farm_mean(readings), step),
            color=GREEN,
            lw=1.4,
            label="mean of the farm",
        )
        at = len(one[0]) // 2
        axes.loglog(
            one[0],
            one[1][at] * (one[0] / one[0][at]) ** (-2 / 3),
            color=INK,
            lw=0.8,
            ls="--",
            label="-2/3",
        )
        for name, period in (("day", DAY_S), ("hour", HOUR_S), ("minute", MINUTE_S)):
            if one[0][0] < 1 / period < one[0][-1]:
                axes.axvline(1 / period, color="#c3ccd6", lw=0.8)
                axes.annotate(
                    name,
                    (1 / period, 0.97),
                    xycoords=("data", "axes fraction"),
                    fontsize=8,
                    ha="right",
                    rotation=90,
                    va="top",
                )
        axes.legend(frameon=False)
    axes.set_xlabel("frequency, Hz")
    axes.set_ylabel("f S(f), m²/s²")
    return figure


def memory(farms: Sequence[FarmReadings]) -> Figure:
    """Autocorrelation of the mean wind of each farm."""
    figure, (axes,) = _figure()
    for readings in farms:
        step = _step_s(readings)
        lags = min(len(readings.times_us) // 2, int(72 * HOUR_S / step) + 1)
        axes.plot(
            np.arange(lags) * step / HOUR_S,
            statistics.autocorrelation(_farm_mean(readings), lags),
            lw=1.1,
            label=f"farm {readings.farm.farm_id}",
        )
    axes.axhline(0, color=INK, lw=0.6)
    axes.set_xlabel("lag, hours")
    axes.set_ylabel("correlation")
    axes.legend(frameon=False, ncols=2, fontsize=8)
    return figure


def distance(farms: Sequence[FarmReadings]) -> Figure:
    """Correlation by distance.

    Pairs of turbines of one farm: the wind itself, and its change from one sample to the next;
    pairs of farms.
    """
    figure, (axes,) = _figure()
    readings = _largest(farms)
    wind = readings.channels["wind_speed"]
    places = readings.farm.positions[list(readings.turbines)]
    if len(places) > 1 and wind.shape[1] > 3:
        far, found = statistics.pair_correlation(wind, places)
        axes.semilogx(
            far / 1000, found, ".", ms=2.5, color=BLUE, alpha=0.35, label="wind, turbine to turbine"
        )
        far, found = statistics.pair_correlation(np.diff(wind, axis=1), places)
        axes.semilogx(
            far / 1000,
            found,
            ".",
            ms=2.5,
            color=GREEN,
            alpha=0.35,
            label="its change from sample to sample, same pairs",
        )
    means = {r.farm.farm_id: _farm_mean(r) for r in farms}
    pairs = [
        (
            _kilometres(a, b),
            np.corrcoef(
                statistics.bridged(means[a.farm.farm_id]), statistics.bridged(means[b.farm.farm_id])
            )[0, 1],
        )
        for a, b in combinations(farms, 2)
    ]
    if pairs:
        axes.semilogx(
            *zip(*pairs, strict=True), "D", ms=5, color=VERMILLION, label="wind, farm to farm"
        )
    axes.axhline(0, color=INK, lw=0.6)
    axes.set_ylim(-0.5, 1.05)
    axes.set_xlabel("distance, km")
    axes.set_ylabel("correlation")
    axes.legend(frameon=False, fontsize=8)
    return figure


def _kilometres(a: FarmReadings, b: FarmReadings) -> float:
    """Great-circle distance of two farms."""
    lat, lon = (
        np.radians([a.farm.latitude, b.farm.latitude]),
        np.radians([a.farm.longitude, b.farm.longitude]),
    )
    cosine = np.sin(lat[0]) * np.sin(lat[1]) + np.cos(lat[0]) * np.cos(lat[1]) * np.cos(
        lon[0] - lon[1]
    )
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))) * METRES_PER_DEGREE / 1000)


def availability(farms: Sequence[FarmReadings]) -> Figure:
    """Share of the time in each operating state, by farm."""
    figure, (axes,) = _figure()
    names = [readings.farm.farm_id for readings in farms]
    left = np.zeros(len(farms))
    for state, (name, tone) in enumerate(zip(STATES, STATE_TONES, strict=True)):
        share = np.array([100 * np.mean(r.status[r.status >= 0] == state) for r in farms])
        axes.barh(names, share, left=left, color=tone, label=name, height=0.7)
        left += share
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of the time")
    axes.grid(axis="y", visible=False)
    figure.legend(loc="outside upper center", ncols=6, frameon=False, fontsize=8)
    return figure


def temperatures(farms: Sequence[FarmReadings]) -> Figure:
    """Temperatures by load: the mean and the middle 80 %."""
    names = {
        "generator_temperature": VERMILLION,
        "gearbox_temperature": BLUE,
        "temperature": GREEN,
        "ambient_temperature": "#9aa7b4",
    }
    types = _by_type(farms)
    figure, panels = _figure(len(types))
    edges = np.linspace(-0.05, 1.05, 23)
    for axes, group in zip(panels, types, strict=True):
        load = np.concatenate([readings.load.ravel() for readings in group])
        for name, tone in names.items():
            values = _all(group, name)
            middle, mean, _ = statistics.binned(load, values, edges)
            bands = [
                np.nanquantile(values[(load >= m - 0.025) & (load < m + 0.025)], (0.1, 0.9))
                for m in middle
            ]
            axes.plot(middle, mean, color=tone, lw=1.5, label=name.replace("_", " "))
            if bands:
                axes.fill_between(middle, *np.array(bands).T, color=tone, alpha=0.15, lw=0)
        axes.set_title(group[0].farm.turbine_type.name)
        axes.set_xlabel("power / rated")
    panels[0].set_ylabel("degC")
    panels[0].legend(frameon=False, fontsize=8)
    return figure


def wakes(farms: Sequence[FarmReadings]) -> Figure:
    """Mean wind at each turbine over the farm's, for wind from its most frequent sector (arrow)."""
    readings = _largest(farms)
    wind, direction = readings.channels["wind_speed"], readings.channels["wind_direction"]
    sector = 10.0
    share = statistics.rose(wind, direction, CLASSES, int(360 / sector)).sum(axis=1)
    toward = sector * float(np.argmax(share))
    radians = np.radians(np.where(np.isfinite(direction), direction, 0.0))
    heading = np.degrees(np.arctan2(np.sin(radians).mean(axis=0), np.cos(radians).mean(axis=0)))
    at = np.abs((heading - toward + 180) % 360 - 180) < sector
    at &= (_farm_mean(readings) > 5) & (_farm_mean(readings) < 12)
    figure, (axes,) = _figure()
    if at.any():
        mean = np.nanmean(wind[:, at], axis=1)
        east, north = readings.farm.positions[list(readings.turbines)].T / 1000
        shown = axes.scatter(
            east, north, c=100 * mean / np.nanmean(mean), cmap="RdYlBu", s=42, edgecolor=INK, lw=0.3
        )
        figure.colorbar(shown, ax=axes, label="% of the farm's mean wind", pad=0.01)
        away = np.radians(toward)
        arrow: Any = {"arrowstyle": "->", "color": INK, "lw": 1.8, "alpha": 0.35}
        reach = 0.42 * np.sin(away), 0.42 * np.cos(away)
        ends: Any = {
            "xy": (0.5 - reach[0], 0.5 - reach[1]),
            "xytext": (0.5 + reach[0], 0.5 + reach[1]),
        }
        axes.annotate(
            "", **ends, xycoords="axes fraction", textcoords="axes fraction", arrowprops=arrow
        )
        wind_from = f"wind from {toward:.0f} deg, {at.sum():,} samples at 5-12 m/s"
        title = f"Farm {readings.farm.farm_id}, {wind_from}"
        figure.suptitle(title, fontsize=10, fontweight="bold")
    axes.set_aspect("equal")
    axes.set_xlabel("east, km")
    axes.set_ylabel("north, km")
    return figure
