"""The keys of the `load` section, one pydantic model per mapping, as in `sim.scenario.document`.

Rules between its values are in `rules`, its resolved form is `sim.load_schedule.Load`.
`sim.load_schedule.KINDS` lists the settings that each kind of schedule entry takes.
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
    """Weights of the kinds of request. Flushes only when the mapping is absent."""

    flush: Weight | None = Field(
        default=None, description="A node commits one batch.", examples=[90]
    )
    list_hour: Weight | None = Field(
        default=None, description="List the keys of one hour of a stage.", examples=[6]
    )
    get_manifest: Weight | None = Field(
        default=None, description="Read one manifest.", examples=[3]
    )
    scan_partition: Weight | None = Field(
        default=None, description="Read all objects of one hour.", examples=[1]
    )


class EntryChoice(Section):
    """One entry of the open schedule."""

    kind: ScheduleKindName = Field(description="How requests arrive.", examples=["constant"])
    length: LongDuration | None = Field(
        default=None, alias="for", description="Duration.", examples=["30s"]
    )
    rate: PerSecond | None = Field(
        default=None, description="Requests per second.", examples=["20/s"]
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
        default=None, description="spike: when it begins, counted from the start of the entry."
    )
    lasts: LongDuration | None = Field(
        default=None, description="spike: how long it lasts.", examples=["5s"]
    )
    outage: LongDuration | None = Field(
        default=None,
        description="herd: how long no node could reach the store, in fleet time.",
        examples=["15m"],
    )
    speed: Factor | None = Field(
        default=None,
        description="fleet, herd: seconds of fleet time per second of the test; 1 when absent.",
        examples=[30],
    )


class SweepChoice(Section):
    """A closed loop with each number of users in turn.

    Every user makes its next request as soon as the last one has ended.
    """

    users: tuple[Often, ...] = Field(
        min_length=1, description="Numbers of users, rising.", examples=[[1, 2, 4, 8]]
    )
    length: LongDuration = Field(
        default="10s",
        validate_default=True,
        alias="for",
        description="Duration of each level, warm-up included.",
    )


class SearchChoice(Section):
    """A search for the highest constant rate that meets an SLO: bisection, then a hold."""

    slo: tuple[Threshold, ...] = Field(
        min_length=1,
        description="The SLO: one or several conditions, as 'figure op value'.",
        examples=["latency.flush.p95 <= 500ms"],
    )
    begin: PerSecond = Field(alias="from", description="The lowest rate tried.", examples=["5/s"])
    to: PerSecond = Field(description="The highest rate tried.", examples=["400/s"])
    within: Share = Field(
        default="5%",
        validate_default=True,
        description="Accuracy of the answer, as a share of it.",
    )
    length: LongDuration = Field(
        default="10s",
        validate_default=True,
        alias="for",
        description="Minimum duration of one try, warm-up included. "
        "A high percentile needs more time.",
    )
    hold: LongDuration = Field(
        default="30s",
        validate_default=True,
        description="Duration of the final test at the rate found.",
    )

    @model_validator(mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("slo"), str):
            return value | {"slo": [value["slo"]]}
        return value


class LimitsChoice(Section):
    """Limits that the load test never exceeds."""

    rate: PerSecond = Field(
        default="2000/s", validate_default=True, description="Requests per second."
    )
    time: LongDuration = Field(
        default="15m", validate_default=True, description="All phases together."
    )
    size: Size = Field(
        default="4 GB",
        validate_default=True,
        alias="bytes",
        description="Bytes of batches prepared and sent, all phases together.",
    )


class LoadChoice(Section):
    """The phases of `windfleet load`: an open schedule, a closed sweep, a search, in that order."""

    mix: MixChoice | None = Field(default=None)
    batch_rows: Often | None = Field(
        default=None,
        description="Rows of a batch; when absent, the rows between two flushes.",
        examples=[60],
    )
    encode_inside: Flag = Field(
        default="false",
        validate_default=True,
        description="Encode batches during the test; otherwise all are prepared before it.",
    )
    users: Often = Field(
        default="64",
        validate_default=True,
        description="Maximum number of requests in progress, over all processes.",
    )
    processes: Often = Field(
        default="1", validate_default=True, description="Processes that generate the load."
    )
    warm_up: Duration = Field(
        default="5s",
        validate_default=True,
        description="Start of each phase that the figures leave out. "
        "A herd has no warm-up, because its start is measured.",
    )
    schedule: tuple[EntryChoice, ...] = Field(default=(), description="Open phases, in order.")
    sweep: SweepChoice | None = Field(default=None)
    search: SearchChoice | None = Field(default=None)
    stop_when: tuple[Threshold, ...] = Field(
        default=(),
        description="Conditions that end a phase early.",
        examples=[["errors.share > 5%"]],
    )
    limits: LimitsChoice = Field(default_factory=LimitsChoice)
