"""The raw rounds of a run of `windfleet bench`, as JSON. Tables are made from it."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, NoReturn

from pydantic import ConfigDict, TypeAdapter, ValidationError

from pipeline.terminal import cause
from sim.bench.rounds import Cost, Rounds
from sim.errors import ResultError
from sim.special_file import open_to_read
from sim.whole_file import write_text

KIND: Final = "windfleet bench"
SCHEMA_VERSION: Final = 1
_BYTES_MAX: Final = 16_000_000

SAMPLES, WRITE, READ, STAGES, PROCESS = "samples", "write", "read", "stages", "process"
PUT, DELIVER, VERIFY, JOB = "PUT", "deliver", "verify", "whole job"
DELIVERED: Final = (READ, PROCESS, PUT)
"""Parts whose floors together are the floor of DELIVER."""
JOB_PARTS: Final = (SAMPLES, WRITE, DELIVER, VERIFY)
SETUP: Final = "set-up"
"""Weather, wakes and machines of the farms, once a run whatever its length: no cost of a row."""
Series = Literal["turbines", "flushes", "duration"]


class _Strict:
    """Base of all parts of a record. Unknown fields in the JSON are errors."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class PartRounds(_Strict):
    """The rounds of one part, and of its floor if it has one."""

    product: Rounds
    floor: Rounds | None


@dataclass(frozen=True)
class SizeRecord(_Strict):
    """All parts at one number of rows a batch. fixed_s: CPU time of the fixed work, each round."""

    rows_per_batch: int
    turbines: int
    objects: int
    bytes: int
    fixed_s: list[float]
    parts: dict[str, PartRounds]

    @property
    def rows(self) -> int:
        return self.rows_per_batch * self.turbines

    @property
    def name(self) -> str:
        return f"{self.turbines:,} nodes x {self.rows_per_batch:,} rows"

    def names(self) -> list[str]:
        """List the parts, the whole job last."""
        whole = [JOB] if all(part in self.parts for part in JOB_PARTS) else []
        return [*self.parts, *whole]

    def product(self, part: str) -> Cost:
        """Return the least cost of a part, or of the whole job."""
        if part == JOB:
            return sum((self.product(each) for each in JOB_PARTS), Cost(0.0))
        return self.parts[part].product.least

    def floor(self, part: str) -> Cost | None:
        """Return the least cost of a part's floor. Samples have none: they count as they are."""
        if part == JOB:
            return sum((self.floor(p) or self.product(p) for p in JOB_PARTS), Cost(0.0))
        if part == DELIVER:
            floors = [self.floor(each) for each in DELIVERED if each in self.parts]
            known = [each for each in floors if each is not None]
            return sum(known, Cost(0.0)) if len(known) == len(DELIVERED) else None
        rounds = self.parts[part].floor
        return None if rounds is None else rounds.least

    def middle_s(self, part: str) -> float:
        """Return the median of a part's rounds, or the sum of those of the whole job."""
        if part == JOB:
            return sum(self.middle_s(each) for each in JOB_PARTS)
        return self.parts[part].product.middle_s

    def put_rates(self) -> tuple[float, float] | None:
        """Return objects per second (wall time): delivered, and by the floor of PUT."""
        ceiling = self.floor(PUT) if PUT in self.parts else None
        if ceiling is None or DELIVER not in self.parts:
            return None
        return self.objects / self.product(DELIVER).wall_s, self.objects / ceiling.wall_s


@dataclass(frozen=True)
class GrowthPoint(_Strict):
    """A whole job of one size, and its set-up. value: of the series.

    worker_bytes, store_bytes: the largest resident memory of a process.
    """

    series: Series
    value: int
    turbines: int
    rows: int
    objects: int
    fixed_s: list[float]
    parts: dict[str, Rounds]
    worker_bytes: int
    store_bytes: int

    @property
    def name(self) -> str:
        return f"{self.series} {self.value:,}: {self.turbines:,} turbines, {self.rows:,} rows"

    def names(self) -> list[str]:
        return [*self.parts, JOB]

    def product(self, part: str) -> Cost:
        """Return the least cost of a part, or of the whole job."""
        if part == JOB:
            return sum((self.parts[each].least for each in JOB_PARTS), Cost(0.0))
        return self.parts[part].least

    def middle_s(self, part: str) -> float:
        """Return the median of a part's rounds, or the sum of those of the whole job."""
        if part == JOB:
            return sum(self.parts[each].middle_s for each in JOB_PARTS)
        return self.parts[part].middle_s


