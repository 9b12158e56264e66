"""Whole runs of a campaign on a real LocalStack, behind the fault proxy, with killed workers.

Each run is a `windfleet run` with its own seed and faults (`sim.campaign.live_faults`), and its
replay is that command. Two things must hold:

- The lake equals that of the in-process run without faults for the same seed.
- The oracle passes it.

Nodes that met foreign bytes are the exception: they must have stopped and reported the key
(`sim.chaos.foreign`), and the oracle must fail the lake and name the key. The data of all other
nodes must be the same.

After every LOAD_EVERY-th run, loader processes bring the lake into Delta tables
(`sim.campaign.live_loads`). All runs share one store, which is emptied in between.

Not covered: shrinking. A store that dies ends the campaign; it is no finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from pipeline import lake
from sim import check
from sim.campaign.in_process_run import CleanRunBroken, run_clean
from sim.campaign.invariants import BrokenInvariant, WrongRows
from sim.campaign.live_faults import LiveFaults, draw_live_faults
from sim.campaign.live_loads import LiveLoads, load_live
from sim.campaign.outcome import CleanRun
from sim.campaign.world import make_world
from sim.chaos import foreign
from sim.chaos.call import DATA, Place, node_of
from sim.chaos.faults import FOREIGN, KILL, FaultPoint, InjectionCounts
from sim.errors import StoreGone
from sim.run.delivery import deliver
from sim.run.part import part_of
from sim.run.planned_faults import planned_faults
from sim.run.record import Record
from sim.scenario import Scenario
from sim.scenario.plan import plan
from sim.store import target
from sim.store.gateway import Gateway
from sim.verify.judge import judge
from sim.verify.judge import verdict as verdict_on

LOAD_EVERY: Final = 10
"""One lake in this many is loaded; a load costs several processes."""
Load = Callable[[Sequence[str]], Scenario]
"""Returns the campaign's scenario with more settings."""


@dataclass
class LiveRun:
    """One run and its result.

    settings  arguments of `--set` that repeat it
    meant     point that a fault is meant to hit -> chance that it does not, None if unknown
    requests  requests of the nodes, every try counted
    unknown   reasons why the run proves less than planned
    loads     loads of its lake, None if there were none
    """

    settings: tuple[str, str]
    meant: Mapping[FaultPoint, float | None]
    injections: InjectionCounts = field(default_factory=InjectionCounts)
    broken: list[BrokenInvariant] = field(default_factory=list)
    wrong_rows: WrongRows = field(default_factory=WrongRows)
    requests: int = 0
    unknown: list[str] = field(default_factory=list)
    loads: LiveLoads | None = None


def is_loaded(index: int) -> bool:
    """Return True if loader processes load the lake of a run."""
    return index % LOAD_EVERY == LOAD_EVERY - 1


def make_live_runs(
    scenario: Scenario,
    load: Load,
    flush_s: Sequence[float],
    runs: Sequence[int],
    seed: int,
    workers: int,
    gateway: Gateway = "short",
) -> Iterator[tuple[int, LiveRun]]:
    """Make these runs, one after the other, by their numbers from 0. Yield (number, run).

    flush_s: virtual seconds.

    Raises TargetError, LakeError, WorkerDied, OSError.
    """
    farms = [farm.farm_id for farm in scenario.fleet.farms]
    # the store is emptied between runs, so it must be our own
    with target.embedded(target.Options(gateway=gateway)) as store:
        for index in runs:
            drawn = draw_live_faults(seed, index, farms, flush_s, scenario.clock.duration_s)
            with TemporaryDirectory(prefix="windfleet-") as folder:
                found = _run(load, drawn, store, workers, Path(folder))
                if is_loaded(index) and not found.injections.by_kind[FOREIGN]:
                    found.loads = load_live(store, Path(folder) / "warehouse", drawn.seed)
                    found.broken += found.loads.broken
                yield index, found
            lake.empty(store.store)


