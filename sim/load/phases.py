"""The course of a load test: the phases of its plan, one after the other, and the results so far.

    course = Course(load, seed, nodes)
    course.run(engine, left_s)          schedule, sweep, search; raises the engine's errors
    course.test(), course.figures()     at any time, from the records so far

A phase that stopped early (a `stop_when`, a limit) ends the schedule: its later phases assume a
store that kept up. The sweep and the search still run, because each of their phases starts afresh.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sim.load import arrivals
from sim.load.analysis import figures, sweep
from sim.load.analysis.search import Searcher
from sim.load.arrivals import Nodes
from sim.load.calibration import late_by_itself
from sim.load.outline import plan_lines
from sim.load.phase import Arrivals, Engine, Phase, PhaseRecord
from sim.load_schedule import Entry, Load, Search, Sweep
from sim.measure import bottleneck
from sim.measure.bottleneck import Limit
from sim.measure.loadtest import LoadTest, PhaseKind, SearchFound, SweepFound

GUESS: Final = 0.6
"""First rate of the search after a sweep, as a share of the rate of the sweep's best level.

An open loop misses the SLO at a lower rate than the best of a closed one.
"""


@dataclass
class Course:
    """The phases and their records.

    generator_per_s: the rate of the generator with a null store. None if it was not measured.
    left_out: messages about parts of the plan that were not run. notes: other messages.
    """

    load: Load
    seed: int
    nodes: Nodes
    generator_per_s: float | None = None
    records: list[tuple[PhaseRecord, PhaseKind]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    searched: SearchFound | None = None

    def run(self, engine: Engine, left_s: Callable[[], float]) -> None:
        """Run all phases. left_s: returns the time that is left, in seconds."""
        self._run_schedule(engine)
        if self.load.sweep is not None:
            self._run_sweep(engine, self.load.sweep, left_s)
        if self.load.search is not None:
            self._run_search(engine, self.load.search, left_s)

    def _run_schedule(self, engine: Engine) -> None:
        for number, entry in enumerate(self.load.schedule, 1):
            record = engine.run(self._phase(number, entry))
            self.records.append((record, "open"))
            if record.stopped_early:
                if left := len(self.load.schedule) - number:
                    phases = (
                        "phase of the schedule was" if left == 1 else "phases of the schedule were"
                    )
                    self.left_out.append(f"{left} more {phases} not run.")
                return

    def _run_sweep(self, engine: Engine, levels: Sweep, left_s: Callable[[], float]) -> None:
        def keep(record: PhaseRecord) -> None:
            self.records.append((record, "closed"))

        sweep.run(engine, levels, self.load.warm_up_s, self.load.stop_when, left_s, keep)
        if (run := len(self._of("closed"))) < len(levels.users):
            self.left_out.append(f"The sweep ended after {run} of {len(levels.users)} levels.")

    def _run_search(self, engine: Engine, search: Search, left_s: Callable[[], float]) -> None:
        def keep(record: PhaseRecord, hold: bool) -> None:
            self.records.append((record, "hold" if hold else "step"))

        searcher = Searcher(
            engine,
            search,
            self.load.warm_up_s,
            self.load.users,
            self.load.stop_when,
            self._constant,
            left_s,
            lambda record: late_by_itself([record], self.load.users, self.load.processes),
            keep,
        )
        levels = found.levels if (found := self.sweep()) else ()
        best = max((level.throughput for level in levels), default=0.0)
        self.searched = searcher.run(GUESS * best or None)

    def sweep(self) -> SweepFound | None:
        """Return the sweep so far, None if there was none."""
        levels = self._of("closed")
        return sweep.analyse(levels, self.seed) if levels else None

    def test(self) -> LoadTest:
        """Return the results so far."""
        phases = tuple(figures.summary(record, kind) for record, kind in self.records)
        return LoadTest(
            plan=tuple(plan_lines(self.load)),
            phases=phases,
            sweep=self.sweep(),
            search=self.searched,
            limit=self.limit(),
            generator_per_s=self.generator_per_s,
            notes=(*self.left_out, *self.notes),
            complete=not self.left_out,
        )

    def figures(self) -> dict[str, float]:
        """Return all figures so far."""
        confirmed = self.searched is not None and self.searched.sustainable is not None
        hold = self._of("hold")[-1] if confirmed else None
        return figures.of_test(self.test(), self._of("open"), hold)

    def limit(self) -> Limit | None:
        """Return the limit where the load was highest, None before the first request."""
        spans = [
            span
            for record, kind in self.records
            for span in figures.spans(record, kind == "closed")
        ]
        if not any(found["load.offered_per_s"] for found, _ in spans):
            return None
        kept = all(
            _kept_up(record, self.load.users) for record, kind in self.records if kind != "closed"
        )
        if not kept and (lost := sum(record.lost_workers for record, _ in self.records)):
            return Limit(
                "unknown",
                f"Not known: {lost} of the load generator's processes died, and their requests "
                "with them.",
            )
        stood_s = max(bottleneck.standstill(figures.of([record])) for record, _ in self.records)
        return figures.limit(spans, kept, self.load.users, self.generator_per_s, stood_s)

    def _of(self, kind: PhaseKind) -> list[PhaseRecord]:
        return [record for record, its in self.records if its == kind]

    def _phase(self, number: int, entry: Entry) -> Phase:
        name = f"{number}-{entry.kind}"
        # The first moment of a herd must count.
        warm_up_s = 0.0 if entry.kind == "herd" else self.load.warm_up_s
        made = arrivals.of(entry, name, self.load.mix, self.nodes, self.seed)
        return Phase(name, made, None, entry.for_s, warm_up_s, self.load.stop_when)

    def _constant(self, rate_per_s: float, for_s: float, name: str) -> Arrivals:
        return arrivals.constant(rate_per_s, for_s, name, self.load.mix, self.nodes, self.seed)


def _kept_up(record: PhaseRecord, users: int) -> bool:
    """Return True if the offered rate was achieved, and the backlog never exceeded the users."""
    found = figures.of([record])
    achieved = bottleneck.kept_up(found, figures.part(record).length_s)
    return achieved and found["load.backlog.max"] <= users
