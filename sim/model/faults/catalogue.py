"""The catalogue of data faults: one entry per kind, with the settings it takes. Data only.

A new kind is added here and gets its behaviour at its target: `inject` (sensor),
`sim.model.recording.recorder` (row, clock), `sim.model.recording.file_changes` (file). The effects
that it can have on the pipeline are in `sim.check.detection.signals`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from pipeline.records import CHANNEL_NAMES, CHANNELS
from sim.model.faults.units import OTHER_UNITS

Target = Literal["sensor", "row", "clock", "file"]


@dataclass(frozen=True)
class Kind:
    """One kind of fault.

    - target: the part of a node that it acts on.
    - duration_s: default length, but no fewer samples than `least`; None: a moment, takes no
      duration.
    - channels: those that it may affect; empty for a fault of whole rows.
    - delay_s: default delay of storing rows; None: takes no delay.
    - by_s: bounds of the drawn error of a clock; None: takes no `by`.
    - by_calendar: it occurs when the farm's clocks change, so it takes a `share` of the nodes
      instead of a rate.
    """

    text: str
    target: Target
    duration_s: float | None
    least: int = 1
    channels: tuple[str, ...] = ()
    delay_s: float | None = None
    by_s: tuple[float, float] | None = None
    by_calendar: bool = False

    @property
    def takes(self) -> dict[str, bool]:
        """Settings that only some kinds have, each with True if this kind has it."""
        return {
            "rate": not self.by_calendar,
            "share": self.by_calendar,
            "duration": self.duration_s is not None,
            "channels": bool(self.channels),
            "delay": self.delay_s is not None,
            "by": self.by_s is not None,
        }


KINDS: Final = {
    "sensor.stuck": Kind(
        "repeats the value it had", "sensor", 300.0, 20, tuple(c.name for c in CHANNELS if c.stuck)
    ),
    "sensor.dropout": Kind("reads nothing", "sensor", 30.0, 1, CHANNEL_NAMES),
    "sensor.spike": Kind("jumps for one to three samples", "sensor", 0.0, 1, CHANNEL_NAMES),
    "sensor.drift": Kind("moves away steadily", "sensor", 1800.0, 30, CHANNEL_NAMES),
    "sensor.bias": Kind("is off by a constant", "sensor", 3600.0, 30, CHANNEL_NAMES),
    "sensor.sentinel": Kind(
        "reads a value that means 'no reading'", "sensor", 300.0, 1, CHANNEL_NAMES
    ),
    "sensor.unit": Kind(
        "reads in another unit",
        "sensor",
        6 * 3600.0,
        30,
        tuple(c.name for c in CHANNELS if c.unit in OTHER_UNITS),
    ),
    "row.late": Kind("rows are stored `delay` after their time", "row", 60.0, 3, delay_s=480.0),
    "row.duplicate": Kind(
        "rows are stored twice, the second time `delay` later", "row", 10.0, 1, delay_s=0.0
    ),
    "row.missing": Kind("samples are never stored", "row", 600.0, 1),
    "row.poisoned": Kind("one cell of a row holds a wrong value", "row", 0.0, 1, CHANNEL_NAMES),
    "row.extreme": Kind("one cell of a row holds an extreme value", "row", 0.0, 1),
    "row.out-of-order": Kind(
        "rows are stored shuffled, up to `delay` late", "row", 120.0, 5, delay_s=20.0
    ),
    "clock.skew": Kind("the node's clock is off", "clock", 3600.0, 1, by_s=(1.0, 600.0)),
    "clock.step": Kind(
        "the node's clock jumps, and is corrected afterwards",
        "clock",
        1800.0,
        1,
        by_s=(3600.0, 3600.0),
    ),
    "clock.dst": Kind(
        "the node's clock follows the change of local time", "clock", 86400.0, 1, by_calendar=True
    ),
    "node.replaced": Kind(
        "the node's database is replaced by a fresh one, whose ids start again", "file", None
    ),
    "schema.added": Kind("the node begins to store one more channel", "file", None),
    "schema.dropped": Kind(
        "the node drops a channel, in a fresh database", "file", None, 1, CHANNEL_NAMES
    ),
}
NEW_CHANNELS: Final = ("blade_load", "hub_humidity")
"""Channels that `schema.added` draws from."""


@dataclass(frozen=True)
class DataFault:
    """One fault of a scenario.

    Empty `channels` and `farms` mean all that apply; None means the kind's default.

    - rate_per_day: occurrences that begin per turbine and day. With `whole_farm` it is per farm and
      day, and an occurrence affects every turbine of the farm at the same time.
    - share: of the nodes, for kinds that follow the calendar.
    - by_s: error of a clock, signed.

    Raises ValueError for settings that the kind does not have.
    """

    kind: str
    rate_per_day: float = 0.0
    channels: tuple[str, ...] = ()
    duration_s: float | None = None
    delay_s: float | None = None
    farms: tuple[str, ...] = ()
    by_s: float | None = None
    share: float = 1.0
    whole_farm: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown data fault '{self.kind}'; known: {', '.join(KINDS)}")
        allowed = KINDS[self.kind].channels
        for channel in self.channels:
            if channel not in allowed:
                takes = ", ".join(allowed) if allowed else "no channels"
                raise ValueError(f"{self.kind} does not take channel '{channel}'; it takes {takes}")
        takes_it = KINDS[self.kind].takes
        for name, setting in (
            ("duration", self.duration_s),
            ("delay", self.delay_s),
            ("by", self.by_s),
        ):
            if setting is not None and not takes_it[name]:
                raise ValueError(f"{self.kind} takes no {name}")
