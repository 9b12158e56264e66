"""`windfleet demo`: a labelled data set in a folder, ready to query or to upload.

    DIR/lake/<bucket>/...         the objects of the real pipeline, in the six buckets' layout
    DIR/truth/*.parquet           labels: injected faults, and the history of machines and crews
    DIR/assets.parquet, .csv      the asset register with names and exact places: mode 0600
    DIR/README.md, *.png          contents, the story and queries that find it
    DIR/dashboard.html            one page over the views, from the tables in DIR/warehouse
    DIR/nodes/<farm>/*.db         the edge nodes' databases, on request

Two layouts hold the same rows. `turbine` is the pipeline's own, one object per turbine, stage and
hour, and the oracle judges it. `farm` is the layout after table maintenance (`sim.run.compact`),
for data sets that would otherwise be more than MOST_OBJECTS objects.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from pipeline.ports import AlreadyExists, ObjectStore, StoreError
from pipeline.retry import Retrying
from pipeline.store import S3ObjectStore
from sim import run_directory
from sim.dashboard import command as dashboard
from sim.demo import assets, pictures, readings, readme, realism
from sim.demo.dataset import Dataset, Layout
from sim.demo.themes import Theme
from sim.errors import (
    LAKE_WRONG,
    DashboardError,
    DemoError,
    NodeFileError,
    QueryError,
    StoreGone,
    WorkerDied,
)
from sim.measure.operations import OPERATIONS_FILE
from sim.report.progress import RunProgress
from sim.run.delivery import deliver
from sim.run.part import part_of
from sim.run.record import Record
from sim.scenario import Scenario
from sim.scenario.plan import plan
from sim.store import target
from sim.verify.judge import judge
from sim.verify.judge import verdict as verdict_on

MOST_OBJECTS: Final = 30_000
"""Upper bound of the `turbine` layout. More small files take minutes, and a disk block each."""
_COMPACT_SHARE: Final = 0.02  # size of the farm layout over that of the turbine layout


@dataclass(frozen=True)
class DemoOptions:
    """Options from the command line.

    `upload`: S3 endpoint that gets a copy. `inspect`: draw the realism page too. `command`: the
    command line that repeats it. `dashboard`: make the page over the views.
    """

    out: Path
    workers: int
    overwrite: bool = False
    nodes: bool = False
    layout: Layout | None = None
    upload: target.Options | None = None
    inspect: bool = False
    command: str = ""
    dashboard: bool = True


def make(scenario: Scenario, theme: Theme, options: DemoOptions, console: Console) -> Dataset:
    """Make the data set.

    Raises DemoError, DirectoryError, TargetError, LakeError or KeyboardInterrupt. Finished parts
    stay in the folder.
    """
    planned = plan(scenario)
    layout = options.layout or (
        "turbine" if sum(planned.objects.values()) <= MOST_OBJECTS else "farm"
    )
    lake_bytes = sum(planned.lake_bytes.values()) * (1.0 if layout == "turbine" else _COMPACT_SHARE)
    if options.upload is not None:
        target.require_empty(options.upload)  # before the minutes that the data take
    need_bytes = round(planned.node_bytes + lake_bytes)
    with run_directory.made(options.out, options.overwrite, scenario.text, need_bytes, "--to DIR"):
        return _filled(scenario, theme, layout, options, console)


def _filled(
    scenario: Scenario, theme: Theme, layout: Layout, options: DemoOptions, console: Console
) -> Dataset:
    pictures.remove(options.out)  # of an earlier data set
    (options.out / realism.FILE).unlink(missing_ok=True)
    begun = time.perf_counter()
    made = Dataset(
        scenario, theme, options.out, layout, Record(workers=options.workers), options.command
    )
    try:
        with RunProgress(console) as progress:
            _drive(made, progress)
            progress.phase("drawing", None, "")
            assets.write(scenario, options.out)
            whole = {
                turbine.rpartition("-")[0]
                for event in scenario.events
                for turbine in event.turbines
            }
            farms = readings.read(scenario, options.out / "nodes", sorted(whole))
            made.pictures = pictures.draw(made, farms)
            if options.inspect:
                realism.write(made, farms)
            if not options.nodes:
                shutil.rmtree(options.out / "nodes")
            if options.dashboard:
                progress.phase("loading the lake for the dashboard", None, "")
                _dashboard(made)
            made.seconds = time.perf_counter() - begun
            readme.write(made)
            if options.upload is not None:
                progress.phase("uploading", None, "objects")
                _upload(made, options.upload, progress)
    except (StoreGone, WorkerDied, NodeFileError) as error:
        raise DemoError(str(error)) from error
    except OSError as error:
        raise DemoError(f"{options.out}: cannot be written: {error}") from error
    return made


def _drive(made: Dataset, progress: RunProgress) -> None:
    """Simulate, deliver into the folder, and let the oracle judge a layout that it can read."""
    store = target.Options(folder=made.folder / "lake")
    with target.opened(store) as opened:
        scenario = made.scenario
        progress.phase(
            "simulating and delivering", scenario.fleet.turbines * scenario.clock.samples, "rows"
        )
        deliver(
            scenario,
            opened,
            made.record,
            progress.advance,
            run_dir=made.folder,
            workers=made.record.workers,
            compact=made.layout == "farm",
        )
        (made.folder / OPERATIONS_FILE).unlink(missing_ok=True)
        if made.record.errors:
            raise DemoError("; ".join(made.record.errors))
        if made.layout == "turbine":
            judgement = judge(
                made.folder,
                opened.lake,
                workers=made.record.workers,
                farms=part_of(scenario.fleet).farms,
                progress=progress.follow("judging the lake", "objects"),
                log=progress.log,
            )
            verdict = verdict_on([judgement])
            made.record.verdict = verdict
            if verdict.status != "pass":
                found = "; ".join(f"{count} x {kind}" for kind, count in verdict.counts.items())
                raise DemoError(
                    f"{made.folder}: the oracle does not pass this lake: {found}", LAKE_WRONG
                )


def _dashboard(made: Dataset) -> None:
    """Make the page over the views. Raises DemoError; the data set is complete without it."""
    try:
        made.dashboard = dashboard.make(dashboard.DashboardOptions(run=made.folder)).name
    except (QueryError, DashboardError) as error:
        text = f"{made.folder}: the data are complete, their dashboard is not: {error}"
        raise DemoError(text, error.exit_code) from error


def _upload(made: Dataset, options: target.Options, progress: RunProgress) -> None:
    """Copy the lake to the named S3 endpoint, object by object.

    Raises DemoError when the copy is incomplete.
    """
    with target.opened(options) as opened:
        store = Retrying(S3ObjectStore(opened.store))
        reader = target.Target(folder=made.folder / "lake").lake
        refs = reader.objects()
        try:
            for ref, body in zip(refs, reader.read(refs), strict=True):
                if body is None:
                    raise DemoError(
                        f"{opened.endpoint_url}: the copy is incomplete: "
                        f"{ref.name} is gone from {made.folder}"
                    )
                _copy(store, ref.bucket, ref.key, body)
                progress.advance(1)
        except StoreError as error:
            fix = f"{made.folder} is complete, and its README has the command to copy it"
            raise DemoError(
                f"{opened.endpoint_url}: the copy is incomplete: {error}; {fix}"
            ) from error


def _copy(store: ObjectStore, bucket: str, key: str, body: bytes) -> None:
    """Create the object.

    An object that exists with the same body is accepted: an earlier answer may have been lost.
    """
    try:
        store.create(bucket, key, body)
    except AlreadyExists:
        if store.get(bucket, key)[0] != body:
            raise
