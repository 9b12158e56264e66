"""A campaign's other world: whole runs on a real LocalStack, behind the fault proxy, with workers that are killed.

Each is what `windfleet run` does with a seed and faults of its own (`sim.campaign.live_faults`), and its replay is that command.
It must leave the lake that the in-process world leaves for the same seed without any fault, and the oracle must pass
it. Where foreign bytes lay under a key, that holds of all nodes but those that met them; those have stopped there and
said so (`sim.chaos.foreign`), and the oracle fails the lake and names the key. All share one store, which is emptied in
between.

Not covered: shrinking; and a store that dies ends the campaign, it is no finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline import lake
from sim import check
from sim.campaign.invariants import Broken, Fates
from sim.campaign.live_faults import Bout, bout
from sim.campaign.outcome import Clean
from sim.campaign.scenario_world import make_world
from sim.campaign.world import Unclean, run_clean
from sim.chaos import foreign
from sim.chaos.call import DATA, Place, node_of
from sim.chaos.faults import KILL, Cell, Struck
from sim.errors import StoreGone
from sim.run.delivery import deliver
from sim.run.planned_faults import kills, planned_faults
from sim.run.record import Record
from sim.scenario import Scenario
from sim.scenario.plan import plan
from sim.store import target
from sim.verify.judge import judge

Load = Callable[[Sequence[str]], Scenario]
"""The campaign's scenario with more settings."""


@dataclass
class Wired:
    """One run on the wire. `settings`: what repeats it, as `--set` takes it. `meant`: the ways in which it wants to
    strike -> the chance that it does not, None: unknown. `requests`: that reached for the store.
    `unknown`: what kept it from showing what it should."""

    settings: tuple[str, str]
    meant: Mapping[Cell, float | None]
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
    with target.embedded(
        target.Options()
    ) as store:  # it is emptied again and again: nobody's but ours
        for index in range(runs):
            drawn = bout(seed, index, farms, flush_s, scenario.clock.duration_s)
            with TemporaryDirectory(prefix="windfleet-") as folder:
                yield _run(load, drawn, store, workers, Path(folder))
            lake.empty(store.store)


def _run(load: Load, drawn: Bout, store: target.Target, workers: int, folder: Path) -> Wired:
    settings = (f"seed={drawn.seed}", f"faults={drawn.faults}")
    scenario = load(settings)
    odds = planned_faults(scenario, plan(scenario))
    found = Wired(settings, {way: odds[way[0].partition(" ")[0]].never for way in drawn.meant})
    try:
        clean = run_clean(make_world(scenario, folder / "world"))
    except Unclean as error:
        found.broken.append(Broken("without any fault", str(error)))
        return found
    record = Record()
    run_dir = folder / "run"
    (run_dir / "nodes").mkdir(parents=True)
    try:
        deliver(scenario, store, record, lambda rows: None, run_dir=run_dir, workers=workers)
    except StoreGone as error:
        store.require_alive()
        found.broken.append(Broken("stuck", str(error)))
    verdict = judge(
        run_dir,
        store.lake,
        farms=scenario.fleet.farms,
        store=store.store,
        log=found.unknown.append,
    )
    found.struck = record.struck
    found.requests = 0 if record.operations is None else record.operations.num_rows
    if not record.foreign:  # else rows are missing as they must
        found.fates = Fates(
            *(int(verdict.figures.get(f"rows.{fate}", 0)) for fate in Fates._fields)
        )
    if verdict.status == "unknown":
        store.require_alive()
        found.unknown.append(f"the oracle could not judge: {'; '.join(verdict.errors[:3])}")
    found.broken += _undelivered(record)
    found.broken += (
        _struck(record, verdict, clean, store) if record.foreign else _healed(verdict, clean)
    )
    if spared := sum(len(rows) for rows in kills(scenario).values()) - record.struck.fired[KILL]:
        found.unknown.append(f"workers were done before they could be killed: {spared}")
    return found


def _undelivered(record: Record) -> Iterator[Broken]:
    """Nodes that could not deliver everything, but for those that foreign bytes have stopped; these name their key."""
    why = {turbine: text for shard in record.shards for turbine, text in shard.undelivered.items()}
    struck = {met.turbine: "/".join(place) for place, met in record.foreign.items()}
    for turbine in sorted(why.keys() - struck.keys()):
        yield Broken("stuck", f"{turbine}: {why[turbine]}")
    for turbine, name in struck.items():
        if name not in why.get(turbine, ""):
            yield Broken("foreign.unnoticed", f"{turbine}: {name}: {why.get(turbine, 'went on')}")


def _healed(verdict: check.Verdict, clean: Clean) -> Iterator[Broken]:
    """What is wrong of a lake that must be the one without faults."""
    want = clean.outcome.digest
    if verdict.status == "fail":
        yield Broken("oracle", "; ".join(map(str, verdict.findings[:3])))
    if verdict.status != "unknown" and verdict.digest != want:
        yield Broken(
            "lake.differs", f"digest {verdict.digest[:16]}, with --set=faults=[] {want[:16]}"
        )


def _place(name: str) -> Place:
    """Bucket and key of an object's name."""
    bucket, _, key = name.partition("/")
    return bucket, key


def _struck(
    record: Record, verdict: check.Verdict, clean: Clean, store: target.Target
) -> Iterator[Broken]:
    """What is wrong of a lake with foreign bytes in it."""
    refs = store.lake.objects()
    objects = {
        (ref.bucket, ref.key): body or b""
        for ref, body in zip(refs, store.lake.read(refs), strict=True)
    }
    want, turbines = clean.store.objects, {met.turbine for met in record.foreign.values()}
    yield from (Broken(*wrong) for wrong in foreign.judge(objects, want, record.foreign))
    for place in sorted(objects.keys() | want.keys()):
        if (
            place[0] in DATA
            and node_of(place) not in turbines
            and objects.get(place) != want.get(place)
        ):
            yield Broken("lake.differs", "/".join(place))
    for place in record.foreign if verdict.status != "unknown" else ():
        if verdict.status == "pass" or not any(
            found.key.endswith(place[1]) for found in verdict.findings
        ):
            yield Broken("oracle", f"says nothing of {'/'.join(place)}")
    if others := [
        f for f in verdict.findings if not {f.turbine, node_of(_place(f.key))} & turbines
    ]:
        yield Broken("oracle", "; ".join(map(str, others[:3])))
