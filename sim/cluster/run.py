"""`windfleet run --cluster`: parts of a run. Node files stay on the worker that made them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sim import run_directory
from sim.cluster.task import OUT, SCENARIO
from sim.cluster.work import Work
from sim.measure.operations import OPERATIONS_FILE
from sim.merge.command import MergeOptions
from sim.report import numbers
from sim.run import part_file
from sim.run.needs import Needs, needs
from sim.run.part import part_of
from sim.run.part_index import PartIndex
from sim.run.past_runs import past_runs
from sim.run_directory import OBJECTS_FILE, PART_FILE, PARTS
from sim.scenario import Scenario
from sim.scenario.plan import plan
from sim.store import target
from sim.store.home import HOME
from sim.verify.judge import verdict


@dataclass(frozen=True)
class RunParts:
    """Options of a run in parts. replay: the command that repeats it."""

    out: Path
    store: target.Options
    overwrite: bool = False
    replay: str = ""


class RunWork(Work):
    """A run in parts, each with an embedded store, or all with the one that is named."""

    record = (OPERATIONS_FILE, OBJECTS_FILE, PART_FILE)
    keeps = True

    def __init__(self, scenario: Scenario, options: RunParts) -> None:
        """Take the scenario and the options. Raises TargetError."""
        super().__init__(scenario)
        self._options = options
        self.endpoint_url = target.endpoint_of(options.store)
        self.needs_localstack = self.endpoint_url is None

    @property
    def total(self) -> int:
        return plan(self.scenario).rows

    def parts(self, asked: int | None, most: int) -> int:
        count = asked or min(most, self.scenario.fleet.turbines)
        part_of(self.scenario.fleet, PartIndex(1, count))
        return count

    def command(self, part: PartIndex) -> tuple[str, ...]:
        store = self._options.store
        words = ["--gateway", store.gateway, "--store-processes", str(store.processes)]
        if self.endpoint_url is not None:
            words += ["--endpoint-url", self.endpoint_url]
        if store.allow_remote:
            words.append("--allow-remote")
        return ("run", SCENARIO, "--shard", str(part), "--out", OUT, "--overwrite", *words)

    def needs(self, count: int, workers: int) -> Needs:
        part = part_of(self.scenario.fleet, PartIndex(1, count))
        return needs(
            self.scenario, part, workers, target.kind_of(self._options.store), past_runs(HOME)
        )

    @contextmanager
    def records(self, run: str) -> Iterator[Path]:
        options = self._options
        with run_directory.made(options.out, options.overwrite, self.scenario.text, 0):
            yield options.out / PARTS

    @contextmanager
    def opened(self) -> Iterator[None]:
        if self.endpoint_url is None:
            yield
            return
        with target.opened(self._options.store):
            yield

    def outcome(self, folder: Path) -> tuple[str, int]:
        part = part_file.read(folder)
        found, took = verdict([part.judgement]), numbers.duration(part.total_s)
        rows = int(found.figures["rows.generated"])
        return f"{found.status}, {rows:,} rows in {took}", rows

    def merge_options(self, folders: list[Path]) -> MergeOptions:
        return MergeOptions(folders, self._options.out, replay=self._options.replay, within=True)
