"""Campaigns: every single fault at every store call, then bad luck at random, over worker processes.

Enumeration: for n = 1, 2, 3, ... the n-th call of the run crashes or fails, before and after its effect, tried once and
(for errors) tried again at once; it ends with an n at which nothing fires, which is checked. Then every flush meets all
nodes off, or their files locked, in their log, or on a full disk; and every other kind strikes once at each point that
the run without faults has, so that no cell of the matrix is left to chance. Random runs draw one to
eight faults from all kinds that this world has; half of the time the next strikes while the one before is being
recovered from. Some runs are made a second time, in whatever process is free: they must be the same, call for call.

Not covered: the wire and real processes (see `world`).
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, Final

import pyarrow as pa

from pipeline.records import BUCKET_PREFIX
from sim import seeds
from sim.campaign.invariants import Broken
from sim.campaign.outcome import Clean, Outcome
from sim.campaign.schedule import Line, Strike
from sim.campaign.world import World, run_clean, run_once
from sim.chaos.call import READS, point_of
from sim.chaos.choice import applies
from sim.chaos.faults import (
    CRASH,
    FOREIGN,
    KILL,
    KINDS,
    POINTS,
    SPELLS,
    UPLINK,
    Cell,
    Fault,
    Point,
    cell,
    cells,
)
from sim.errors import WorkerLost
from sim.worker import obey_parent

CHUNK_RUNS: Final = 8
AGAIN_EVERY: Final = 20
"""One run in so many is made a second time."""
ATTEMPTS: Final = 4
MOST_FAULTS: Final = 8
HERE: Final = tuple(
    n for n, kind in KINDS.items() if n != KILL and {"seam", "process"} & set(kind.worlds)
)
"""The kinds that can strike in this world."""
_HEALING: Final = tuple(kind for kind in HERE if kind != FOREIGN)
FOREIGN_SHARE: Final = 0.12
"""Of the random runs foreign bytes are in so many, beside the rest: a node that stops shows less of what befalls it."""
ENUMERATED: Final = (CRASH, "store.error", "store.ack-lost", FOREIGN)
_BUCKET_OF: Final = {"data": "ingestion", "manifest": "metadata", "checkpoint": "checkpoints"}
NOT_DETERMINISTIC: Final = Broken(
    "not.deterministic", "made twice, the run gave other calls or another lake"
)
BUCKETS: Final = ("ingestion", "validated", "enriched", "aggregated", "metadata", "checkpoints")


def planned_cells() -> list[Cell]:
    """Every way in which a fault of this world can strike."""
    return cells(HERE)


def cells_of(outcome: Outcome) -> set[Cell]:
    """The cells of `planned_cells` in which the run was struck."""
    return {cell(fired.kind, fired.point, fired.after) for fired in outcome.fired}


def enumerated(clean: Clean) -> list[Line]:
    """Every call struck alone, in every way that applies to it; and per way one call behind the end, where none is."""
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
        lines += [
            Line((Strike(kind, n, after),), attempts=attempts) for n in (*numbers, len(calls) + 1)
        ]
    return lines


def foreign_in_each_bucket(clean: Clean) -> list[Line]:
    """Foreign bytes at two creates of each bucket, in front of a node's first batch and of a later one."""
    numbers: list[int] = []
    for bucket in BUCKETS:
        found = [
            n for n, call in enumerate(clean.log, 1) if call == ("create", BUCKET_PREFIX + bucket)
        ]
        numbers += {found[0], found[-1]} if found else ()
    return [Line((Strike(FOREIGN, n),)) for n in sorted(numbers)]


def spelled(world: World) -> list[Line]:
    """Every kind of spell, of all nodes at each flush alone, and at the first drain."""
    times_s = (*world.flush_s, world.drain_s)
    return [Line((Fault(kind, from_s=at_s, for_s=1.0),)) for kind in SPELLS for at_s in times_s]


def sampled(world: World, clean: Clean) -> list[Line]:
    """Every kind that is neither enumerated nor a spell, once at each of its points: at the first call of it that the
    run without faults makes, or for as long as the run lasts."""
    lines = []
    for kind in (name for name in HERE if name not in (*ENUMERATED, *SPELLS)):
        for at in KINDS[kind].points or ("",):
            calls = enumerate(_calls(clean), 1)
            numbers = [
                n for n, (point, verb) in calls if at in ("", point) and applies(kind, point, verb)
            ]
            if numbers:
                lines.append(Line((_sample(world, kind, at, numbers[0]),)))
    return lines


def _sample(world: World, kind: str, at: str, number: int) -> Strike | Fault:
    if not KINDS[kind].windowed:
        return Strike(kind, number)
    farms = (world.nodes[0][0],) if kind == UPLINK else ()
    buckets = (_BUCKET_OF[at],) if kind == "bucket.refuses" else ()
    return Fault(kind, (at,) if at else (), 1.0, 0.0, world.drain_s + 1.0, farms, buckets)


