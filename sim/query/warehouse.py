"""The folder of Delta tables that `windfleet query` reads.

    warehouse.json                 the lake that it is of, and the form of this folder
    <table>/                       a Delta table
    _batches/<table>/00000001.json which objects are in which transaction (`offsets`)

One process at a time loads; others wait. Anybody may read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.records import PIPELINE_VERSION, SCHEMA_VERSION
from sim import folder_lock
from sim.check.read.lake import LakeReader
from sim.errors import ENVIRONMENT, QueryError, reason

VERSION: Final = 1
FILE: Final = "warehouse.json"


@dataclass(frozen=True)
class Warehouse:
    """A folder of Delta tables of one lake."""

    folder: Path
    lake: LakeReader

    def table(self, name: str) -> Path:
        return self.folder / name

    def batches(self, name: str) -> Path:
        return self.folder / "_batches" / name

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Make the folder if it is not there, and own it for a block; wait for another owner.

        Raises QueryError for a folder that holds something else, or is of another lake or version.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with folder_lock.owned(self.folder, wait=True):
                self._claim()
                yield
        except OSError as error:
            raise QueryError(
                f"{self.folder}: cannot keep a warehouse here: {reason(error)}", ENVIRONMENT
            ) from error

    def _claim(self) -> None:
        file = self.folder / FILE
        mine = {
            "version": VERSION,
            "schema_version": SCHEMA_VERSION,
            "pipeline_version": PIPELINE_VERSION,
            "lake": self._place(),
        }
        if not file.exists():
            others = [
                each.name for each in self.folder.iterdir() if each.name != folder_lock.LOCK_FILE
            ]
            if others:
                raise QueryError(
                    f"{self.folder}: holds {min(others)} and is no warehouse; "
                    "name another folder with --warehouse DIR"
                )
            part = file.with_suffix(".part")
            part.write_text(json.dumps(mine, indent=2) + "\n", encoding="utf-8")
            part.replace(file)
            return
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise QueryError(f"{file}: cannot be read ({error}); remove {self.folder}") from error
        for key, value in mine.items():
            if not isinstance(found, dict) or found.get(key) != value:
                there = found.get(key) if isinstance(found, dict) else None
                raise QueryError(
                    f"{self.folder}: is of another {key.replace('_', ' ')} ({there}, not {value}); "
                    "remove it, or name another folder with --warehouse DIR"
                )

    def _place(self) -> str:
        """Return the lake's URL, or its path from here: a run directory may move."""
        if self.lake.opener is not None:
            return self.lake.location
        return os.path.relpath(os.path.realpath(self.lake.location), os.path.realpath(self.folder))
