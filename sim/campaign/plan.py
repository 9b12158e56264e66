"""The plan of a campaign: the schedules of its in-process runs.

every_call        For n = 1, 2, 3 ... a fault at the n-th call of the run: a crash or an error,
                  before and after the call's effect, or foreign bytes. Errors come twice: for a
                  single attempt per request, and with retries. The last n lies past the end, where
                  nothing may fire; this is checked.
every_interval    At every flush, and at the first drain, a fault of all nodes: they are off, or
                  their files have one of the file faults.
every_other_kind  Every other kind once at each point that the run without faults has. So no cell
                  of the matrix is left to chance.
random_line       One to eight faults of all kinds that can fire in process, and sometimes foreign
                  bytes. Half of the numbered faults follow closely on the one before, while the
                  nodes still recover.
dealt             The indices of the runs that one part of the campaign makes.
repeated          Some runs are made twice, in any free process. Both must agree, call by call.

Not covered: the wire and real processes (`sim.campaign.live_faults`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pipeline.records import BUCKET_PREFIX
from sim import seeds
from sim.campaign.invariants import BrokenInvariant
from sim.campaign.outcome import CleanRun, Outcome
from sim.campaign.schedule import Line, PlannedInjection
from sim.campaign.world import World
from sim.chaos.call import READS, point_of
from sim.chaos.choice import applies
from sim.chaos.faults import (
    CRASH,
    FOREIGN,
    KILL,
    KINDS,
    NODE_INTERVALS,
    POINTS,
    UPLINK,
    Fault,
    FaultPoint,
    Point,
    fault_point,
    fault_points,
)
from sim.run.part_index import PartIndex

REPEAT_EVERY: Final = 20
"""One run in this many is made twice."""
ATTEMPTS: Final = 4
"""Tries per request in runs with retries."""
MOST_FAULTS: Final = 8
"""Most faults of a random run, foreign bytes not counted."""
IN_PROCESS_KINDS: Final = tuple(
    n for n, kind in KINDS.items() if n != KILL and {"store", "process"} & set(kind.layers)
)
"""Kinds that can fire in process."""
_RECOVERABLE: Final = tuple(kind for kind in IN_PROCESS_KINDS if kind != FOREIGN)
FOREIGN_SHARE: Final = 0.12
"""Share of random runs with foreign bytes. More would hide other faults, since the node stops."""
ENUMERATED: Final = (CRASH, "store.error", "store.ack-lost", FOREIGN)
_BUCKET_OF: Final = {"data": "ingestion", "manifest": "metadata", "checkpoint": "checkpoints"}
NOT_DETERMINISTIC: Final = BrokenInvariant(
    "not.deterministic", "the repeated run gave other calls or another lake"
)
BUCKETS: Final = ("ingestion", "validated", "enriched", "aggregated", "metadata", "checkpoints")


def planned_points() -> list[FaultPoint]:
    """Return every fault and point of the in-process runs."""
    return fault_points(IN_PROCESS_KINDS)


def points_of(outcome: Outcome) -> set[FaultPoint]:
    """Return the faults and points of `planned_points` that fired in a run."""
    return {fault_point(fired.kind, fired.point, fired.after) for fired in outcome.fired}


def every_call(clean: CleanRun, quick: bool = False) -> list[Line]:
    """Return a line for each call and applicable fault, and for each fault one past the end.

    quick: only for the first and the last call of each point.
    """
    calls = _calls(clean)
    lines = []
    for kind, after, attempts in (
        (CRASH, False, 1),
        (CRASH, True, 1),
        ("store.error", False, 1),
        ("store.error", False, ATTEMPTS),
        ("store.ack-lost", False, 1),
        ("store.ack-lost", False, ATTEMPTS),
        (FOREIGN, False, 1),
    ):
        numbers = [n for n, (point, verb) in enumerate(calls, 1) if applies(kind, point, verb)]
        if quick:
            numbers = ends(numbers, lambda n: calls[n - 1])
        lines += [
            Line((PlannedInjection(kind, n, after),), attempts=attempts)
            for n in (*numbers, len(calls) + 1)
        ]
    return lines


def ends(numbers: Sequence[int], group: Callable[[int], object]) -> list[int]:
    """Return the first and the last number of each group, ascending."""
    first: dict[object, int] = {}
    last: dict[object, int] = {}
    for number in numbers:
        first.setdefault(group(number), number)
        last[group(number)] = number
    return sorted({*first.values(), *last.values()})


def foreign_in_each_bucket(clean: CleanRun) -> list[Line]:
    """Return lines with foreign bytes at the first and the last create of each bucket."""
    numbers: list[int] = []
    for bucket in BUCKETS:
        found = [
            n for n, call in enumerate(clean.log, 1) if call == ("create", BUCKET_PREFIX + bucket)
        ]
        numbers += {found[0], found[-1]} if found else ()
    return [Line((PlannedInjection(FOREIGN, n),)) for n in sorted(numbers)]


def every_interval(world: World) -> list[Line]:
    """Return lines for all nodes: each kind of NODE_INTERVALS at each flush and the first drain."""
    times_s = (*world.flush_s, world.drain_s)
    return [
        Line((Fault(kind, from_s=at_s, for_s=1.0),)) for kind in NODE_INTERVALS for at_s in times_s
    ]


def every_other_kind(world: World, clean: CleanRun) -> list[Line]:
    """Return one line per remaining kind and point.

    The fault fires at the first such call of the run without faults, or lasts for the whole run.
    """
    lines = []
    for kind in (name for name in IN_PROCESS_KINDS if name not in (*ENUMERATED, *NODE_INTERVALS)):
        for at in KINDS[kind].points or ("",):
            calls = enumerate(_calls(clean), 1)
            numbers = [
                n for n, (point, verb) in calls if at in ("", point) and applies(kind, point, verb)
            ]
            if numbers:
                lines.append(Line((_single_fault(world, kind, at, numbers[0]),)))
    return lines


def _single_fault(world: World, kind: str, at: str, number: int) -> PlannedInjection | Fault:
    if not KINDS[kind].windowed:
        return PlannedInjection(kind, number)
    farms = (world.nodes[0][0],) if kind == UPLINK else ()
    buckets = (_BUCKET_OF[at],) if kind == "bucket.refuses" else ()
    return Fault(kind, (at,) if at else (), 1.0, 0.0, world.drain_s + 1.0, farms, buckets)


def certain_points(clean: CleanRun) -> set[FaultPoint]:
    """Return the faults and points that the lines with a single fault are certain to hit."""
    found = {fault_point(kind) for kind in NODE_INTERVALS}
    for point, verb in set(_calls(clean)):
        for kind in IN_PROCESS_KINDS:
            if kind not in NODE_INTERVALS and applies(kind, point, verb):
                sides = (False, True) if kind == CRASH else (False,)
                found |= {fault_point(kind, point, after) for after in sides}
    return found


def _calls(clean: CleanRun) -> list[tuple[Point, str]]:
    """Return point and verb (put, get or list) of every call of the run without faults."""
    found = []
    for verb, bucket in clean.log:
        point = point_of(verb, bucket.removeprefix(BUCKET_PREFIX))
        assert point is not None, bucket
        found.append((point, verb if verb in READS else "put"))
    return found


def is_past_end(line: Line, clean: CleanRun) -> bool:
    """Return True if a line of `every_call` lies past the last call, so that nothing may fire."""
    item = line.items[0]
    return isinstance(item, PlannedInjection) and item.number > len(clean.log)


def not_enumerated(outcome: Outcome) -> BrokenInvariant:
    """Return the broken invariant of a line that missed its call, or fired past the last one."""
    return BrokenInvariant(
        "not.enumerated",
        "fired past the last call" if outcome.fired else "did not fire at its call",
    )


def random_line(world: World, calls: int, seed: int, index: int) -> Line:
    """Return the schedule of random run `index`: a function of (seed, index, size of the world)."""
    draw = seeds.rng(seed, "campaign", index)
    span_s = (len(world.flush_s) + 2) * world.flush_every_s
    items: list[PlannedInjection | Fault] = []
    number = 0
    for _ in range(int(draw.integers(1, MOST_FAULTS + 1))):
        kind = _RECOVERABLE[int(draw.integers(len(_RECOVERABLE)))]
        chance, near, begin, length, which, at = draw.random(6).tolist()
        if KINDS[kind].windowed:
            share = round(0.3 + 0.7 * chance, 2) if kind in NODE_INTERVALS else 1.0
            farms = (world.nodes[int(which * len(world.nodes))][0],) if kind == UPLINK else ()
            buckets = (BUCKETS[int(which * len(BUCKETS))],) if kind == "bucket.refuses" else ()
            # virtual time stands still within a flush: only points can put an outage in its middle
            points = (
                (POINTS[int(at * 2 * len(POINTS))],)
                if kind in ("store.outage", UPLINK) and at < 0.5
                else ()
            )
            begin_s, for_s = float(int(begin * span_s)), float(60 + int(length * span_s / 2))
            items.append(Fault(kind, points, share, begin_s, for_s, farms, buckets))
        elif chance < 0.2:
            items.append(Fault(kind, share=round(0.01 + 0.15 * which, 3), count=12))
        else:
            number = number + int(length * 12) if number and near < 0.5 else 1 + int(begin * calls)
            items.append(PlannedInjection(kind, number, kind == CRASH and which < 0.5))
    draw_foreign = seeds.rng(seed, "campaign", index, "foreign")
    if draw_foreign.random() < FOREIGN_SHARE:
        items.append(PlannedInjection(FOREIGN, 1 + int(draw_foreign.random() * calls)))
    attempts = ATTEMPTS if draw.random() < 0.5 else 1
    return Line(
        tuple(items),
        seeds.number(seed, "campaign", index) % 2**32,
        attempts,
        int(draw.integers(3)) if draw.random() < 0.5 else 0,
    )


def dealt(number: int, costly: Sequence[int], place: PartIndex) -> list[int]:
    """Return the indices, of `number` in all, that one part of a campaign makes, in order.

    costly: indices with more work than others, of which each part gets its share.
    """
    known = set(costly)
    order = [*costly, *(index for index in range(number) if index not in known)]
    return sorted(order[place.index - 1 :: place.count])


def repeated(lines: Sequence[Line]) -> list[int]:
    """Return the indices of the lines that are run twice."""
    return list(range(REPEAT_EVERY // 2, len(lines), REPEAT_EVERY))