@dataclass(frozen=True)
class BenchRecord(_Strict):
    """One run of the command."""

    kind: str
    schema_version: int
    machine: str
    versions: dict[str, str]
    pipeline_version: str
    gateway: str
    seed: int
    sizes: list[SizeRecord] = field(default_factory=list)
    growth: list[GrowthPoint] = field(default_factory=list)


_ADAPTER: Final = TypeAdapter(BenchRecord)


def write_record(record: BenchRecord, path: Path) -> None:
    """Write a record. Raises OSError."""
    text = json.dumps(dataclasses.asdict(record), indent=1, allow_nan=False)
    write_text(path, f"{text}\n")


def read_record(path: Path) -> BenchRecord:
    """Read a record. Raises ResultError that names the file, and the field if one is wrong."""
    try:
        with open_to_read(path) as opened:
            body = opened.read(_BYTES_MAX + 1)
        if len(body) > _BYTES_MAX:
            raise ValueError(f"larger than {_BYTES_MAX // 1_000_000} MB")
        raw: Any = json.loads(body.decode("utf-8"), parse_constant=_refuse)
    except OSError as error:
        raise ResultError(
            f"{path}: cannot be read: {cause(error)}; name a file of `windfleet bench --json`"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ResultError(f"{path}: not a file of `windfleet bench --json`: {error}") from error
    if not isinstance(raw, dict) or raw.get("kind") != KIND:
        raise ResultError(
            f"{path}: not a file of `windfleet bench --json`: it has no kind '{KIND}'"
        )
    if raw.get("schema_version") != SCHEMA_VERSION:
        raise ResultError(
            f"{path}: schema_version is {raw.get('schema_version')!r}, this windfleet reads "
            f"{SCHEMA_VERSION}; measure again with: windfleet bench --json FILE"
        )
    try:
        record = _ADAPTER.validate_json(body, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ResultError(f"{path}: {where}: {first['msg']}") from error
    for place, problem in _problems(record):
        raise ResultError(f"{path}: {place}: {problem}")
    return record


def _problems(record: BenchRecord) -> list[tuple[str, str]]:
    """List values that no measurement gives: (place, problem)."""
    found = []
    series: list[tuple[str, list[float]]] = []
    for i, size in enumerate(record.sizes):
        place = f"sizes.{i}"
        if min(size.rows_per_batch, size.turbines, size.objects) < 1:
            found.append((place, "rows_per_batch, turbines and objects must be 1 or more"))
        series.append((f"{place}.fixed_s", size.fixed_s))
        for name, part in size.parts.items():
            series += _lists(f"{place}.parts.{name}.product", part.product)
            if part.floor is not None:
                series += _lists(f"{place}.parts.{name}.floor", part.floor)
    for i, point in enumerate(record.growth):
        if min(point.rows, point.turbines, point.objects) < 1:
            found.append((f"growth.{i}", "rows, turbines and objects must be 1 or more"))
        series.append((f"growth.{i}.fixed_s", point.fixed_s))
        if missing := [part for part in (SETUP, *JOB_PARTS) if part not in point.parts]:
            found.append((f"growth.{i}.parts", f"{missing[0]} is missing"))
        for name, rounds in point.parts.items():
            series += _lists(f"growth.{i}.parts.{name}", rounds)
    for place, values in series:
        if not values or not all(math.isfinite(each) and each >= 0 for each in values):
            found.append((place, "must be one round or more, of 0 s or more each"))
    return found


def _lists(place: str, rounds: Rounds) -> list[tuple[str, list[float]]]:
    lengths = {len(rounds.cpu_s), len(rounds.server_s), len(rounds.wall_s)}
    values = rounds.cpu_s if len(lengths) == 1 else []
    return [(place, values), (place, rounds.server_s), (place, rounds.wall_s)]


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a finite number")
