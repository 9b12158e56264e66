"""Lifecycle rules against S3's documented ones, prices by hand, and `buckets.json` against both.

Not covered: a store that accepts the policies (test_buckets.py), their display (test_report.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import botocore.session
import numpy as np
import pyarrow as pa
import pytest
from botocore.validate import validate_parameters

from pipeline.buckets import LIFECYCLE
from pipeline.retry import Operation
from sim.measure import lifecycle
from sim.measure.lifecycle import Bill, Objects, bill, outlook
from sim.measure.lifecycle_rules import VARIES, Rule, rules, smallest
from sim.measure.storage import CLASSES, GB, GOES_TO, KB
from tests.support import operations

FIVE_YEARS = 5 * 365
ARCHIVED = (33 * 0.00099 + 8 * 0.023) / KB**2  # USD a month for 1 KB in Deep Archive
FLUSH_BYTES = 46_600  # a row object of a 15-minute flush, one row a second
POLICIES = [(stage, rule) for stage, entries in LIFECYCLE.items() for rule in entries]
MOVING = [
    (stage, rule, move)
    for stage, entries in LIFECYCLE.items()
    for rule in rules(entries)
    for move in rule.moves
]


def of_size(*sizes: int, key: str = "x/1", per_day: float = 1.0) -> Objects:
    return Objects(pa.array([key] * len(sizes)), np.array(sizes), np.full(len(sizes), per_day))


def entry(*moves: tuple[int, str], **more: Any) -> dict[str, Any]:
    transitions = [{"Days": days, "StorageClass": name} for days, name in moves]
    return {
        "ID": "r",
        "Status": "Enabled",
        "Filter": {"Prefix": "x/"},
        "Transitions": transitions,
    } | more


def by_size(low: int | None, high: int | None = None) -> dict[str, Any]:
    bounds = {"Prefix": "x/", "ObjectSizeGreaterThan": low, "ObjectSizeLessThan": high}
    return {"And": {name: value for name, value in bounds.items() if value is not None}}


def moved(configuration: dict[str, Any], *sizes: int, key: str = "x/1") -> list[float]:
    """Return the number of objects that each transition moves."""
    return [
        found.taken
        for found in outlook({"b": of_size(*sizes, key=key)}, {"b": [configuration]}).moved
    ]


@pytest.mark.parametrize("target", [name for name in CLASSES if name != "STANDARD"])
def test_by_default_no_transition_takes_an_object_below_128_kb(target: str) -> None:
    assert moved(entry((30, target)), 6_000, 128 * KB - 1) == [0]
    assert moved(entry((30, target)), 128 * KB - 1, 128 * KB, GB) == [2]


@pytest.mark.parametrize("target", [name for name in CLASSES if name != "STANDARD"])
def test_a_bucket_that_varies_by_class_archives_small_objects_only(target: str) -> None:
    (rule,) = rules([entry((30, target))])
    archived = target in ("GLACIER", "DEEP_ARCHIVE")
    assert smallest(rule, target, VARIES) == (0 if archived else 128 * KB)
    kept = bill(of_size(1), [rule], 365, VARIES)
    assert (kept.moves > 0) == archived
    assert bill(of_size(1), [rule], 365).moves == 0


def test_a_filter_by_size_takes_precedence_over_the_default() -> None:
    assert moved(
        entry((30, "GLACIER_IR"), Filter=by_size(1_000)), 1_000, 1_001, FLUSH_BYTES, GB
    ) == [3]
    assert moved(entry((30, "GLACIER_IR"), Filter=by_size(None, 1_000)), 0, 999, 1_000, GB) == [2]
    assert moved(entry((30, "GLACIER_IR"), Filter=by_size(10, 12)), 10, 11, 12) == [1]
    assert moved(
        entry((30, "GLACIER_IR"), Filter={"ObjectSizeGreaterThan": 10}), 11, key="elsewhere"
    ) == [1]


def test_only_enabled_rules_and_their_prefix_count() -> None:
    assert moved(entry((30, "GLACIER_IR")), GB, key="y/x/1") == [0]
    assert moved(entry((30, "GLACIER_IR"), Filter={"Prefix": ""}), GB, key="y/x/1") == [1]
    assert moved(entry((30, "GLACIER_IR"), Filter={}), GB, key="y/x/1") == [1]
    assert moved(entry((30, "GLACIER_IR"), Status="Disabled"), GB) == []


def test_a_policy_that_s3_or_the_model_refuses_is_an_error() -> None:
    with pytest.raises(
        ValueError, match="to STANDARD_IA after 30 days at the earliest, not after 29"
    ):
        rules([entry((29, "STANDARD_IA"))])
    assert rules([entry((0, "GLACIER_IR"))])[0].moves == ((0, "GLACIER_IR"),)
    with pytest.raises(ValueError, match="r: filters by Tag are not supported"):
        rules([entry((30, "GLACIER_IR"), Filter={"Tag": {"Key": "a", "Value": "b"}})])


def priced(days: int, size: int, *moves: tuple[int, str], **more: Any) -> Bill:
    return bill(of_size(size), [Rule("r", "x/", above=-1, moves=moves, **more)], days)


@pytest.mark.parametrize(
    ("found", "storage", "moves", "early"),
    [
        (priced(30, GB), 0.023, 0, 0),
        (priced(90, GB, (30, "STANDARD_IA")), 0.023 + 2 * 0.0125, 1e-5, 0),
        (priced(30, GB, (30, "STANDARD_IA")), 0.023, 0, 0),  # S3 moves it at the end of the span
        (priced(60, KB, (30, "STANDARD_IA")), (1 / KB * 0.023 + 128 / KB * 0.0125) / KB, 1e-5, 0),
        (priced(60, KB, (30, "GLACIER_IR")), (1 / KB * 0.023 + 128 / KB * 0.004) / KB, 2e-5, 0),
        (priced(30, KB, (0, "GLACIER")), (33 * 0.0036 + 8 * 0.023) / KB**2, 3e-5, 0),
        (priced(30, KB, (0, "DEEP_ARCHIVE")), (33 * 0.00099 + 8 * 0.023) / KB**2, 5e-5, 0),
        (
            priced(130, GB, (30, "STANDARD_IA"), (40, "GLACIER_IR")),
            0.023 + 0.0125 / 3 + 0.012, 3e-5, 0.0125 * 2 / 3,
        ),
        (priced(365, GB, (0, "GLACIER_IR"), expire_days=30), 0.004, 2e-5, 2 * 0.004),
        (priced(365, GB, (0, "GLACIER_IR"), expire_days=90), 3 * 0.004, 2e-5, 0),
        (priced(365, KB, (0, "DEEP_ARCHIVE"), expire_days=150), 5 * ARCHIVED, 5e-5, ARCHIVED),
        (priced(60, GB, expire_days=15), 0.0115, 0, 0),
        # down only
        (priced(60, GB, (30, "GLACIER_IR"), (40, "STANDARD_IA")), 0.023 + 0.004, 2e-5, 0),
        # the colder class wins
        (priced(60, GB, (30, "STANDARD_IA"), (30, "GLACIER_IR")), 0.023 + 0.004, 2e-5, 0),
        (priced(150, GB, (0, "INTELLIGENT_TIERING")), 0.023 + 2 * 0.0125 + 2 * 0.004, 1e-5, 0),
        (priced(150, KB, (0, "INTELLIGENT_TIERING")), 5 * 0.023 * 2**-20, 1e-5, 0),
    ],
)  # fmt: skip
def test_prices_by_hand(found: Bill, storage: float, moves: float, early: float) -> None:
    assert found.storage == pytest.approx(storage)
    assert found.moves == pytest.approx(moves)
    assert found.early == pytest.approx(early)
    assert found.total == pytest.approx(found.storage + moves + early + found.monitoring)


def test_monitoring_and_reads_are_priced() -> None:
    assert priced(150, GB, (0, "INTELLIGENT_TIERING")).monitoring == pytest.approx(
        5 * 0.0025 / 1000
    )
    assert priced(150, 128 * KB - 1, (0, "INTELLIGENT_TIERING")).monitoring == 0
    rule = Rule("r", above=-1, moves=((0, "GLACIER_IR"),))
    read = bill(of_size(GB, per_day=10), [rule], 730, reads_per_year=3)
    assert read.reads == pytest.approx(10 * 6 * (0.01 / 1000 + 0.03))


def test_rules_price_each_size_by_its_own_way() -> None:
    large = Rule("large", above=KB - 1, moves=((0, "GLACIER_IR"),))
    both = bill(of_size(100, GB, per_day=1000), [large], 30)
    apart = bill(of_size(100, per_day=1000), [], 30) + bill(of_size(GB, per_day=1000), [large], 30)
    assert vars(both) == pytest.approx(vars(apart))


def test_the_outlook_counts_a_day_by_bucket() -> None:
    held = {"a": of_size(KB, GB, key="x/1", per_day=24.0), "b": of_size(KB, key="z")}
    versions = {"ID": "v", "Status": "Enabled", "Filter": {"Prefix": ""}}
    old = versions | {"NoncurrentVersionExpiration": {"NoncurrentDays": 7}}
    uploads = versions | {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}
    expiring = entry(Expiration={"Days": 9})
    found = outlook(
        held, {"a": [entry((30, "GLACIER_IR")), old], "b": [old, uploads], "c": [expiring]}
    )
    (move,) = found.moved
    assert (move.bucket, move.rule, move.default, move.smallest, move.largest) == (
        "a",
        "r",
        True,
        128 * KB,
        None,
    )
    assert (move.objects, move.bytes, move.taken, move.taken_bytes) == (
        48,
        24 * (KB + GB),
        24,
        24 * GB,
    )
    assert [(s.bucket, s.objects, s.bytes) for s in found.stored] == [
        ("a", 48, 24 * (KB + GB)),
        ("b", 1, KB),
    ]
    assert [(r.what, r.days, r.buckets) for r in found.removed] == [
        ("old versions", 7, ("a", "b")), ("unfinished uploads", 1, ("b",)),
        ("current objects", 9, ("c",)),
    ]  # fmt: skip
    year, five = found.kept
    assert (year.days, five.days) == (365, FIVE_YEARS)
    assert year.in_standard.total == pytest.approx(24 * (1 + 2**-20) * 0.023 * 365 / 30)
    assert year.by_rules.total == pytest.approx(
        24 * (0.023 + 0.004 * 335 / 30 + 2e-5) + 24 * 2**-20 * 0.023 * 365 / 30
    )
    assert found.usd(365) == year.by_rules.total


def test_a_runs_operations_become_objects_of_a_day() -> None:
    def put(name: str, size: int, outcome: str = "ok", kind: str = "put") -> Operation:
        return Operation(0, 0, 1, kind, f"expanso-databricks-{name}", f"{name}/k", size, outcome, 1)

    made = [
        put("validated", 5),
        put("validated", 7),
        put("validated", 7, "exists"),
        put("enriched", 9),
    ]
    made += [put("checkpoints", 3), put("enriched", 9, kind="get")]
    found = lifecycle.uploaded(operations.table(made, "w"), span_s=3600)
    assert list(found) == ["enriched", "validated"]
    assert found["validated"].sizes.tolist() == [5, 7]
    assert found["validated"].per_day.tolist() == [24, 24]
    assert found["validated"].keys.to_pylist() == ["validated/k"] * 2


# the policies themselves


def alone(rule: Rule, size: int, *moves: tuple[int, str]) -> float:
    """Price five years of one object under the rule, read once a year."""
    objects = of_size(size, key=rule.prefix + "year=")
    return bill(objects, [replace(rule, moves=moves)], FIVE_YEARS, reads_per_year=1).total


@pytest.mark.parametrize(("stage", "rule", "move"), MOVING)
def test_each_transition_pays_off_for_the_smallest_object_that_it_moves(
    stage: str, rule: Rule, move: tuple[int, str]
) -> None:
    size = smallest(rule, move[1])
    others = tuple(other for other in rule.moves if other != move)
    assert alone(rule, size, *rule.moves) < alone(rule, size, *others)


@pytest.mark.parametrize(("stage", "rule", "move"), MOVING)
def test_no_transition_pays_off_for_the_objects_of_a_flush(
    stage: str, rule: Rule, move: tuple[int, str]
) -> None:
    every = replace(rule, above=-1, below=None)
    assert alone(every, FLUSH_BYTES, move) > alone(every, FLUSH_BYTES)


@pytest.mark.parametrize("name", [name for name in CLASSES if name != "STANDARD"])
def test_no_class_pays_off_for_manifests_or_windows(name: str) -> None:
    for size in (2_150, 6_000):
        rule = Rule("r", above=-1)
        assert alone(rule, size, (30, name)) > alone(rule, size)


@pytest.mark.parametrize("stage", LIFECYCLE)
def test_no_object_is_taken_by_two_rules_for_moving(stage: str) -> None:
    moving = [rule for rule in rules(LIFECYCLE[stage]) if rule.moves]
    for one, other in itertools.combinations(moving, 2):
        apart = not (one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix))
        low, high = sorted((one, other), key=lambda rule: rule.above or 0)
        assert apart or (
            low.below is not None and high.above is not None and low.below <= high.above + 1
        )


def refusals(configuration: Sequence[dict[str, Any]]) -> list[str]:
    """List violations of S3's documented constraints in a lifecycle configuration, by rule name."""
    found = []
    names = [rule["ID"] for rule in configuration]
    if len(set(names)) < len(names) or len(names) > 1000:
        found.append("names twice, or too many rules")
    for rule in configuration:
        bounds = rule["Filter"]
        if len(bounds) > 1 or (set(bounds) == {"And"} and len(bounds["And"]) < 2):
            found.append(f"{rule['ID']}: several conditions go into And, a single one does not")
        flat = bounds.get("And", bounds)
        low, high = flat.get("ObjectSizeGreaterThan", 0), flat.get("ObjectSizeLessThan", 1 << 45)
        if not 0 <= low < high - 1:
            found.append(f"{rule['ID']}: no object is between its sizes")
        if "AbortIncompleteMultipartUpload" in rule and set(flat) > {"Prefix"}:
            found.append(f"{rule['ID']}: uploads have no size yet")
        if not set(rule) - {"ID", "Status", "Filter"}:
            found.append(f"{rule['ID']}: does nothing")
        moves = [(move["Days"], move["StorageClass"]) for move in rule.get("Transitions", ())]
        for days, name in moves:
            if name in ("STANDARD_IA", "ONEZONE_IA") and days < 30:
                found.append(f"{rule['ID']}: {name} before 30 days")
        for (day, name), (later, colder) in itertools.pairwise(moves):
            if colder not in GOES_TO[name] or later <= day:
                found.append(f"{rule['ID']}: {name} after {day} days, then {colder} after {later}")
            if name in ("STANDARD_IA", "ONEZONE_IA") and later < day + 30:
                found.append(f"{rule['ID']}: less than 30 days in {name}")
        expiry = rule.get("Expiration", {}).get("Days")
        if expiry is not None and any(days >= expiry for days, _ in moves):
            found.append(f"{rule['ID']}: expires before it moves")
    return found


