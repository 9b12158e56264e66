"""Faults for whole runs on a real store, as the words of a scenario: kinds and points take turns, so that all are met.

Every bout is one run: a seed of its own (so other data), one or two killed workers, and KINDS_EACH other kinds. All
kinds come up before one comes up again, in an order that the seed shuffles; each time a kind strikes at its next
point, and at any point after the last. It reads as what `--set faults=...` takes, which is how it is repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sim import seeds
from sim.chaos.faults import CRASH, FOREIGN, KILL, KINDS, SECOND_WRITER, SPELLS, UPLINK, Cell, cell

KINDS_EACH: Final = 5
_OTHERS: Final = tuple(kind for kind in KINDS if kind != KILL)
_SLOW: Final = ("store.hang", "store.late-commit", "store.slow")
"""Each strike costs a client's whole patience, or seconds: a few times a run."""
STRIKES_SELDOM: Final = 4
"""At points of few calls all are struck, but so often only: two kinds at one must not outlast the drain's attempts."""
_SELDOM: Final = ("recover", "history")
"""Points of few calls: a node asks where it stands at its first flush, and for the past when it must."""


@dataclass(frozen=True)
class Bout:
    """One run. `faults`: the YAML of a scenario's `faults`; `meant`: the ways in which it wants to strike."""

    seed: int
    faults: str
    meant: tuple[Cell, ...]


def bout(
    seed: int, index: int, farms: Sequence[str], flush_s: Sequence[float], end_s: float
) -> Bout:
    """Number `index` of a campaign. flush_s: when nodes flush, virtual seconds; end_s: when the run ends."""
    draw = seeds.rng(seed, "bout", index)
    faults = [f"{{kind: {KILL}, count: {int(draw.integers(1, 3))}}}"]
    meant = [cell(KILL)]
    for turn in range(index * KINDS_EACH, (index + 1) * KINDS_EACH):
        time, place = divmod(turn, len(_OTHERS))
        order = seeds.rng(seed, "bout", "order", time).permutation(len(_OTHERS))
        kind = _OTHERS[int(order[place])]
        if KINDS[kind].windowed and not flush_s:
            continue  # nodes that never flush before the drain meet none of these
        text, ways = _fault(kind, time, draw, farms, flush_s, end_s)
        faults.append(text)
        meant += ways
    return Bout(seed + 1 + index, f"[{', '.join(faults)}]", tuple(meant))


def _fault(
    kind: str,
    time: int,
    draw: np.random.Generator,
    farms: Sequence[str],
    flush_s: Sequence[float],
    end_s: float,
) -> tuple[str, list[Cell]]:
    """The `time`-th fault of a kind, and what it means to strike."""
    words, ways, at = [f"kind: {kind}"], [cell(kind)], ""
    points = KINDS[kind].points
    if points:
        places = [
            (point, after)
            for point in points
            for after in ((False, True) if kind == CRASH else (False,))
        ]
        turn = time % (len(places) + 1)
        ways = [cell(kind, *places[turn])] if turn < len(places) else []
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
            seldom, often = (
                f"share: 100%, count: {STRIKES_SELDOM}",
                f"share: {int(draw.integers(10, 26)) if at else 4}%",
            )
            words.append(seldom if at in _SELDOM else often)
    if kind in (*SPELLS, SECOND_WRITER):
        words.append(f"share: {int(draw.integers(60, 101))}%")
    if KINDS[kind].windowed:
        begin_s = int(flush_s[0 if at in _SELDOM else int(draw.integers(len(flush_s)))]) - 1
        most_s = end_s - begin_s - 2
        length_s = 2 + int(most_s if at == "history" else draw.random() * min(most_s, end_s / 3))
        words.append(f"from: {begin_s}s, for: {length_s}s")
    if kind == UPLINK:
        words.append(f"farms: [{farms[int(draw.integers(len(farms)))]}]")
    if kind == "bucket.refuses":
        bucket = {"data": "enriched", "checkpoint": "checkpoints"}.get(at, "metadata")
        words.append(f"buckets: [{bucket}]")
    return f"{{{', '.join(words)}}}", ways
