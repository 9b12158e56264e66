"""The lifecycle rules of a bucket, evaluated as Amazon S3 does: what they move and remove, and what keeping costs.

A rule takes the objects under its prefix, within its own bounds of size. A transition of a rule without such bounds
passes over objects below 128 KB: all of them, or (a bucket configured `varies_by_storage_class`) those that would not
go to Glacier or Deep Archive. A filter by size takes precedence over either (S3 API, PutBucketLifecycleConfiguration,
TransitionDefaultMinimumObjectSize; the default since September 2024 is `all_storage_classes_128K`).

`bill` keeps objects for some days: storage by class with its least size and overhead, transitions, stays that ended
early, monitoring, and reads if there are any. Ages count from the upload, day by day; of two rules for one day the one
to the colder class wins. S3 acts once a day, at midnight UTC, so that real objects move up to a day later.

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
from sim.measure.storage import ARCHIVES, CLASSES, GB, GOES_TO, MONTH_DAYS, SMALL, STANDARD
from sim.units import DAY_S

ALL_128K: Final = "all_storage_classes_128K"
VARIES: Final = "varies_by_storage_class"
CURRENT: Final = "current objects"
OLD_VERSIONS: Final = "old versions"
UPLOADS: Final = "unfinished uploads"
YEAR_DAYS: Final = 365
SPANS_DAYS: Final = (YEAR_DAYS, 5 * YEAR_DAYS)
"""The spans over which `outlook` prices a day's objects."""

_NAMES: Final = tuple(CLASSES)


@dataclass(frozen=True)
class Rule:
    """One enabled rule. `above` and `below` bound the size, both exclusive; `moves`: (days, storage class), by age."""

    name: str
    prefix: str = ""
    above: int | None = None
    below: int | None = None
    moves: tuple[tuple[int, str], ...] = ()
    expire_days: int | None = None
    old_version_days: int | None = None
    abort_upload_days: int | None = None

    @property
    def by_size(self) -> bool:
        """Filters by size: the bucket's default minimum says nothing."""
        return self.above is not None or self.below is not None


@dataclass(frozen=True)
class Objects:
    """Objects of one bucket: key and size of each (or of each kind), and how many there are a day."""

    keys: pa.Array
    sizes: Ints
    per_day: Floats


@dataclass(frozen=True)
class Moved:
    """One transition of a rule, and what it makes of a day's objects: `objects` under its prefix, `taken` moved.

    The transition takes sizes of `smallest` bytes and more, up to `largest`; `default`: S3 sets that bound itself.
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
    """The objects that a day brings to a bucket, and their bytes."""

    bucket: str
    objects: float
    bytes: float


@dataclass(frozen=True)
class Removed:
    """One kind of removal after so many days, `what` being CURRENT, OLD_VERSIONS or UPLOADS."""

    what: str
    days: int
    buckets: tuple[str, ...]


@dataclass(frozen=True)
class Bill:
    """USD over a span of days. `early`: the rest of stays that ended before the class's least."""

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
    """A day's objects kept for `days`: by the rules, and all in Standard."""

    days: int
    by_rules: Bill
    in_standard: Bill


@dataclass(frozen=True)
class Outlook:
    """The effect of all buckets' rules on a day of a load."""

    stored: tuple[Stored, ...]
    moved: tuple[Moved, ...]
    removed: tuple[Removed, ...]
    kept: tuple[Kept, ...]

    def usd(self, days: int) -> float:
        """The price of keeping the day's objects so long, by the rules."""
        return next(kept.by_rules.total for kept in self.kept if kept.days == days)


