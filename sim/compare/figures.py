"""Figures of two sets of runs, from their results: exact ones, modelled ones, and measured means.

kind                         judged
counted by the oracle, lake  must be the same for one scenario and seed: else `different`
modelled                     worse than the limit: `regression`
counted by attempts          not judged: retries depend on time
measured                     not judged here (`sim.compare.speed`); repeats show an interval
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from sim.compare.comparison import DIGEST, Row, State, Value
from sim.compare.speed import Side
from sim.measure import slowdown
from sim.measure.slowdown import SIGNIFICANCE, t_quantile
from sim.report.result import Result
from sim.run_directory import SCENARIO_FILE

OF_ATTEMPTS: Final = ("bytes.nodes", "bytes.written", "objects.written", "store.", "load.")
"""Counts of attempts and files, by the beginning of their names. They differ from run to run."""
_INTERVAL: Final = "95 % interval"


def rows(sides: Sequence[Side], limit: float, judged: set[str]) -> list[Row]:
    """Return a row for each figure that is not in `judged`, and for the lake."""
    obstacle = obstacle_of(sides)
    names = dict.fromkeys(name for side in sides for _, result in side for name in result.figures)
    found = [_lake(sides, obstacle)] if any(r.lake for side in sides for _, r in side) else []
    for name in sorted(names):
        if name not in judged:
            found.append(_row(sides, name, limit, obstacle))
    return found


def obstacle_of(sides: Sequence[Side]) -> str:
    """Return why exact figures may differ; empty if they must be the same."""
    every = [(path, result) for side in sides for path, result in side]
    if len({result.seed for _, result in every}) > 1:
        return "the seeds differ"
    texts = {text for path, _ in every if (text := _scenario_text(path)) is not None}
    if len(texts) > 1:
        return f"the runs have another {SCENARIO_FILE}"
    early = [path for path, result in every if result.lake is None or not result.lake.digest]
    if early and any(result.load is None for _, result in every):
        return f"the lake of {early[0]} was not judged to the end"
    return ""


def _scenario_text(path: Path) -> bytes | None:
    try:
        return (path / SCENARIO_FILE).read_bytes()
    except OSError:
        return None


def _lake(sides: Sequence[Side], obstacle: str) -> Row:
    values: list[list[Value]] = [
        [result.lake.digest or None if result.lake else None for _, result in side]
        for side in sides
    ]
    return _exact(DIGEST, "", "counted", values, obstacle)


def _row(sides: Sequence[Side], name: str, limit: float, obstacle: str) -> Row:
    figures = [[result.figures.get(name) for _, result in side] for side in sides]
    known = next(figure for side in figures for figure in side if figure is not None)
    unit, kind = known.unit, known.kind
    values: list[list[Value]] = [
        [None if figure is None else figure.value for figure in side] for side in figures
    ]
    if kind != "measured" and not name.startswith(OF_ATTEMPTS):
        if kind == "counted" or name.startswith("detection."):
            return _exact(name, unit, kind, values, obstacle)
        return _modelled(name, unit, values, limit, obstacle)
    base, new = (_mean(side) for side in values)
    if base is None or new is None:
        return _missing(name, unit, kind, base, new)
    if kind == "counted":
        note = "counts of attempts differ from run to run"
        return Row(name, unit, kind, base, new, "same" if base == new else "changed", note=note)
    return _measured(name, unit, values, base, new)


def _exact(
    name: str, unit: str, kind: str, values: Sequence[Sequence[Value]], obstacle: str
) -> Row:
    base, new = (side[0] for side in values)
    every = {value for side in values for value in side}
    note = ""
    if every == {None}:
        return Row(name, unit, kind, None, None, "not comparable", note="not determined")
    if None in every and not obstacle:
        return _missing(name, unit, kind, base, new)
    if len(every) == 1:
        return Row(name, unit, kind, base, new, "same")
    if obstacle:
        return Row(name, unit, kind, base, new, "not comparable", note=obstacle)
    for side, word in zip(values, ("BASE", "NEW"), strict=True):
        if len(set(side)) > 1:
            note = f"the runs of {word} differ from each other"
            other = next(value for value in side if value != side[0])
            base, new = (side[0], other) if base == new else (base, new)
    return Row(name, unit, kind, base, new, "different", note=note)


def _modelled(
    name: str, unit: str, values: Sequence[Sequence[Value]], limit: float, obstacle: str
) -> Row:
    base, new = (_mean(side) for side in values)
    if base is None or new is None:
        return _missing(name, unit, "modelled", base, new)
    if base == new:
        return Row(name, unit, "modelled", base, new, "same")
    if obstacle:
        return Row(name, unit, "modelled", base, new, "changed", note=obstacle)
    worse = new > base * (1 + limit)
    state: State = "regression" if worse else "none"
    return Row(name, unit, "modelled", base, new, state, note="modelled: no noise", counts=False)


def _measured(
    name: str, unit: str, values: Sequence[Sequence[Value]], base: float, new: float
) -> Row:
    """Return a measured figure; with enough repeats, with an interval that decides nothing."""
    if len({value for side in values for value in side}) == 1:
        return Row(name, unit, "measured", base, new, "same")
    plain = [
        np.array([value for value in side if value is not None], dtype=float) for side in values
    ]
    freedom = sum(len(side) - 1 for side in plain)
    if freedom < slowdown.REPEATS or not all((side > 0).all() for side in plain):
        note = "one value per run: no interval"
        return Row(name, unit, "measured", base, new, "changed", note=note)
    logs = [np.log(side) for side in plain]
    spread = sum(float(((side - side.mean()) ** 2).sum()) for side in logs) / freedom
    width = t_quantile(SIGNIFICANCE, freedom) * math.sqrt(
        spread * sum(1 / len(side) for side in logs)
    )
    middle = float(logs[1].mean() - logs[0].mean())
    low, high = math.exp(middle - width), math.exp(middle + width)
    inside = low <= 1 <= high
    note = f"new to base: {_INTERVAL} {low:.3f} to {high:.3f}, by itself" + (
        "; within noise" if inside else ""
    )
    return Row(name, unit, "measured", base, new, "changed", note=note)


def _missing(name: str, unit: str, kind: str, base: Value, new: Value) -> Row:
    where = "NEW" if new is None else "BASE"
    note = "not determined" if base is None and new is None else f"not determined in {where}"
    return Row(name, unit, kind, base, new, "not comparable", note=note)


def _mean(values: Sequence[Value]) -> float | int | None:
    """Return the mean of a side; None if a run lacks the figure."""
    known = [value for value in values if isinstance(value, int | float)]
    if len(known) < len(values):
        return None
    if len(set(known)) == 1:
        return known[0]
    return float(np.mean(known))


def named(result: Result) -> str:
    """Return the scenario of a run and its kind, for messages."""
    return f"{'load test' if result.load is not None else 'run'} of {result.scenario}"
