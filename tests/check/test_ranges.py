"""Ranges of names: each key belongs to one part of a fleet, and a part lists hardly any other."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

import pytest

from sim.check.read.ranges import Listed, NameRanges

HOURS = [f"ingestion/year=2024/month=01/day=15/hour={hour:02d}/" for hour in range(3)]
TURBINES = [f"{farm}-{number:03d}" for farm in "BAC" for number in range(1, 41)]
STRAYS = [
    "ingestion/README",
    "ingestion/year=2024/A-001-1-9.parquet",
    "zzz",
    HOURS[0] + "!first",
    HOURS[1] + "A-017+odd",
    HOURS[1] + "B-0400-1-9.parquet",
    HOURS[2] + "~last",
    HOURS[2] + "B-003/below/a-name",
]


def bucket(batches: int) -> list[str]:
    keys = [
        f"{hour}{turbine}-{1 + 900 * batch}-{900 * (batch + 1)}.parquet"
        for hour in HOURS
        for turbine in TURBINES
        for batch in range(batches)
    ]
    return sorted([*keys, *STRAYS, *(f"checkpoints/{name[0]}/{name}.json" for name in TURBINES)])


class Store:
    """A bucket that counts what it lists. cap: most objects on a page, whatever is asked for."""

    def __init__(self, keys: list[str], cap: int = 1000) -> None:
        self.keys, self.pages, self.listed, self.cap = keys, 0, 0, cap

    def page(self, after: str, most: int) -> tuple[list[Listed], bool] | None:
        begin = bisect_right(self.keys, after)
        most = min(most, self.cap)
        found = self.keys[begin : begin + most]
        assert self.pages <= 2 * len(self.keys), "a listing that goes in a circle"
        self.pages += 1
        self.listed += len(found)
        return [(key, 1, "") for key in found], begin + most < len(self.keys)


def parts(count: int) -> list[NameRanges]:
    cut = [len(TURBINES) * n // count for n in range(count + 1)]
    return [
        NameRanges(TURBINES[low:high], TURBINES[:low] + TURBINES[high:])
        for low, high in pairwise(cut)
    ]


@pytest.mark.parametrize("batches", [1, 4, 40])
@pytest.mark.parametrize("count", [1, 3, 16])
def test_each_key_belongs_to_one_part_which_lists_it(batches: int, count: int) -> None:
    keys, nowhere = bucket(batches), NameRanges(TURBINES, ())
    owners = dict.fromkeys(keys, 0)
    for part in parts(count):
        listed = [key for key, *_ in part.objects(Store(keys).page) or ()]
        assert listed == sorted(set(listed))
        own = [key for key in keys if part.has(key) is not False]
        assert [key for key in listed if part.has(key) is not False] == own
        for key in own:
            owners[key] += 1
    outside = {key: number for key, number in owners.items() if nowhere.has(key) is None}
    assert sorted(outside) == sorted(STRAYS[:3])
    assert set(outside.values()) == {count}, "keys that belong to no turbine are seen by all"
    assert {number for key, number in owners.items() if key not in outside} == {1}


@pytest.mark.parametrize("cap", [1, 7, 1000])
def test_names_just_before_a_turbines_own_are_listed_once(cap: int) -> None:
    """Between "A-003" and "A-003-" lie names that begin with a blank or an exclamation mark."""
    folder = HOURS[0]
    between = [f"{folder}A-003!{number:04d}" for number in range(1100 if cap > 7 else 20)]
    last = [folder + "\U0010ffff", folder + "\U0010ffffx"]
    own = f"{folder}A-003-1-9.parquet"
    keys = sorted([own, f"{folder}A-001-1-9.parquet", *between, *last, "zzz"])
    part = NameRanges(["A-003"], ["A-001", "A-002"])
    listed = [key for key, *_ in part.objects(Store(keys, cap).page) or ()]
    assert listed == sorted(set(listed))
    assert own in listed


def test_a_part_lists_hardly_any_key_of_another() -> None:
    keys = bucket(4)
    stores = [Store(keys) for _ in range(16)]
    for part, store in zip(parts(16), stores, strict=True):
        assert list(part.objects(store.page) or ())
    assert sum(store.listed for store in stores) < 3 * len(keys)
    assert max(store.pages for store in stores) < 40


def test_a_turbine_with_anothers_name_before_its_own() -> None:
    folder = HOURS[0]
    keys = sorted(f"{folder}{name}-1-9.parquet" for name in ("A-1", "A-1-2", "A-10", "A-2"))
    for name in ("A-1", "A-1-2", "A-10", "A-2"):
        part = NameRanges([name], {"A-1", "A-1-2", "A-10", "A-2"} - {name})
        listed = [key for key, *_ in part.objects(Store(keys).page) or ()]
        assert f"{folder}{name}-1-9.parquet" in listed


def test_a_missing_bucket() -> None:
    assert parts(3)[0].objects(lambda after, most: None) is None
