"""Signals of a fault: the anomaly kinds and the rules that it can cause.

A signal is an anomaly kind (`pipeline.records.ANOMALIES`) or a rule (`pipeline.records.RULES`).

Kinds in `DATA_FAULTS` count in recall. A spike, drift, bias, sentinel or unit that stays within
limits and below alarms counts as missed. So does a clock step onto times that the node never used.

Kinds that are undetectable by design do not count in recall:
- late rows and rows out of order: they are valid, and cause revisions
- missing rows: no row is there to violate a rule, and no anomaly kind judges a window's number of
  rows (its column `rows` shows it)
- clock.skew: event and recording times shift together, to times between those already used. A skew
  by whole samples repeats a time; an alarm on it is then true
- a node's file replaced by a fresh one, and an added channel: no row becomes invalid
- the operating state `fault`: the machine reports it itself, and no anomaly kind judges its rows.
  An underperformance next to a stop is a true alarm
- a component that wears out (`machine.*`, by component, and ice on blades): an alarm about it is
  true, but the time until it shows depends on the machine

A fault of unknown kind does not count in recall, and any alarm on it counts as true.
"""

from __future__ import annotations

from typing import Final

from pipeline.records import ANOMALIES, CHANNELS, RULES

MACHINE_FAULT: Final = "state.fault"
DATA_FAULTS: Final = (
    "sensor.dropout",
    "sensor.stuck",
    "sensor.spike",
    "sensor.drift",
    "sensor.bias",
    "sensor.sentinel",
    "sensor.unit",
    "row.duplicate",
    "row.poisoned",
    "clock.step",
    "clock.dst",
    "schema.dropped",
)
"""The kinds of faults that count in recall."""
SIGNALS: Final = (*ANOMALIES, *RULES)
_ALARM: Final = {
    "vibration_level": {"vibration"},
    "generator_temperature": {"generator_heat"},
    "gearbox_temperature": {"gearbox_heat"},
    "rotor_rpm": {"overspeed", "power.rotor"},
    "wind_speed": {"underperformance", "power.wind"},
    "power_output": {"underperformance", "power.rotor", "power.rated", "power.wind"},
}
_CLOCK: Final = {"duplicate", "time.future"}
"""A time used twice, or a late row with event and recording time by different clocks."""
_POISON: Final = {
    "timestamp": {"type", "null", "time.range", "time.future", "time.stale"},
    "recorded_at": {"null", "time.future", "time.stale"},
    "turbine_id": {"null", "identity"},
    "status": {"null", "state"},
}
_DRIVE: Final = {"vibration", "generator_heat", "gearbox_heat", "underperformance"}
_MACHINE: Final = {
    "machine.main_bearing": _DRIVE,
    "machine.gearbox": _DRIVE,
    "machine.generator": _DRIVE,
    "machine.cooling": {"generator_heat", "gearbox_heat"},
    "machine.rotor": {"vibration", "underperformance"},
    "machine.pitch": {"vibration", "underperformance"},
    "machine.yaw": {"vibration", "underperformance"},
    "machine.ice": {"vibration", "underperformance"},
    "machine.converter": set(),
    "machine.transformer": set(),
}
_CAN_STICK: Final = {channel.name for channel in CHANNELS if channel.stuck}


def signals(kind: str, channel: str | None) -> frozenset[str] | None:
    """Return the signals that a fault can cause.

    Empty if it is undetectable, None if the kind is unknown.
    """
    of_channel = _ALARM.get(channel or "", set())
    if kind == "sensor.stuck":
        return frozenset(of_channel | ({"stuck"} if channel in _CAN_STICK else set()))
    if kind in ("sensor.spike", "sensor.drift", "sensor.bias", "sensor.sentinel", "sensor.unit"):
        return frozenset(of_channel | {"range"})
    if kind in ("row.poisoned", "row.extreme"):
        return frozenset(_POISON.get(channel or "", {"type", "null", "range"}))
    known: dict[str, set[str]] = {
        "sensor.dropout": {"null"},
        "row.duplicate": {"duplicate"},
        "row.late": set(),
        "row.out-of-order": set(),
        "row.missing": set(),
        "node.replaced": set(),
        "schema.added": set(),
        "schema.dropped": {"null"},
        "clock.skew": _CLOCK,
        "clock.step": _CLOCK,
        "clock.dst": _CLOCK,
        MACHINE_FAULT: {"underperformance"},
        **_MACHINE,
    }
    return frozenset(known[kind]) if kind in known else None
