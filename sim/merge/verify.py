"""A part of `windfleet verify DIR`: some turbines of a run, judged again. `merge` adds them up."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from sim import run_directory
from sim.check import LakeReader
from sim.errors import PartError
from sim.report.progress import RunProgress
from sim.report.verify_terminal import print_verdict
from sim.run import part_file
from sim.run.part import part_of
from sim.run.part_index import PartIndex
from sim.run.record import Record
from sim.run_directory import PART_FILE, SCENARIO_FILE, is_run
from sim.scenario import load
from sim.store.s3_lake import settings_of
from sim.verify.judge import judge, verdict
from sim.verify.lake_layout import is_compacted, layout_of
from sim.verify.verdict_result import Circumstances, verdict_result


def verify_part(
    run_dir: Path, lake: LakeReader, place: PartIndex, out: Path, workers: int, console: Console
) -> int:
    """Judge one part of a run, print the verdict, write its record. Return the exit code.

    out: directory of the record. An earlier record there is replaced, a run is refused.
    Raises PartError, ScenarioError, DirectoryError.
    """
    scenario = load(run_dir / SCENARIO_FILE)
    part = part_of(scenario.fleet, place, is_compacted(run_dir, lake))
    if out.resolve() == run_dir.resolve():
        raise PartError(f"{out}: is the run itself; name another directory with --out DIR")
    with run_directory.made(out, False, scenario.text, 0):
        record = Record(
            started=datetime.now(UTC).isoformat(timespec="seconds"), workers=workers, part=part
        )
        begun = time.perf_counter()
        with RunProgress(console) as progress:
            record.judgement = judge(
                run_dir,
                lake,
                workers=workers,
                farms=part.farms,
                store=settings_of(lake),
                by_hand=not is_run(run_dir),
                compacted=layout_of(run_dir),
                elsewhere=part.others(scenario.fleet),
                strays=part.index == 1,
                progress=progress.follow("judging the lake", "objects"),
                log=progress.log,
            )
        record.total_s = record.verify_s = time.perf_counter() - begun
        around = Circumstances(out, "", record.started, record.verify_s, lake.location, workers)
        found = verdict_result(verdict([record.judgement]), scenario, around)
        print_verdict(console, found)
        common = {"lake": lake_name(run_dir, lake, place)}
        part_file.write(out, scenario, record, kind="verify", common=common)
    return found.exit_code


def lake_name(run_dir: Path, lake: LakeReader, place: PartIndex) -> str:
    """Return the lake as all parts of a verdict have it in common.

    A copy that a part of a run saved is its own: together they are the lake of the run.
    """
    if lake.opener is not None:
        return lake.location
    folder = Path(lake.location).resolve()
    if folder == (run_dir / "lake").resolve() and (run_dir / PART_FILE).exists():
        head = part_file.read(run_dir)
        if (head.index, head.count) == (place.index, place.count):
            return "saved by each part"
    return str(folder)
