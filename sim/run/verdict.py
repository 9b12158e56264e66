"""The verdict of a run: the independent oracle over its node files and the lake that it made."""

from __future__ import annotations

import time
from pathlib import Path

from sim.check.read.lake import LakeReader
from sim.report.progress import RunProgress
from sim.run.early import EarlyOracle
from sim.run.part import Part
from sim.run.record import Record
from sim.scenario import Scenario
from sim.store.target import Target
from sim.verify.judge import judge
from sim.verify.judge import verdict as verdict_on


def judge_lake(
    scenario: Scenario,
    store: Target,
    record: Record,
    progress: RunProgress,
    *,
    run_dir: Path,
    part: Part,
    save: bool,
    oracle: EarlyOracle | None = None,
) -> None:
    """Put the verdict on the store's lake into `record`, its duration and the nodes' bytes.

    part: the turbines that were delivered. Objects of other parts are passed over.
    oracle: shares that were judged before; None if there are none.
    save: copy the lake to `run_dir/lake` first, and judge the copy.
    """
    lake = store.lake
    if save:
        progress.phase("saving the lake", None, "objects")
        progress.advance(lake.save(run_dir / "lake"))
        lake = LakeReader.folder(run_dir / "lake")
    begun = time.perf_counter()
    record.judgement = judge(
        run_dir,
        lake,
        workers=record.workers,
        compacted=False,
        farms=part.farms,
        # Nobody else looks into a store of the part alone.
        elsewhere=part.others(scenario.fleet) if store.is_named else (),
        strays=part.index == 1 or not store.is_named,
        store=None if store.folder else store.store,
        early=None if oracle is None else oracle.verdicts,
        progress=progress.follow("judging the lake", "objects")
        if oracle is None
        else oracle.progress,
        log=progress.log,
    )
    record.verdict = verdict_on([record.judgement])
    record.verify_s = time.perf_counter() - begun
    if oracle is not None:
        record.verify_s += oracle.worker_s / (record.workers + 1)
    record.node_bytes = sum(file.stat().st_size for file in (run_dir / "nodes").glob("*/*.db"))
