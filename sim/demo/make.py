"""`windfleet demo`: a labelled data set in a folder, ready to query or to upload.

    DIR/lake/<bucket>/...         the objects of the real pipeline, in the six buckets' layout
    DIR/truth/*.parquet           labels: injected faults, and the history of machines and crews
    DIR/assets.parquet, .csv      the asset register with names and exact places: mode 0600
    DIR/README.md, *.png          contents, the story and queries that find it
    DIR/dashboard.html            one page over the views, from the tables in DIR/warehouse
    DIR/nodes/<farm>/*.db         the edge nodes' databases, on request

Two layouts hold the same rows. `farm`, the usual one, is the layout after table maintenance: one
object per farm, stage and hour (`sim.run.compact`). `turbine` is the pipeline's own, one object per
turbine, stage and hour: many times as many objects and minutes. The oracle judges either.

A part of a data set holds some turbines, or in the layout `farm` some whole farms. It keeps its
nodes' databases. `windfleet merge` gives all parts together what `sim.demo.finish` makes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from pipeline.ports import AlreadyExists, ObjectStore, StoreError
from pipeline.retry import Retrying
from pipeline.store import S3ObjectStore
from sim import run_directory
from sim.demo import estimate, part_files, readme, themes
from sim.demo.dataset import Dataset, Layout
from sim.demo.finish import Finish, as_demo_errors, finish, remove_earlier, require_pass
from sim.demo.themes import Theme
from sim.errors import INTERRUPTED, DemoError
from sim.measure.operations import OPERATIONS_FILE
from sim.report.progress import RunProgress
from sim.run import part_file
from sim.run.delivery import deliver
from sim.run.part import Part, part_of
from sim.run.part_index import WHOLE, PartIndex
from sim.run.record import Record
from sim.scenario import Scenario
from sim.scenario.plan import plan
from sim.store import target
from sim.verify.judge import judge
from sim.verify.judge import verdict as verdict_on


@dataclass(frozen=True)
class DemoOptions:
    """Options from the command line.

    `upload`: S3 endpoint that gets a copy. `command`: the command line that repeats it. `shard`:
    the one part to make; None: the whole data set.
    """

    out: Path
    workers: int
    overwrite: bool = False
    layout: Layout = "farm"
    upload: target.Options | None = None
    command: str = ""
    finish: Finish = field(default_factory=Finish)
    shard: PartIndex | None = None


def make(scenario: Scenario, theme: Theme, options: DemoOptions, console: Console) -> Dataset:
    """Make the data set.

    Raises DemoError, DirectoryError, TargetError, LakeError. Finished parts stay in the folder.
    """
    layout = options.layout
    part = part_of(scenario.fleet, options.shard or WHOLE, whole_farms=layout == "farm")
    if options.upload is not None:
        target.require_empty(options.upload)  # before the minutes that the data take
    need_bytes = need_bytes_of(scenario, part.turbines, layout)
    compacted = layout == "farm"
    with run_directory.made(
        options.out, options.overwrite, scenario.text, need_bytes, "--to DIR", compacted
    ):
        try:
            return _filled(scenario, theme, layout, part, options, console)
        except KeyboardInterrupt:
            fix = "make it again with --overwrite"
            text = f"interrupted; {options.out} holds an unfinished data set: {fix}"
            raise DemoError(text, INTERRUPTED) from None


def need_bytes_of(scenario: Scenario, turbines: int, layout: Layout) -> int:
    """Return the bytes on disk of the lake and the nodes of some turbines, as planned."""
    planned = plan(scenario, turbines)
    return planned.node_bytes + estimate.lake_bytes(planned, layout)


def _filled(
    scenario: Scenario,
    theme: Theme,
    layout: Layout,
    part: Part,
    options: DemoOptions,
    console: Console,
) -> Dataset:
    remove_earlier(options.out)
    begun = time.perf_counter()
    started = datetime.now(UTC).isoformat(timespec="seconds")
    record = Record(workers=options.workers, started=started)
    made = Dataset(scenario, theme, options.out, layout, record, options.command)
    with as_demo_errors(options.out), RunProgress(console) as progress:
        _drive(made, part, progress)
        if options.shard is None:
            finish(made, options.finish, progress, begun)
            estimate.keep(made)
        else:
            record.part, record.total_s = part, time.perf_counter() - begun
            made.seconds = record.total_s
            story = themes.TOLD if theme == themes.theme(theme.name) else "left out"
            common = {"theme": theme.name, "story": story, "layout": layout, **options.finish.words}
            files = part_files.digests(options.out)
            part_file.write(options.out, scenario, record, "demo", common, options.command, files)
        if options.upload is not None:
            progress.phase("uploading", None, "objects")
            _upload(made, options.upload, progress)
            readme.write(made)  # with the endpoint
    return made


def _drive(made: Dataset, part: Part, progress: RunProgress) -> None:
    """Simulate, deliver into the folder, and let the oracle judge the lake."""
    store = target.Options(folder=made.folder / "lake")
    with target.opened(store) as opened:
        scenario = made.scenario
        progress.phase("simulating and delivering", part.turbines * scenario.clock.samples, "rows")
        deliver(
            scenario,
            opened,
            made.record,
            progress.advance,
            run_dir=made.folder,
            workers=made.record.workers,
            part=part,
            compact=made.layout == "farm",
        )
        (made.folder / OPERATIONS_FILE).unlink(missing_ok=True)
        if made.record.errors:
            raise DemoError("; ".join(made.record.errors))
        made.record.judgement = judge(
            made.folder,
            opened.lake,
            workers=made.record.workers,
            farms=part.farms,
            compacted=made.layout == "farm",
            progress=progress.follow("judging the lake", "objects"),
            log=progress.log,
        )
        made.record.verdict = verdict_on([made.record.judgement])
        require_pass(made)


def _upload(made: Dataset, options: target.Options, progress: RunProgress) -> None:
    """Copy the lake to the named S3 endpoint, object by object.

    Raises DemoError when the copy is incomplete.
    """
    with target.opened(options) as opened:
        store = Retrying(S3ObjectStore(opened.store))
        made.endpoint_url = opened.endpoint_url or ""
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
                made.uploaded += 1
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
