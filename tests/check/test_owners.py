"""Owners of an object's rows. A-001, A-002 are in the judged share 0, B-001 in 1, C-001 in 2."""

from __future__ import annotations

import pytest

from pipeline.records import CHANNEL_NAMES
from sim.check.compare.owners import find_owners
from sim.check.expected.rows import Expectation, expect
from tests.support.oracle_world import HOUR_0, START_US, Row, node, row, stage_rows, stored

SHARE_OF = {"A-001": 0, "A-002": 0, "B-001": 1, "C-001": 2}
Owners = tuple[list[int], list[int], list[tuple[int, int]]]


def rows(turbine: str, *numbers: int, **changes: object) -> list[Row]:
    """Rows as the node stores them; A-001's row 3 has its neighbour's name, row 4 none."""
    names = {("A-001", 3): "A-002", ("A-001", 4): None}
    at = {number: START_US + 1000 * number + SHARE_OF.get(turbine, 7) for number in numbers}
    return [
        row(n, turbine, at[n], turbine_id=names.get((turbine, n), turbine)) | changes
        for n in numbers
    ]


@pytest.fixture(scope="module")
def expected() -> Expectation:
    second = [each | {"vibration_level": 0.5} for each in rows("A-002", 1, 2, 3, 5)]
    return expect(
        [node("A-001"), node("A-002")], [stored(rows("A-001", 1, 2, 3, 4)), stored(second)]
    )


def owners_of(
    expected: Expectation, objects: dict[str, list[Row]], stage: str = "ingestion", share: int = 0
) -> Owners:
    """Return (owner of each row, unowned rows, visitors) of objects, by the ends of their keys."""
    found = find_owners(
        stage_rows(
            stage, {f"{stage}/{HOUR_0}/{end}.parquet": each for end, each in objects.items()}
        ),
        expected,
        share,
        SHARE_OF,
    )
    return found.owner.tolist(), found.unowned.tolist(), found.visitors


def second(*numbers: int, **changes: object) -> list[Row]:
    return rows("A-002", *numbers, vibration_level=0.5, **changes)


def test_an_object_holds_rows_of_the_turbine_in_its_key(expected: Expectation) -> None:
    objects = {"A-002-1-2": second(1, 2), "A-001-9-9": [], "A-001-1-4": rows("A-001", 1, 2, 3, 4)}
    assert owners_of(expected, objects) == ([1, 1, 0, 0, 0, 0], [], [])
    assert owners_of(expected, {"A-001-1-4": []}) == ([], [], [])


@pytest.mark.parametrize("number", [3, 4])
def test_a_row_under_a_wrong_name_belongs_to_its_node(expected: Expectation, number: int) -> None:
    assert owners_of(expected, {"A-001-1-4": rows("A-001", number)}) == ([0], [], [])


def test_the_first_row_of_all_has_an_owner(expected: Expectation) -> None:
    wrong = rows("A-001", 1, turbine_id="A-002")
    both = expect([node("A-001"), node("A-002")], [stored(wrong), stored(second(5))])
    assert owners_of(both, {"A-001-1-1": wrong}) == ([0], [], [])
    assert owners_of(expected, {"A-002-1-2": [*second(1), *rows("A-001", 1)]}) == ([1, 0], [], [])


@pytest.mark.parametrize("name", ["A-002", "B-001", "Z-001", None])
def test_one_altered_cell_does_not_change_the_owner(
    expected: Expectation, name: str | None
) -> None:
    objects = {"A-001-1-2": [*rows("A-001", 1), *rows("A-001", 2, turbine_id=name)]}
    assert owners_of(expected, objects) == ([0, 0], [], [])


def test_a_row_equal_to_another_turbines_row_belongs_to_that_turbine(expected: Expectation) -> None:
    assert owners_of(expected, {"A-001-1-2": [*rows("A-001", 1), *second(2)]}) == ([0, 1], [], [])
    assert owners_of(expected, {"A-002-1-2": [*second(1), *rows("A-001", 2)]}) == ([1, 0], [], [])


@pytest.mark.parametrize("name", ["timestamp", "recorded_at", *CHANNEL_NAMES])
def test_a_row_that_differs_in_one_cell_keeps_its_owner(expected: Expectation, name: str) -> None:
    other = second(2)
    other[0][name] += 1
    assert owners_of(expected, {"A-001-1-2": [*rows("A-001", 1), *other]}) == ([0, 0], [], [])
    # no such row
    assert owners_of(expected, {"A-001-1-2": [*rows("A-001", 1), *second(4)]}) == (
        [0, 0],
        [],
        [],
    )


def test_an_object_with_rows_of_another_turbine_only(expected: Expectation) -> None:
    assert owners_of(expected, {"A-001-1-2": second(1, 7)}) == ([1, 1], [], [])
    assert owners_of(
        expected, {"A-001-1-2": second(1), "A-002-1-2": second(2), "A-002-7-8": rows("A-001", 2)}
    ) == (
        [1, 1, 0],
        [],
        [],
    )
    mixed = {"A-001-1-2": [*second(1), *rows("A-001", 2, turbine_id=None)]}
    assert owners_of(expected, mixed) == ([1, 0], [], [])