@pytest.mark.parametrize("stage", LIFECYCLE)
def test_s3_takes_every_policy(stage: str) -> None:
    assert refusals(LIFECYCLE[stage]) == []
    model = botocore.session.get_session().get_service_model("s3")
    shape = model.operation_model("PutBucketLifecycleConfiguration").input_shape
    validate_parameters(
        {"Bucket": "b", "LifecycleConfiguration": {"Rules": LIFECYCLE[stage]}}, shape
    )


@pytest.mark.parametrize(
    "wrong",
    [
        [entry((30, "GLACIER_IR")), entry((30, "GLACIER_IR"))],
        [entry((29, "STANDARD_IA"))],
        [entry((30, "STANDARD_IA"), (50, "GLACIER_IR"))],
        [entry((30, "GLACIER_IR"), (90, "STANDARD_IA"))],
        [entry((90, "GLACIER_IR"), (30, "DEEP_ARCHIVE"))],
        [entry((30, "GLACIER_IR"), Expiration={"Days": 30})],
        [entry((30, "GLACIER_IR"), Filter={"Prefix": "x/", "ObjectSizeGreaterThan": 1})],
        [entry((30, "GLACIER_IR"), Filter={"And": {"Prefix": "x/"}})],
        [entry((30, "GLACIER_IR"), Filter=by_size(10, 11))],
        [
            {
                "ID": "r",
                "Status": "Enabled",
                "Filter": by_size(1),
                "AbortIncompleteMultipartUpload": {},
            }
        ],
        [{"ID": "r", "Status": "Enabled", "Filter": {}}],
    ],
)
def test_a_violation_of_s3s_constraints_is_found(wrong: list[dict[str, Any]]) -> None:
    assert len(refusals(wrong)) == 1
