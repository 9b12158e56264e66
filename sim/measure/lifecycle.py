"""The effect of lifecycle rules on the objects of a bucket, and the price of keeping them.

`bill` prices objects that are kept for some days:

- storage by class, with its minimum size and overhead
- transitions
- stays that ended before the class's minimum
- monitoring, and reads if there are any

Ages count in days from the upload. Of two rules for the same day, the one to the colder class is
applied. S3 acts once a day, at midnight UTC, so real objects move up to a day later.

Not covered: tags, versions, and the requests that made the objects (`sim.measure.cost`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.records import BUCKET_PREFIX
from sim.arrays import Bools, Floats, Ints
from sim.measure.cost import REPLACED
from sim.measure.lifecycle_rules import ALL_128K, Rule, rules, smallest
from sim.measure.storage import CLASSES, GB, GOES_TO, MONTH_DAYS, SMALL, STANDARD
from sim.units import DAY_S

CURRENT: Final = "current objects"
OLD_VERSIONS: Final = "old versions"
UPLOADS: Final = "unfinished uploads"
YEAR_DAYS: Final = 365
SPANS_DAYS: Final = (YEAR_DAYS, 5 * YEAR_DAYS)
"""The spans over which `outlook` prices a day's objects."""

_NAMES: Final = tuple(CLASSES)


@dataclass(frozen=True)
class Objects:
    """Objects of one bucket.

    Key and size of each object (or of each group of equal objects), and their number per day.
    """

    keys: pa.Array
    sizes: Ints
    per_day: Floats


@dataclass(frozen=True)
class Moved:
    """One transition of a rule, and its effect on a day's objects.

    objects, bytes: those under its prefix. taken, taken_bytes: those it moves.
    smallest, largest: bounds of the sizes it moves, bytes, both inclusive. default: S3 sets the
    lower bound itself.
    """

    bucket: str
    rule: str
    days: int
    storage_class: str
    smallest: int
    largest: int | None
    default: bool
    objects: float
    bytes: float
    taken: float
    taken_bytes: float


@dataclass(frozen=True)
class Stored:
    """Objects that a day adds to a bucket, and their bytes."""

    bucket: str
    objects: float
    bytes: float


@dataclass(frozen=True)
class Removed:
    """One kind of removal after `days` days. `what` is CURRENT, OLD_VERSIONS or UPLOADS."""

    what: str
    days: int
    buckets: tuple[str, ...]


@dataclass(frozen=True)
class Bill:
    """USD over a span of days. `early`: the unused rest of a class's minimum stay."""

    storage: float = 0.0
    moves: float = 0.0
    early: float = 0.0
    monitoring: float = 0.0
    reads: float = 0.0

    @property
    def total(self) -> float:
        return self.storage + self.moves + self.early + self.monitoring + self.reads

    def __add__(self, other: Bill) -> Bill:
        return Bill(
            *(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True))
        )


@dataclass(frozen=True)
class Kept:
    """The price of keeping a day's objects for `days`: under the rules, and all in Standard."""

    days: int
    by_rules: Bill
    in_standard: Bill


@dataclass(frozen=True)
class Outlook:
    """The effect of all buckets' rules on the objects of a day."""

    stored: tuple[Stored, ...]
    moved: tuple[Moved, ...]
    removed: tuple[Removed, ...]
    kept: tuple[Kept, ...]

    def usd(self, days: int) -> float:
        """Return the price of keeping the day's objects for `days` under the rules."""
        return next(kept.by_rules.total for kept in self.kept if kept.days == days)


def _fits(rule: Rule, objects: Objects, least: int) -> Bools:
    """Return the objects under the rule's prefix, within its bounds, of `least` bytes or more."""
    mask = np.asarray(
        pc.starts_with(objects.keys, rule.prefix).to_numpy(zero_copy_only=False), bool
    )
    mask &= objects.sizes >= least
    if rule.below is not None:
        mask &= objects.sizes < rule.below
    return mask


def uploaded(operations: pa.Table, span_s: float) -> dict[str, Objects]:
    """Return, by bucket, the objects that a day of these operations adds.

    operations: rows of operations.parquet that served `span_s` seconds of fleet time. Checkpoints
    are left out, because each replaces its predecessor.
    """
    accepted = pc.and_(pc.equal(operations["kind"], "put"), pc.equal(operations["outcome"], "ok"))
    # Their order is that of wall time, and a sum of prices depends on it in the last digit.
    puts = operations.filter(accepted).sort_by([("key", "ascending"), ("bytes", "ascending")])
    found = {}
    for name in pc.unique(puts["bucket"]).to_pylist():
        bucket = name.removeprefix(BUCKET_PREFIX)
        if bucket == REPLACED:
            continue
        of_bucket = puts.filter(pc.equal(puts["bucket"], name))
        sizes = of_bucket["bytes"].to_numpy()
        found[bucket] = Objects(
            of_bucket["key"].combine_chunks(), sizes, np.full(len(sizes), DAY_S / span_s)
        )
    return dict(sorted(found.items()))


