"""Whose rows an object holds, row by row. A-001 and A-002 are in share 0, which is judged, B-001 in 1, C-001 in 2."""

from __future__ import annotations

import pytest

from pipeline.records import CHANNEL_NAMES
from sim.check.compare.owners import find_owners
from sim.check.expected.rows import Expectation, expect
from tests.support.oracle_world import HOUR_0, START_US, Row, node, row, stage_rows, stored

SHARE_OF = {"A-001": 0, "A-002": 0, "B-001": 1, "C-001": 2}
Told = tuple[list[int], list[int], list[tuple[int, int]]]


def rows(turbine: str, *numbers: int, **changes: object) -> list[Row]:
    """As the node has them; row 3 of A-001 it stores under its neighbour's name, row 4 without a name."""
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


def told(
    expected: Expectation, objects: dict[str, list[Row]], stage: str = "ingestion", share: int = 0
) -> Told:
    """(owner of each row, rows of nobody, visitors) of objects by what their keys end with."""
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
    assert told(expected, objects) == ([1, 1, 0, 0, 0, 0], [], [])
    assert told(expected, {"A-001-1-4": []}) == ([], [], [])


@pytest.mark.parametrize("number", [3, 4])
def test_what_a_node_stored_under_a_wrong_name_alone_is_its_own(
    expected: Expectation, number: int
) -> None:
    assert told(expected, {"A-001-1-4": rows("A-001", number)}) == ([0], [], [])


def test_the_first_row_of_all_is_a_row_too(expected: Expectation) -> None:
    wrong = rows("A-001", 1, turbine_id="A-002")
    both = expect([node("A-001"), node("A-002")], [stored(wrong), stored(second(5))])
    assert told(both, {"A-001-1-1": wrong}) == ([0], [], [])
    assert told(expected, {"A-002-1-2": [*second(1), *rows("A-001", 1)]}) == ([1, 0], [], [])


@pytest.mark.parametrize("name", ["A-002", "B-001", "Z-001", None])
def test_one_altered_cell_makes_no_row_another_turbine_s(
    expected: Expectation, name: str | None
) -> None:
    objects = {"A-001-1-2": [*rows("A-001", 1), *rows("A-001", 2, turbine_id=name)]}
    assert told(expected, objects) == ([0, 0], [], [])


def test_a_row_that_is_another_s_in_all_cells_is_that_other_s(expected: Expectation) -> None:
    assert told(expected, {"A-001-1-2": [*rows("A-001", 1), *second(2)]}) == ([0, 1], [], [])
    assert told(expected, {"A-002-1-2": [*second(1), *rows("A-001", 2)]}) == ([1, 0], [], [])


@pytest.mark.parametrize("name", ["timestamp", "recorded_at", *CHANNEL_NAMES])
def test_but_for_one_cell_it_is_not(expected: Expectation, name: str) -> None:
    other = second(2)
    other[0][name] += 1
    assert told(expected, {"A-001-1-2": [*rows("A-001", 1), *other]}) == ([0, 0], [], [])
    assert told(expected, {"A-001-1-2": [*rows("A-001", 1), *second(4)]}) == (
        [0, 0],
        [],
        [],
    )  # no such row


def test_an_object_whose_rows_are_all_another_s(expected: Expectation) -> None:
    assert told(expected, {"A-001-1-2": second(1, 7)}) == ([1, 1], [], [])
    assert told(
        expected, {"A-001-1-2": second(1), "A-002-1-2": second(2), "A-002-7-8": rows("A-001", 2)}
    ) == (
        [1, 1, 0],
        [],
        [],
    )
    mixed = {"A-001-1-2": [*second(1), *rows("A-001", 2, turbine_id=None)]}
    assert told(expected, mixed) == ([1, 0], [], [])


def test_an_object_under_another_share_s_key(expected: Expectation) -> None:
    assert told(expected, {"B-001-1-2": rows("A-001", 1, 2)}) == ([0, 0], [], [])
    assert told(expected, {"B-001-1-2": [*rows("A-001", 1), *rows("B-001", 2)]}) == (
        [0, -1],
        [1],
        [],
    )


@pytest.fixture(scope="module")
def third() -> Expectation:
    return expect([node("B-001")], [stored(rows("B-001", 1, 2))])


def test_a_single_row_of_another_share_is_that_share_s(
    expected: Expectation, third: Expectation
) -> None:
    """The same rows come to the same owners in whatever share they are judged."""
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


def test_a_window_of_another_share_has_no_cells_to_know_it_by(
    expected: Expectation, third: Expectation
) -> None:
    files = {f"aggregated/{HOUR_0}/A-001-1-4.parquet": [window("A-001"), window("B-001")]}
    found = find_owners(stage_rows("aggregated", files), expected, 0, SHARE_OF, lambda _: third)
    assert (found.owner.tolist(), found.visitors) == ([0, 0], [])


def test_rows_of_another_share_are_for_it_to_see(expected: Expectation) -> None:
    objects = {
        "A-001-1-1": rows("A-001", 1),
        "A-001-1-2": rows("B-001", 1, 2),
        "A-002-1-2": [*rows("C-001", 1), *rows("B-001", 1), *rows("C-001", 2)],
    }
    assert told(expected, objects) == ([0, -1, -1, -1, -1, -1], [], [(1, 1), (2, 1), (2, 2)])
    assert told(expected, objects, share=2) == ([0, -1, -1, 1, -1, 1], [], [(1, 1), (2, 1)])


def test_rows_of_the_first_share_are_for_it_to_see() -> None:
    third = expect([node("C-001")], [stored(rows("C-001", 1))])
    assert told(third, {"C-001-1-2": rows("A-001", 1)}, share=2) == ([-1], [], [(0, 0)])


def test_rows_of_nobody(expected: Expectation) -> None:
    assert told(expected, {"Z-001-1-2": rows("Z-001", 1, 2)}) == ([-1, -1], [0, 1], [])
    objects = {
        "odd": [
            *rows("A-001", 1),
            *rows("Z-001", 2),
            *rows("A-001", 1, turbine_id=None),
            *rows("B-001", 1),
        ]
    }
    assert told(expected, objects) == ([0, -1, -1, -1], [1, 2], [(0, 1)])
    assert told(expected, {"A-001-1-2": rows("Z-001", 1, 2)}) == (
        [0, 0],
        [],
        [],
    )  # the turbine of the key is to blame
    objects = {"odd": [], "Z-001-1-1": rows("Z-001", 1), "A-001-1-1": rows("A-001", 1)}
    assert told(expected, objects) == ([-1, 0], [0], [])


def window(turbine: str) -> Row:
    return {"turbine_id": turbine, "window_start": START_US}


def test_windows_have_no_ids(expected: Expectation) -> None:
    objects = {"A-001-1-4": [window("A-001"), window("A-002")], "A-002-1-2": [window("A-001")]}
    assert told(expected, objects, "aggregated") == ([0, 0, 0], [], [])
    assert told(expected, {"A-002-1-2": [window("B-001")]}, "aggregated") == ([-1], [], [(0, 1)])


def test_nodes_without_rows_claim_what_says_so() -> None:
    empty = expect([node("A-001"), node("A-002")], [stored([]), stored([])])
    assert told(empty, {"A-001-1-2": [*rows("A-001", 1), *second(2)]}) == ([0, 0], [], [])
    assert told(empty, {"A-001-1-2": second(2)}) == ([1], [], [])
    assert told(
        expect([], []), {"Z-001-1-2": rows("B-001", 1), "Z-001-1-3": rows("Z-001", 1)}, share=-1
    ) == (
        [-1, -1],
        [1],
        [(0, 1)],
    )
