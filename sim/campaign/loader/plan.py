"""The schedules of a campaign's loads.

every_call   Each call of the run without faults, in three rounds, with each kind that can hit it;
             `store.error` twice: for a single attempt per request, and with retries.
random_line  One to MOST_FAULTS faults of all kinds: at numbered calls, or with a chance at every
             call, so that recovery is hit as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sim import seeds
from sim.campaign.loader.faults import ERROR, KINDS, POINTS
from sim.campaign.loader.line import LoadInjection, LoadLine
from sim.campaign.loader.run import LoadOutcome
from sim.campaign.loader.world import LoaderWorld
from sim.campaign.plan import ATTEMPTS, ends

MOST_FAULTS: Final = 6


def every_call(world: LoaderWorld, quick: bool = False) -> list[LoadLine]:
    """Return a line for each call and each kind that can hit it.

    quick: only for the first and the last call of each point and kind.
    """
    hit = {
        kind: [n for n, call in enumerate(world.log, 1) if kind in call.possible] for kind in KINDS
    }
    if quick:
        hit = {kind: ends(hit[kind], lambda n: world.log[n - 1].point) for kind in KINDS}
    lines = []
    for number in range(1, len(world.log) + 1):
        for kind in KINDS:
            if number in hit[kind]:
                for attempts in (1, ATTEMPTS) if kind == ERROR else (1,):
                    lines.append(LoadLine((LoadInjection(kind, number),), attempts=attempts))
    return lines


def certain_points(world: LoaderWorld) -> set[tuple[str, str]]:
    """Return the kinds and points that `every_call` is certain to hit."""
    return {(kind, call.point) for call in world.log for kind in call.possible}


def planned_points() -> list[tuple[str, str]]:
    """Return every kind at every point of its own."""
    return [(kind.name, at) for kind in KINDS.values() for at in POINTS if at in kind.points]


def random_line(world: LoaderWorld, seed: int, index: int) -> LoadLine:
    """Return the schedule of random run `index`: a function of (seed, index, size of the world)."""
    draw = seeds.rng(seed, "campaign", "load", index)
    names = tuple(KINDS)
    items = []
    for _ in range(int(draw.integers(1, MOST_FAULTS + 1))):
        kind = names[int(draw.integers(len(names)))]
        numbers = [n for n, call in enumerate(world.log, 1) if kind in call.possible]
        which, share = draw.random(2).tolist()
        if which < 0.3 or not numbers:
            items.append(LoadInjection(kind, share=round(0.005 + 0.05 * share, 4)))
        else:
            items.append(LoadInjection(kind, numbers[int(share * len(numbers))]))
    attempts = ATTEMPTS if draw.random() < 0.5 else 1
    return LoadLine(tuple(items), seeds.number(seed, "campaign", "load", index) % 2**32, attempts)


def not_hit(line: LoadLine, outcome: LoadOutcome) -> bool:
    """Return True if a line of `every_call` did not fire exactly at its call."""
    return [each.number for each in outcome.fired] != [item.number for item in line.items]


def points_of(outcome: LoadOutcome) -> set[tuple[str, str]]:
    """Return the kinds and points that a run hit."""
    return {(each.kind, each.point) for each in outcome.fired}


def repeated(lines: Sequence[LoadLine], every: int) -> list[int]:
    """Return the indices of the lines that are run twice."""
    return list(range(every // 2, len(lines), every))
