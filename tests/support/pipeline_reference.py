"""Expected content of the stages, row by row in plain Python, and messy rows as input.

Slow and simple on purpose: over a node's whole history, without numpy, batches or carried state.
The rules are those of `records.RULES`.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from pipeline import records
from pipeline.config import NodeConfig
from tests.support.pipeline_world import HOUR, SECOND, Row, good

LIMITS = {channel.name: channel for channel in records.CHANNELS}
LAST = 2**63 - 1


def misfit(row: Row, name: str) -> bool:
    kinds = {"id": int, "timestamp": int, "recorded_at": int, "turbine_id": str, "status": str}.get(
        name, (int, float)
    )
    return row[name] is not None and not isinstance(row[name], kinds)


def first_broken(row: Row, node: NodeConfig) -> str | None:
    """Return the first rule that a row breaks by itself."""
    if any(misfit(row, name) for name in records.NODE_COLUMNS):
        return "type"
    if any(row[name] is None or row[name] != row[name] for name in records.NODE_COLUMNS):
        return "null"
    if row["turbine_id"] != node.turbine_id:
        return "identity"
    t, recorded = row["timestamp"], row["recorded_at"]
    rated = node.asset.rated_power or math.inf
    power = row["power_output"]
    generating = power > records.POWER_FLOOR * rated
    asked = {
        "time.range": not records.TIME_MIN_US <= t < records.TIME_MAX_US,
        "time.future": t > recorded + records.FUTURE_TOLERANCE_US,
        "time.stale": t < recorded - records.STALE_AFTER_US,
        "state": row["status"] not in records.STATES,
        "range": any(not c.low <= row[name] <= c.high for name, c in LIMITS.items()),
        "power.rotor": generating and row["rotor_rpm"] < records.ROTOR_STANDSTILL_RPM,
        "power.rated": power > records.RATED_CEILING * rated,
        "power.wind": generating and row["wind_speed"] < records.WIND_CALM,
    }
    return next((rule for rule, broken in asked.items() if broken), None)


def judge(rows: Iterable[Row], node: NodeConfig) -> dict[int, str | None]:
    """Return id -> the first broken rule, over the whole history of a node."""
    verdicts: dict[int, str | None] = {}
    series: dict[str, list[Row]] = {name: [] for name, c in LIMITS.items() if c.stuck}
    seen: set[int] = set()
    for row in sorted(rows, key=lambda r: r["id"]):
        rule = first_broken(row, node)
        if rule is not None:
            for run in series.values():
                run.clear()
        if rule is None:
            for name, run in series.items():
                if run and run[-1][name] != row[name]:
                    run.clear()
                run.append(row)
                held = row["timestamp"] - run[0]["timestamp"]
                if (
                    row[name] != 0
                    and len(run) >= records.STUCK_ROWS
                    and held >= records.STUCK_AFTER_US
                ):
                    rule = "stuck"
        if rule is None and row["timestamp"] in seen:
            rule = "duplicate"
        if rule is None:
            seen.add(row["timestamp"])
        verdicts[row["id"]] = rule
    return verdicts


def promise(wind: float, node: NodeConfig) -> float:
    curve = node.asset.power_curve
    if not curve or not curve[0][0] <= wind <= curve[-1][0]:
        return 0.0
    at = min(bisect_right([v for v, _ in curve], wind), len(curve) - 1)
    (v0, p0), (v1, p1) = curve[at - 1], curve[at]
    return p0 + (p1 - p0) * (wind - v0) / (v1 - v0)


def windows(valid: Iterable[Row], node: NodeConfig) -> dict[int, Row]:
    """Return window start (us) -> the expected row of AGGREGATED, without revision."""
    length = node.window_s * SECOND
    parts: dict[int, list[Row]] = defaultdict(list)
    for row in valid:
        parts[row["timestamp"] // length * length].append(row)
    return {start: _window(start, rows, node) for start, rows in parts.items()}


def _window(start: int, rows: list[Row], node: NodeConfig) -> Row:
    asset = node.asset
    out: Row = {
        "turbine_id": node.turbine_id,
        "farm_id": node.farm_id,
        "window_start": start,
        "window_end": start + node.window_s * SECOND,
        "rows": len(rows),
    }
    for name in records.MEASURES:
        values = [row[name] for row in rows]
        mean = math.fsum(values) / len(values)
        out |= {name: mean, f"{name}_min": min(values), f"{name}_max": max(values)}
        out[f"{name}_std"] = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values))
    promised = [promise(row["wind_speed"], node) for row in rows]
    total = math.fsum(promised)
    out["efficiency"] = (
        math.fsum(max(row["power_output"], 0.0) for row in rows) / total if total > 0 else None
    )
    floor = records.PROMISE_FLOOR * (asset.rated_power or math.inf)
    judged = [
        (r["power_output"], p)
        for r, p in zip(rows, promised, strict=True)
        if r["status"] == "running" and p >= floor
    ]
    under = math.fsum(a for a, _ in judged) < records.UNDERPERFORMANCE * math.fsum(
        p for _, p in judged
    )
    counts = {
        "vibration": sum(r["vibration_level"] > records.VIBRATION_ALARM for r in rows),
        "generator_heat": sum(r["generator_temperature"] > records.GENERATOR_ALARM for r in rows),
        "gearbox_heat": sum(r["gearbox_temperature"] > records.GEARBOX_ALARM for r in rows),
        "overspeed": sum(
            r["rotor_rpm"] > records.OVERSPEED * (asset.rated_rpm or math.inf) for r in rows
        ),
        "underperformance": len(judged) if under else 0,
    }
    out["anomaly_count"] = sum(counts.values())
    out["anomaly_kinds"] = [kind for kind, n in counts.items() if n]
    return out


def batches(rows: Iterable[Row], flush_every_s: int) -> list[tuple[int, int]]:
    """Return (first, last) id of each batch, by the rule only.

    A batch begins where the slot of the recording time changes, or the file.
    """
    out: list[list[int]] = []
    slot: int | None = None
    generation = -1
    for row in sorted(rows, key=lambda r: r["id"]):
        recorded = row["recorded_at"]
        before, generation = generation, row["id"] // records.GENERATION_IDS
        if generation != before:
            slot = None
        now = slot if recorded is None else recorded // (flush_every_s * SECOND)
        if generation != before or now != slot:
            out.append([row["id"], row["id"]])
        out[-1][1] = row["id"]
        slot = now
    return [(first, last) for first, last in out]


SPOIL: dict[str, Any] = {
    "no time": {"timestamp": None},
    "time 0": {"timestamp": 0},
    "time -1": {"timestamp": -1},
    "time 9e18": {"timestamp": 9 * 10**18},
    "time lowest": {"timestamp": -LAST - 1},
    "time highest": {"timestamp": LAST},
    "time text": {"timestamp": "half past"},
    "time real": {"timestamp": 1705276800.5},
    "unrecorded": {"recorded_at": None},
    "recorded highest": {"recorded_at": LAST - 1},
    "recorded lowest": {"recorded_at": -LAST - 1},
    "null": {"wind_speed": None},
    "nan": {"temperature": math.nan},
    "inf": {"temperature": math.inf},
    "-inf": {"power_output": -math.inf},
    "text": {"rotor_rpm": "n/a", "wind_speed": "9,5"},
    "blob": {"status": b"\x00\xff"},
    "stranger": {"turbine_id": "A-002"},
    "nobody": {"turbine_id": None},
    "state": {"status": "dancing"},
    "range": {"wind_speed": 75.5},
    "power.rotor": {"rotor_rpm": 0.25},
    "power.rated": {"power_output": 3.8},
    "power.wind": {"wind_speed": 0.5},
    "calm": {"wind_speed": 0.0, "rotor_rpm": -0.0, "power_output": -0.01, "status": "standby"},
    "shaking": {"vibration_level": 6.0},
    "hot": {"generator_temperature": 140.0, "gearbox_temperature": 90.0},
    "fast": {"rotor_rpm": 14.0},
    "weak": {"power_output": 0.01},
}


@st.composite
def messy(draw: st.DrawFn, turbine_id: str = "A-001", most: int = 60) -> list[Row]:
    """Rows of one node over minutes to hours: late, repeated, disordered, stuck, poisoned ones."""
    step_s = draw(st.sampled_from((10, 45, 130, 400)))
    rows = [good(i, turbine_id, step_s) for i in range(1, draw(st.integers(1, most)) + 1)]
    kinds = ("late", "repeat", "stuck", "clock back", *SPOIL)
    faults = draw(
        st.lists(st.tuples(st.integers(0, len(rows) - 1), st.sampled_from(kinds)), max_size=12)
    )
    for at, kind in faults:
        row = rows[at]
        if kind == "late":
            row["timestamp"] = good(row["id"], step_s=step_s)["timestamp"] - draw(
                st.integers(1, 3 * HOUR)
            )
        elif kind == "repeat":
            row["timestamp"] = rows[draw(st.integers(0, at))]["timestamp"]
        elif kind == "stuck":
            for other in rows[at : at + draw(st.integers(8, 30))]:
                other["temperature"] = other["vibration_level"] = 3.25
        elif kind == "clock back":
            for other in itertools.islice(rows, at, at + 8):
                for name in ("timestamp", "recorded_at"):
                    if isinstance(other[name], int) and abs(other[name]) < 2**60:
                        other[name] -= HOUR + 7 * SECOND
        else:
            row.update(SPOIL[kind])
    return rows
