"""Drawings of the realism page that are no charts over an axis: rose, bars of states, map of wakes.

They are SVG or HTML in the colours of the page; each part names its numbers on hover.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from markupsafe import Markup

from pipeline.records import STATES
from sim.arrays import Floats

_COMPASS: Final = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")
_RADIUS: Final = 130.0
_MIDDLE: Final = 160.0


def rose(share: Floats, classes: Floats) -> Markup:
    """Return a wind rose: wedges by sector, rings by class of speed. share: (sectors, classes)."""
    sectors, bands = share.shape
    most = float(share.sum(axis=1).max()) or 1.0
    wedges = []
    for sector in range(sectors):
        inner = 0.0
        for band in range(bands):
            outer = inner + float(share[sector, band])
            if outer > inner:
                text = (
                    f"{360 * sector / sectors:.0f}°, {_speeds(classes, band)}: "
                    f"{100 * (outer - inner):.1f} % of the time"
                )
                path = _wedge(sector, sectors, _RADIUS * inner / most, _RADIUS * outer / most)
                wedges.append(
                    Markup('<path d="{}" fill-opacity="{:.2f}"><title>{}</title></path>').format(
                        path, 0.18 + 0.82 * band / (bands - 1), text
                    )
                )
            inner = outer
    rings = [
        Markup('<circle cx="160" cy="160" r="{:.1f}"/>').format(_RADIUS * part) for part in (0.5, 1)
    ]
    labels = [
        Markup('<text x="{:.0f}" y="{:.0f}">{}</text>').format(*_at(number, 8, 146.0), name)
        for number, name in enumerate(_COMPASS)
    ]
    legend = [
        Markup('<li><i style="--paint:var(--data);opacity:{:.2f}"></i>{}</li>').format(
            0.18 + 0.82 * band / (bands - 1), _speeds(classes, band)
        )
        for band in range(bands)
    ]
    return Markup(
        '<svg class="rose" viewBox="0 0 320 320" role="img" aria-label="Wind rose">'
        '<g class="rings">{}</g><g class="wedges">{}</g>{}</svg>'
        '<p class="lead">Rings: {:.1f} and {:.1f} % of the time.</p><ul class="legend">{}</ul>'
    ).format(
        Markup().join(rings),
        Markup().join(wedges),
        Markup().join(labels),
        50 * most,
        100 * most,
        Markup().join(legend),
    )


def _speeds(classes: Floats, band: int) -> str:
    if band == len(classes) - 2:
        return f"over {classes[band]:.0f} m/s"
    return f"{classes[band]:.0f} to {classes[band + 1]:.0f} m/s"


def _at(place: float, places: int, radius: float) -> tuple[float, float]:
    angle = 2 * np.pi * place / places
    return _MIDDLE + radius * float(np.sin(angle)), _MIDDLE - radius * float(np.cos(angle))


def _wedge(sector: int, sectors: int, inner: float, outer: float) -> str:
    low, high = sector - 0.42, sector + 0.42
    corners = (
        *(_at(low, sectors, inner), _at(low, sectors, outer)),
        *(_at(high, sectors, outer), _at(high, sectors, inner)),
    )
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = corners
    return (
        f"M{ax:.1f} {ay:.1f}L{bx:.1f} {by:.1f}A{outer:.1f} {outer:.1f} 0 0 1 {cx:.1f} {cy:.1f}"
        f"L{dx:.1f} {dy:.1f}A{inner:.1f} {inner:.1f} 0 0 0 {ax:.1f} {ay:.1f}Z"
    )


def states(farms: Sequence[tuple[str, Sequence[float]]]) -> Markup:
    """Return a bar of operating states per farm. farms: (name, percent by state)."""
    rows = [
        Markup('<b>{}</b><div class="phasebar">{}</div>').format(
            name,
            Markup().join(
                Markup('<i style="flex:{:.3f} 1 0;--paint:var(--{})" title="{}">{}</i>').format(
                    share, state, f"{state}: {share:.1f} %", f"{share:.0f} %" if share > 8 else ""
                )
                for state, share in zip(STATES, shares, strict=True)
                if share > 0
            ),
        )
        for name, shares in farms
    ]
    legend = [
        Markup('<li><i style="--paint:var(--{})"></i>{}</li>').format(state, state)
        for state in STATES
    ]
    return Markup('<ul class="legend">{}</ul><div class="states">{}</div>').format(
        Markup().join(legend), Markup().join(rows)
    )


def wake_map(places: Floats, share: Floats, names: Sequence[str], toward: float) -> Markup:
    """Return a map of turbines, coloured by their share of the mean wind, with the wind's arrow.

    places: (n, 2) metres east and north. share: percent. toward: degrees the wind comes from.
    """
    low, high = places.min(axis=0), places.max(axis=0)
    size = float(max(*(high - low), 1.0))
    at = 30 + 260 * (places - (low + high) / 2 + size / 2) / size
    reach = float(np.abs(share - 100).max()) or 1.0
    dots = [
        Markup(
            '<circle cx="{:.1f}" cy="{:.1f}" r="7" fill="var(--{})" fill-opacity="{:.2f}">'
            "<title>{}</title></circle>"
        ).format(
            x,
            320 - y,
            "data" if value >= 100 else "fault",
            0.12 + 0.88 * abs(value - 100) / reach,
            f"{name}: {value:.1f} % of the farm's mean wind",
        )
        for (x, y), value, name in zip(at, share.tolist(), names, strict=True)
    ]
    tail, tip = _at(toward, 360, 198.0), _at(toward, 360, 154.0)
    arrow = Markup(
        '<path class="arrow" marker-end="url(#arrow)" d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>'
    ).format(*tail, *tip)
    marker = Markup(
        '<defs><marker id="arrow" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="5" '
        'markerHeight="5" orient="auto"><path d="M0 0L10 5L0 10z"/></marker></defs>'
    )
    legend = Markup(
        '<ul class="legend"><li><i class="round" style="--paint:var(--data)"></i>up to {:.1f} % '
        'more wind than the mean</li><li><i class="round" style="--paint:var(--fault)"></i>up to '
        "{:.1f} % less</li></ul>"
    ).format(float(share.max()) - 100, 100 - float(share.min()))
    return (
        Markup('<svg class="wakes" viewBox="-45 -45 410 410" role="img" aria-label="Map of wakes">')
        + marker
        + Markup().join(dots)
        + arrow
        + Markup("</svg>")
        + legend
    )
