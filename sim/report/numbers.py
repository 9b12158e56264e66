"""Numbers and times as text, the same in every report: thousands separators, digits, units.

A figure that could not be determined is an en dash, never 0. Not covered: separators of other
languages.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

NOTHING: Final = "–"
_BINARY: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def count(value: int | float | None) -> str:
    """Format a number as a whole one: 1234567 -> 1,234,567"""
    return NOTHING if value is None else f"{value:,.0f}"


def decimal(value: int | float | None) -> str:
    """Format a number with three or more significant digits.

    Whole numbers have no decimals. There is no exponent down to a millionth.
    """
    if value is None:
        return NOTHING
    if isinstance(value, int) or abs(value) >= 1000 or float(value).is_integer():
        return f"{value:,.0f}"
    size = abs(value)
    digits = 1 if size >= 100 else 2 if size >= 10 else 3 if size >= 1 else 4 if size >= 0.01 else 6
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return text if float(text) != 0.0 else f"{value:.2g}"


def size(value: int | float | None) -> str:
    """Format bytes with a binary prefix: 1536 -> 1.5 KiB"""
    if value is None:
        return NOTHING
    scaled, step = float(value), 0
    while scaled >= 1024 and step < len(_BINARY) - 1:
        scaled, step = scaled / 1024, step + 1
    return f"{scaled:,.0f} B" if step == 0 else f"{scaled:,.1f} {_BINARY[step]}"


def duration(seconds: float | None) -> str:
    """Format seconds: 5.31 ms, 420 ms, 1.32 s, 12.3 s, 4 min 5 s, 3 h 20 min, 2 d 4 h"""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        ms = seconds * 1000
        return (
            "0 ms"
            if ms == 0
            else f"{ms:.0f} ms"
            if ms >= 100
            else f"{ms:.1f} ms"
            if ms >= 10
            else f"{ms:.2f} ms"
        )
    if seconds < 60:
        return f"{seconds:.{2 if seconds < 10 else 1}f}".rstrip("0").rstrip(".") + " s"
    whole = round(seconds)
    pairs = ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
    big, big_name, small, small_name = next(p for p in pairs if whole >= p[0])
    rest = whole % big // small
    return f"{whole // big:,} {big_name}" + (f" {rest} {small_name}" if rest else "")


def percent(part: int, whole: int) -> str:
    """Format a share. 100 % means all, and 0 % means none; nothing else is rounded to them."""
    if whole == 0:
        return NOTHING
    if part == whole:
        return "100 %"
    if part == 0:
        return "0 %"
    share = 100 * part / whole
    return f"{min(max(share, 0.01), 99.99):.2f} %"


def chance(chance_of: float) -> str:
    """Format a chance of 0..1 in percent; a chance below 1 % with two significant digits."""
    if 0.99 < chance_of < 1:
        return "more than 99 %"
    return f"{100 * chance_of:{'.0f' if chance_of >= 0.01 else '.2g'}} %"


def split(value: int | float | None, unit: str) -> tuple[str, str]:
    """Return number and unit of a figure as two texts: ("1.5", "GiB")."""
    if value is None:
        return NOTHING, ""
    if unit in ("bytes", "B"):
        number, _, prefix = size(value).partition(" ")
        return number, prefix
    if unit == "s":
        number, _, rest = duration(value).partition(" ")
        return (f"{number} {rest}", "") if " " in rest else (number, rest)
    if unit.startswith("USD"):
        return f"{value:,.2f}" if abs(value) >= 0.01 or value == 0 else "< 0.01", unit
    return decimal(value), unit


def figure(value: int | float | None, unit: str) -> str:
    """Return number and unit of a figure as one text."""
    return " ".join(part for part in split(value, unit) if part)


def in_table(value: int | float | None, unit: str) -> str:
    """Return a figure for a cell beside its name, without a unit that the name has (`per_s`)."""
    number, shown = split(value, unit)
    named = unit not in ("s", "bytes", "B") and not unit.startswith("USD")
    return number if named else f"{number} {shown}".strip()


def moment(iso: str | None) -> str:
    """Format an ISO time: 2024-01-15T00:00:00+00:00 -> 2024-01-15 00:00 UTC

    A text that is no ISO time is returned unchanged.
    """
    if iso is None:
        return NOTHING
    try:
        at = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return at.strftime("%Y-%m-%d %H:%M:%S UTC").replace(":00 UTC", " UTC")
