"""The log of batches: it only grows, and a line that was cut off never counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.errors import QueryError
from sim.query.offsets import Offsets

KEYS = ["a b", "ü%+/x.parquet", 'c"\n']


def test_batches_are_read_back_with_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "_batches" / "raw.jsonl"
    log = Offsets.read(path)
    assert (log.last, log.known) == (0, set())
    assert log.append(KEYS) == 1
    first = path.read_bytes()
    assert log.append(["d"]) == 2
    assert path.read_bytes().startswith(first)
    again = Offsets.read(path)
    assert (again.last, again.latest, again.known) == (2, ["d"], {*KEYS, "d"})


@pytest.mark.parametrize("cut", [1, 5])
def test_a_line_without_its_end_is_written_over(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "raw.jsonl"
    log = Offsets.read(path)
    log.append(KEYS)
    whole = path.read_bytes()
    log.append(["d", "e"])
    path.write_bytes(path.read_bytes()[:-cut])
    again = Offsets.read(path)
    assert (again.last, again.known) == (1, set(KEYS))
    assert again.append(["f"]) == 2
    assert path.read_bytes() == whole + b'["f"]\n'


@pytest.mark.parametrize("line", [b"{}\n", b"[1]\n", b"x\n", b"\xff\n"])
def test_a_line_that_is_no_batch_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "raw.jsonl"
    path.write_bytes(b'["a"]\n' + line)
    with pytest.raises(QueryError, match=r"raw.jsonl: batch 2 cannot be read .*load again"):
        Offsets.read(path)
