"""Two records side by side: each part's cost, corrected by the fixed work of both.

    ratio = (new cost / new fixed work) / (old cost / old fixed work)

Both CPU times count, ours and the store's. A ratio within the noise is no change. The noise is the
largest of NOISE and of the distances of the median round from the least, on both sides. A single
round shows no distance and has NOISE_OF_ONE. Only equal work is compared: the same turbines and
rows. All else is named as not comparable.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Final, Literal

from sim.bench.record import BenchRecord, GrowthPoint, SizeRecord

NOISE: Final = 0.05
NOISE_OF_ONE: Final = 0.25
Outcome = Literal["faster", "slower", "within noise", "not comparable"]
_Measured = SizeRecord | GrowthPoint


@dataclass(frozen=True)
class Change:
    """One part of both records. old_us, new_us: CPU us/row, as measured. reason: of no ratio."""

    place: str
    part: str
    outcome: Outcome
    old_us: float | None = None
    new_us: float | None = None
    ratio: float | None = None
    noise: float | None = None
    reason: str = ""


def changes(old: BenchRecord, new: BenchRecord) -> Iterator[Change]:
    """Compare all parts of two records, in the order of the new one."""
    before, after = _by_work(old), _by_work(new)
    for name in [*after, *(name for name in before if name not in after)]:
        if name not in before or name not in after:
            missing = "earlier" if name not in before else "new"
            yield Change(name, "", "not comparable", reason=f"the {missing} file lacks it")
            continue
        yield from _parts(name, before[name], after[name])


def notes(old: BenchRecord, new: BenchRecord) -> Iterator[str]:
    """Yield differences of the two runs that a reader must know."""
    if old.machine != new.machine:
        yield f"another machine: {old.machine}, now {new.machine}; the fixed work corrects roughly"
    if old.pipeline_version != new.pipeline_version:
        yield f"pipeline version {old.pipeline_version}, now {new.pipeline_version}"
    if old.gateway != new.gateway:
        yield f"LocalStack's gateway {old.gateway}, now {new.gateway}"
    for program in sorted(old.versions.keys() | new.versions.keys()):
        versions = [each.versions.get(program, "none") for each in (old, new)]
        if versions[0] != versions[1]:
            yield f"{program} {versions[0]}, now {versions[1]}"
    if old.seed != new.seed:
        yield f"seed {old.seed}, now {new.seed}: other rows of the same number"


def _by_work(found: BenchRecord) -> dict[str, _Measured]:
    measured: list[_Measured] = [*found.sizes, *found.growth]
    return {each.name: each for each in measured}


def _parts(place: str, old: _Measured, new: _Measured) -> Iterator[Change]:
    for part in dict.fromkeys([*new.names(), *old.names()]):
        if part not in old.names() or part not in new.names():
            missing = "earlier" if part not in old.names() else "new"
            yield Change(place, part, "not comparable", reason=f"the {missing} file lacks it")
            continue
        costs = [each.product(part).both_s for each in (old, new)]
        old_us, new_us = (cost / old.rows * 1e6 for cost in costs)
        if min(*costs, *old.fixed_s, *new.fixed_s) <= 0:
            reason = "too short to measure"
            yield Change(place, part, "not comparable", old_us, new_us, reason=reason)
            continue
        ratio = (costs[1] / min(new.fixed_s)) / (costs[0] / min(old.fixed_s))
        noise = max(_noise(old, part), _noise(new, part))
        outcome: Outcome = "within noise"
        if abs(ratio - 1) > noise:
            outcome = "faster" if ratio < 1 else "slower"
        yield Change(place, part, outcome, old_us, new_us, ratio, noise)


def _noise(found: _Measured, part: str) -> float:
    """Return the relative distance of the median from the least, of the part or the fixed work."""
    if len(found.fixed_s) < 2:
        return NOISE_OF_ONE
    of_part = found.middle_s(part) / found.product(part).both_s - 1
    return max(NOISE, of_part, median(found.fixed_s) / min(found.fixed_s) - 1)
