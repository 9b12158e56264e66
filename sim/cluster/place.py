"""The place of a part's files, beside its record: `place.json`, for `verify --cluster`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from sim.whole_file import write_text

PLACE_FILE: Final = "place.json"


@dataclass(frozen=True)
class Place:
    """A machine by its host name, and a folder there."""

    host: str
    folder: str


def write(run_dir: Path, place: Place) -> None:
    """Write the place of a part into the folder of its record. Raises OSError."""
    run_dir.mkdir(parents=True, exist_ok=True)
    write_text(run_dir / PLACE_FILE, json.dumps(asdict(place)) + "\n")


def read(run_dir: Path) -> Place:
    """Read the place of a part. Raises OSError, ValueError."""
    raw = json.loads((run_dir / PLACE_FILE).read_bytes())
    try:
        return Place(str(raw["host"]), str(raw["folder"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{run_dir / PLACE_FILE}: is no place: {error}") from error
