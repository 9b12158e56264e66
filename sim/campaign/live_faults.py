"""Faults for whole runs on a real store, as the text of a scenario's `faults`.

Each run has its own seed and so its own data, one or two killed workers, and KINDS_EACH other kinds
of fault. The seed shuffles the order of the kinds. All of them come once before one comes again.
Each time a kind comes, it hits its next point; after the last point it once hits any point. The
text is an argument of `--set faults=...`, so that a run can be repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sim import seeds
from sim.chaos.faults import (
    CRASH,
    FOREIGN,
    KILL,
    KINDS,
    NODE_INTERVALS,
    SECOND_WRITER,
    UPLINK,
    FaultPoint,
    fault_point,
)

KINDS_EACH: Final = 5
_OTHERS: Final = tuple(kind for kind in KINDS if kind != KILL)
_SLOW: Final = ("store.hang", "store.late-commit", "store.slow")
"""Kinds that cost a client seconds or its whole timeout. Each such fault fires at most twice."""
_RARE: Final = ("recover", "history")
"""Points with few calls: a node reads its checkpoint once, earlier objects only for late rows."""
COUNT_AT_RARE: Final = 4
"""Most injections at a rare point, where the fault hits every call.

Two such kinds at one point must not use up all attempts of the drain.
"""


@dataclass(frozen=True)
class LiveFaults:
    """The faults of one run. faults: YAML text. meant: the points that they are meant to hit."""

    seed: int
    faults: str
    meant: tuple[FaultPoint, ...]


def draw_live_faults(
    seed: int, index: int, farms: Sequence[str], flush_s: Sequence[float], end_s: float
) -> LiveFaults:
    """Return the faults of run `index`.

    flush_s: times of the flushes, end_s: end of the run, in virtual seconds.
    """
    draw = seeds.rng(seed, "bout", index)
    faults = [f"{{kind: {KILL}, count: {int(draw.integers(1, 3))}}}"]
    meant = [fault_point(KILL)]
    for turn in range(index * KINDS_EACH, (index + 1) * KINDS_EACH):
        nth, place = divmod(turn, len(_OTHERS))
        order = seeds.rng(seed, "bout", "order", nth).permutation(len(_OTHERS))
        kind = _OTHERS[int(order[place])]
        if KINDS[kind].windowed and not flush_s:
            continue  # the only flush is the drain, and these faults end before it
        text, points = _fault(kind, nth, draw, farms, flush_s, end_s)
        faults.append(text)
        meant += points
    return LiveFaults(seed + 1 + index, f"[{', '.join(faults)}]", tuple(meant))


def _fault(
    kind: str,
    nth: int,
    draw: np.random.Generator,
    farms: Sequence[str],
    flush_s: Sequence[float],
    end_s: float,
) -> tuple[str, list[FaultPoint]]:
    """Return the fault for a kind's turn `nth`, from 0, and the points that it is meant to hit."""
    words, meant, at = [f"kind: {kind}"], [fault_point(kind)], ""
    points = KINDS[kind].points
    if points:
        sides = (False, True) if kind == CRASH else (False,)
        places = [(point, after) for point in points for after in sides]
        turn = nth % (len(places) + 1)
        meant = [fault_point(kind, *places[turn])] if turn < len(places) else []
        if turn < len(places):
            at, after = places[turn]
            words.append(
                f"at: [{'after-' * after or 'before-'}{at}]" if kind == CRASH else f"at: [{at}]"
            )
        if kind == FOREIGN:
            words.append("share: 30%, count: 1")  # one node that stops is enough
        elif kind in _SLOW:
            words.append(f"count: {int(draw.integers(1, 3))}")
        elif not KINDS[kind].windowed:
            rare, usual = (
                f"share: 100%, count: {COUNT_AT_RARE}",
                f"share: {int(draw.integers(10, 26)) if at else 4}%",
            )
            words.append(rare if at in _RARE else usual)
    if kind in (*NODE_INTERVALS, SECOND_WRITER):
        words.append(f"share: {int(draw.integers(60, 101))}%")
    if KINDS[kind].windowed:
        begin_s = int(flush_s[0 if at in _RARE else int(draw.integers(len(flush_s)))]) - 1
        most_s = end_s - begin_s - 2
        length_s = 2 + int(most_s if at == "history" else draw.random() * min(most_s, end_s / 3))
        words.append(f"from: {begin_s}s, for: {length_s}s")
    if kind == UPLINK:
        words.append(f"farms: [{farms[int(draw.integers(len(farms)))]}]")
    if kind == "bucket.refuses":
        bucket = {"data": "enriched", "checkpoint": "checkpoints"}.get(at, "metadata")
        words.append(f"buckets: [{bucket}]")
    return f"{{{', '.join(words)}}}", meant
