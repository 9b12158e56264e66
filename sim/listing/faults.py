"""The kinds of planned events, data faults and faults of delivery, each with its settings.

The three catalogues say what a kind is; the rules of the scenario say which settings it has. An
example of each kind is an entry that a scenario of an hour accepts as written.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Final

from sim.chaos.faults import KILL
from sim.chaos.faults import KINDS as DELIVERY
from sim.errors import InvalidInput
from sim.model.events import KINDS as EVENTS
from sim.model.faults.catalogue import KINDS as DATA
from sim.scenario import delivery_faults, events
from sim.units import format_duration

SECTIONS: Final = {
    "events": "planned events of weather, machines and grid",
    "data_faults": "faults of the data: the lake must show them, or keep the rows in quarantine",
    "faults": "faults of delivery: the lake must be the same as without them",
}
"""Sections of a scenario that hold kinds -> their texts."""
_DELAY_S: Final = 240.0
_DURATION_MAX_S: Final = 600.0


@dataclass(frozen=True)
class FaultKind:
    """One kind. section: of the scenario. settings: those it takes, besides `kind`."""

    name: str
    section: str
    text: str
    settings: tuple[str, ...]
    example: str


def faults(word: str | None) -> list[FaultKind]:
    """Return the kinds with a word in their name, section or text; None: all of them.

    A whole name selects that kind only. Raises InvalidInput, with the nearest names, if there are
    none.
    """
    known = [*_events(), *_data(), *_delivery()]
    if word is None:
        return known
    wanted = word.casefold()
    found = [kind for kind in known if wanted == kind.name] or [
        kind
        for kind in known
        if wanted in kind.name or wanted == kind.section or wanted in kind.text.casefold()
    ]
    if not found:
        near = difflib.get_close_matches(wanted, [kind.name for kind in known], 3, 0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise InvalidInput(f"no kind of fault or event has '{word}' in its name or text{hint}")
    return found


def _events() -> list[FaultKind]:
    found = []
    for name, kind in EVENTS.items():
        takes = [setting for setting, has in events.takes(kind).items() if has]
        values = {"kind": name, "from": "10m", "for": "30m"}
        values |= {"size": f"{kind.size[2]:g}"} if kind.size else {}
        values |= {setting: text for setting, text in events.NEEDS.items() if setting in takes}
        found.append(FaultKind(name, "events", kind.text, ("from", "for", *takes), _entry(values)))
    return found


def _data() -> list[FaultKind]:
    found = []
    for name, kind in DATA.items():
        takes = [setting for setting, has in kind.takes.items() if has]
        values = {"kind": name}
        values |= {"rate": "2 per turbine-day"} if not kind.by_calendar else {"share": "10%"}
        values |= {"channels": f"[{kind.channels[0]}]"} if kind.channels else {}
        if kind.duration_s and not kind.by_calendar:
            values["duration"] = _duration(min(kind.duration_s, _DURATION_MAX_S))
        if kind.delay_s is not None:
            values["delay"] = _duration(min(kind.delay_s or _DELAY_S, _DELAY_S))
        if kind.by_s is not None:
            values["by"] = f"-{_duration(kind.by_s[1])}"
        found.append(FaultKind(name, "data_faults", kind.text, (*takes, "farms"), _entry(values)))
    return found


def _delivery() -> list[FaultKind]:
    found = []
    for name, kind in DELIVERY.items():
        takes = [setting for setting, has in delivery_faults.takes(kind).items() if has]
        values = {"kind": name}
        values |= {"from": "14m", "for": "3m"} if kind.windowed else {}
        values |= {"buckets": "[validated]"} if name == "bucket.refuses" else {}
        values |= {"share": "5%"} if "share" in takes and not kind.windowed else {}
        values |= {"share": "50%"} if "share" in takes and kind.windowed and not kind.points else {}
        values |= {"count": "1"} if name == KILL else {}
        settings = (*takes, "farms")
        found.append(FaultKind(name, "faults", kind.text, settings, _entry(values)))
    return found


def _duration(seconds: float) -> str:
    return format_duration(round(seconds * 1e6))


def _entry(values: dict[str, str]) -> str:
    """Return an entry of a scenario's list, in YAML's flow form."""
    return f"- {{{', '.join(f'{key}: {value}' for key, value in values.items())}}}"
