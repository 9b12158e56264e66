"""What a scenario file may say: one pydantic model per mapping, every value typed here and nowhere else.

The models read texts (`sim.yamlfile` types nothing) and are the source of `scenarios/scenario.schema.json`. Defaults
are written as a user would write them, so the same text serves the loader, the schema and the resolved scenario.
Rules between fields (a start before an end, a step that divides a window) are in `sim.scenario.rules`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from pipeline.records import BUCKET_NAMES, CHANNEL_NAMES
from sim.chaos.faults import KINDS as DELIVERY
from sim.measure.thresholds import THRESHOLD_PATTERN, Expectation
from sim.measure.thresholds import parse as parse_expectation
from sim.model.faults import KINDS
from sim.units import (
    BIT_RATE_PATTERN,
    COUNT_PATTERN,
    DURATION_PATTERN,
    INSTANT_PATTERN,
    RATE_PATTERN,
    SHARE_PATTERN,
    parse_bit_rate,
    parse_count,
    parse_duration,
    parse_instant,
    parse_rate,
    parse_share,
)
from sim.yamlfile import suggestion

SCHEMA_VERSION: Final = 1
MAX_SEED: Final = 2**63 - 1


def _text(parse: Callable[[str], Any]) -> BeforeValidator:
    """Turn a text parser into a validator that says so when it is given a list or a mapping."""

    def read(value: object) -> Any:
        if not isinstance(value, str):
            raise ValueError("must be a single value, not a list or a mapping")
        return parse(value)

    return BeforeValidator(read)


def _positive(text: str) -> int:
    if (us := parse_duration(text)) == 0:
        raise ValueError(f"'{text}' is zero; it must be longer")
    return us


def _bandwidth(text: str) -> float:
    if (rate := parse_bit_rate(text)) == 0:
        raise ValueError(f"'{text}' carries nothing; write for example 10 Mbit/s or 256 kbit/s")
    return rate


def _seed(text: str) -> int:
    if (seed := parse_count(text)) > MAX_SEED:
        raise ValueError(f"'{text}' is too large; a seed is at most {MAX_SEED}")
    return seed


def _turbines(text: str) -> int:
    if (count := parse_count(text)) == 0:
        raise ValueError("'0' turbines cannot produce anything; write 1 or more")
    return count


def _version(text: str) -> int:
    if text != str(SCHEMA_VERSION):
        raise ValueError(f"'{text}' is not known to this version of windfleet; write {SCHEMA_VERSION}")
    return SCHEMA_VERSION


_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


def _name(text: str) -> str:
    if not re.match(_NAME, text):
        raise ValueError(f"'{text}' cannot name a folder; use up to 64 letters, digits, '.', '_' and '-'")
    return text


def _word(text: str) -> str:
    if not text:
        raise ValueError("is an empty text")
    return text


def _delivery(text: str) -> str:
    if text in KINDS:
        raise ValueError(f"{text} is a fault of the data; it belongs in data_faults")
    return _one_of("kind of fault", tuple(DELIVERY))(text)


def _often(text: str) -> int:
    if (count := parse_count(text)) == 0:
        raise ValueError("'0' times is never; write 1 or more, or remove the fault")
    return count


def _one_of(what: str, known: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in known:
            raise ValueError(f"unknown {what} '{text}'{suggestion(text, known)}")
        return text

    return read


def _count_schema(**limits: int) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [{"type": "integer", **limits}, {"type": "string", "pattern": COUNT_PATTERN}]})


def _text_schema(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern})


Duration = Annotated[int, _text(parse_duration), WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN})]
LongDuration = Annotated[int, _text(_positive), WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN})]
Instant = Annotated[datetime, _text(parse_instant), _text_schema(INSTANT_PATTERN)]
Rate = Annotated[float, _text(parse_rate), _text_schema(RATE_PATTERN)]
BitRate = Annotated[float, _text(_bandwidth), _text_schema(BIT_RATE_PATTERN)]
Seed = Annotated[int, _text(_seed), _count_schema(minimum=0, maximum=MAX_SEED)]
Turbines = Annotated[int, _text(_turbines), _count_schema(minimum=1)]
Version = Annotated[int, _text(_version), WithJsonSchema({"const": SCHEMA_VERSION})]
Name = Annotated[str, _text(_name), _text_schema(_NAME)]
Word = Annotated[str, _text(_word), WithJsonSchema({"type": "string", "minLength": 1})]
Channel = Annotated[str, _text(_one_of("channel", CHANNEL_NAMES)), WithJsonSchema({"enum": list(CHANNEL_NAMES)})]
FaultKind = Annotated[str, _text(_one_of("kind of data fault", tuple(KINDS))), WithJsonSchema({"enum": list(KINDS)})]
DeliveryKind = Annotated[str, _text(_delivery), WithJsonSchema({"enum": list(DELIVERY)})]
BucketName = Annotated[str, _text(_one_of("bucket", BUCKET_NAMES)), WithJsonSchema({"enum": list(BUCKET_NAMES)})]
Share = Annotated[
    float,
    _text(parse_share),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
                {"type": "string", "pattern": SHARE_PATTERN},
            ]
        }
    ),
]
Often = Annotated[int, _text(_often), _count_schema(minimum=1)]
Threshold = Annotated[Expectation, _text(parse_expectation), _text_schema(THRESHOLD_PATTERN)]


class _Mapping(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FleetChoice(_Mapping):
    """Which turbines take part. A single word means the same as `{preset: word}`."""

    preset: Word = Field(
        default="full",
        description="A preset (full: 1,500 turbines; as-drawn: 1,425) or the path of a fleet YAML, from this file.",
        examples=["full", "as-drawn"],
    )
    farms: tuple[Word, ...] | None = Field(
        default=None, min_length=1, description="Only these farms; all when absent.", examples=[["A", "B"]]
    )
    turbines: Turbines | None = Field(
        default=None,
        description="Only this many turbines, shared out over the farms in proportion; all when absent.",
        examples=[16],
    )

    @model_validator(mode="before")
    @classmethod
    def _word_is_preset(cls, value: Any) -> Any:
        return {"preset": value} if isinstance(value, str) else value


class ClockChoice(_Mapping):
    """The virtual time the run covers: a start, and either a duration or an end."""

    start: Instant = Field(description="First sample, with its time zone.", examples=["2024-01-15T00:00:00Z"])
    duration: LongDuration | None = Field(default=None, description="How long the fleet runs.", examples=["1h", "10m"])
    end: Instant | None = Field(
        default=None, description="In place of duration: the time before which the last sample lies."
    )
    sample_every: LongDuration = Field(
        default="1s", validate_default=True, description="One row per turbine each.", examples=["1s", "500ms"]
    )


class PipelineChoice(_Mapping):
    """How each edge node's pipeline cuts and closes its data. Whole seconds."""

    flush_every: LongDuration = Field(
        default="15m", validate_default=True, description="A node commits one batch each.", examples=["15m"]
    )
    window: LongDuration = Field(
        default="10m", validate_default=True, description="Length of an aggregation window; must divide a day."
    )
    allowed_lateness: Duration = Field(
        default="5m", validate_default=True, description="How long a window waits for late rows before it is emitted."
    )


