"""What a scenario file may say: one pydantic model per mapping, keys and defaults here and nowhere else.

The models read texts (`sim.yamlfile` types nothing; `values` types them) and are the source of
`scenarios/scenario.schema.json`. Defaults are written as a user would write them, so the same text serves the loader,
the schema and the resolved scenario. Rules between fields (a start before an end, a step that divides a window) are in
`sim.scenario.rules`.
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
    """Which turbines take part. A single word means the same as `{preset: word}`."""

    preset: Word = Field(
        default="full",
        description="A preset (full: 1,500 turbines; as-drawn: 1,425) or the path of a fleet YAML, from this file.",
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
        description="Only this many turbines, shared out over the farms in proportion; all when absent.",
        examples=[16],
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
        description="In place of duration: the time before which the last sample lies.",
    )
    sample_every: LongDuration = Field(
        default="1s",
        validate_default=True,
        description="One row per turbine each.",
        examples=["1s", "500ms"],
    )


class PipelineChoice(Section):
    """How each edge node's pipeline cuts and closes its data. Whole seconds."""

    flush_every: LongDuration = Field(
        default="15m",
        validate_default=True,
        description="A node commits one batch each.",
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
    """The line from a farm to the store, shared by its nodes. It is modelled: it shapes freshness, not wall time."""

    bandwidth: BitRate = Field(
        default="10 Mbit/s",
        validate_default=True,
        description="Per farm.",
        examples=["10 Mbit/s", "256 kbit/s"],
    )
    latency: Duration = Field(
        default="50ms", validate_default=True, description="Per request.", examples=["50ms"]
    )


class DataFaultChoice(Section):
    """One kind of fault in the data itself; the lake must show it, or keep it in quarantine."""

    kind: FaultKind = Field(description="What goes wrong.", examples=["sensor.stuck"])
    rate: Rate | None = Field(
        default=None,
        description="How often a turbine begins one, or a whole farm, and then all its turbines at the same time; hour,"
        " day, week, month (30 days) or year. Required, but for clock.dst.",
        examples=["3/1000 per turbine-day", "2 per turbine-year", "1 per farm-month"],
    )
    channels: tuple[Channel, ...] | None = Field(
        default=None,
        min_length=1,
        description="For sensor.*, row.poisoned and schema.dropped: only these channels; all when absent.",
    )
    duration: LongDuration | None = Field(
        default=None, description="How long one lasts; by kind when absent.", examples=["5m"]
    )
    delay: LongDuration | None = Field(
        default=None,
        description="For row.late: how much later the node stores the row. For row.out-of-order: how much at most.",
        examples=["4m"],
    )
    by: Offset | None = Field(
        default=None,
        description="For clock.skew and clock.step: how far the clock is off, a day at most; drawn when absent.",
        examples=["-1h", "90s"],
    )
    share: Share | None = Field(
        default=None, description="For clock.dst: of the nodes; all when absent.", examples=["10%"]
    )
    farms: tuple[Word, ...] | None = Field(
        default=None, min_length=1, description="Only these farms; all when absent."
    )


class EventChoice(Section):
    """Something that happens on purpose: to the weather, a machine or the grid."""

    kind: EventKind = Field(description="What happens.", examples=["weather.storm"])
    begin: Duration = Field(
        alias="from", description="From when on, counted from the run's start.", examples=["2h"]
    )
    length: LongDuration = Field(
        alias="for",
        description="How long; machine.failure: how long wear shows before it fails.",
        examples=["6h"],
    )
    farms: tuple[Word, ...] | None = Field(
        default=None,
        min_length=1,
        description="Only these farms; all when absent. Not for machine.failure.",
    )
    turbines: tuple[Word, ...] | None = Field(
        default=None, min_length=1, description="machine.failure: whose.", examples=[["A-001"]]
    )
    component: ComponentName | None = Field(
        default=None, description="machine.failure: what fails.", examples=["gearbox"]
    )
    size: Signed | None = Field(
        default=None,
        description="How strong: m/s of weather.storm and .calm, degC of weather.icing, share of rated power of"
        " grid.curtailment; by kind when absent.",
        examples=[27],
    )


class FaultChoice(Section):
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
        default=None,
        description="Of the calls, or of the nodes; all when absent.",
        examples=["5/100", "5%"],
    )
    begin: Duration | None = Field(
        default=None,
        alias="from",
        description="From when on, counted from the run's start.",
        examples=["20m"],
    )
    length: LongDuration | None = Field(
        default=None, alias="for", description="How long.", examples=["3m"]
    )
    farms: tuple[Word, ...] | None = Field(
        default=None, min_length=1, description="Only these farms; all when absent."
    )
    buckets: tuple[BucketName, ...] | None = Field(
        default=None,
        min_length=1,
        description="Only these buckets; all when absent. Stages, metadata, checkpoints; with `calls` any.",
        examples=[["validated"]],
    )
    calls: tuple[CallName, ...] | None = Field(
        default=None,
        min_length=1,
        description="In place of `at`, for faults of the store: HTTP methods and S3 operations, of any client that goes"
        " through the fault proxy.",
        examples=[["HEAD", "DELETE", "UploadPart"]],
    )
    keys: tuple[Word, ...] | None = Field(
        default=None,
        min_length=1,
        description="For faults of the store: only keys like these; * stands for anything, slashes too, ? for one"
        " character, [a-c] for one of these. A listing has its prefix for a key, other calls of a bucket have none.",
        examples=[["*/A-001-*.parquet"]],
    )
    count: Often | None = Field(
        default=None,
        description="At most so many times; worker.kill: exactly (1 when absent).",
        examples=[2],
    )


class Document(Section):
    """A windfleet scenario."""

    schema_version: Version = Field(
        description="Version of this format.", examples=[SCHEMA_VERSION]
    )
    extends: Word | None = Field(
        default=None,
        description="Another scenario, from this file; mappings are merged with it, all else is replaced.",
        examples=["quickstart.yaml"],
    )
    name: Name = Field(description="Names the run and its folder.", examples=["fleet-hour"])
    seed: Seed = Field(
        default="7",
        validate_default=True,
        description="All randomness comes from it.",
        examples=[7],
    )
    fleet: FleetChoice = Field(default_factory=FleetChoice)
    clock: ClockChoice
    pipeline: PipelineChoice = Field(default_factory=PipelineChoice)
    uplink: UplinkChoice = Field(default_factory=UplinkChoice)
    events: tuple[EventChoice, ...] = Field(
        default=(), description="What happens on purpose, on top of what weather and chance bring."
    )
    data_faults: tuple[DataFaultChoice, ...] = Field(
        default=(), description="Faults of the data: the lake must show them or quarantine them."
    )
    faults: tuple[FaultChoice, ...] = Field(
        default=(), description="Faults of delivery: the lake must be the same as without them."
    )
    load: LoadChoice | None = Field(
        default=None, description="A load test, for `windfleet load`; none when absent."
    )
    expect: tuple[Threshold, ...] = Field(
        default=(),
        description="What must hold, as 'figure op value'.",
        examples=[["rows.lost == 0"]],
    )
