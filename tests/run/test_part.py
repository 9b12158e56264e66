"""Parts of a fleet, and the shards of a part."""

from __future__ import annotations

from itertools import chain, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import PartError
from sim.fleet import load_fleet
from sim.fleet.farm import Fleet
from sim.fleet.part import FarmPart
from sim.run.part import LEAST_TURBINES, SHARD_ROWS, in_shards, part_of
from sim.run.part_index import PartIndex

FLEET = load_fleet()
TURBINES = [turbine for farm in FLEET.farms for turbine in farm.turbine_ids]


def parts(fleet: Fleet, count: int, whole_farms: bool = False) -> list[tuple[FarmPart, ...]]:
    return [
        part_of(fleet, PartIndex(index, count), whole_farms).farms for index in range(1, count + 1)
    ]


def turbines(farms: tuple[FarmPart, ...] | list[FarmPart]) -> list[str]:
    return [turbine for farm in farms for turbine in farm.turbine_ids]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 16, 40, 1499, 1500])
def test_parts_hold_every_turbine_once_and_are_equal(count: int) -> None:
    each = [turbines(farms) for farms in parts(FLEET, count)]
    assert list(chain.from_iterable(each)) == TURBINES
    assert max(map(len, each)) - min(map(len, each)) <= 1


@pytest.mark.parametrize("count", [1, 3, 8])
def test_whole_farms_are_not_cut(count: int) -> None:
    each = parts(FLEET, count, whole_farms=True)
    assert all(farm.is_whole for farms in each for farm in farms)
    assert sorted(chain.from_iterable(map(turbines, each))) == sorted(TURBINES)


@pytest.mark.parametrize(("count", "whole_farms", "most"), [(1501, False, 1500), (9, True, 8)])
def test_no_part_is_empty(count: int, whole_farms: bool, most: int) -> None:
    with pytest.raises(PartError, match=f"ask for {most} or fewer"):
        part_of(FLEET, PartIndex(1, count), whole_farms)


@given(
    index=st.integers(1, 16),
    flush_rows=st.integers(1, 10**6),
    workers=st.integers(1, 64),
    whole_farms=st.booleans(),
)
def test_shards_hold_the_part_and_are_bounded(
    index: int, flush_rows: int, workers: int, whole_farms: bool
) -> None:
    part = part_of(FLEET, PartIndex(index, 16))
    cut = in_shards(part, flush_rows, workers, whole_farms)
    assert turbines(cut) == turbines(part.farms)
    assert len({shard.name for shard in cut}) == len(cut)
    if whole_farms:
        assert cut == list(part.farms)
        return
    for shard in cut:
        assert shard.turbines == 1 or shard.turbines * flush_rows <= SHARD_ROWS
        assert shard.turbines <= max(LEAST_TURBINES, -(-part.turbines // workers))
    if workers == 1 and flush_rows * part.turbines <= SHARD_ROWS:
        assert len(cut) == len(part.farms), "one worker gains nothing by more shards"


def test_pieces_of_a_farm_are_equal() -> None:
    part = part_of(FLEET)
    cut = in_shards(part, 3600, 2, whole_farms=False)
    for one, other in pairwise(cut):
        if one.farm is other.farm:
            assert abs(one.turbines - other.turbines) <= 1
