"""New records of growing files: whole ones only, each once, also of files that were removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.watch import tail
from sim.watch.tail import FolderTail, Tail


def read(found: Tail | FolderTail) -> bytes:
    return b"".join(found.pieces())


def test_an_incomplete_line_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(b"one\ntw")
    tailed = Tail(path)
    assert read(tailed) == b"one\n"
    assert read(tailed) == b""
    with path.open("ab") as file:
        file.write(b"o\nthree\nfo")
    assert read(tailed) == b"two\nthree\n"


def test_an_incomplete_record_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"aaaabbbbcc")
    tailed = Tail(path, 4)
    assert read(tailed) == b"aaaabbbb"
    with path.open("ab") as file:
        file.write(b"ccdddd")
    assert read(tailed) == b"ccccdddd"


def test_a_large_file_comes_in_pieces_of_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "PIECE_BYTES", 7)
    path = tmp_path / "a.tsv"
    path.write_bytes(b"".join(b"%d\n" % number for number in range(100)))
    pieces = list(Tail(path).pieces())
    assert b"".join(pieces) == path.read_bytes()
    assert len(pieces) > 20
    assert all(piece.endswith(b"\n") for piece in pieces)


def test_files_appear_later_and_are_read_to_their_end_when_removed(tmp_path: Path) -> None:
    folder = FolderTail(tmp_path / "later", "*.tsv")
    assert read(folder) == b""
    (tmp_path / "later").mkdir()
    first, second = tmp_path / "later" / "1.tsv", tmp_path / "later" / "2.tsv"
    first.write_bytes(b"a\n")
    assert read(folder) == b"a\n"
    second.write_bytes(b"c\n")
    (tmp_path / "later" / "3.other").write_bytes(b"no\n")
    with first.open("ab") as file:
        file.write(b"b\n")
    first.unlink()
    assert read(folder) == b"b\nc\n"
    second.unlink()
    assert read(folder) == b""
    assert folder.seen == 2
    assert not folder._tails, "removed files stay open"
