"""The result of a run: one object, written as result.json. Every report is made from it.

The JSON is deterministic (sorted keys, no NaN): the same result gives the same bytes. `read_result`
checks every field and names the wrong one. The raw operations stay in operations.parquet; the
result contains only sums of them.
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError

from pipeline.terminal import cause
from sim import finite_json
from sim.chaos.faults import KINDS
from sim.errors import MEANINGS, ResultError
from sim.measure.freshness import Freshness
from sim.measure.lifecycle import Outlook
from sim.measure.loadtest import LoadTest
from sim.measure.thresholds import Outcome
from sim.measure.throughput import Series
from sim.measure.timeline import Timeline
from sim.report import numbers
from sim.special_file import open_to_read

SCHEMA_VERSION: Final = 1
RESULT_FILE: Final = "result.json"
WRONGS: Final = ("lost", "duplicated", "misplaced", "altered", "unexpected")
"""The ways in which rows can be wrong, counted per stage, farm and hour."""

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
    """Base of all parts of a result. Unknown fields in the JSON are errors."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Figure(_Record):
    """One named number. None: it could not be determined."""

    value: int | float | None
    unit: str
    kind: Kind


@dataclass(frozen=True)
class Lake(_Record):
    """The content of the buckets at the end. `quarantined_by_rule`: rows."""

    digest: str
    objects: int
    rows_by_stage: dict[str, int]
    quarantined_by_rule: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault(_Record):
    """A fault of delivery: planned and actual injections."""

    kind: str
    planned: int
    fired: int

    @property
    def hit_retries(self) -> bool:
        """True if it hit more calls than a run without faults has for it."""
        kind = KINDS.get(self.kind)
        return kind is not None and kind.units == ("calls", "calls") and self.fired > self.planned

    @property
    def words(self) -> tuple[str, str]:
        """Return planned and actual injections in words: nodes, farms or calls."""
        units = KINDS[self.kind].units if self.kind in KINDS else ("calls", "calls")
        planned, fired = (
            f"{n:,} {unit.removesuffix('s') if n == 1 else unit}"
            for n, unit in zip((self.planned, self.fired), units, strict=True)
        )
        return planned, fired


@dataclass(frozen=True)
class FaultWindow(_Record):
    """A fault of delivery that lasts: its start and end, in seconds of fleet time since the start.

    farms: empty for all.
    """

    kind: str
    from_s: float
    to_s: float
    farms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shard(_Record):
    """One farm's part of the run. Wall seconds, bytes."""

    farm: str
    turbines: int
    rows: int
    objects: int
    wall_s: float
    region: str = ""
    memory_peak_bytes: int | None = None


@dataclass(frozen=True)
class HourCompleteness(_Record):
    """One farm, hour (ISO, UTC) and stage: rows expected, found and wrong.

    In `aggregated`, windows instead of rows.
    """

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
    """One error that the oracle found in the lake."""

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
    """One kind of fault that was injected into the data.

    injected: number of faults. rows: rows affected. quarantined_by_rule: those of them in
    quarantine.
    detectable, found: faults that can be detected, and those that were. None: not scored.
    delay_s: median event time until detection.
    """

    kind: str
    injected: int
    rows: int
    quarantined_by_rule: dict[str, int] = field(default_factory=dict)
    detectable: int | None = None
    found: int | None = None
    delay_s: float | None = None


@dataclass(frozen=True)
class Run(_Record):
    """The circumstances of a run.

    part: such as `part 3 of 16`; None for a whole run.
    replay: the command that repeats it. started, wall_s: real time. virtual_start, virtual_end:
    fleet time. Times are ISO, UTC.
    """

    replay: str
    started: str | None = None
    wall_s: float | None = None
    virtual_start: str | None = None
    virtual_end: str | None = None
    farms: int | None = None
    turbines: int | None = None
    part: str | None = None


@dataclass(frozen=True)
class Difference(_Record):
    """A figure, or the lake digest, that a later verdict found to be another one."""

    name: str
    before: int | float | str | None
    now: int | float | str | None


@dataclass(frozen=True)
class Recheck(_Record):
    """A verdict of `windfleet verify`, compared with the result.json of the run that it judged.

    before: verdict of that file; None where it cannot be read or has no lake. compared: figures
    that both have, the digest included.
    """

    folder: str
    before: Verdict | None = None
    compared: int = 0
    differences: tuple[Difference, ...] = ()

    @property
    def sentence(self) -> str:
        """Return the comparison in one sentence; empty without a result.json to compare with."""
        if self.before is None:
            return ""
        if not self.differences:
            return "the same figures as in result.json"
        return f"differs from result.json in: {', '.join(each.name for each in self.differences)}"


@dataclass(frozen=True)
class Result(_Record):
    """All data of a report.

    versions: program to version. environment: machine and store, in words.
    load: only for `windfleet load`; such a run has no lake, and no row was judged.
    finding_counts: all findings by kind; `findings` holds 200 at most.
    recheck: only for `windfleet verify`.
    notes: facts that are no errors, such as faults that chance did not inject.
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
    fault_windows: tuple[FaultWindow, ...] = ()
    shards: tuple[Shard, ...] = ()
    completeness: tuple[HourCompleteness, ...] = ()
    findings: tuple[Finding, ...] = ()
    finding_counts: dict[str, int] = field(default_factory=dict)
    throughput: Series | None = None
    timeline: Timeline | None = None
    freshness: Freshness | None = None
    truth: tuple[Injected, ...] = ()
    load: LoadTest | None = None
    outlook: Outlook | None = None
    recheck: Recheck | None = None
    errors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def figure(self, name: str) -> int | float | None:
        """Return the value of a figure; None if it is absent or could not be determined."""
        found = self.figures.get(name)
        return None if found is None else found.value

    def value_text(self, outcome: Outcome) -> str:
        """Return the value of an expectation's figure as text, with its unit."""
        name = re.match(r"[\w.]*", outcome.text.strip())
        found = self.figures.get(name[0]) if name else None
        return numbers.figure(outcome.value, found.unit if found else "")

    def to_json(self) -> str:
        """Return deterministic JSON.

        Raises ValueError for a NaN, an infinity, or a value of the wrong type.
        """
        checked = dataclasses.asdict(_adapter().validate_python(dataclasses.asdict(self)))
        return (
            json.dumps(checked, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
            + "\n"
        )


BYTES_MAX: Final = 100_000_000
"""Size limit of result.json. A larger file is refused."""


@cache
def _adapter() -> TypeAdapter[Result]:
    """Return the checker of results. It takes a while to make, and most commands need none."""
    return TypeAdapter(Result)


def read_result(path: Path) -> Result:
    """Read a run's result.json, from the file or its directory. Raises ResultError."""
    file = path / RESULT_FILE if path.is_dir() else path
    try:
        with open_to_read(file) as opened:
            body = opened.read(BYTES_MAX + 1)
        if len(body) > BYTES_MAX:
            raise ValueError(f"larger than {BYTES_MAX // 1_000_000} MB")
        raw: Any = finite_json.loads(body.decode("utf-8"))
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
        return _adapter().validate_python(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise ResultError(f"{file}: {where}: {first['msg']}{more}") from error
