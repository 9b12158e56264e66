"""The lifecycle policies of a run or a plan in words: what they move, what stays and why, what they remove, and prices.

Shared by the terminal and the HTML report. Everything is modelled, and per day of the load.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sim.measure.lifecycle import CURRENT, OLD_VERSIONS, YEAR_DAYS, Bill, Moved, Outlook, Stored
from sim.report import numbers

_ONLY_VERSIONED: Final = ", in a bucket that keeps versions"


@dataclass(frozen=True)
class Row:
    """One transition. `stays`: why not everything under its prefix moves; empty when all of it does."""

    bucket: str
    rule: str
    age: str
    target: str
    takes: str
    objects: str
    mean: str
    moved: str
    stays: str


def rows(outlook: Outlook) -> list[Row]:
    """Every transition, in the order of the rules, and the buckets that have none behind them."""
    still = [
        stored
        for stored in outlook.stored
        if stored.bucket not in {moved.bucket for moved in outlook.moved}
    ]
    return [_row(moved) for moved in outlook.moved] + [_still(stored) for stored in still]


def _row(moved: Moved) -> Row:
    stays = "S3 moves none below 128 KB" if moved.default else "the rule takes other sizes"
    return Row(
        bucket=moved.bucket,
        rule=moved.rule,
        age=f"{moved.days:,} days",
        target=moved.storage_class,
        takes=_sizes(moved),
        objects=numbers.count(moved.objects),
        mean=_mean(moved.bytes, moved.objects),
        moved=f"{numbers.count(moved.taken)}, {numbers.size(moved.taken_bytes)}"
        if moved.taken
        else "none",
        stays="" if moved.taken == moved.objects else stays,
    )


def _still(stored: Stored) -> Row:
    return Row(
        bucket=stored.bucket,
        rule=numbers.NOTHING,
        age=numbers.NOTHING,
        target=numbers.NOTHING,
        takes=numbers.NOTHING,
        objects=numbers.count(stored.objects),
        mean=_mean(stored.bytes, stored.objects),
        moved="none",
        stays="no rule moves it",
    )


def summary(outlook: Outlook) -> list[tuple[str, str, str, str]]:
    """For each bucket: its name, objects a day, their mean size, and which of them the rules move."""
    return [
        (
            stored.bucket,
            numbers.count(stored.objects),
            _mean(stored.bytes, stored.objects),
            _moves(outlook, stored),
        )
        for stored in outlook.stored
    ]


def _moves(outlook: Outlook, stored: Stored) -> str:
    of_bucket = [moved for moved in outlook.moved if moved.bucket == stored.bucket]
    texts = [
        f"{numbers.count(moved.taken)} ({numbers.size(moved.taken_bytes)}) after {moved.days:,} days to "
        f"{moved.storage_class}"
        for moved in of_bucket
        if moved.taken
    ]
    if texts:
        return ", ".join(texts)
    least = min((moved.smallest for moved in of_bucket), default=None)
    return "none: no rule moves them" if least is None else f"none: rules take {_bound(least)} up"


def _mean(size: float, objects: float) -> str:
    return numbers.size(size / objects) if objects else numbers.NOTHING


def _sizes(moved: Moved) -> str:
    """The sizes that a transition takes: 128 KiB up, 128 KiB to 1 MiB."""
    low = _bound(moved.smallest)
    return f"{low} up" if moved.largest is None else f"{low} to {_bound(moved.largest + 1)}"


def _bound(size: int) -> str:
    return numbers.size(size).replace(".0 ", " ")


def removals(outlook: Outlook) -> list[str]:
    """The removals, one line each, behind a line that says when no current object is among them."""
    expiring = any(removed.what == CURRENT for removed in outlook.removed)
    lines = [] if expiring else ["no object of the lake expires"]
    for removed in outlook.removed:
        only = _ONLY_VERSIONED if removed.what == OLD_VERSIONS else ""
        days = f"{removed.days:,} day{'s' * (removed.days != 1)}"
        lines.append(f"{removed.what} after {days}{only}: {', '.join(removed.buckets)}")
    return lines


def prices(outlook: Outlook) -> list[str]:
    """The price of keeping a day's objects, a line for each span, beside the same all in Standard."""
    return [
        f"a day's data kept {_years(kept.days)} {numbers.figure(kept.by_rules.total, 'USD')}{_parts(kept.by_rules)}, "
        f"without policies {numbers.figure(kept.in_standard.total, 'USD')}"
        for kept in outlook.kept
    ]


def _years(days: int) -> str:
    years = days // YEAR_DAYS
    return "a year" if years == 1 else f"{years} years"


def _parts(bill: Bill) -> str:
    named = (
        ("transitions", bill.moves),
        ("early ends", bill.early),
        ("monitoring", bill.monitoring),
    )
    parts = [f"{name} {numbers.figure(usd, 'USD')}" for name, usd in named if usd]
    return f" (of it {', '.join(parts)})" if parts else ""
