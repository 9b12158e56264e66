"""A campaign's other world: whole runs on a real LocalStack, behind the fault proxy, with workers that are killed.

Each is what `windfleet run` does with a seed and faults of its own (`sim.chaos.bouts`), and its replay is that command.
It must leave the lake that the in-process world leaves for the same seed without any fault, and the oracle must pass
it. All share one store, which is emptied in between.

Not covered: shrinking; and a store that dies ends the campaign, it is no finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline import lake
from sim import check
from sim.chaos.bouts import Bout, bout
from sim.chaos.faults import KILL, Cell, Struck
from sim.chaos.invariants import Broken, Fates
from sim.chaos.world import Unclean, run_clean
from sim.run import debris, driver, target
from sim.run.judgement import Record
from sim.run.planned import kills
from sim.run.task import StoreGone
from sim.run.world import make_world
from sim.scenario import Scenario

Load = Callable[[Sequence[str]], Scenario]
"""The campaign's scenario with more settings."""


@dataclass
class Wired:
    """One run on the wire. `settings`: what repeats it, as `--set` takes it. `requests`: that reached for the store.
    `unknown`: what kept it from showing what it should."""

    settings: tuple[str, str]
    meant: tuple[Cell, ...]
    struck: Struck = field(default_factory=Struck)
    broken: list[Broken] = field(default_factory=list)
    fates: Fates = field(default_factory=Fates)
    requests: int = 0
    unknown: list[str] = field(default_factory=list)


def wired_runs(
    scenario: Scenario, load: Load, flush_s: Sequence[float], runs: int, seed: int, workers: int
) -> Iterator[Wired]:
    """`runs` of them, one after the other. flush_s: when nodes flush.

    Raises TargetError, LakeError, WorkerDied, OSError.
    """
    farms = [farm.farm_id for farm in scenario.fleet.farms]
    with target.embedded(target.Options()) as store:  # it is emptied again and again: nobody's but ours
        for index in range(runs):
            drawn = bout(seed, index, farms, flush_s, scenario.clock.duration_s)
            with TemporaryDirectory(prefix="windfleet-") as folder:
                yield _run(load, drawn, store, workers, Path(folder))
            lake.empty(store.store)


def _run(load: Load, drawn: Bout, store: target.Target, workers: int, folder: Path) -> Wired:
    settings = (f"seed={drawn.seed}", f"faults={drawn.faults}")
    scenario = load(settings)
    found = Wired(settings, drawn.meant)
    try:
        want = run_clean(make_world(scenario, folder / "world")).outcome.digest
    except Unclean as error:
        found.broken.append(Broken("without any fault", str(error)))
        return found
    record = Record()
    run_dir = folder / "run"
    (run_dir / "nodes").mkdir(parents=True)
    try:
        driver.drive(scenario, driver.RunOptions(run_dir, workers, target.Options()), record, store, lambda rows: None)
    except StoreGone as error:
        store.require_alive()
        record.errors.append(str(error))
    verdict = debris.held(check.judge(run_dir / "nodes", store.lake, run_dir / "truth", 1), store.store)
    found.struck = record.struck
    found.requests = 0 if record.operations is None else record.operations.num_rows
    found.fates = Fates(*(int(verdict.figures.get(f"rows.{fate}", 0)) for fate in Fates._fields))
    found.broken += [Broken("stuck", error) for error in record.errors]
    if verdict.status == "fail":
        found.broken.append(Broken("oracle", "; ".join(map(str, verdict.findings[:3]))))
    if verdict.status == "unknown":
        store.require_alive()
        found.unknown.append(f"the oracle could not judge: {'; '.join(verdict.errors[:3])}")
    elif verdict.digest != want:
        found.broken.append(Broken("lake.differs", f"digest {verdict.digest[:16]}, with --set=faults=[] {want[:16]}"))
    if spared := sum(len(rows) for rows in kills(scenario).values()) - record.struck.fired[KILL]:
        found.unknown.append(f"workers were done before they could be killed: {spared}")
    return found