def test_an_object_under_a_key_of_another_share(expected: Expectation) -> None:
    assert owners_of(expected, {"B-001-1-2": rows("A-001", 1, 2)}) == ([0, 0], [], [])
    assert owners_of(expected, {"B-001-1-2": [*rows("A-001", 1), *rows("B-001", 2)]}) == (
        [0, -1],
        [1],
        [],
    )


@pytest.fixture(scope="module")
def third() -> Expectation:
    return expect([node("B-001")], [stored(rows("B-001", 1, 2))])


def test_a_single_row_of_another_share_belongs_to_that_share(
    expected: Expectation, third: Expectation
) -> None:
    """The same rows get the same owners in every judged share."""
    asked: list[str] = []

    def neighbour(turbine: str) -> Expectation | None:
        asked.append(turbine)
        return third if turbine == "B-001" else None

    objects = {
        "A-001-1-4": [*rows("A-001", 1), *rows("B-001", 2), *rows("C-001", 2), *rows("A-001", 4)],
        "A-002-1-2": [*second(1), *rows("B-001", 1, wind_speed=7.0)],
    }
    files = {f"ingestion/{HOUR_0}/{end}.parquet": each for end, each in objects.items()}
    here = find_owners(stage_rows("ingestion", files), expected, 0, SHARE_OF, neighbour)
    assert (here.owner.tolist(), here.unowned.tolist(), here.visitors) == (
        [0, -1, 0, 0, 1, 1],
        [],
        [(0, 1)],
    )
    assert asked == ["B-001", "C-001"]
    there = find_owners(stage_rows("ingestion", files), third, 1, SHARE_OF)
    assert there.owner.tolist() == [-1, 0, -1, -1, -1, -1]


def test_a_window_of_another_share_is_not_identified_by_its_cells(
    expected: Expectation, third: Expectation
) -> None:
    files = {f"aggregated/{HOUR_0}/A-001-1-4.parquet": [window("A-001"), window("B-001")]}
    found = find_owners(stage_rows("aggregated", files), expected, 0, SHARE_OF, lambda _: third)
    assert (found.owner.tolist(), found.visitors) == ([0, 0], [])


def test_rows_of_another_share_are_sent_to_it(expected: Expectation) -> None:
    objects = {
        "A-001-1-1": rows("A-001", 1),
        "A-001-1-2": rows("B-001", 1, 2),
        "A-002-1-2": [*rows("C-001", 1), *rows("B-001", 1), *rows("C-001", 2)],
    }
    assert owners_of(expected, objects) == ([0, -1, -1, -1, -1, -1], [], [(1, 1), (2, 1), (2, 2)])
    assert owners_of(expected, objects, share=2) == ([0, -1, -1, 1, -1, 1], [], [(1, 1), (2, 1)])


def test_rows_of_the_first_share_are_sent_to_it() -> None:
    third = expect([node("C-001")], [stored(rows("C-001", 1))])
    assert owners_of(third, {"C-001-1-2": rows("A-001", 1)}, share=2) == ([-1], [], [(0, 0)])


def test_rows_without_an_owner(expected: Expectation) -> None:
    assert owners_of(expected, {"Z-001-1-2": rows("Z-001", 1, 2)}) == ([-1, -1], [0, 1], [])
    objects = {
        "odd": [
            *rows("A-001", 1),
            *rows("Z-001", 2),
            *rows("A-001", 1, turbine_id=None),
            *rows("B-001", 1),
        ]
    }
    assert owners_of(expected, objects) == ([0, -1, -1, -1], [1, 2], [(0, 1)])
    # the turbine of the key is to blame
    assert owners_of(expected, {"A-001-1-2": rows("Z-001", 1, 2)}) == (
        [0, 0],
        [],
        [],
    )
    objects = {"odd": [], "Z-001-1-1": rows("Z-001", 1), "A-001-1-1": rows("A-001", 1)}
    assert owners_of(expected, objects) == ([-1, 0], [0], [])


def window(turbine: str) -> Row:
    return {"turbine_id": turbine, "window_start": START_US}


def test_windows_have_no_ids(expected: Expectation) -> None:
    objects = {"A-001-1-4": [window("A-001"), window("A-002")], "A-002-1-2": [window("A-001")]}
    assert owners_of(expected, objects, "aggregated") == ([0, 0, 0], [], [])
    assert owners_of(expected, {"A-002-1-2": [window("B-001")]}, "aggregated") == (
        [-1],
        [],
        [(0, 1)],
    )


def test_nodes_without_rows_own_rows_under_their_name() -> None:
    empty = expect([node("A-001"), node("A-002")], [stored([]), stored([])])
    assert owners_of(empty, {"A-001-1-2": [*rows("A-001", 1), *second(2)]}) == ([0, 0], [], [])
    assert owners_of(empty, {"A-001-1-2": second(2)}) == ([1], [], [])
    assert owners_of(
        expect([], []), {"Z-001-1-2": rows("B-001", 1), "Z-001-1-3": rows("Z-001", 1)}, share=-1
    ) == (
        [-1, -1],
        [1],
        [(0, 1)],
    )
