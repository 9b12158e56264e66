"""A node's progress: one small JSON object per node, written by compare-and-set only.

`last_id` is a promise: every row up to it is durable and named by a manifest. The other fields
are the state that the stages need for the next batch. With them a restarted node computes the same
bytes:

- the current series of equal readings of each channel that can be stuck,
- the newest event time,
- the partial sums of open windows.

Nothing in it varies between attempts: two writers of one batch write the same bytes.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass, field
from typing import Any

from pipeline.records import CHANNELS, SCHEMA_VERSION, TIME_MAX_US, TIME_MIN_US
from pipeline.sums import COLUMNS, MAX, MIN, SQUARES

Run = tuple[float, int, int]
"""A series of equal readings of one channel: value, number of rows, first row's timestamp in us."""


class CheckpointError(ValueError):
    """An object that is not a checkpoint of this node and schema; the text says why."""


@dataclass(frozen=True)
class Checkpoint:
    """State after a batch. The default is the state of a node that has delivered nothing.

    - max_event_us: newest event time of any valid row.
    - closed_until_us: every window that ends at or before it was emitted.
    - open_windows: window start in us -> its `sums`.
    - anchor_us: recording time of row `last_id`, which detects a silently replaced file. None if
      that row has no integer time, and in checkpoints older than this field; then nothing is
      compared. The field is not part of equality: an older version's checkpoint of the same batch
      is no conflict.
    """

    last_id: int = 0
    batches: int = 0
    max_event_us: int | None = None
    closed_until_us: int | None = None
    runs: dict[str, Run] = field(default_factory=dict)
    open_windows: dict[int, tuple[float, ...]] = field(default_factory=dict)
    anchor_us: int | None = field(default=None, compare=False)

    def to_json(self, turbine_id: str, node_id: str) -> bytes:
        document = {
            "schema_version": SCHEMA_VERSION,
            "turbine_id": turbine_id,
            "node_id": node_id,
            "last_id": self.last_id,
            "anchor_us": self.anchor_us,
            "batches": self.batches,
            "max_event_us": self.max_event_us,
            "closed_until_us": self.closed_until_us,
            "runs": self.runs,
            "open_windows": {str(start): sums for start, sums in sorted(self.open_windows.items())},
        }
        return json.dumps(document, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, body: bytes, turbine_id: str, window_s: int = 0) -> Checkpoint:
        """Parse a checkpoint. Raise CheckpointError, naming the field, for any other object.

        Another turbine's checkpoint is an error too.
        """
        try:
            raw = _parsed(body)
            _check_fields(raw)
            version, turbine, node_id = raw["schema_version"], raw["turbine_id"], raw["node_id"]
            if type(version) is not int or version != SCHEMA_VERSION or turbine != turbine_id:
                raise CheckpointError(
                    f"it has schema {_short(version)} and turbine {_short(turbine)}"
                )
            if not isinstance(node_id, str):
                raise ValueError(f"node_id is {_short(node_id)}; it must be text")
            state = cls(
                last_id=_integer(raw["last_id"], "last_id", 0, _INT64),
                batches=_integer(raw["batches"], "batches", 0, _INT64),
                max_event_us=_time(raw["max_event_us"], "max_event_us"),
                closed_until_us=_optional(raw["closed_until_us"], "closed_until_us"),
                runs={
                    name: _run(name, series)
                    for name, series in _mapping(raw["runs"], "runs").items()
                },
                open_windows=dict(
                    _window(*item) for item in _mapping(raw["open_windows"], "open_windows").items()
                ),
                anchor_us=_optional(raw.get("anchor_us"), "anchor_us"),
            )
            _check_together(state, max(window_s * 1_000_000, DAY_US))
            return state
        except CheckpointError:
            raise
        except ValueError as error:
            raise CheckpointError(f"not a checkpoint: {error}") from error
        except RecursionError as error:
            raise CheckpointError("not a checkpoint: nested too deep") from error


_FIELDS = {
    *("schema_version", "turbine_id", "node_id", "last_id", "anchor_us", "batches"),
    *("max_event_us", "closed_until_us", "runs", "open_windows"),
}
_LATER_FIELDS = {"anchor_us"}
_INT64 = 2**63 - 1
_GREATEST = sys.float_info.max
DAY_US = 86_400 * 1_000_000
_STUCK = {channel.name: channel for channel in CHANNELS if channel.stuck}


