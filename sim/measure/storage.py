"""The storage classes of Amazon S3, with the prices of storing, moving, reading and leaving early.

Prices: us-west-2, list prices in USD as of 2025, first tier (aws.amazon.com/s3/pricing, "Storage",
"Requests and data retrievals", "Management"). They are written down here, not fetched. A GB is 2^30
bytes, a month 30 days.

Bounds, from the S3 User Guide ("Transitioning objects using Amazon S3 Lifecycle", "Understanding
storage classes"):

- Standard-IA, One Zone-IA and Glacier Instant Retrieval bill at least 128 KB per object.
- A stay shorter than the minimum is billed as the minimum: 30 days (IA), 90 (Glacier IR, Glacier),
  180 (Deep Archive).
- A rule moves an object to Standard-IA or One Zone-IA after 30 days at the earliest.
- Glacier and Deep Archive add 40 KB per object: 32 KB at their own price, 8 KB (name, metadata) at
  that of Standard.
- Intelligent-Tiering monitors objects of 128 KB and more, and moves them to cheaper tiers after 30
  and 90 days without a read. Smaller objects stay in the frequent tier and are not monitored.
- Objects only move to colder classes, and not to every one of them (`GOES_TO`).

Reads of the archives are bulk restores.

Not covered: the temporary copy in Standard that a restore makes, traffic out of S3, the cheaper
storage beyond 50 TB a month.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PRICES_AS_OF: Final = "2025"
KB: Final = 1 << 10
GB: Final = 1 << 30
MONTH_DAYS: Final = 30
SMALL: Final = 128 * KB
"""Size below which an object is not moved by default.

Classes with a minimum size bill smaller objects as this size.
"""

STANDARD: Final = "STANDARD"
INTELLIGENT: Final = "INTELLIGENT_TIERING"
ARCHIVES: Final = ("GLACIER", "DEEP_ARCHIVE")


@dataclass(frozen=True)
class StorageClass:
    """One class. `tiers`: (days since the move into it, USD per GB-month from then on)."""

    tiers: tuple[tuple[int, float], ...]
    move_usd: float = 0.0  # one lifecycle transition into it
    read_usd: float = 0.0004 / 1000  # one GET, restore included
    read_gb_usd: float = 0.0  # per GB read
    least_age_days: int = 0  # minimum age of an object that a rule moves into it
    least_stay_days: int = 0
    least_bytes: int = 0  # minimum billed size of an object
    own_overhead: int = 0  # bytes per object, at the price of this class
    standard_overhead: int = 0  # bytes per object, at the price of Standard
    monitored_usd: float = 0.0  # per object of SMALL bytes or more, and month


CLASSES: Final[dict[str, StorageClass]] = {
    STANDARD: StorageClass(((0, 0.023),)),
    INTELLIGENT: StorageClass(
        ((0, 0.023), (30, 0.0125), (90, 0.004)), move_usd=0.01 / 1000, monitored_usd=0.0025 / 1000
    ),
    "STANDARD_IA": StorageClass(
        ((0, 0.0125),),
        move_usd=0.01 / 1000,
        read_usd=0.001 / 1000,
        read_gb_usd=0.01,
        least_age_days=30,
        least_stay_days=30,
        least_bytes=SMALL,
    ),
    "ONEZONE_IA": StorageClass(
        ((0, 0.01),),
        move_usd=0.01 / 1000,
        read_usd=0.001 / 1000,
        read_gb_usd=0.01,
        least_age_days=30,
        least_stay_days=30,
        least_bytes=SMALL,
    ),
    "GLACIER_IR": StorageClass(
        ((0, 0.004),),
        move_usd=0.02 / 1000,
        read_usd=0.01 / 1000,
        read_gb_usd=0.03,
        least_stay_days=90,
        least_bytes=SMALL,
    ),
    "GLACIER": StorageClass(
        ((0, 0.0036),),
        move_usd=0.03 / 1000,
        least_stay_days=90,
        own_overhead=32 * KB,
        standard_overhead=8 * KB,
    ),
    "DEEP_ARCHIVE": StorageClass(
        ((0, 0.00099),),
        move_usd=0.05 / 1000,
        read_usd=0.0254 / 1000,
        read_gb_usd=0.0025,
        least_stay_days=180,
        own_overhead=32 * KB,
        standard_overhead=8 * KB,
    ),
}
"""Classes by the name that a lifecycle rule uses, from the warmest to the coldest."""

GOES_TO: Final[dict[str, frozenset[str]]] = {
    STANDARD: frozenset(CLASSES) - {STANDARD},
    INTELLIGENT: frozenset({"ONEZONE_IA", "GLACIER_IR", *ARCHIVES}),
    "STANDARD_IA": frozenset({INTELLIGENT, "ONEZONE_IA", "GLACIER_IR", *ARCHIVES}),
    "ONEZONE_IA": frozenset(ARCHIVES),
    "GLACIER_IR": frozenset(ARCHIVES),
    "GLACIER": frozenset({"DEEP_ARCHIVE"}),
    "DEEP_ARCHIVE": frozenset(),
}
"""The transitions that S3 supports."""
