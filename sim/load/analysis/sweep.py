"""A closed sweep over numbers of users, level by level, and a scalability law fitted to it.

- Each level is measured over its steady state. After the warm-up it is cut into WINDOWS equal
  windows, and `sim.measure.steady` finds the first one that counts.
- Little's law connects separate measurements: users N = throughput X times mean response time R,
  without think time. A level that misses it by more than LITTLE_MAX was not steady, or its record
  is wrong.
- The fit is `sim.measure.usl`.

The sweep ends early when a level stopped early or lost a worker, or when time is up. Further levels
would add nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from sim.load.analysis.figures import part
from sim.load.phase import Engine, Phase, PhaseRecord
from sim.load_schedule import Sweep
from sim.measure import requests, steady, usl
from sim.measure.loadtest import Level, SweepFound
from sim.measure.thresholds import Expectation
from sim.measure.usl import Fit, Interval

WINDOWS: Final = 100
LITTLE_MAX: Final = 0.1
_NAME: Final = "sweep-{}"


def run(
    engine: Engine,
    sweep: Sweep,
    warm_up_s: float,
    stop_when: tuple[Expectation, ...],
    left_s: Callable[[], float],
    keep: Callable[[PhaseRecord], None],
) -> None:
    """Run the levels. Raises the engine's errors.

    left_s: returns the time that the test has left, in seconds. keep: called with each record.
    """
    for users in sweep.users:
        if left_s() < sweep.for_s:
            return
        phase = Phase(_NAME.format(users), None, users, sweep.for_s, warm_up_s, stop_when)
        record = engine.run(phase)
        keep(record)
        if record.stopped_early or record.lost_workers:
            return


def analyse(records: Sequence[PhaseRecord], seed: int) -> SweepFound:
    """Return the results of the levels. A level without a success in any window is left out."""
    levels = tuple(level for record in records if (level := _level(record)) is not None)
    if not levels:
        return SweepFound((), None, None, "No level of the sweep had a request that succeeded.")
    users, throughput, error = (
        np.array([getattr(one, of) for one in levels]) for of in ("users", "throughput", "error")
    )
    fit = usl.fit(users, throughput, error, seed) if len(levels) >= usl.POINTS_MIN else None
    saturation = usl.saturation(users, throughput)
    return SweepFound(levels, saturation, fit, _conclusion(levels, saturation, fit))


def _level(record: PhaseRecord) -> Level | None:
    whole = part(record)
    edges = np.linspace(whole.from_s, whole.to_s, WINDOWS + 1)
    series = requests.ended_per_s(whole.requests, edges)
    if not series.any() or record.phase.users is None:
        return None
    state = steady.detect(series)
    counted = requests.Part(whole.requests, float(edges[state.begin]), whole.to_s)
    inside = counted.ended_inside
    latencies = whole.requests.latency_s[inside]
    p50, p95 = requests.quantiles(latencies, (0.5, 0.95))
    users, response_s = record.phase.users, float(latencies.mean())
    return Level(
        users=users,
        throughput=state.mean,
        error=state.error,
        response_s=response_s,
        p50_s=p50 or 0.0,
        p95_s=p95 or 0.0,
        littles_law_error=abs(state.mean * response_s - users) / users,
        steady=state.steady,
        begin_s=counted.from_s,
        errors_share=requests.figures([counted]).get("errors.share", 0.0),
    )


def _conclusion(levels: Sequence[Level], saturation: float, fit: Fit | None) -> str:
    """Return the conclusion in sentences: saturation, the fit, and levels that are not reliable."""
    best = max(levels, key=lambda level: level.throughput)
    text = [f"The best level makes {best.throughput:,.1f} requests/s, with {best.users} users."]
    if saturation < levels[-1].users:
        flat = np.mean([level.throughput for level in levels if level.users >= saturation])
        many = f"{saturation:.0f} user{'s' * (saturation != 1)}"
        text.append(
            f"It saturates at about {many}, at {flat:,.1f} requests/s: more users add waiting, "
            "not throughput."
        )
    text.append(_fitted(fit, levels[-1].users))
    if unsteady := [str(level.users) for level in levels if not level.steady]:
        text.append(
            f"Not steady: the level{'s' * (len(unsteady) > 1)} of {', '.join(unsteady)} users."
        )
    if off := [level for level in levels if level.littles_law_error > LITTLE_MAX]:
        worst = max(off, key=lambda level: level.littles_law_error)
        text.append(
            f"Little's law is missed by {worst.littles_law_error:.0%} at {worst.users} users: "
            "do not trust that level."
        )
    return " ".join(text)


def _fitted(fit: Fit | None, most: int) -> str:
    if fit is None:
        return "Too few levels for a fit."
    if fit.peak_users is not None and fit.peak_per_s is not None:
        far = " That is far beyond the measured levels." if fit.peak_users.value > 2 * most else ""
        peak = f"{_range(fit.peak_per_s)} requests/s at {_range(fit.peak_users)} users"
        return f"The fit has a peak of {peak}.{far}"
    if fit.asymptote_per_s is not None:
        limit = _range(fit.asymptote_per_s)
        return (
            "The fit has no peak: its coherency is zero within error; "
            f"it tends to {limit} requests/s."
        )
    if fit.beta.low > 0:
        return "The law fits badly, and no fall was measured: no peak is claimed."
    return "The fit shows no limit: contention and coherency are zero within error; try more users."


def _range(of: Interval) -> str:
    return f"{of.value:,.3g} ({of.low:,.3g} to {of.high:,.3g})"
