"""The keys of a scenario file: one pydantic model per mapping. Keys and defaults are only here.

The models read texts (`sim.yamlfile` types nothing; `values` types them) and are the source of
`scenarios/scenario.schema.json`. Defaults are written as a user would write them, so that one text
serves the loader, the schema and the resolved scenario. Rules between fields (a start before an
end, a step that divides a window) are in `sim.scenario.rules`.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from sim.scenario.load_section.document import LoadChoice
from sim.scenario.values import (
    SCHEMA_VERSION,
    BitRate,
    BucketName,
    CallName,
    Channel,
    ComponentName,
    DeliveryKind,
    Duration,
    EventKind,
    FaultKind,
    FleetCut,
    Instant,
    LongDuration,
    Name,
    Offset,
    Often,
    Rate,
    Section,
    Seed,
    Share,
    Signed,
    Threshold,
    Turbines,
    Version,
    Word,
)


class FleetChoice(Section):
    """The turbines that take part. A single word means the same as `{preset: word}`."""

    preset: Word = Field(
        default="full",
        description="A preset (full: 1,500 turbines; as-drawn: 1,425), or the path of a fleet "
        "YAML, relative to this file.",
        examples=["full", "as-drawn"],
    )
    farms: tuple[Word, ...] | None = Field(
        default=None,
        min_length=1,
        description="Only these farms; all when absent.",
        examples=[["A", "B"]],
    )
    turbines: Turbines | None = Field(
        default=None,
        description="Only this many turbines, distributed over the farms in proportion; "
        "all when absent.",
        examples=[16],
    )

    choose: FleetCut = Field(
        default="first",
        description="With turbines: the first of each farm, which stand side by side, or a block "
        "around its middle, with rows behind each other.",
        examples=["block"],
    )

    @model_validator(mode="before")
    @classmethod
    def _word_is_preset(cls, value: Any) -> Any:
        return {"preset": value} if isinstance(value, str) else value


class ClockChoice(Section):
    """The virtual time the run covers: a start, and either a duration or an end."""

    start: Instant = Field(
        description="First sample, with its time zone.", examples=["2024-01-15T00:00:00Z"]
    )
    duration: LongDuration | None = Field(
        default=None, description="How long the fleet runs.", examples=["1h", "10m"]
    )
    end: Instant | None = Field(
        default=None,
        description="Instead of duration: the end of the run; the last sample is before it.",
    )
    sample_every: LongDuration = Field(
        default="1s",
        validate_default=True,
        description="Interval of samples: one row per turbine each time.",
        examples=["1s", "500ms"],
    )


class PipelineChoice(Section):
    """Times of every node's pipeline: flushes, windows, lateness. Whole seconds."""

    flush_every: LongDuration = Field(
        default="15m",
        validate_default=True,
        description="Interval of flushes: a node commits one batch each time.",
        examples=["15m"],
    )
    window: LongDuration = Field(
        default="10m",
        validate_default=True,
        description="Length of an aggregation window; must divide a day.",
    )
    allowed_lateness: Duration = Field(
        default="5m",
        validate_default=True,
        description="How long a window waits for late rows before it is emitted.",
    )


class UplinkChoice(Section):
    """The line from a farm to the store, shared by its nodes.

    It is modelled: it affects freshness, not wall time.
    """

    bandwidth: BitRate = Field(
        default="10 Mbit/s",
        validate_default=True,
        description="Bit rate of a farm's line.",
        examples=["10 Mbit/s", "256 kbit/s"],
    )
    latency: Duration = Field(
        default="50ms",
        validate_default=True,
        description="Delay of each request.",
        examples=["50ms"],
    )


class DataFaultChoice(Section):
    """One kind of fault in the data. The lake must show it, or keep it in quarantine."""

    kind: FaultKind = Field(description="Kind of fault.", examples=["sensor.stuck"])
    rate: Rate | None = Field(
        default=None,
        description="How often a fault begins, per turbine, or per farm (then on all its turbines "
        "at the same time), in an hour, day, week, month (30 days) or year. Required, except for "
        "clock.dst.",
        examples=["3/1000 per turbine-day", "2 per turbine-year", "1 per farm-month"],
    )
    channels: tuple[Channel, ...] | None = Field(
        default=None,
        min_length=1,
        description="For sensor.*, row.poisoned and schema.dropped: only these channels; "
        "all when absent.",
    )
    duration: LongDuration | None = Field(
        default=None,
        description="Duration of one fault; the kind's default when absent.",
        examples=["5m"],
    )
    delay: LongDuration | None = Field(
        default=None,
        description="For row.late: how much later the node stores the row. "
        "For row.out-of-order: the same, as a maximum. "
        "For row.duplicate: how long after the first row; at once when absent.",
        examples=["4m"],
    )
    by: Offset | None = Field(
        default=None,
        description="For clock.skew and clock.step: how far the clock is off, a day at most; "
        "random when absent.",
        examples=["-1h", "90s"],
    )
    share: Share | None = Field(
        default=None,
        description="For clock.dst: share of the nodes affected; all when absent.",
        examples=["10%"],
    )
    farms: tuple[Word, ...] | None = Field(
        default=None, min_length=1, description="Only these farms; all when absent."
    )