def _parsed(body: bytes) -> dict[str, Any]:
    """Parse a JSON object in UTF-8 without a byte order mark.

    Raises ValueError, also for a duplicate key and for a number that is not finite.
    """
    raw = json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse)
    return _mapping(raw, "the document")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"duplicate field {name!r}")
        found[name] = value
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a finite number")


def _check_fields(raw: dict[str, Any]) -> None:
    """Raise ValueError unless the fields are `_FIELDS`.

    `_LATER_FIELDS` may be missing: older versions did not write them.
    """
    if unknown := sorted(raw.keys() - _FIELDS):
        raise ValueError(f"unknown field {unknown[0]!r}")
    if missing := sorted(_FIELDS - raw.keys() - _LATER_FIELDS):
        raise ValueError(f"missing field {missing[0]!r}")


def _mapping(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{place} is {_short(value)}; it must be an object")
    return value


def _integer(value: Any, place: str, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{place} is {_short(value)}; it must be an integer from {low} to {high}")
    return value


def _optional(value: Any, place: str) -> int | None:
    return None if value is None else _integer(value, place, -_INT64 - 1, _INT64)


def _time(value: Any, place: str) -> int | None:
    """Return the time of a valid row's event, or None. Raise ValueError for any other value."""
    return None if value is None else _integer(value, place, TIME_MIN_US, TIME_MAX_US - 1)


def _number(value: Any, place: str, low: float = -_GREATEST) -> float:
    if type(value) not in (int, float) or not low <= value <= _GREATEST:
        raise ValueError(
            f"{place} is {_short(value)}; it must be a finite number" + " of 0 or more" * (low == 0)
        )
    return float(value)


def _run(name: str, series: Any) -> Run:
    place = f"runs.{name}"
    if name not in _STUCK:
        raise ValueError(f"{place}: not the name of a channel that can be stuck")
    if not isinstance(series, list) or len(series) != 3:
        raise ValueError(
            f"{place} is {_short(series)}; it must be [value, rows, time of the first]"
        )
    value = _number(series[0], f"{place}[0]")
    if not _STUCK[name].low <= value <= _STUCK[name].high:
        raise ValueError(f"{place}[0] is {value}, which no valid row has")
    first = _integer(series[2], f"{place}[2]", TIME_MIN_US, TIME_MAX_US - 1)
    return value, _integer(series[1], f"{place}[1]", 1, _INT64), first


def _window(start: str, sums: Any) -> tuple[int, tuple[float, ...]]:
    place = f"open_windows.{start}"
    if not re.fullmatch("0|[1-9][0-9]{0,15}", start):
        raise ValueError(f"{_short(place)} is not the start of a window in microseconds")
    if not isinstance(sums, list) or len(sums) != COLUMNS:
        raise ValueError(f"{place} is {_short(sums)}; it must be {COLUMNS} numbers")
    squares = range(COLUMNS)[SQUARES]
    numbers = tuple(
        _number(n, f"{place}[{i}]", 0 if i in squares else -_GREATEST) for i, n in enumerate(sums)
    )
    if numbers[0] < 1 or numbers[0] % 1:
        raise ValueError(f"{place}[0] is {numbers[0]}; it must be a number of rows")
    if any(low > high for low, high in zip(numbers[MIN], numbers[MAX], strict=True)):
        raise ValueError(f"{place}: a minimum is above its maximum")
    return int(start), numbers


def _check_together(state: Checkpoint, ahead_us: int) -> None:
    """Raise ValueError for fields that contradict each other.

    ahead_us: the distance beyond the newest event up to which a drain may close windows. It is a
    day at least, because windows may have been longer once.
    """
    newest = state.max_event_us
    if state.batches > state.last_id:
        raise ValueError(
            f"batches is {state.batches}, more than the ids up to last_id {state.last_id}"
        )
    if newest is None and (state.closed_until_us is not None or state.runs or state.open_windows):
        raise ValueError("max_event_us is null, but other fields depend on valid rows")
    if newest is not None and (
        state.closed_until_us is None or state.closed_until_us > newest + ahead_us
    ):
        raise ValueError(
            f"closed_until_us is {state.closed_until_us}, but max_event_us is {newest}"
        )
    if any(start > (newest or 0) for start in state.open_windows):
        raise ValueError(f"open_windows holds a window after max_event_us {newest}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
