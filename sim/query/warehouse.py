"""The folder of Delta tables that `windfleet query` reads.

    warehouse.json                 the lake that it is of, and the form of this folder
    <table>/                       a Delta table
    _batches/<table>.jsonl         which objects are in which transaction (`offsets`)

One process at a time loads; others wait. Anybody may read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.records import PIPELINE_VERSION, SCHEMA_VERSION
from pipeline.terminal import one_line
from sim import folder_lock
from sim.check.read.lake import LakeReader
from sim.errors import ENVIRONMENT, QueryError, reason

VERSION: Final = 2
FILE: Final = "warehouse.json"
_ANOTHER: Final = "name another folder with --warehouse DIR"


@dataclass(frozen=True)
class Warehouse:
    """A folder of Delta tables of one lake."""

    folder: Path
    lake: LakeReader

    def table(self, name: str) -> Path:
        """Return a table's folder, absolute: Delta takes a relative `s3:x` for a URL."""
        return Path(os.path.realpath(self.folder)) / name

    def batches(self, name: str) -> Path:
        return self.folder / "_batches" / f"{name}.jsonl"

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Make the folder if it is not there, and own it for a block; wait for another owner.

        A new one in which the block made no table is removed again.
        Raises QueryError for a folder that holds something else, or is of another lake or version.
        """
        self._require_usable_path()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with ExitStack() as stack:
                stack.callback(self._remove_if_empty)  # after the lock's file is gone
                stack.enter_context(folder_lock.owned(self.folder, wait=True))
                new = self._claim()
                try:
                    yield
                finally:
                    if new and not self._holds_tables():
                        (self.folder / FILE).unlink()
        except FileExistsError as error:
            raise QueryError(f"{self.folder}: is no folder; {_ANOTHER}", ENVIRONMENT) from error
        except OSError as error:
            raise QueryError(
                f"{self.folder}: cannot keep a warehouse here: {reason(error)}", ENVIRONMENT
            ) from error

    def _require_usable_path(self) -> None:
        path = os.path.realpath(self.folder)
        odd = sorted({sign for sign in path if sign in "%\\" or not sign.isprintable()})
        if odd:
            raise QueryError(
                f"{one_line(path)}: Delta tables cannot be in a path with "
                f"{' '.join(map(ascii, odd))}; {_ANOTHER}"
            )

    def _remove_if_empty(self) -> None:
        with suppress(OSError):
            self.folder.rmdir()

    def _holds_tables(self) -> bool:
        return any(each.is_dir() for each in self.folder.iterdir())

    def _claim(self) -> bool:
        """Return True for a new warehouse. Raises QueryError."""
        file = self.folder / FILE
        mine = {
            "version": VERSION,
            "schema_version": SCHEMA_VERSION,
            "pipeline_version": PIPELINE_VERSION,
            "lake": self._place(),
        }
        if not file.exists():
            part = file.with_suffix(".part")  # of a loader that was killed here, too
            mine_too = (folder_lock.LOCK_FILE, part.name)
            others = [each.name for each in self.folder.iterdir() if each.name not in mine_too]
            if others:
                raise QueryError(
                    f"{self.folder}: holds {one_line(min(others))} and is no warehouse; {_ANOTHER}"
                )
            part.write_text(json.dumps(mine, indent=2) + "\n", encoding="utf-8")
            part.replace(file)
            return True
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise QueryError(f"{file}: cannot be read ({error}); remove {self.folder}") from error
        for key, value in mine.items():
            if not isinstance(found, dict) or found.get(key) != value:
                there = found.get(key) if isinstance(found, dict) else None
                raise QueryError(
                    f"{self.folder}: is of another {key.replace('_', ' ')} ({there}, not {value}); "
                    f"remove it, or {_ANOTHER}"
                )
        return False

    def _place(self) -> str:
        """Return the lake's URL, or its path from here: a run directory may move."""
        if self.lake.opener is not None:
            return self.lake.location
        return os.path.relpath(os.path.realpath(self.lake.location), os.path.realpath(self.folder))
