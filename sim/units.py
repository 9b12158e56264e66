"""Quantities as people write them: durations, rates, sizes, instants.

Examples: `1h30m`, `3/1000 per turbine-day`, `10 Mbit/s`, `2024-01-15T00:00:00Z`, `2 GB`. Each
quantity has a `parse_*` function (text in; ValueError that names the fix), and a regular expression
with the same rule for editors, through the JSON Schema. Units are never guessed: a quantity that
has a unit must be written with it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Final, NamedTuple

SECOND_US: Final = 1_000_000
HOUR_US: Final = 3_600 * SECOND_US
DAY_US: Final = 86_400 * SECOND_US
MINUTE_S: Final = 60.0
HOUR_S: Final = 3_600.0
DAY_S: Final = 86_400.0
JULIAN_YEAR_S: Final = 365.25 * DAY_S
"""The year of rates: events per turbine-year."""
GREGORIAN_YEAR_S: Final = 365.2425 * DAY_S
"""The year of the seasons.

The bytes of a lake depend on both years, so neither may be changed to the other.
"""

_DURATION_US: Final = {
    "d": DAY_US,
    "h": HOUR_US,
    "m": 60 * SECOND_US,
    "s": SECOND_US,
    "ms": 1_000,
    "us": 1,
}
_NUMBER: Final = r"(?:[0-9][0-9_]*(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?"
_STEP: Final = r"[0-9]+(?:\.[0-9]+)?"

DURATION_PATTERN: Final = (
    rf"^(?=[0-9])(?:{_STEP}d)?(?:{_STEP}h)?(?:{_STEP}m)?(?:{_STEP}s)?(?:{_STEP}ms)?(?:{_STEP}us)?$"
)
OFFSET_PATTERN: Final = DURATION_PATTERN.replace("^(?=[0-9])", "^[+-]?(?=[0-9])")
COUNT_PATTERN: Final = r"^[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE]\+?[0-9]{1,2})?$"
SIGNED_PATTERN: Final = r"^-?[0-9]+(?:\.[0-9]+)?$"
RATE_PATTERN: Final = (
    r"^[0-9][0-9_]*(?:\.[0-9]+)?(?:\s*/\s*[0-9][0-9_]*(?:\.[0-9]+)?|\s*%)?"
    r"\s+per\s+(?:turbine|farm)-(?:hour|day|week|month|year)$"
)
SHARE_PATTERN: Final = r"^[0-9]+(?:\.[0-9]+)?(?:\s*/\s*[0-9]+(?:\.[0-9]+)?|\s*%)?$"
PER_SECOND_PATTERN: Final = r"^[0-9][0-9_]*(?:\.[0-9]+)?\s*/\s*(?:s|min|h)$"
SIZE_PATTERN: Final = r"^[0-9][0-9_]*(?:\.[0-9]+)?\s*(?:B|[kMGT]B|[KMG]iB)$"
NUMBER_PATTERN: Final = r"^[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?$"
BIT_RATE_PATTERN: Final = r"^[0-9]+(?:\.[0-9]+)?\s*(?:bit|kbit|Mbit|Gbit)/s$"
_DATE: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME_OF_DAY: Final = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
INSTANT_PATTERN: Final = rf"^{_DATE}[Tt ]{_TIME_OF_DAY}(?:[Zz]|[+-][0-9]{{2}}:[0-9]{{2}})$"

_PER_DAY: Final = {
    "hour": Fraction(24),
    "day": Fraction(1),
    "week": Fraction(1, 7),
    "month": Fraction(1, 30),
    "year": Fraction(100, 36525),
}
_PER: Final = {"s": 1, "min": 60, "h": 3_600}
_BIT: Final = {"bit": 1, "kbit": 10**3, "Mbit": 10**6, "Gbit": 10**9}
BYTES: Final = {
    "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
}  # fmt: skip


def parse_number(text: str) -> Fraction:
    """Parse a plain number, `1e6` and `1_000` included.

    It must be less than 1e100, which no quantity reaches.
    """
    if not re.fullmatch(_NUMBER, text.strip()):
        raise ValueError(f"'{text}' is not a number")
    if (value := Fraction(text.strip().replace("_", ""))) >= 10**100:
        raise ValueError(f"'{text}' is too large; no quantity reaches 1e100")
    return value


def parse_signed(text: str) -> float:
    """Parse a plain number, which may be below 0: `27`, `-4.5`."""
    if not re.match(SIGNED_PATTERN, text):
        raise ValueError(f"'{text}' is not a number; write for example 27 or -4.5")
    return float(text)


def parse_count(text: str) -> int:
    """Parse a whole number of 0 or more; `1e6` is a million."""
    if not re.fullmatch(COUNT_PATTERN, text) or (value := parse_number(text)).denominator != 1:
        raise ValueError(f"'{text}' is not a whole number; write for example 7")
    return int(value)


def parse_duration(text: str) -> int:
    """Parse a length of time; return microseconds: `90s`, `15m`, `1h30m`, `500ms`, `2d`."""
    example = "write for example 90s, 15m, 1h30m or 2d"
    if re.fullmatch(_STEP, text):
        raise ValueError(f"'{text}' has no unit; write {text}s, {text}m or {text}h")
    if text.startswith("-") and re.match(DURATION_PATTERN, text[1:]):
        raise ValueError(f"'{text}' is negative; a length of time counts from 0")
    if not re.match(DURATION_PATTERN, text):
        units = set(re.findall(r"[A-Za-zµ]+", text)) - set(_DURATION_US)
        if re.fullmatch(rf"(?:{_STEP}\s*[A-Za-zµ]+\s*)+", text) and units:
            raise ValueError(
                f"'{text}' has the unknown unit '{min(units)}'; the units are d, h, m, s, ms and us"
            )
        raise ValueError(f"'{text}' is not a length of time; {example}")
    total = sum(
        Fraction(n) * _DURATION_US[unit]
        for n, unit in re.findall(rf"({_STEP})(us|ms|s|m|h|d)", text)
    )
    if total != int(total):
        raise ValueError(f"'{text}' is finer than a microsecond")
    if total >= 36_525 * DAY_US:
        raise ValueError(f"'{text}' is longer than a century")
    return int(total)


def parse_offset(text: str) -> int:
    """Parse a length of time other than 0, with a sign; return microseconds: `-1h`, `+90s`.

    No sign means plus.
    """
    us = parse_duration(text[1:] if text[:1] in ("-", "+") else text)
    if us == 0:
        raise ValueError(f"'{text}' is zero, which changes nothing; write for example -1h or 90s")
    return -us if text.startswith("-") else us


def format_duration(us: int) -> str:
    """Return the shortest text of a duration. `parse_duration` reads it back."""
    parts = []
    for unit, size in _DURATION_US.items():
        count, us = divmod(us, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


class Rate(NamedTuple):
    """Events per day of one turbine, or of one whole farm.

    An event of a farm hits all its turbines at once.
    """

    per_day: float
    whole_farm: bool


def parse_rate(text: str) -> Rate:
    """Parse a rate: `3/1000 per turbine-day`, `2 per turbine-year`, `1 per farm-month`.

    A month has 30 days.
    """
    example = (
        "write for example '3/1000 per turbine-day', '2 per turbine-year' or '1 per farm-month'"
    )
    if text.startswith("-"):
        raise ValueError(f"'{text}' is negative; a rate counts from 0")
    if not re.match(RATE_PATTERN, text):
        if parts := re.fullmatch(r"(.*?)\s*per\s+(\S+)", text):
            ratio, unit = parts.groups()
            known = unit in {f"{of}-{name}" for of in ("turbine", "farm") for name in _PER_DAY}
            fault = (
                f"'{ratio}' is not a plain number, ratio or percentage"
                if known
                else f"'{unit}' is not a unit of a rate"
            )
            raise ValueError(f"'{text}': {fault}; {example}")
        raise ValueError(f"'{text}' is not a rate; {example}")
    ratio, of, unit_name = re.split(r"\s+per\s+(turbine|farm)-", text)
    if ratio.endswith("%"):
        value = parse_number(ratio[:-1]) / 100
    else:
        top, _, bottom = ratio.partition("/")
        below = parse_number(bottom) if bottom else Fraction(1)
        if below == 0:
            raise ValueError(f"'{text}' divides by zero; {example}")
        value = parse_number(top) / below
    return Rate(float(value * _PER_DAY[unit_name]), of == "farm")


def parse_share(text: str) -> float:
    """Parse a part of a whole, more than 0 and at most 1: `5/100`, `5%`, `0.05`."""
    example = "write for example 5/100 or 5%"
    if not re.match(SHARE_PATTERN, text):
        raise ValueError(f"'{text}' is not a share; {example}")
    top, _, bottom = text.rstrip("% ").partition("/")
    below = parse_number(bottom) if bottom else Fraction(100 if text.endswith("%") else 1)
    if below == 0:
        raise ValueError(f"'{text}' divides by zero; {example}")
    if (share := parse_number(top) / below) == 0:
        raise ValueError(f"'{text}' is nothing; {example}")
    if share > 1:
        meant = f"did you mean {text}%?" if text == top and share <= 100 else example
        raise ValueError(f"'{text}' is {float(100 * share):,.10g} %, more than all; {meant}")
    return float(share)


def parse_bit_rate(text: str) -> float:
    """Parse a bit rate; return bits per second: `10 Mbit/s`, `256 kbit/s`."""
    if not (match := re.fullmatch(rf"({_STEP})\s*(\w+)/s", text)) or match[2] not in _BIT:
        hint = (
            " (bytes are written MB/s; an uplink is measured in bits)"
            if re.search(r"[kMG]?B/s$", text)
            else ""
        )
        raise ValueError(
            f"'{text}' is not a bit rate{hint}; write for example 10 Mbit/s or 256 kbit/s"
        )
    return float(parse_number(match[1]) * _BIT[match[2]])


def parse_per_second(text: str) -> float:
    """Parse a rate of requests; return events per second, above 0: `20/s`, `900/min`, `1.5/s`."""
    example = "write for example 20/s or 900/min"
    if re.fullmatch(_NUMBER, text):
        raise ValueError(f"'{text}' has no unit; write {text}/s")
    if text.startswith("-") and re.match(PER_SECOND_PATTERN, text[1:]):
        raise ValueError(f"'{text}' is negative; a rate counts from 0")
    if not re.match(PER_SECOND_PATTERN, text):
        raise ValueError(f"'{text}' is not a rate of requests; {example}")
    number, unit = (part.strip() for part in text.split("/"))
    if (rate := parse_number(number) / _PER[unit]) == 0:
        raise ValueError(f"'{text}' asks for nothing; {example}")
    return float(rate)


def parse_size(text: str) -> int:
    """Parse a size; return bytes: `4 GB`, `512 MiB`."""
    if not (match := re.fullmatch(r"([0-9._]+)\s*([A-Za-z]+)", text)) or match[2] not in BYTES:
        raise ValueError(f"'{text}' is not a size; write for example 4 GB or 512 MiB")
    return int(parse_number(match[1]) * BYTES[match[2]])


def parse_instant(text: str) -> datetime:
    """Parse a point in time; return it in UTC. The text must name its zone."""
    example = "write for example 2024-01-15T00:00:00Z"
    if re.fullmatch(_DATE, text):
        raise ValueError(f"'{text}' has no time of day and no zone; write {text}T00:00:00Z")
    if re.fullmatch(rf"{_DATE}[Tt ]{_TIME_OF_DAY}", text):
        raise ValueError(f"'{text}' has no time zone; write {text}Z for UTC")
    if not re.match(INSTANT_PATTERN, text):
        raise ValueError(f"'{text}' is not a point in time; {example}")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"'{text}' is not a point in time ({error}); {example}") from None


def instant_us(instant: datetime) -> int:
    """Return microseconds since 1970."""
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
