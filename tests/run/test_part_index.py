"""The part of a process: by number, or by what a batch system set."""

from __future__ import annotations

import pytest

from sim.run.part_index import PartIndex, PartRange, part_index, part_or_range

BACALHAU = {"BACALHAU_PARTITION_INDEX": "2", "BACALHAU_PARTITION_COUNT": "16"}
AWS = {"AWS_BATCH_JOB_ARRAY_INDEX": "0", "AWS_BATCH_JOB_ARRAY_SIZE": "3"}
KUBERNETES = {"JOB_COMPLETION_INDEX": "15"}


def slurm(task: int, low: int, high: int, count: int) -> dict[str, str]:
    names = ("ID", "MIN", "MAX", "COUNT")
    return {
        f"SLURM_ARRAY_TASK_{name}": str(value)
        for name, value in zip(names, (task, low, high, count), strict=True)
    }


@pytest.mark.parametrize(
    ("text", "environment", "want"),
    [
        ("3/16", {}, PartIndex(3, 16)),
        ("1/1", BACALHAU, PartIndex(1, 1)),  # a number needs no environment
        ("auto", BACALHAU, PartIndex(3, 16)),
        ("auto/16", BACALHAU, PartIndex(3, 16)),
        ("auto", AWS, PartIndex(1, 3)),
        ("auto/16", KUBERNETES, PartIndex(16, 16)),
        ("auto", slurm(1, 1, 40, 40), PartIndex(1, 40)),
        ("auto", slurm(39, 0, 39, 40), PartIndex(40, 40)),
        ("auto/3", AWS | slurm(1, 1, 3, 3), PartIndex(1, 3)),  # they agree
    ],
)
def test_the_index_is_counted_from_1(
    text: str, environment: dict[str, str], want: PartIndex
) -> None:
    assert part_index(text, environment) == want


@pytest.mark.parametrize(
    ("text", "environment", "names"),
    [
        ("0/16", {}, ["there is no part 0 of 16", "1/16 to 16/16"]),
        ("17/16", {}, ["part 17 of 16"]),
        ("1/0", {}, ["one part at least"]),
        ("3", {}, ["3/16, 3-6/16, auto or auto/16"]),
        ("3/", {}, ["3/16"]),
        ("-1/4", {}, ["3/16"]),
        ("auto", {}, ["BACALHAU_PARTITION_INDEX", "SLURM_ARRAY_TASK_ID", "--shard 3/16"]),
        ("auto", KUBERNETES, ["JOB_COMPLETION_INDEX", "--shard auto/COUNT"]),
        ("auto/4", KUBERNETES, ["part 16 of 4"]),
        ("auto/4", BACALHAU, ["BACALHAU_PARTITION_COUNT is 16", "4 parts"]),
        ("auto", BACALHAU | AWS, ["disagree", "3/16, 1/3"]),
        ("auto", {"BACALHAU_PARTITION_INDEX": "x"}, ["--shard auto/COUNT"]),
        ("auto/2", {"JOB_COMPLETION_INDEX": "x"}, ["JOB_COMPLETION_INDEX is 'x'"]),
        ("auto", slurm(7, 7, 7, 1), ["MIN 7", "by number"]),  # one task of an array, again
        ("auto", slurm(3, 1, 40, 3), ["COUNT 3", "by number"]),  # --array=1,3,40
        ("auto/16", slurm(3, 1, 40, 40), ["COUNT 40", "by number"]),
    ],
)
def test_another_place_is_refused_by_name(
    text: str, environment: dict[str, str], names: list[str]
) -> None:
    with pytest.raises(ValueError) as refused:
        part_index(text, environment)
    for name in names:
        assert name in str(refused.value)


def test_a_range_is_its_parts_in_order() -> None:
    found = part_or_range("3-5/16")
    assert found == PartRange(3, 5, 16)
    assert isinstance(found, PartRange)
    assert found.parts == [PartIndex(3, 16), PartIndex(4, 16), PartIndex(5, 16)]
    assert str(found) == "3-5/16"
    assert part_or_range("4/16") == PartIndex(4, 16)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("0-3/16", "no part 0 of 16"),
        ("3-17/16", "no part 17 of 16"),
        ("5-3/16", "holds no part; write 3-5/16"),
        ("3-/16", "write 3/16, 3-6/16"),
    ],
)
def test_a_range_that_cannot_be_names_the_fix(text: str, names: str) -> None:
    with pytest.raises(ValueError, match=names):
        part_or_range(text)
