"""The state of a run as its directory shows it, read anew at each `poll`.

    state = RunState(Path("runs/quickstart-7"))
    state.poll()                          reads what is new; state.stage, state.farms, ...

Nothing is written, and no lock is taken. A directory that begins another run is read from its
start. At the end of a run its operations.parquet takes the place of what was followed, so that the
totals are exact.
"""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import pyarrow as pa

from sim.errors import DirectoryError, ScenarioError
from sim.folder_lock import LOCK_FILE, is_owned
from sim.measure import operations
from sim.measure.operations import OPERATIONS_FILE
from sim.report.result import RESULT_FILE
from sim.report.write import REQUESTS_FILE
from sim.run.injection_log import INJECTIONS_FILE, PARTS
from sim.run_directory import SCENARIO_FILE, is_run
from sim.scenario import Scenario, load
from sim.watch.farms import FarmProgress
from sim.watch.history import History
from sim.watch.load_phases import PHASES, LoadPhases
from sim.watch.store_totals import StoreTotals
from sim.watch.tail import FolderTail

Stage = Literal["waiting", "preparing", "delivering", "loading", "judging", "ended", "stopped"]
STAGES: Final[tuple[Stage, ...]] = (
    *("waiting", "preparing", "delivering", "loading", "judging"),
    *("ended", "stopped"),
)
"""`waiting`: for a run. `stopped`: without a result, because its process was killed."""
RATE_S: Final = 10.0
"""Length of the window for rates."""


@dataclass(frozen=True)
class Totals:
    """Sums at a moment (s since 1970), for rates."""

    at_s: float
    operations: int
    rows: int
    requests: int


@dataclass(frozen=True)
class Ending:
    """The end of a run, from its result.json."""

    verdict: str
    exit_code: int
    errors: tuple[str, ...]


class _Run:
    """One run: everything that has been read of it."""

    def __init__(self, folder: Path, scenario: Scenario) -> None:
        self.scenario = scenario
        self.history = History()
        self.store = StoreTotals(self.history)
        self.farms = FarmProgress(scenario, self.history)
        self.load = LoadPhases(folder, self.history, self.add_lines)
        self.lines = FolderTail(folder / PARTS, "*.tsv")
        self.injections = FolderTail(folder / PARTS, INJECTIONS_FILE)
        self.faults: Counter[str] = Counter()
        self.fault_at_s: float | None = None
        self.recent: deque[Totals] = deque()

    def poll(self) -> None:
        for piece in self.lines.pieces():
            self.add_lines(piece)
        for piece in self.injections.pieces():
            last = json.loads(piece.splitlines()[-1])
            self.faults = Counter(last["by_kind"])
            self.fault_at_s = last["at_ns"] / 1e9
        self.load.poll()

    def add_lines(self, lines: bytes) -> None:
        self.add(operations.parse_lines(lines))

    def add(self, table: pa.Table) -> None:
        self.store.add(table)
        self.farms.add(table)

    def note(self, now_s: float) -> None:
        """Keep the sums for rates."""
        totals = Totals(
            now_s,
            self.store.counts.total(),
            sum(farm.rows for farm in self.farms.farms),
            self.load.counts.total(),
        )
        self.recent.append(totals)
        while len(self.recent) > 2 and self.recent[1].at_s <= now_s - RATE_S:
            self.recent.popleft()

    def close(self) -> None:
        self.lines.close()
        self.injections.close()
        self.load.close()


