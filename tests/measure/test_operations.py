"""The operations of a run that times and rates are made of."""

from __future__ import annotations

import pytest

from pipeline.retry import Operation
from sim.measure.operations import TIMED, marked, merged, timed, timed_span
from tests.support.operations import table


def made(*starts: int, kind: str = "put") -> list[Operation]:
    return [Operation(at, at, at + 1, kind, "b", f"k{at}", 9, "ok", 1) for at in starts]


@pytest.mark.parametrize(
    ("began", "puts", "span", "left"),
    [
        ([10], [11, 12], (0, None), [11, 12]),
        ([10, 50], [11, 12, 51, 52], (50, None), [51, 52]),
        ([10, 50, 90], [11, 51], (50, 90), [51]),
        ([10, 50, 90], [11, 12], (0, 50), [11, 12]),
        ([10, 50], [], (0, 50), []),
    ],
)
def test_the_last_attempt_that_wrote_objects_is_timed(
    began: list[int], puts: list[int], span: tuple[int, int | None], left: list[int]
) -> None:
    reads = made(95, kind="get") if len(began) == 3 else []
    record = table([*made(*puts), *reads], "A")
    assert timed_span(record, began) == span
    found = timed(marked(record, began))["start"].cast("int64").to_pylist()
    assert found == left
    assert (TIMED in marked(record, began).column_names) == (len(left) < record.num_rows)


def test_parts_of_one_attempt_and_of_several_are_merged() -> None:
    """A part has its own attempts: the times of one leave out nothing of another."""
    resumed = marked(table(made(11, 51), "A-001-002"), [10, 50])
    both = merged([table(made(12), "A-003-004"), resumed])
    assert timed(both)["start"].cast("int64").to_pylist() == [12, 51]
    assert both.num_rows == 3


def test_an_operation_without_length_is_counted_and_not_timed() -> None:
    """Made by an attempt whose record died with its machine."""
    lost = Operation(20, 20, 20, "put", "b", "k", 9, "ok", 1)
    record = marked(table([*made(11), lost], "A"), [10])
    assert record.num_rows == 2
    assert timed(record)["start"].cast("int64").to_pylist() == [11]
