"""The head of a part's record, the same for every command: of which work it is, and by what made.

`sim.merge.fit` compares the heads of parts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
from pydantic import ValidationError

from pipeline.terminal import cause
from sim.errors import PartError
from sim.measure.environment import program_versions
from sim.report.result import RESULT_FILE
from sim.run.part_index import PartIndex
from sim.scenario import Scenario

SCHEMA_VERSION: Final = 1
_NOT_A_RECORD: Final = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    RecursionError,
    pa.ArrowException,
)
MOST_PARTS: Final = 1_000_000
"""Bound of the number in a record. A part has a turbine at least."""
Kind = Literal["run", "verify", "campaign", "demo"]


@dataclass
class PartHead:
    """One part of a run, a verdict, a campaign or a data set.

    kind: the command. `verify` is a part of a run that was only judged again.
    scenario_sha256: of the resolved scenario.
    common: other settings and results that all parts have in common, by name.
    """

    index: int
    count: int
    scenario: str
    scenario_sha256: str
    seed: int
    versions: dict[str, str]
    schema_version: int = field(default=SCHEMA_VERSION, kw_only=True)
    kind: Kind = field(default="run", kw_only=True)
    common: dict[str, str] = field(default_factory=dict, kw_only=True)


def head_of(place: PartIndex, scenario: Scenario, seed: int) -> dict[str, Any]:
    """Return the fields of a head that have no default, by name."""
    return {
        "index": place.index,
        "count": place.count,
        "scenario": scenario.name,
        "scenario_sha256": hashlib.sha256(scenario.text.encode()).hexdigest(),
        "seed": seed,
        "versions": program_versions(),
    }


def read_json(path: Path) -> dict[str, Any]:
    """Read the record of a part. Raises PartError for another version, OSError and ValueError."""
    raw: dict[str, Any] = json.loads(path.read_bytes())
    if (version := raw.get("schema_version")) != SCHEMA_VERSION:
        raise PartError(
            f"{path}: schema_version is {version!r}, this windfleet reads {SCHEMA_VERSION}"
        )
    if not 1 <= raw["index"] <= raw["count"] <= MOST_PARTS:
        raise ValueError(f"part {raw['index']} of {raw['count']} cannot be")
    return raw


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raise PartError, with the fix, for a record that the block cannot read. path: its file."""
    try:
        yield
    except FileNotFoundError as error:
        if not path.exists() and _is_whole_run(path.parent):
            fix = "name the folders that `--shard I/N` made"
            raise PartError(f"{path.parent}: is a whole run, not a part; {fix}") from error
        missing = "is not a finished part of a run: run it again with --shard, until it has"
        raise PartError(f"{path.parent}: {missing} a {Path(error.filename).name}") from error
    except OSError as error:
        raise PartError(f"{path.parent}: cannot be read: {cause(error)}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise PartError(f"{path}: {where}: {first['msg']}; run the part again") from error
    except _NOT_A_RECORD as error:
        raise PartError(f"{path}: not a record of a part: {error}; run the part again") from error


def _is_whole_run(folder: Path) -> bool:
    """Return True for a folder with the result of a run that is no part: a part has one, too."""
    try:
        run = json.loads((folder / RESULT_FILE).read_bytes())["run"]
        return run.get("part") is None
    except (OSError, *_NOT_A_RECORD):
        return False