class RunState:
    """The state of the run in a directory. now_s: the clock, s since 1970."""

    def __init__(self, folder: Path, now_s: Callable[[], float] = time.time) -> None:
        """Check the directory. Raises DirectoryError for one that is no run."""
        self.folder = folder
        self.stage: Stage = "waiting"
        self.ending: Ending | None = None
        self.trouble: str | None = None
        self.now_s = now_s()
        self._clock = now_s
        self._run: _Run | None = None
        self._mark: tuple[int, ...] | None = None
        _require_run(folder)

    def poll(self) -> None:
        """Read what is new."""
        self.now_s = self._clock()
        self._begin_anew()
        if self._run is None:
            return
        over = (self.folder / RESULT_FILE).exists()
        # A result is written before the lock is given back.
        alive = over or is_owned(self.folder)
        if not over:
            self.ending = None  # an interrupted run goes on
        if over and self.ending is None:
            self._run.poll()
            self._end()
        elif not over:
            self._run.poll()
        self.stage = self._stage(over, alive)
        self._run.note(self.now_s)

    def _begin_anew(self) -> None:
        """Forget an earlier run if another one, or none, is in the directory."""
        mark = None
        with suppress(OSError):
            if is_run(self.folder):
                found = (self.folder / SCENARIO_FILE).stat()
                mark = (found.st_dev, found.st_ino, found.st_mtime_ns)
        if mark == self._mark:
            return
        if self._run is not None:
            self._run.close()
        self._run, self._mark, self.ending, self.trouble = None, mark, None, None
        self.stage = "waiting"
        if mark is not None:
            try:
                self._run = _Run(self.folder, load(self.folder / SCENARIO_FILE))
            except (ScenarioError, OSError) as error:
                self.trouble = f"its scenario cannot be read: {error}"

    def _stage(self, over: bool, alive: bool) -> Stage:
        assert self._run is not None
        if over or not alive:
            return "ended" if over else "stopped"
        if self.is_load:
            return "loading" if self._run.load.phases else "preparing"
        if (self.folder / OPERATIONS_FILE).exists():
            return "judging"
        return "delivering" if self._run.lines.seen else "preparing"

    def _end(self) -> None:
        """Read the result, and the whole record in place of what was followed."""
        assert self._run is not None
        try:
            found = json.loads((self.folder / RESULT_FILE).read_bytes())
            ending = Ending(
                str(found["verdict"]), int(found["exit_code"]), tuple(map(str, found["errors"]))
            )
            fired = {str(each["kind"]): int(each["fired"]) for each in found["faults"]}
            whole = self._whole(self._run.scenario)
        except (OSError, ValueError, LookupError, TypeError, pa.ArrowException) as error:
            self.trouble = f"its record cannot be read: {error}"
            return
        self.ending = ending
        if whole is not None:
            whole.fault_at_s, whole.recent = self._run.fault_at_s, self._run.recent
            self._run.close()
            self._run = whole
        self._run.faults = +Counter(fired)

    def _whole(self, scenario: Scenario) -> _Run | None:
        """Return the run as its Parquet files have it, None if it has none."""
        import pyarrow.parquet as pq

        if not (self.folder / OPERATIONS_FILE).exists():
            return None
        run = _Run(self.folder, scenario)
        with (self.folder / OPERATIONS_FILE).open("rb") as file:
            run.add(pq.read_table(file))
        if (self.folder / REQUESTS_FILE).exists():
            with (self.folder / REQUESTS_FILE).open("rb") as file:
                run.load.add_ended(pq.read_table(file))
        return run

    @property
    def is_load(self) -> bool:
        """Return True for a load test."""
        if self._run is not None and self._run.load.phases:
            return True
        return (self.folder / PHASES).parent.exists() or (self.folder / REQUESTS_FILE).exists()

    @property
    def run(self) -> _Run | None:
        """Return all that was read of the run, None before it begins."""
        return self._run

    @property
    def is_over(self) -> bool:
        """Return True if nothing more will come."""
        return self.stage in ("ended", "stopped")

    def rate_per_s(self, of: Literal["operations", "rows", "requests"]) -> float | None:
        """Return a rate over the last RATE_S, None where nothing is known or comes any more."""
        if self._run is None or self.is_over or len(self._run.recent) < 2:
            return None
        first, last = self._run.recent[0], self._run.recent[-1]
        span_s = max(last.at_s - first.at_s, 1e-3)
        return float(max(getattr(last, of) - getattr(first, of), 0) / span_s)


def _require_run(folder: Path) -> None:
    if folder.is_dir() and not is_run(folder):
        if all(child.name == LOCK_FILE for child in folder.iterdir()):
            return
    elif not folder.exists() or folder.is_dir():
        return
    raise DirectoryError(
        f"{folder}: is not a windfleet run; name the directory of one (--out of `windfleet run`)"
    )
