"""Episodes of the anomaly view compared with the injected faults of `truth/`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from sim.check.detection.signals import signals

Row = dict[str, Any]
SQL = "SELECT * FROM wind_turbine_anomaly_detection ORDER BY turbine_id, kind, first_time"


def signal_of(kind: str) -> str:
    """Return the signal (`sim.check.detection.signals`) behind a kind of episode."""
    return kind.removeprefix("rejected.").replace("vibration_level", "vibration")


class Truth:
    """Faults by turbine. slack_us: time of a sample, which a fault may be off by."""

    def __init__(self, faults: Sequence[Row], slack_us: int) -> None:
        self._slack_us = slack_us
        self._clocks: dict[str, list[Row]] = defaultdict(list)
        self._by_turbine: dict[str, list[Row]] = defaultdict(list)
        for fault in faults:
            self._by_turbine[fault["turbine_id"]].append(fault)
            if fault["offset_us"]:
                self._clocks[fault["turbine_id"]].append(fault)

    def causes(self, episode: Row) -> list[Row]:
        """Return the faults that an episode shows: a kind that they can cause, at their time."""
        return [
            fault
            for fault in self._by_turbine[episode["turbine_id"]]
            if self._can(fault, episode) and self._meets(fault, episode)
        ]

    @staticmethod
    def _can(fault: Row, episode: Row) -> bool:
        can = signals(fault["kind"], fault["channel"])
        return can is None or signal_of(episode["kind"]) in can

    def _meets(self, fault: Row, episode: Row) -> bool:
        first, last = (round(episode[end].timestamp() * 1e6) for end in ("first_time", "last_time"))
        return any(
            first < end + self._slack_us and last >= begin - self._slack_us
            for begin, end in self._times(fault)
        )

    def _times(self, fault: Row) -> Iterator[tuple[int, int]]:
        """Yield the times of a fault's rows: the true ones, and those of a clock that was wrong."""
        yield fault["from"], fault["to"]
        for clock in self._clocks[fault["turbine_id"]]:
            begin, end = max(fault["from"], clock["from"]), min(fault["to"], clock["to"])
            if begin < end:
                yield begin + clock["offset_us"], end + clock["offset_us"]
