"""The state of a run as a JSON document, for the page."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import numpy as np

from sim.arrays import Floats
from sim.report.jinja_environment import heading
from sim.watch.state import RunState

_KINDS: Final = ("put", "get", "list")
_RANKS: Final = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


def document(state: RunState) -> dict[str, Any]:
    """Return the state. Times are s since 1970, or us since 1970 of fleet time."""
    found: dict[str, Any] = {
        "now_s": round(state.now_s, 3),
        "folder": str(state.folder),
        "stage": state.stage,
        "trouble": state.trouble,
        "command": None,
    }
    run = state.run
    if run is None:
        return found
    scenario, command = run.scenario, "load" if state.is_load else "run"
    found |= {"command": command, "scenario": scenario.name, "seed": scenario.seed}
    found["turbines"] = scenario.fleet.turbines
    if state.ending is not None:
        title = heading(state.ending.verdict, state.ending.exit_code)
        found["ending"] = asdict(state.ending) | {"heading": title}
    found["rates"] = {of: state.rate_per_s(of) for of in ("operations", "rows", "requests")}
    found["operations"] = [
        {"kind": kind, "bucket": bucket, "outcome": outcome, "count": count}
        for (kind, bucket, outcome), count in sorted(run.store.counts.items())
    ]
    found["retries"] = run.store.retries.total()
    found["faults"] = dict(sorted(run.faults.items()))
    found["fault_at_s"] = run.fault_at_s
    if command == "run":
        found["farms"] = [asdict(farm) for farm in run.farms.farms]
        found["start_us"] = scenario.clock.start_us
        found["duration_s"] = scenario.clock.duration_us / 1e6
    else:
        found["phases"] = [asdict(phase) for phase in run.load.phases]
        found["requests"] = [
            {"kind": kind, "outcome": outcome, "count": count}
            for (kind, outcome), count in sorted(run.load.counts.items())
        ]
        found["backlog"], found["under_way"] = run.load.backlog, run.load.under_way
        found["figures"] = run.load.figures
    found["series"] = _series(state, command)
    return found


def _series(state: RunState, command: str) -> dict[str, Any]:
    """Return figures over time, one value per slot that has ended."""
    assert state.run is not None
    history = state.run.history
    slots = history.complete(state.now_s)
    start_s = history.start_s or 0
    if state.is_over:  # to the last slot in which something ended
        busy = np.flatnonzero(sum(history.rates(name) for name in (*_KINDS, "requests")))
        slots = min(slots, int(busy[-1]) + 1) if len(busy) else 0
    found: dict[str, Any] = {
        "width_s": history.width_s,
        "x": (start_s + history.width_s * (np.arange(slots) + 0.5)).tolist(),
    }

    def values(name: str, array: Floats) -> None:
        found[name] = [
            None if np.isnan(value) else float(f"{value:.5g}") for value in array[:slots].tolist()
        ]

    for kind in _KINDS:
        values(kind, history.rates(kind))
    latency = "put" if command == "run" else "request"
    for rank, share in _RANKS.items():
        values(rank, history.quantiles(latency, share))
    if command == "run":
        values("rows", history.rates("rows"))
    else:
        values("requests", history.rates("requests"))
        values("backlog", history.peaks("backlog"))
        values("under_way", history.peaks("under_way"))
    return found