def rules(configuration: Iterable[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """The enabled rules of a lifecycle configuration, as boto3 spells it. Raises ValueError on a filter by tag."""
    return tuple(_rule(entry) for entry in configuration if entry["Status"] == "Enabled")


def _rule(entry: Mapping[str, Any]) -> Rule:
    bounds = entry.get("Filter", {})
    bounds = bounds.get("And", bounds)
    if unknown := set(bounds) - {"Prefix", "ObjectSizeGreaterThan", "ObjectSizeLessThan"}:
        raise ValueError(
            f"lifecycle rule {entry['ID']}: a filter by {', '.join(sorted(unknown))} is not modelled"
        )
    moves = tuple(
        sorted((move["Days"], move["StorageClass"]) for move in entry.get("Transitions", ()))
    )
    for days, target in moves:
        if days < CLASSES[target].least_age_days:
            raise ValueError(
                f"lifecycle rule {entry['ID']}: S3 takes no object to {target} after {days} days"
            )
    return Rule(
        name=entry["ID"],
        prefix=bounds.get("Prefix", ""),
        above=bounds.get("ObjectSizeGreaterThan"),
        below=bounds.get("ObjectSizeLessThan"),
        moves=moves,
        expire_days=entry.get("Expiration", {}).get("Days"),
        old_version_days=entry.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays"),
        abort_upload_days=entry.get("AbortIncompleteMultipartUpload", {}).get(
            "DaysAfterInitiation"
        ),
    )


def smallest(rule: Rule, storage_class: str, default: str = ALL_128K) -> int:
    """The least size in bytes that a transition of the rule moves."""
    if rule.by_size:
        return 0 if rule.above is None else rule.above + 1
    return 0 if default == VARIES and storage_class in ARCHIVES else SMALL


def _fits(rule: Rule, held: Objects, least: int) -> Bools:
    """The objects under the rule's prefix, within its bounds, of `least` bytes or more."""
    mask = np.asarray(pc.starts_with(held.keys, rule.prefix).to_numpy(zero_copy_only=False), bool)
    mask &= held.sizes >= least
    if rule.below is not None:
        mask &= held.sizes < rule.below
    return mask


def uploaded(operations: pa.Table, span_s: float) -> dict[str, Objects]:
    """By bucket of `operations` that served `span_s` seconds of fleet time: the objects it keeps of a day of them.

    Checkpoints are left out: each takes its predecessor's place.
    """
    accepted = pc.and_(pc.equal(operations["kind"], "put"), pc.equal(operations["outcome"], "ok"))
    puts = operations.filter(accepted)
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
    held: Objects,
    of_bucket: Sequence[Rule],
    days: int,
    default: str = ALL_128K,
    reads_per_year: float = 0.0,
) -> Bill:
    """Keep the objects of one bucket for `days` under its rules. Each is read so often, evenly over its time."""
    klass = np.full(len(held.sizes), _NAMES.index(STANDARD), np.int8)
    since = np.zeros(len(held.sizes))
    alive = np.ones(len(held.sizes), bool)
    total = Bill()

    def leave(which: Bools, day: int) -> Bill:
        """Price the stays that end now. The end of the span deletes nothing: no stay is early there."""
        found = Bill()
        for number in np.unique(klass[which]).tolist():
            mask = which & (klass == number)
            found += _stays(
                _NAMES[number],
                held.sizes[mask],
                held.per_day[mask],
                day - since[mask],
                day < days,
                reads_per_year,
            )
        return found

    for day, target, matches in _events(of_bucket, held, default):
        if day >= days:
            break
        mask = alive & matches
        if target is None:
            total += leave(mask, day)
            alive &= ~mask
            continue
        mask &= np.isin(klass, [n for n, name in enumerate(_NAMES) if target in GOES_TO[name]])
        total += leave(mask, day) + Bill(
            moves=float(held.per_day[mask].sum()) * CLASSES[target].move_usd
        )
        klass[mask], since[mask] = _NAMES.index(target), day
    return total + leave(alive, days)


def _events(
    of_bucket: Sequence[Rule], held: Objects, default: str
) -> list[tuple[int, str | None, Bools]]:
    """(age in days, class to move to or None to expire, the objects concerned), in the order in which S3 acts."""
    found: list[tuple[int, str | None, Bools]] = []
    for rule in of_bucket:
        for day, target in rule.moves:
            found.append((day, target, _fits(rule, held, smallest(rule, target, default))))
        if rule.expire_days is not None:  # an expiration knows no default minimum
            found.append(
                (
                    rule.expire_days,
                    None,
                    _fits(rule, held, 0 if rule.above is None else rule.above + 1),
                )
            )
    coldest_first = [None, *reversed(_NAMES)]
    return sorted(found, key=lambda event: (event[0], coldest_first.index(event[1])))


def _stays(
    name: str, sizes: Ints, per_day: Floats, stayed: Floats, ended: bool, reads_per_year: float
) -> Bill:
    """Stays of `stayed` days in one class; `ended`: they are left, so that a least stay is billed to its end."""
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
    held: Mapping[str, Objects], configurations: Mapping[str, Iterable[Mapping[str, Any]]]
) -> Outlook:
    """Apply lifecycle configurations to a day's objects, both by bucket. Raises ValueError."""
    by_bucket = {bucket: rules(entries) for bucket, entries in configurations.items()}
    moved = [
        _moved(bucket, rule, days, target, held[bucket])
        for bucket, of_bucket in by_bucket.items()
        if bucket in held
        for rule in of_bucket
        for days, target in rule.moves
    ]
    kept = [
        Kept(
            days,
            sum(
                (
                    bill(objects, by_bucket.get(bucket, ()), days)
                    for bucket, objects in held.items()
                ),
                Bill(),
            ),
            sum((bill(objects, (), days) for objects in held.values()), Bill()),
        )
        for days in SPANS_DAYS
    ]
    stored = tuple(
        Stored(bucket, float(objects.per_day.sum()), float(objects.sizes @ objects.per_day))
        for bucket, objects in held.items()
    )
    return Outlook(stored, tuple(moved), _removed(by_bucket), tuple(kept))


def _moved(bucket: str, rule: Rule, days: int, target: str, held: Objects) -> Moved:
    least = smallest(rule, target)
    under, taken = _fits(replace(rule, below=None), held, 0), _fits(rule, held, least)
    return Moved(
        bucket=bucket,
        rule=rule.name,
        days=days,
        storage_class=target,
        smallest=least,
        largest=None if rule.below is None else rule.below - 1,
        default=not rule.by_size,
        objects=float(held.per_day[under].sum()),
        bytes=float(held.sizes[under] @ held.per_day[under]),
        taken=float(held.per_day[taken].sum()),
        taken_bytes=float(held.sizes[taken] @ held.per_day[taken]),
    )


def _removed(by_bucket: Mapping[str, Sequence[Rule]]) -> tuple[Removed, ...]:
    """Every removal of the rules, buckets of the same one together."""
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
