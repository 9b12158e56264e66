"""The lifecycle policies of a run or a plan in words: transitions, removals, prices.

Shared by the terminal and the HTML report. Everything is modelled, per day of the load.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sim.measure.lifecycle import CURRENT, OLD_VERSIONS, YEAR_DAYS, Bill, Moved, Outlook, Stored
from sim.report import numbers

_ONLY_VERSIONED: Final = ", in a bucket that keeps versions"


@dataclass(frozen=True)
class Row:
    """One transition.

    takes: sizes of the objects that it moves. moved: their number and bytes per day.
    stays: the reason why other objects under its prefix do not move; empty if all move.
    """

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
    """Return a row per transition, in the order of the rules, then one per bucket without any."""
    unmoved = [
        stored
        for stored in outlook.stored
        if stored.bucket not in {moved.bucket for moved in outlook.moved}
    ]
    return [_row(moved) for moved in outlook.moved] + [_unmoved(stored) for stored in unmoved]


def _row(moved: Moved) -> Row:
    stays = "S3 moves none below 128 KB" if moved.default else "outside the rule's sizes"
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


def _unmoved(stored: Stored) -> Row:
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
    """Return for each bucket: name, objects per day, their mean size, and the objects that move."""
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
        f"{numbers.count(moved.taken)} ({numbers.size(moved.taken_bytes)}) "
        f"after {moved.days:,} days to {moved.storage_class}"
        for moved in of_bucket
        if moved.taken
    ]
    if texts:
        return ", ".join(texts)
    least = min((moved.smallest for moved in of_bucket), default=None)
    return "none: no rule moves them" if least is None else f"none: rules start at {_bound(least)}"


def _mean(size: float, objects: float) -> str:
    return numbers.size(size / objects) if objects else numbers.NOTHING


def _sizes(moved: Moved) -> str:
    """Return the sizes that a transition moves: `from 128 KiB`, `128 KiB to 1 MiB`."""
    low = _bound(moved.smallest)
    return f"from {low}" if moved.largest is None else f"{low} to {_bound(moved.largest + 1)}"


def _bound(size: int) -> str:
    return numbers.size(size).replace(".0 ", " ")


def removals(outlook: Outlook) -> list[str]:
    """Return the removals, one line each.

    If no current object expires, the first line says so.
    """
    expiring = any(removed.what == CURRENT for removed in outlook.removed)
    lines = [] if expiring else ["no object of the lake expires"]
    for removed in outlook.removed:
        only = _ONLY_VERSIONED if removed.what == OLD_VERSIONS else ""
        days = f"{removed.days:,} day{'s' * (removed.days != 1)}"
        lines.append(f"{removed.what} after {days}{only}: {', '.join(removed.buckets)}")
    return lines


def prices(outlook: Outlook) -> list[str]:
    """Return a line per span: the price of keeping a day's objects, with and without policies."""
    return [
        f"a day's data, kept for {_years(kept.days)}, costs "
        f"{numbers.figure(kept.by_rules.total, 'USD')}{_parts(kept.by_rules)}, "
        f"and {numbers.figure(kept.in_standard.total, 'USD')} without policies"
        for kept in outlook.kept
    ]


def _years(days: int) -> str:
    years = days // YEAR_DAYS
    return "a year" if years == 1 else f"{years} years"


def _parts(bill: Bill) -> str:
    named = (
        ("transitions", bill.moves),
        ("minimum stays", bill.early),
        ("monitoring", bill.monitoring),
    )
    parts = [f"{name} {numbers.figure(usd, 'USD')}" for name, usd in named if usd]
    return f" (including {', '.join(parts)})" if parts else ""