def _run(
    load: Load, drawn: LiveFaults, store: target.Target, workers: int, folder: Path
) -> LiveRun:
    settings = (f"seed={drawn.seed}", f"faults={drawn.faults}")
    scenario = load(settings)
    odds = planned_faults(scenario, plan(scenario))
    found = LiveRun(
        settings, {point: odds[point[0].partition(" ")[0]].never for point in drawn.meant}
    )
    try:
        clean = run_clean(make_world(scenario, folder / "world"))
    except CleanRunBroken as error:
        found.broken.append(BrokenInvariant("without any fault", str(error)))
        return found
    record = Record()
    run_dir = folder / "run"
    (run_dir / "nodes").mkdir(parents=True)
    try:
        deliver(scenario, store, record, lambda rows: None, run_dir=run_dir, workers=workers)
    except StoreGone as error:
        store.require_alive()
        found.broken.append(BrokenInvariant("stuck", str(error)))
    judgement = judge(
        run_dir,
        store.lake,
        farms=part_of(scenario.fleet).farms,
        compacted=False,
        store=store.store,
        log=found.unknown.append,
    )
    verdict = verdict_on([judgement])
    found.injections = record.injections
    found.requests = 0 if record.operations is None else record.operations.num_rows
    if not record.foreign:  # where a node met foreign bytes, rows must be missing
        found.wrong_rows = WrongRows(
            *(int(verdict.figures.get(f"rows.{name}", 0)) for name in WrongRows._fields)
        )
    if verdict.status == "unknown":
        store.require_alive()
        found.unknown.append(f"the oracle could not judge: {'; '.join(verdict.errors[:3])}")
    found.broken += _undelivered(record)
    found.broken += (
        _broken_with_foreign(record, verdict, clean, store)
        if record.foreign
        else _broken_without_foreign(verdict, clean)
    )
    planned = sum(fault.count or 0 for fault in scenario.faults if fault.kind == KILL)
    if missed := planned - record.injections.by_kind[KILL]:
        found.unknown.append(f"workers were done before they could be killed: {missed}")
    return found


def _undelivered(record: Record) -> Iterator[BrokenInvariant]:
    """Yield nodes that did not deliver everything, and nodes that did not report foreign bytes."""
    why = {turbine: text for shard in record.shards for turbine, text in shard.undelivered.items()}
    foreign_keys = {met.turbine: "/".join(place) for place, met in record.foreign.items()}
    for turbine in sorted(why.keys() - foreign_keys.keys()):
        yield BrokenInvariant("stuck", f"{turbine}: {why[turbine]}")
    for turbine, name in foreign_keys.items():
        if name not in why.get(turbine, ""):
            yield BrokenInvariant(
                "foreign.unnoticed", f"{turbine}: {name}: {why.get(turbine, 'went on')}"
            )


def _broken_without_foreign(verdict: check.Verdict, clean: CleanRun) -> Iterator[BrokenInvariant]:
    """Yield broken invariants of a lake that must equal that of the run without faults."""
    want = clean.outcome.digest
    if verdict.status == "fail":
        yield BrokenInvariant("oracle", "; ".join(map(str, verdict.findings[:3])))
    if verdict.status != "unknown" and verdict.digest != want:
        yield BrokenInvariant(
            "lake.differs", f"digest {verdict.digest[:16]}, without faults {want[:16]}"
        )


def _place(name: str) -> Place:
    """Return bucket and key of an object's name."""
    bucket, _, key = name.partition("/")
    return bucket, key


def _broken_with_foreign(
    record: Record, verdict: check.Verdict, clean: CleanRun, store: target.Target
) -> Iterator[BrokenInvariant]:
    """Yield broken invariants of a lake with foreign bytes in it."""
    refs = store.lake.objects()
    objects = {
        (ref.bucket, ref.key): body or b""
        for ref, body in zip(refs, store.lake.read(refs), strict=True)
    }
    want, turbines = clean.store.objects, {met.turbine for met in record.foreign.values()}
    for breach in foreign.broken_invariants(objects, want, record.foreign):
        yield BrokenInvariant(*breach)
    for place in sorted(objects.keys() | want.keys()):
        if (
            place[0] in DATA
            and node_of(place) not in turbines
            and objects.get(place) != want.get(place)
        ):
            yield BrokenInvariant("lake.differs", "/".join(place))
    for place in record.foreign if verdict.status != "unknown" else ():
        if verdict.status == "pass" or not any(
            found.key.endswith(place[1]) for found in verdict.findings
        ):
            yield BrokenInvariant("oracle", f"does not report {'/'.join(place)}")
    if others := [
        f for f in verdict.findings if not {f.turbine, node_of(_place(f.key))} & turbines
    ]:
        yield BrokenInvariant("oracle", "; ".join(map(str, others[:3])))
