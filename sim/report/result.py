"""The result of a run: one object, written as result.json, from which every report is made.

The JSON is deterministic (sorted keys, no NaN): the same result gives the same bytes. `load` checks every field and
says which one is wrong. The raw operations stay in operations.parquet; nothing here repeats them but sums.
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError

from pipeline.terminal import cause
from sim.chaos.faults import KINDS
from sim.errors import MEANINGS, ResultError
from sim.measure.lifecycle import Outlook
from sim.measure.loadtest import LoadTest
from sim.measure.thresholds import Outcome
from sim.measure.throughput import Series
from sim.report import numbers

SCHEMA_VERSION: Final = 1
RESULT_FILE: Final = "result.json"
WRONGS: Final = ("lost", "duplicated", "misplaced", "altered", "unexpected")
"""The ways in which rows can be wrong, as counted per stage, farm and hour."""

Verdict = Literal["pass", "fail", "unknown"]
Kind = Literal["counted", "measured", "modelled"]


def _hour(text: str) -> str:
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:00:00(Z|\+00:00)", text):
        raise ValueError(f"'{text}' is not an hour such as 2024-01-15T00:00:00Z")
    datetime.fromisoformat(text)
    return text


def _exit_code(code: int) -> int:
    if code not in MEANINGS:
        raise ValueError(f"{code} is not an exit code of windfleet")
    return code


class _Record:
    """Unknown fields in the JSON are errors."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Figure(_Record):
    """One named number. None: it could not be determined."""

    value: int | float | None
    unit: str
    kind: Kind


@dataclass(frozen=True)
class Lake(_Record):
    """What lay in the buckets at the end. `quarantined_by_rule`: rows."""

    digest: str
    objects: int
    rows_by_stage: dict[str, int]
    quarantined_by_rule: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault(_Record):
    """A fault of delivery: how often it was meant to happen, and how often it did."""

    kind: str
    planned: int
    fired: int

    @property
    def words(self) -> tuple[str, str]:
        """On how many nodes, farms or calls it was planned, and how many it struck."""
        units = KINDS[self.kind].units if self.kind in KINDS else ("calls", "calls")
        planned, fired = (
            f"{n:,} {unit.removesuffix('s') if n == 1 else unit}"
            for n, unit in zip((self.planned, self.fired), units, strict=True)
        )
        return planned, fired


@dataclass(frozen=True)
class Shard(_Record):
    """One farm's share of the run. Wall seconds, bytes."""

    farm: str
    turbines: int
    rows: int
    objects: int
    wall_s: float
    region: str = ""
    memory_peak_bytes: int | None = None


@dataclass(frozen=True)
class Cell(_Record):
    """One farm, hour (ISO, UTC) and stage: rows (windows in `aggregated`) expected, found and wrong."""

    farm: str
    hour: Annotated[str, AfterValidator(_hour)]
    stage: str
    expected: int
    actual: int
    lost: int
    duplicated: int
    misplaced: int
    altered: int
    unexpected: int

    @property
    def wrong(self) -> int:
        return sum(getattr(self, name) for name in WRONGS)


@dataclass(frozen=True)
class Finding(_Record):
    """One thing the oracle holds against the lake."""

    kind: str
    stage: str | None = None
    farm: str | None = None
    turbine: str | None = None
    hour: str | None = None
    key: str | None = None
    rows: int | None = None
    detail: str = ""


@dataclass(frozen=True)
class Injected(_Record):
    """One kind of fault put into the data on purpose: how many, how many rows they touched, where those went, and how
    many that can be detected were found, after how long (median event time). None: not scored."""

    kind: str
    injected: int
    rows: int
    quarantined_by_rule: dict[str, int] = field(default_factory=dict)
    detectable: int | None = None
    found: int | None = None
    delay_s: float | None = None


@dataclass(frozen=True)
class Run(_Record):
    """What ran: real start and wall seconds, the span of fleet time (times ISO, UTC), the command to repeat it."""

    replay: str
    started: str | None = None
    wall_s: float | None = None
    virtual_start: str | None = None
    virtual_end: str | None = None
    farms: int | None = None
    turbines: int | None = None


@dataclass(frozen=True)
class Result(_Record):
    """Everything a report needs. `versions`: program to version; `environment`: machine and store, in words.

    `load`: of `windfleet load` only; there is no lake then, and nothing was judged row by row.
    """

    scenario: str
    seed: int
    verdict: Verdict
    exit_code: Annotated[int, AfterValidator(_exit_code)]
    run: Run
    versions: dict[str, str]
    figures: dict[str, Figure]
    lake: Lake | None
    schema_version: int = SCHEMA_VERSION
    environment: dict[str, str] = field(default_factory=dict)
    expectations: tuple[Outcome, ...] = ()
    faults: tuple[Fault, ...] = ()
    shards: tuple[Shard, ...] = ()
    completeness: tuple[Cell, ...] = ()
    findings: tuple[Finding, ...] = ()
    throughput: Series | None = None
    truth: tuple[Injected, ...] = ()
    load: LoadTest | None = None
    outlook: Outlook | None = None
    errors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader should know that is no error: faults that chance kept from striking."""

    def figure(self, name: str) -> int | float | None:
        """The figure's value; None when it is not there or could not be determined."""
        found = self.figures.get(name)
        return None if found is None else found.value

    def told(self, outcome: Outcome) -> str:
        """The value of an expectation's figure, with the figure's unit."""
        name = re.match(r"[\w.]*", outcome.text.strip())
        found = self.figures.get(name[0]) if name else None
        return numbers.figure(outcome.value, found.unit if found else "")

    def to_json(self) -> str:
        """Deterministic JSON. Raises ValueError on a NaN, an infinity or a value of the wrong type."""
        checked = dataclasses.asdict(_ADAPTER.validate_python(dataclasses.asdict(self)))
        return (
            json.dumps(checked, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
            + "\n"
        )


MOST_BYTES: Final = 100_000_000
"""More is no result, and is not read."""
_ADAPTER: Final = TypeAdapter(Result)


def load(path: Path) -> Result:
    """Read a run's result.json (the file or its directory). Raises ResultError."""
    file = path / RESULT_FILE if path.is_dir() else path
    try:
        with file.open("rb") as opened:
            body = opened.read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            raise ValueError(f"larger than {MOST_BYTES // 1_000_000} MB")
        raw: Any = json.loads(body.decode("utf-8"))
    except OSError as error:
        raise ResultError(
            f"{file}: cannot read the result: {cause(error)}; is this a run directory?"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ResultError(f"{file}: not a result: {error}") from error
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version != SCHEMA_VERSION:
        raise ResultError(
            f"{file}: schema_version is {version!r}, this windfleet reads {SCHEMA_VERSION}"
        )
    try:
        return _ADAPTER.validate_python(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise ResultError(f"{file}: {where}: {first['msg']}{more}") from error
