"""The part that this process runs: `3/16`, or the place that a batch system gave it.

Several parts run one after the other as `3-6/16`.

| system             | index, from                     | number of parts            |
|--------------------|---------------------------------|----------------------------|
| Bacalhau           | 0, BACALHAU_PARTITION_INDEX     | BACALHAU_PARTITION_COUNT   |
| AWS Batch arrays   | 0, AWS_BATCH_JOB_ARRAY_INDEX    | AWS_BATCH_JOB_ARRAY_SIZE   |
| Slurm arrays       | its lowest, SLURM_ARRAY_TASK_ID | SLURM_ARRAY_TASK_COUNT     |
| Kubernetes Indexed | 0, JOB_COMPLETION_INDEX         | none: `--shard auto/COUNT` |

The environment is read for `auto` only. A Slurm array that repeats single tasks cannot tell the
place of a task among all: such a task needs its part by number.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_BY_ZERO: Final = (
    ("BACALHAU_PARTITION_INDEX", "BACALHAU_PARTITION_COUNT"),
    ("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE"),
    ("JOB_COMPLETION_INDEX", ""),
)
_SLURM: Final = "SLURM_ARRAY_TASK_ID"
_SLURM_NUMBERS: Final = ("SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX", "SLURM_ARRAY_TASK_COUNT")


@dataclass(frozen=True)
class PartIndex:
    """One part of a run by its number, counted from 1, and the number of parts."""

    index: int
    count: int

    @property
    def folder(self) -> str:
        """Return the name of the part's directory."""
        return f"part-{self.index}-of-{self.count}"

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


@dataclass(frozen=True)
class PartRange:
    """Parts `first` to `last` of `count`, counted from 1, one after the other."""

    first: int
    last: int
    count: int

    @property
    def parts(self) -> list[PartIndex]:
        """Return the parts in order."""
        return [PartIndex(index, self.count) for index in range(self.first, self.last + 1)]

    def __str__(self) -> str:
        return f"{self.first}-{self.last}/{self.count}"


WHOLE: Final = PartIndex(1, 1)


def part_or_range(text: str) -> PartIndex | PartRange:
    """Return the parts of `3-6/16`, or the part of `part_index`. Raises ValueError."""
    found = re.fullmatch(r"(\d+)-(\d+)/(\d+)", text)
    if found is None:
        return part_index(text)
    first, last, count = map(int, found.groups())
    for index in (first, last):
        _checked(PartIndex(index, count), text)
    if first > last:
        raise ValueError(f"{text!r} holds no part; write {last}-{first}/{count}")
    return PartRange(first, last, count)


def part_index(text: str, environment: Mapping[str, str] | None = None) -> PartIndex:
    """Return the part of `3/16`, `auto` or `auto/16`. Raises ValueError.

    environment: of the process, if None.
    """
    found = re.fullmatch(r"(\d+)/(\d+)|auto(?:/(\d+))?", text)
    if found is None:
        raise ValueError(f"{text!r} is no part; write 3/16, 3-6/16, auto or auto/16")
    if found[1]:
        return _checked(PartIndex(int(found[1]), int(found[2])), text)
    environ = os.environ if environment is None else environment
    asked = int(found[3]) if found[3] else None
    places = [_place(environ, names, asked) for names in _BY_ZERO if names[0] in environ]
    if _SLURM in environ:
        places.append(_slurm(environ, asked))
    if not places:
        names = ", ".join([*(index for index, _ in _BY_ZERO), _SLURM])
        raise ValueError(f"no batch system set an index (looked for {names}); write --shard 3/16")
    if len(set(places)) > 1:
        raise ValueError(
            f"several batch systems disagree: {', '.join(map(str, places))}; write --shard 3/16"
        )
    return _checked(places[0], text)


def _checked(part: PartIndex, text: str) -> PartIndex:
    if not 1 <= part.index <= part.count:
        there = f"the parts are 1/{part.count} to {part.count}/{part.count}"
        fix = there if part.count else "a run has one part at least, 1/1"
        raise ValueError(f"{text!r}: there is no part {part.index} of {part.count}; {fix}")
    return part


def _place(environ: Mapping[str, str], names: tuple[str, str], asked: int | None) -> PartIndex:
    name, of = names
    count = _number(environ, of) if of and of in environ else asked
    if count is None:
        raise ValueError(f"{name} has no number of parts beside it; write --shard auto/COUNT")
    if asked is not None and count != asked:
        raise ValueError(f"{of} is {count}, --shard says {asked} parts; leave one of them out")
    return PartIndex(_number(environ, name) + 1, count)


def _slurm(environ: Mapping[str, str], asked: int | None) -> PartIndex:
    low, high, count = (_number(environ, name) for name in _SLURM_NUMBERS)
    index = _number(environ, _SLURM)
    if low > 1 or high - low + 1 != count or asked not in (None, count):
        whole = f"SLURM_ARRAY_TASK_MIN {low}, _MAX {high}, _COUNT {count}"
        raise ValueError(
            f"{whole} is not a whole array from 0 or 1; write the part by number: --shard 3/16"
        )
    return PartIndex(index - low + 1, count)


def _number(environ: Mapping[str, str], name: str) -> int:
    text = environ.get(name, "")
    if not text.isdigit():
        raise ValueError(f"{name} is {text!r}, not a whole number")
    return int(text)