class EventChoice(Section):
    """A planned event: in the weather, at a machine or in the grid."""

    kind: EventKind = Field(description="Kind of event.", examples=["weather.storm"])
    begin: Duration = Field(
        alias="from", description="Start, counted from the start of the run.", examples=["2h"]
    )
    length: LongDuration = Field(
        alias="for",
        description="Duration; for machine.failure: how long wear shows before the failure.",
        examples=["6h"],
    )
    farms: tuple[Word, ...] | None = Field(
        default=None,
        min_length=1,
        description="Only these farms; all when absent. Not for machine.failure.",
    )
    turbines: tuple[Word, ...] | None = Field(
        default=None,
        min_length=1,
        description="For machine.failure: the turbines that fail.",
        examples=[["A-001"]],
    )
    component: ComponentName | None = Field(
        default=None, description="For machine.failure: the part that fails.", examples=["gearbox"]
    )
    size: Signed | None = Field(
        default=None,
        description="Strength: m/s for weather.storm and weather.calm, degC for weather.icing, "
        "share of rated power for grid.curtailment; the kind's default when absent.",
        examples=[27],
    )


class FaultChoice(Section):
    """One fault of delivery. The lake must not show it."""

    kind: DeliveryKind = Field(description="Kind of fault.", examples=["node.crash"])
    at: tuple[Word, ...] | None = Field(
        default=None,
        min_length=1,
        description="Only at these store calls of a node: recover, data, manifest, checkpoint, "
        "history; for node.crash with the prefix before- or after-. "
        "When absent, all calls that the kind can affect.",
        examples=[["before-manifest", "after-data"]],
    )
    share: Share | None = Field(
        default=None,
        description="Share of the calls, or of the nodes, affected; all when absent.",
        examples=["5/100", "5%"],
    )
    begin: Duration | None = Field(
        default=None,
        alias="from",
        description="Start, counted from the start of the run.",
        examples=["20m"],
    )
    length: LongDuration | None = Field(
        default=None, alias="for", description="Duration.", examples=["3m"]
    )
    farms: tuple[Word, ...] | None = Field(
        default=None, min_length=1, description="Only these farms; all when absent."
    )
    buckets: tuple[BucketName, ...] | None = Field(
        default=None,
        min_length=1,
        description="Only these buckets; all when absent. Stages, metadata, checkpoints; "
        "any bucket together with `calls`.",
        examples=[["validated"]],
    )
    calls: tuple[CallName, ...] | None = Field(
        default=None,
        min_length=1,
        description="Instead of `at`, for faults of the store: HTTP methods and S3 operations, of "
        "any client that uses the fault proxy.",
        examples=[["HEAD", "DELETE", "UploadPart"]],
    )
    keys: tuple[Word, ...] | None = Field(
        default=None,
        min_length=1,
        description="For faults of the store: only keys that match one of these patterns. * "
        "matches any text, slashes included, ? one character, [a-c] one of these. The key of a "
        "listing is its prefix; other calls of a bucket have no key.",
        examples=[["*/A-001-*.parquet"]],
    )
    count: Often | None = Field(
        default=None,
        description="Maximum number of times; for worker.kill: the exact number, 1 when absent.",
        examples=[2],
    )


class Document(Section):
    """A windfleet scenario."""

    schema_version: Version = Field(
        description="Version of this format.", examples=[SCHEMA_VERSION]
    )
    extends: Word | None = Field(
        default=None,
        description="Path of another scenario, relative to this file. Mappings are merged with it; "
        "everything else is replaced.",
        examples=["quickstart.yaml"],
    )
    name: Name = Field(description="Name of the run and of its folder.", examples=["fleet-hour"])
    seed: Seed = Field(
        default="7",
        validate_default=True,
        description="Source of all randomness.",
        examples=[7],
    )
    fleet: FleetChoice = Field(default_factory=FleetChoice)
    clock: ClockChoice
    pipeline: PipelineChoice = Field(default_factory=PipelineChoice)
    uplink: UplinkChoice = Field(default_factory=UplinkChoice)
    events: tuple[EventChoice, ...] = Field(
        default=(), description="Planned events, in addition to those of weather and chance."
    )
    data_faults: tuple[DataFaultChoice, ...] = Field(
        default=(),
        description="Faults of the data. The lake must show them or keep them in quarantine.",
    )
    faults: tuple[FaultChoice, ...] = Field(
        default=(),
        description="Faults of delivery. The lake must be the same as without them.",
    )
    load: LoadChoice | None = Field(
        default=None, description="A load test, for `windfleet load`; none when absent."
    )
    expect: tuple[Threshold, ...] = Field(
        default=(),
        description="Conditions on the run's figures, as 'figure op value'.",
        examples=[["rows.lost == 0"]],
    )
