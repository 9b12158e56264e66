"""The lifecycle rules of a bucket, as Amazon S3 reads them.

A rule applies to the objects under its prefix, within its own size bounds. A transition of a rule
without size bounds skips objects below 128 KB: all of them by default, or, in a bucket configured
`varies_by_storage_class`, only those whose target is not Glacier or Deep Archive. A size filter
takes precedence over both (S3 API, PutBucketLifecycleConfiguration,
TransitionDefaultMinimumObjectSize; the default since September 2024 is `all_storage_classes_128K`).

Not covered: filters by tag.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sim.measure.storage import ARCHIVES, CLASSES, SMALL

ALL_128K: Final = "all_storage_classes_128K"
VARIES: Final = "varies_by_storage_class"


@dataclass(frozen=True)
class Rule:
    """One enabled rule.

    `above` and `below` bound the size in bytes, both exclusive. `moves`: (age in days, storage
    class), by age.
    """

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
        """Return True for a rule with a size filter. It replaces the bucket's default minimum."""
        return self.above is not None or self.below is not None


def rules(configuration: Iterable[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Return the enabled rules of a lifecycle configuration in boto3's form.

    Raises ValueError for a filter by tag, and for a transition that is too early for its class.
    """
    return tuple(_rule(entry) for entry in configuration if entry["Status"] == "Enabled")


def _rule(entry: Mapping[str, Any]) -> Rule:
    bounds = entry.get("Filter", {})
    bounds = bounds.get("And", bounds)
    if unknown := set(bounds) - {"Prefix", "ObjectSizeGreaterThan", "ObjectSizeLessThan"}:
        raise ValueError(
            f"lifecycle rule {entry['ID']}: filters by {', '.join(sorted(unknown))} "
            "are not supported"
        )
    moves = tuple(
        sorted((move["Days"], move["StorageClass"]) for move in entry.get("Transitions", ()))
    )
    for days, target in moves:
        if days < CLASSES[target].least_age_days:
            raise ValueError(
                f"lifecycle rule {entry['ID']}: S3 moves an object to {target} after "
                f"{CLASSES[target].least_age_days} days at the earliest, not after {days}"
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
    """Return the minimum size in bytes that a transition of the rule moves."""
    if rule.by_size:
        return 0 if rule.above is None else rule.above + 1
    return 0 if default == VARIES and storage_class in ARCHIVES else SMALL
