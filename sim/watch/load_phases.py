"""Progress of a load test, from the journals of its client processes.

While a phase runs, its folder has its plan and a journal per client. The folder is removed after
the phase, and the totals here stay. Latencies count from the intended start.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sim.arrays import Floats
from sim.load.client import plan as client_plan
from sim.load.client.journal import ABANDONED, ROW, Rows
from sim.load.client.plan import ClientPlan, read_started
from sim.load.phase import OUTCOMES, Phase
from sim.load.progress import PhaseProgress
from sim.load_schedule import REQUEST_KINDS
from sim.watch.history import SLOTS, History
from sim.watch.store_totals import Distribution, nanoseconds
from sim.watch.tail import FolderTail

PHASES: Final = Path(".load") / "phases"
_FIGURES: Final = ("load.late.p99", "errors.share")


@dataclass
class PhaseTotals:
    """One phase so far. planned: number of requests; None in a closed phase."""

    name: str
    planned: int | None
    done: int = 0
    failed: int = 0
    running: bool = True


class _RunningPhase:
    """The phase that runs, or the one that is about to."""

    def __init__(self, folder: Path) -> None:
        """Read the plan. Raises OSError, ValueError, KeyError while it is incomplete."""
        self.folder, self.plan = folder, client_plan.read(folder)
        self.journals = FolderTail(folder, "requests-*.bin", ROW.itemsize)
        self.operations = FolderTail(folder, "operations-*.tsv")
        arrivals = self.plan.arrivals
        self.totals = PhaseTotals(self.plan.name, None if arrivals is None else len(arrivals))
        self.progress: PhaseProgress | None = None

    def start(self) -> PhaseProgress | None:
        """Return the progress, once the phase has started."""
        if self.progress is None and (started_ns := read_started(self.folder)) is not None:
            self.progress = PhaseProgress(_phase_of(self.plan), started_ns)
        return self.progress

    def close(self) -> None:
        self.journals.close()
        self.operations.close()


def _phase_of(plan: ClientPlan) -> Phase:
    users = plan.users if plan.arrivals is None else None
    return Phase(plan.name, plan.arrivals, users, plan.duration_s)


class LoadPhases:
    """All phases of a load test.

    counts: requests that have ended by (kind, outcome). seconds: their latencies by kind.
    backlog: requests that are due and have not started. figures: over the last seconds.
    operations: gets the lines of store operations.
    """

    def __init__(
        self, run_dir: Path, history: History, operations: Callable[[bytes], None]
    ) -> None:
        self.phases: list[PhaseTotals] = []
        self.counts: Counter[tuple[str, str]] = Counter()
        self.seconds: dict[str, Distribution] = {}
        self.backlog = self.under_way = 0
        self.figures: dict[str, float] = {}
        self._folder, self._history, self._operations = run_dir / PHASES, history, operations
        self._running: _RunningPhase | None = None
        self._known: set[str] = set()

    def poll(self) -> None:
        """Read all that is new."""
        if self._running is not None:
            self._read(self._running)
            if not self._running.folder.exists():
                self._end()
        if self._running is None:
            self._find()

    def _find(self) -> None:
        """Begin with the next phase, if its plan is complete."""
        with suppress(OSError, ValueError, KeyError):
            for folder in sorted(self._folder.iterdir()):
                # A folder `null` calibrates the generator, against another store.
                if folder.name not in self._known and folder.name[:1].isdigit():
                    self._running = _RunningPhase(folder)
                    self._known.add(folder.name)
                    self.phases.append(self._running.totals)
                    self._read(self._running)
                    return

    def _read(self, running: _RunningPhase) -> None:
        progress = running.start()
        for piece in running.operations.pieces():
            self._operations(piece)
        if progress is None:  # no request before the start
            return
        for piece in running.journals.pieces():
            rows = np.frombuffer(piece, dtype=ROW)
            progress.feed(rows)
            self._count(running.totals, rows[rows["outcome"] != ABANDONED])
        now_ns = running.plan.now_ns()
        window = progress.window(now_ns)
        self.figures = {name: window[name] for name in _FIGURES if name in window}
        self.backlog, self.under_way = progress.backlog(now_ns), progress.under_way
        at_s = np.array([now_ns / 1e9])
        self._history.peak("backlog", at_s, np.array([float(self.backlog)]))
        self._history.peak("under_way", at_s, np.array([float(self.under_way)]))

    def _count(self, totals: PhaseTotals, rows: Rows) -> None:
        """Count rows of requests that have ended."""
        totals.done += len(rows)
        totals.failed += int(np.count_nonzero(rows["outcome"]))
        pairs = rows["kind"].astype(np.int64) * len(OUTCOMES) + rows["outcome"]
        for number in np.unique(pairs).tolist():
            kind, outcome = divmod(number, len(OUTCOMES))
            self.counts[REQUEST_KINDS[kind], OUTCOMES[outcome]] += int((pairs == number).sum())
        for kind in np.unique(rows["kind"]).tolist():
            mine = rows[rows["kind"] == kind]
            end_s, seconds = mine["end"] / 1e9, (mine["end"] - mine["intended"]) / 1e9
            self._add_latencies(REQUEST_KINDS[kind], end_s, seconds)

    def _add_latencies(self, kind: str, end_s: Floats, seconds: Floats) -> None:
        self.seconds.setdefault(kind, Distribution()).add(seconds)
        self._history.add("requests", end_s)
        self._history.spread("request", end_s, seconds)

    def _end(self) -> None:
        assert self._running is not None
        self._running.totals.running = False
        self._running.close()
        self._running = None
        self.backlog = self.under_way = 0
        self.figures = {}

    def add_ended(self, requests: pa.Table) -> None:
        """Add all requests of a test that is over, in REQUESTS."""
        for name in pc.unique(requests["phase"]).to_pylist():
            mine = requests.filter(pc.equal(requests["phase"], name))
            ended = mine.filter(pc.is_valid(mine["end"]))
            failed = pc.sum(pc.not_equal(ended["outcome"], "ok")).as_py() or 0
            self.phases.append(PhaseTotals(name, mine.num_rows, ended.num_rows, failed, False))
        ended = requests.filter(pc.is_valid(requests["end"]))
        for row in ended.group_by(["kind", "outcome"]).aggregate([([], "count_all")]).to_pylist():
            self.counts[row["kind"], row["outcome"]] += row["count_all"]
        for kind in pc.unique(ended["kind"]).to_pylist():
            mine = ended.filter(pc.equal(ended["kind"], kind))
            end, intended = nanoseconds(mine, "end"), nanoseconds(mine, "intended_start")
            self._add_latencies(kind, end / 1e9, np.maximum(end - intended, 0) / 1e9)
        self._add_backlog(requests.filter(pc.is_valid(requests["start"])))

    def _add_backlog(self, started: pa.Table) -> None:
        """Add due less started requests, and started less ended ones, at the end of each slot."""
        if not started.num_rows or self._history.start_s is None:
            return
        ends_s = self._history.start_s + self._history.width_s * np.arange(1.0, SLOTS + 1)
        due, begun, over = (
            np.searchsorted(np.sort(nanoseconds(started, name)) / 1e9, ends_s, side="right")
            for name in ("intended_start", "start", "end")
        )
        inside_s: Floats = ends_s - self._history.width_s / 2
        self._history.peak("backlog", inside_s, (due - begun).astype(np.float64))
        self._history.peak("under_way", inside_s, np.maximum(begun - over, 0).astype(np.float64))

    def close(self) -> None:
        """Close all files."""
        if self._running is not None:
            self._running.close()
