"""The `load` section of a scenario file: one pydantic model per mapping, as in `document`, whose text it is part of.

Rules between its values are in `load_rules`, what it comes to in `sim.load_schedule`. A kind of schedule entry takes
the settings that its entry of `sim.load_schedule.KINDS` names.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from sim.scenario.values import (
    Duration,
    Factor,
    Flag,
    LongDuration,
    Often,
    PerSecond,
    ScheduleKindName,
    Section,
    Share,
    Size,
    Threshold,
    Weight,
)


class MixChoice(Section):
    """How often each kind of request comes, as weights. Flushes only when the mapping is absent."""

    flush: Weight | None = Field(
        default=None, description="A node commits one batch.", examples=[90]
    )
    list_hour: Weight | None = Field(
        default=None, description="The keys of one hour of a stage.", examples=[6]
    )
    get_manifest: Weight | None = Field(default=None, description="One manifest.", examples=[3])
    scan_partition: Weight | None = Field(
        default=None, description="The objects of one hour, read.", examples=[1]
    )


class EntryChoice(Section):
    """One stretch of the open schedule."""

    kind: ScheduleKindName = Field(description="How requests arrive.", examples=["constant"])
    length: LongDuration | None = Field(
        default=None, alias="for", description="How long.", examples=["30s"]
    )
    rate: PerSecond | None = Field(
        default=None, description="Requests a second.", examples=["20/s"]
    )
    begin: PerSecond | None = Field(
        default=None, alias="from", description="ramp: first rate.", examples=["5/s"]
    )
    to: PerSecond | None = Field(default=None, description="ramp: last rate.", examples=["80/s"])
    rates: tuple[PerSecond, ...] | None = Field(
        default=None,
        min_length=1,
        description="step: one rate after the other.",
        examples=[["10/s", "20/s", "40/s"]],
    )
    each: LongDuration | None = Field(
        default=None, description="step: how long each rate lasts.", examples=["10s"]
    )
    peak: PerSecond | None = Field(
        default=None, description="spike: the rate at its height.", examples=["100/s"]
    )
    at: Duration | None = Field(
        default=None, description="spike: when it begins, from the stretch's start."
    )
    lasts: LongDuration | None = Field(
        default=None, description="spike: how long it lasts.", examples=["5s"]
    )
    outage: LongDuration | None = Field(
        default=None,
        description="herd: how long no node could reach the store, in the fleet's time.",
        examples=["15m"],
    )
    speed: Factor | None = Field(
        default=None,
        description="fleet, herd: seconds of the fleet's time in one second; 1 when absent.",
        examples=[30],
    )


class SweepChoice(Section):
    """Closed loop: each number of users in turn, every user with its next request as soon as the last one ended."""

    users: tuple[Often, ...] = Field(
        min_length=1, description="Numbers of users, rising.", examples=[[1, 2, 4, 8]]
    )
    length: LongDuration = Field(
        default="10s",
        validate_default=True,
        alias="for",
        description="How long each, warm-up included.",
    )


class SearchChoice(Section):
    """The largest constant rate that keeps an SLO, found by bisection, then held."""

    slo: tuple[Threshold, ...] = Field(
        min_length=1,
        description="What must hold at a rate, one or several, as 'figure op value'.",
        examples=["latency.flush.p95 <= 500ms"],
    )
    begin: PerSecond = Field(alias="from", description="The lowest rate tried.", examples=["5/s"])
    to: PerSecond = Field(description="The highest rate tried.", examples=["400/s"])
    within: Share = Field(
        default="5%",
        validate_default=True,
        description="How close the answer must be, as a share of it.",
    )
    length: LongDuration = Field(
        default="10s",
        validate_default=True,
        alias="for",
        description="How long one rate is tried at least, warm-up included; a rare percentile asks for more.",
    )
    hold: LongDuration = Field(
        default="30s",
        validate_default=True,
        description="How long the rate that was found must hold.",
    )

    @model_validator(mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("slo"), str):
            return value | {"slo": [value["slo"]]}
        return value


class LimitsChoice(Section):
    """What the load test may never exceed."""

    rate: PerSecond = Field(
        default="2000/s", validate_default=True, description="Requests a second."
    )
    time: LongDuration = Field(
        default="15m", validate_default=True, description="All phases together."
    )
    size: Size = Field(
        default="4 GB",
        validate_default=True,
        alias="bytes",
        description="Batches prepared and sent, all phases.",
    )


class LoadChoice(Section):
    """What `windfleet load` does: an open schedule, a closed sweep, a search; any or all of them, in that order."""

    mix: MixChoice | None = Field(default=None)
    batch_rows: Often | None = Field(
        default=None,
        description="Rows of a batch; what pipeline.flush_every gives when absent.",
        examples=[60],
    )
    encode_inside: Flag = Field(
        default="false",
        validate_default=True,
        description="Encode batches while they are sent; otherwise all is prepared before.",
    )
    users: Often = Field(
        default="64",
        validate_default=True,
        description="Most requests under way at once, over all processes.",
    )
    processes: Often = Field(
        default="1", validate_default=True, description="Processes that make the load."
    )
    warm_up: Duration = Field(
        default="5s",
        validate_default=True,
        description="Left out of the figures of every phase; a herd, whose beginning is what counts, has none.",
    )
    schedule: tuple[EntryChoice, ...] = Field(default=(), description="Open phases, in order.")
    sweep: SweepChoice | None = Field(default=None)
    search: SearchChoice | None = Field(default=None)
    stop_when: tuple[Threshold, ...] = Field(
        default=(),
        description="Ends a phase early when it comes true.",
        examples=[["errors.share > 5%"]],
    )
    limits: LimitsChoice = Field(default_factory=LimitsChoice)