def certain(world: World, clean: Clean) -> set[Cell]:
    """The cells in which `enumerated`, `spelled` and `sampled` strike; the others are left to chance."""
    found = {cell(kind) for kind in SPELLS}
    for point, verb in set(_calls(clean)):
        for kind in (name for name in HERE if name not in SPELLS and applies(name, point, verb)):
            found |= {
                cell(kind, point, after) for after in ((False, True) if kind == CRASH else (False,))
            }
    return found


def _calls(clean: Clean) -> list[tuple[Point, str]]:
    """Point and verb of every call of the run without faults, as faults see them."""
    found = []
    for verb, bucket in clean.log:
        point = point_of(verb, bucket.removeprefix(BUCKET_PREFIX))
        assert point is not None, bucket
        found.append((point, verb if verb in READS else "put"))
    return found


def beyond(line: Line, clean: Clean) -> bool:
    """Whether this line of the enumeration lies behind the last call: then nothing may fire."""
    return isinstance(line.items[0], Strike) and line.items[0].number > len(clean.log)


def not_all_enumerated(outcome: Outcome) -> Broken:
    """The enumeration is not what it says: its line did not fire, or fired behind the end."""
    return Broken(
        "not.enumerated",
        "fired behind the last call" if outcome.fired else "did not fire at its call",
    )


def drawn(world: World, calls: int, seed: int, index: int) -> Line:
    """Random run number `index`: a function of (seed, index) and of the world's size."""
    draw = seeds.rng(seed, "campaign", index)
    span_s = (len(world.flush_s) + 2) * world.flush_every_s
    items: list[Strike | Fault] = []
    number = 0
    for _ in range(int(draw.integers(1, MOST_FAULTS + 1))):
        kind = _HEALING[int(draw.integers(len(_HEALING)))]
        chance, near, begin, length, which, at = draw.random(6).tolist()
        if KINDS[kind].windowed:
            share = round(0.3 + 0.7 * chance, 2) if kind in SPELLS else 1.0
            farms = (world.nodes[int(which * len(world.nodes))][0],) if kind == UPLINK else ()
            buckets = (BUCKETS[int(which * len(BUCKETS))],) if kind == "bucket.refuses" else ()
            # virtual time stands still during a flush, so an outage that begins in its middle is one of some points
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
            items.append(Strike(kind, number, kind == CRASH and which < 0.5))
    draw_foreign = seeds.rng(seed, "campaign", index, "foreign")
    if draw_foreign.random() < FOREIGN_SHARE:
        items.append(Strike(FOREIGN, 1 + int(draw_foreign.random() * calls)))
    attempts = ATTEMPTS if draw.random() < 0.5 else 1
    return Line(
        tuple(items),
        seeds.number(seed, "campaign", index) % 2**32,
        attempts,
        int(draw.integers(3)) if draw.random() < 0.5 else 0,
    )


_worker: dict[str, Any] = {}


def _start_worker(world: World) -> None:
    obey_parent()
    quieten()
    _worker.update(world=world, clean=run_clean(world))


def quieten() -> None:
    """One thread per process for Arrow: tables here are small, and processes share the cores."""
    pa.set_cpu_count(1)


def _work(lines: Sequence[Line]) -> list[Outcome]:
    return [run_once(_worker["world"], _worker["clean"], line) for line in lines]


def run_lines(
    world: World, lines: Sequence[Line], workers: int, progress: Callable[[int], None]
) -> Iterator[tuple[int, Outcome]]:
    """(index, outcome) of each line, in whatever order they finish. `progress` is called with runs done.

    Raises WorkerLost.
    """
    context = multiprocessing.get_context("spawn")
    chunks = iter(
        [range(i, min(i + CHUNK_RUNS, len(lines))) for i in range(0, len(lines), CHUNK_RUNS)]
    )
    pool = ProcessPoolExecutor(workers, context, _start_worker, (world,))
    pending: dict[Future[list[Outcome]], range] = {}
    try:
        while True:
            for chunk in islice(chunks, 2 * workers - len(pending)):
                pending[pool.submit(_work, [lines[i] for i in chunk])] = chunk
            if not pending:
                return
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                chunk = pending.pop(future)
                progress(len(chunk))
                yield from zip(chunk, future.result(), strict=True)
    except BrokenProcessPool as error:
        raise WorkerLost("a worker process died (out of memory?); use fewer --workers") from error
    finally:
        pool.shutdown(cancel_futures=True)


def again(lines: Sequence[Line]) -> list[int]:
    """Indices of the lines that are run a second time."""
    return list(range(AGAIN_EVERY // 2, len(lines), AGAIN_EVERY))
