"""Loads of a whole run's lake by loader processes, behind the fault proxy, with SIGKILL.

Each of `KILLS` processes is killed once it has made a number of files that follows from the seed.
Then two processes load at once, until both succeed. After that each row of the lake must be in its
table once (`sim.campaign.loader.tables`).

Not covered: a replay of the very moment of a kill. `sim.campaign.loader.run` covers each step.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Final

from pipeline.catalog.tables import TABLES
from pipeline.settings import settings
from sim import seeds
from sim.campaign.invariants import BrokenInvariant
from sim.campaign.loader.tables import Tables, WrongRows, expected
from sim.chaos.faults import Fault
from sim.check import LakeError
from sim.errors import QueryError
from sim.query.loader import LoadOptions, load
from sim.query.warehouse import Warehouse
from sim.report.campaign import CampaignFigure
from sim.store import target
from sim.store.s3_lake import s3_lake
from sim.worker import follow_parent

KILLS: Final = 3
AT_ONCE: Final = 2
TRIES: Final = 6
"""Most loads of one process after the kills: faults of the wire may end some."""
MOST_FILES: Final = 60
"""Most files that a loader makes before it is killed."""
WAIT_S: Final = 120.0
_BATCH_OBJECTS: Final = 7
_READ_FAULTS: Final = tuple(
    Fault(kind, share=share, count=20, calls=("GET",))
    for kind, share in (
        ("store.error", 0.06),
        ("store.reset", 0.05),
        ("store.truncated-get", 0.05),
        ("store.slow", 0.02),
    )
)


@dataclass
class LiveLoads:
    """The loads of one lake. killed: processes. refused: loads that ended with a message."""

    killed: int = 0
    refused: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    wrong_rows: WrongRows = field(default_factory=WrongRows)
    broken: list[BrokenInvariant] = field(default_factory=list)


def load_live(store: target.Target, folder: Path, seed: int) -> LiveLoads:
    """Load the lake of a store into `folder`. Raises TargetError, LakeError, OSError."""
    found = LiveLoads()
    with target.fault_proxy(store, seed, _READ_FAULTS) as proxy:
        assert proxy is not None
        place = (proxy.endpoint_url, folder)
        draw = seeds.rng(seed, "live", "loads")
        for _ in range(KILLS):
            _kill_after(int(draw.integers(1, MOST_FILES + 1)), place, found)
        processes = [_started(place, TRIES) for _ in range(AT_ONCE)]
        for process in processes:
            process.join(WAIT_S)
            if process.exitcode != 0:
                process.kill()
                found.broken.append(
                    BrokenInvariant("load.stuck", f"a loader process ended with {process.exitcode}")
                )
        found.faults = +proxy.injections.by_kind
    refs = store.lake.objects()
    bodies = store.lake.read(refs)
    objects = {(ref.bucket, ref.key): body or b"" for ref, body in zip(refs, bodies, strict=True)}
    found.wrong_rows = Tables(folder).wrong_rows(expected(objects, TABLES))
    found.broken += [
        BrokenInvariant(f"load.{name}", f"{count} rows of {len(refs):,} objects")
        for name, count in found.wrong_rows._asdict().items()
        if count
    ]
    return found


def _kill_after(files: int, place: tuple[str, Path], found: LiveLoads) -> None:
    """Start a loader and kill it once it has made so many files, or let it end before."""
    most, until = _count(place[1]) + files, time.monotonic() + WAIT_S
    process = _started(place, 1)
    while process.is_alive() and _count(place[1]) < most and time.monotonic() < until:
        time.sleep(0.002)
    process.kill()
    process.join()
    found.killed += process.exitcode not in (0, 1)
    found.refused += process.exitcode == 1


def _count(folder: Path) -> int:
    return sum(len(names) for _, _, names in os.walk(folder))


def _started(place: tuple[str, Path], tries: int) -> SpawnProcess:
    process = multiprocessing.get_context("spawn").Process(target=_work, args=(*place, tries))
    process.start()
    return process


def _work(endpoint_url: str, folder: Path, tries: int) -> None:
    """Load in a process of its own; exit code 1 after `tries` failures."""
    follow_parent()
    warehouse = Warehouse(folder, s3_lake(settings(endpoint_url, own=True)))
    for _ in range(tries):
        try:
            load(warehouse, LoadOptions(batch_objects=_BATCH_OBJECTS))
        except (QueryError, LakeError):
            continue
        return
    raise SystemExit(1)


def live_figures(loads: Sequence[LiveLoads]) -> dict[str, CampaignFigure]:
    """Return the figures of the loads of several lakes, none without loads."""
    rows = WrongRows()
    for each in loads:
        rows = rows.plus(each.wrong_rows)
    counts = {
        "lakes": (len(loads), f"lakes that {KILLS + AT_ONCE} processes loaded, two at once"),
        "killed": (sum(each.killed for each in loads), "of these killed by SIGKILL"),
        "faults": (sum(each.faults.total() for each in loads), "faults of the wire in loads"),
        "rows": (sum(rows), "rows that were lost, duplicated or altered"),
    }
    return {
        f"wired.loads.{name}": CampaignFigure(value, "", "counted", text)
        for name, (value, text) in (counts.items() if loads else ())
    }