class UplinkChoice(_Mapping):
    """The line from a farm to the store, shared by its nodes. It is modelled: it shapes freshness, not wall time."""

    bandwidth: BitRate = Field(
        default="10 Mbit/s", validate_default=True, description="Per farm.", examples=["10 Mbit/s", "256 kbit/s"]
    )
    latency: Duration = Field(default="50ms", validate_default=True, description="Per request.", examples=["50ms"])


class DataFaultChoice(_Mapping):
    """One kind of fault in the data itself; the lake must show it, or keep it in quarantine."""

    kind: FaultKind = Field(description="What goes wrong.", examples=["sensor.stuck"])
    rate: Rate = Field(
        description="How often a turbine begins one; hour, day, week or year.",
        examples=["3/1000 per turbine-day", "2 per turbine-year"],
    )
    channels: tuple[Channel, ...] | None = Field(
        default=None, min_length=1, description="For sensor.*: only these channels; all when absent."
    )
    duration: LongDuration | None = Field(
        default=None, description="How long one lasts; by kind when absent.", examples=["5m"]
    )
    delay: LongDuration | None = Field(
        default=None, description="For row.late: how much later the node stores the row.", examples=["4m"]
    )
    farms: tuple[Word, ...] | None = Field(default=None, min_length=1, description="Only these farms; all when absent.")


class FaultChoice(_Mapping):
    """One fault of delivery; the lake must not show it."""

    kind: DeliveryKind = Field(description="What goes wrong.", examples=["node.crash"])
    at: tuple[Word, ...] | None = Field(
        default=None,
        min_length=1,
        description="Only at these store calls of a node: recover, data, manifest, checkpoint, history; for node.crash"
        " with before- or after- in front. All that the kind can strike when absent.",
        examples=[["before-manifest", "after-data"]],
    )
    share: Share | None = Field(
        default=None, description="Of the calls, or of the nodes; all when absent.", examples=["5/100", "5%"]
    )
    begin: Duration | None = Field(
        default=None, alias="from", description="From when on, counted from the run's start.", examples=["20m"]
    )
    length: LongDuration | None = Field(default=None, alias="for", description="How long.", examples=["3m"])
    farms: tuple[Word, ...] | None = Field(default=None, min_length=1, description="Only these farms; all when absent.")
    buckets: tuple[BucketName, ...] | None = Field(
        default=None, min_length=1, description="Only these buckets; all when absent.", examples=[["validated"]]
    )
    count: Often | None = Field(
        default=None, description="At most so many times; worker.kill: exactly (1 when absent).", examples=[2]
    )


class Document(_Mapping):
    """A windfleet scenario."""

    schema_version: Version = Field(description="Version of this format.", examples=[SCHEMA_VERSION])
    extends: Word | None = Field(
        default=None,
        description="Another scenario, from this file; mappings are merged with it, all else is replaced.",
        examples=["quickstart.yaml"],
    )
    name: Name = Field(description="Names the run and its folder.", examples=["fleet-hour"])
    seed: Seed = Field(default="7", validate_default=True, description="All randomness comes from it.", examples=[7])
    fleet: FleetChoice = Field(default_factory=FleetChoice)
    clock: ClockChoice
    pipeline: PipelineChoice = Field(default_factory=PipelineChoice)
    uplink: UplinkChoice = Field(default_factory=UplinkChoice)
    data_faults: tuple[DataFaultChoice, ...] = Field(
        default=(), description="Faults of the data: the lake must show them or quarantine them."
    )
    faults: tuple[FaultChoice, ...] = Field(
        default=(), description="Faults of delivery: the lake must be the same as without them."
    )
    expect: tuple[Threshold, ...] = Field(
        default=(), description="What must hold, as 'figure op value'.", examples=[["rows.lost == 0"]]
    )