def bill(
    objects: Objects,
    of_bucket: Sequence[Rule],
    days: int,
    default: str = ALL_128K,
    reads_per_year: float = 0.0,
) -> Bill:
    """Price the objects of one bucket, kept for `days` under its rules.

    reads_per_year: reads of each object, spread evenly over its time.
    """
    klass = np.full(len(objects.sizes), _NAMES.index(STANDARD), np.int8)
    since = np.zeros(len(objects.sizes))
    alive = np.ones(len(objects.sizes), bool)
    total = Bill()

    def leave(which: Bools, day: int) -> Bill:
        """Price the stays that end now.

        The end of the span deletes nothing, so no stay ends early there.
        """
        found = Bill()
        for number in np.unique(klass[which]).tolist():
            mask = which & (klass == number)
            found += _stays(
                _NAMES[number],
                objects.sizes[mask],
                objects.per_day[mask],
                day - since[mask],
                day < days,
                reads_per_year,
            )
        return found

    for day, target, matches in _actions(of_bucket, objects, default):
        if day >= days:
            break
        mask = alive & matches
        if target is None:
            total += leave(mask, day)
            alive &= ~mask
            continue
        mask &= np.isin(klass, [n for n, name in enumerate(_NAMES) if target in GOES_TO[name]])
        total += leave(mask, day) + Bill(
            moves=float(objects.per_day[mask].sum()) * CLASSES[target].move_usd
        )
        klass[mask], since[mask] = _NAMES.index(target), day
    return total + leave(alive, days)


def _actions(
    of_bucket: Sequence[Rule], objects: Objects, default: str
) -> list[tuple[int, str | None, Bools]]:
    """Return the actions of the rules, in the order in which S3 applies them.

    Each is (age in days, class to move to or None to expire, the objects concerned).
    """
    found: list[tuple[int, str | None, Bools]] = []
    for rule in of_bucket:
        for day, target in rule.moves:
            found.append((day, target, _fits(rule, objects, smallest(rule, target, default))))
        if rule.expire_days is not None:  # the default minimum does not apply to expirations
            found.append(
                (
                    rule.expire_days,
                    None,
                    _fits(rule, objects, 0 if rule.above is None else rule.above + 1),
                )
            )
    coldest_first = [None, *reversed(_NAMES)]
    return sorted(found, key=lambda action: (action[0], coldest_first.index(action[1])))


def _stays(
    name: str, sizes: Ints, per_day: Floats, stayed: Floats, ended: bool, reads_per_year: float
) -> Bill:
    """Price stays of `stayed` days in one class.

    ended: the objects leave the class, so a minimum stay is billed to its end.
    """
    of = CLASSES[name]

    def usd(upto: Floats) -> Floats:
        months = np.zeros(len(sizes))
        for n, (begin, price) in enumerate(of.tiers):
            until = of.tiers[n + 1][0] if n + 1 < len(of.tiers) else np.inf
            spent = np.clip(upto, begin, until) - begin
            if len(of.tiers) > 1:  # small objects stay in the first tier
                spent = np.where(sizes >= SMALL, spent, upto if n == 0 else 0.0)
            months += price * spent / MONTH_DAYS
        billed = np.maximum(sizes, of.least_bytes) + of.own_overhead
        extra = of.standard_overhead * CLASSES[STANDARD].tiers[0][1] * upto / MONTH_DAYS
        cost: Floats = (billed * months + extra) / GB
        return cost

    storage, whole = usd(stayed), usd(np.maximum(stayed, of.least_stay_days))
    monitored = np.where(sizes >= SMALL, of.monitored_usd, 0.0) * stayed / MONTH_DAYS
    reads = reads_per_year * stayed / YEAR_DAYS * (of.read_usd + sizes / GB * of.read_gb_usd)
    return Bill(
        storage=float(storage @ per_day),
        early=float((whole - storage) @ per_day) if ended else 0.0,
        monitoring=float(monitored @ per_day),
        reads=float(reads @ per_day),
    )


def outlook(
    added: Mapping[str, Objects], configurations: Mapping[str, Iterable[Mapping[str, Any]]]
) -> Outlook:
    """Apply lifecycle configurations to a day's objects, both by bucket.

    Raises ValueError for a rule that is not modelled.
    """
    by_bucket = {bucket: rules(entries) for bucket, entries in configurations.items()}
    moved = [
        _moved(bucket, rule, days, target, added[bucket])
        for bucket, of_bucket in by_bucket.items()
        if bucket in added
        for rule in of_bucket
        for days, target in rule.moves
    ]
    kept = [
        Kept(
            days,
            sum(
                (
                    bill(objects, by_bucket.get(bucket, ()), days)
                    for bucket, objects in added.items()
                ),
                Bill(),
            ),
            sum((bill(objects, (), days) for objects in added.values()), Bill()),
        )
        for days in SPANS_DAYS
    ]
    stored = tuple(
        Stored(bucket, float(objects.per_day.sum()), float(objects.sizes @ objects.per_day))
        for bucket, objects in added.items()
    )
    return Outlook(stored, tuple(moved), _removed(by_bucket), tuple(kept))


def _moved(bucket: str, rule: Rule, days: int, target: str, objects: Objects) -> Moved:
    least = smallest(rule, target)
    under, taken = _fits(replace(rule, below=None), objects, 0), _fits(rule, objects, least)
    return Moved(
        bucket=bucket,
        rule=rule.name,
        days=days,
        storage_class=target,
        smallest=least,
        largest=None if rule.below is None else rule.below - 1,
        default=not rule.by_size,
        objects=float(objects.per_day[under].sum()),
        bytes=float(objects.sizes[under] @ objects.per_day[under]),
        taken=float(objects.per_day[taken].sum()),
        taken_bytes=float(objects.sizes[taken] @ objects.per_day[taken]),
    )


def _removed(by_bucket: Mapping[str, Sequence[Rule]]) -> tuple[Removed, ...]:
    """Return every removal of the rules. Buckets with the same removal are grouped."""
    found: dict[tuple[str, int], list[str]] = {}
    for bucket, of_bucket in by_bucket.items():
        for rule in of_bucket:
            for what, days in (
                (CURRENT, rule.expire_days),
                (OLD_VERSIONS, rule.old_version_days),
                (UPLOADS, rule.abort_upload_days),
            ):
                if days is not None:
                    found.setdefault((what, days), []).append(bucket)
    return tuple(Removed(what, days, tuple(buckets)) for (what, days), buckets in found.items())
