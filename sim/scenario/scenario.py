"""A loaded scenario: typed, checked, immutable, and picklable for the workers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from sim.chaos.faults import Fault
from sim.fleet import Fleet
from sim.load_schedule import Load
from sim.measure.thresholds import Expectation
from sim.model.events import Event
from sim.model.faults.catalogue import DataFault
from sim.units import SECOND_US, instant_us


@dataclass(frozen=True)
class Clock:
    """The virtual time of a run. `start` is in UTC.

    Samples are at start, start + sample_us, ... before the end.
    """

    start: datetime
    duration_us: int
    sample_us: int

    @property
    def start_us(self) -> int:
        """Return the start in microseconds since 1970."""
        return instant_us(self.start)

    @property
    def end_us(self) -> int:
        """Return the first microsecond after the run."""
        return self.start_us + self.duration_us

    @property
    def samples(self) -> int:
        """Return the number of rows per turbine."""
        return self.duration_us // self.sample_us

    @property
    def duration_s(self) -> float:
        return self.duration_us / SECOND_US


@dataclass(frozen=True)
class PipelineSettings:
    """Settings of every node's configuration, in whole seconds."""

    flush_every_s: int
    window_s: int
    allowed_lateness_s: int


@dataclass(frozen=True)
class Uplink:
    """The modelled line of one farm, shared by its nodes."""

    bandwidth_bit_per_s: float
    latency_s: float


class Scenario(BaseModel):
    """One scenario.

    `text` is its resolved YAML: no `extends`, every default written out. It loads to the same run.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, extra="forbid")

    name: str
    seed: int
    fleet: Fleet
    clock: Clock
    pipeline: PipelineSettings
    uplink: Uplink
    events: tuple[Event, ...]
    data_faults: tuple[DataFault, ...]
    faults: tuple[Fault, ...]
    load: Load | None
    expect: tuple[Expectation, ...]
    text: str
