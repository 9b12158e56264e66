"""Wind statistics as numbers: distribution, spectrum, memory, correlation by distance.

Arrays may hold NaN where nothing was read. For spectrum and memory, which need whole series, gaps
are interpolated linearly.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from sim.arrays import Floats

_BANDS: Final = 40
_PAIRS: Final = 4000


def weibull(speeds: Floats) -> tuple[float, float]:
    """(k, scale m/s) of the Weibull distribution of the speeds.

    Method of Justus et al. 1978: k = (std / mean)^-1.086, scale = mean / Gamma(1 + 1/k).
    """
    known = speeds[np.isfinite(speeds)]
    mean, deviation = float(known.mean()), float(known.std())
    k = (deviation / mean) ** -1.086 if deviation > 0 else float("inf")
    return k, mean / math.gamma(1.0 + 1.0 / k)


def rose(speed: Floats, direction: Floats, edges: Floats, sectors: int = 16) -> Floats:
    """Share of the time by sector and speed class, (sectors, len(edges) - 1).

    Sector 0 is centred on north.
    """
    known = np.isfinite(speed) & np.isfinite(direction)
    width = 360.0 / sectors
    sector = (np.floor((direction[known] + width / 2) / width) % sectors).astype(int)
    band = np.clip(np.searchsorted(edges, speed[known], side="right") - 1, 0, len(edges) - 2)
    counts = np.bincount(sector * (len(edges) - 1) + band, minlength=sectors * (len(edges) - 1))
    shares: Floats = counts.reshape(sectors, -1) / max(1, counts.sum())
    return shares


def bridged(series: Floats) -> Floats:
    """The series with gaps filled linearly, NaN if nothing is known."""
    known = np.flatnonzero(np.isfinite(series))
    if len(known) == 0:
        return series
    filled: Floats = np.interp(np.arange(len(series)), known, series[known])
    return filled


def spectrum(series: Floats, step_s: float) -> tuple[Floats, Floats]:
    """(frequency Hz, frequency x power spectral density, units squared).

    Hann periodogram, averaged over log bands.
    """
    values = bridged(series)
    values = (values - values.mean()) * np.hanning(len(values))
    density = np.abs(np.fft.rfft(values)) ** 2 * 2 * step_s / np.sum(np.hanning(len(values)) ** 2)
    frequency = np.fft.rfftfreq(len(values), step_s)[1:]
    edges = np.geomspace(frequency[0], frequency[-1] * 1.001, _BANDS + 1)
    band = np.clip(np.searchsorted(edges, frequency, side="right") - 1, 0, _BANDS - 1)
    count = np.bincount(band, minlength=_BANDS)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(band, weights=density[1:] * frequency, minlength=_BANDS) / count
        middle = np.bincount(band, weights=frequency, minlength=_BANDS) / count
    return middle[count > 0], mean[count > 0]


def autocorrelation(series: Floats, lags: int) -> Floats:
    """Correlation of a series with itself at lags 0..lags-1 samples, by FFT.

    It is the biased estimate, which falls to 0 at long lags.
    """
    values = bridged(series)
    values = values - values.mean()
    padded = np.fft.rfft(values, 2 * len(values))
    covariance = np.fft.irfft(np.abs(padded) ** 2)[: min(lags, len(values))]
    result: Floats = covariance / covariance[0] if covariance[0] > 0 else covariance
    return result


def pair_correlation(series: Floats, positions: Floats) -> tuple[Floats, Floats]:
    """(distance m, correlation) of pairs of rows, 4,000 at most, taken evenly from all.

    `series` (places, samples), `positions` (places, 2) in metres.
    """
    first, second = np.triu_indices(len(series), 1)
    take = (
        np.linspace(0, len(first) - 1, min(_PAIRS, len(first))).astype(int)
        if len(first)
        else np.zeros(0, dtype=int)
    )
    first, second = first[take], second[take]
    whole = np.array([bridged(row) for row in series])
    centred = whole - whole.mean(axis=1, keepdims=True)
    scale = np.sqrt((centred**2).mean(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.array(
            [(centred[i] * centred[j]).mean() for i, j in zip(first, second, strict=True)]
        )
        found /= scale[first] * scale[second]
    return np.hypot(*(positions[first] - positions[second]).T), found


def binned(x: Floats, y: Floats, edges: Floats) -> tuple[Floats, Floats, Floats]:
    """(middle, mean, standard deviation) of y in bins of x: method of bins of IEC 61400-12-1.

    Bins with fewer than three values are left out.
    """
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    bin_ = np.searchsorted(edges, x, side="right") - 1
    inside = (bin_ >= 0) & (bin_ < len(edges) - 1)
    count = np.bincount(bin_[inside], minlength=len(edges) - 1)
    total = np.bincount(bin_[inside], weights=y[inside], minlength=len(edges) - 1)
    square = np.bincount(bin_[inside], weights=y[inside] ** 2, minlength=len(edges) - 1)
    enough = count >= 3
    mean = total[enough] / count[enough]
    deviation = np.sqrt(np.maximum(square[enough] / count[enough] - mean**2, 0.0))
    middle = (edges[:-1] + edges[1:])[enough] / 2
    return middle, mean, deviation
