"""`windfleet merge DIR...`: one result, verdict and report of all parts of a run.

Counted figures add up. Latencies and throughput come from the raw operations of all parts, and
freshness from the line of each farm, which its parts share. The digest is that of all objects. So
the result is that of one process, but for the figures of machines:

    time.total    from the start of the first part to the end of the last
    time.verify   sum over the parts
    memory.peak   the largest of a part
    ceiling       the lowest of a part's store
    throughput    and latency of a part that was resumed: of its last attempt that wrote objects
    cpu.busy      none, nor a time line: the parts may have run at any time and anywhere

The node files and the lakes stay where the parts made them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console

from pipeline.terminal import cause
from sim import run_directory
from sim.console import SafeConsole
from sim.errors import PASS, PartError
from sim.measure import operations
from sim.measure.operations import OPERATIONS_FILE, SCHEMA, TIMED, timed
from sim.merge.fit import require_whole
from sim.report.campaign import JSON_FILE as CAMPAIGN_FILE
from sim.report.forms import print_line
from sim.report.terminal import print_summary
from sim.report.verify_terminal import print_verdict
from sim.report.write import HTML_FILE, write_all
from sim.run import part_file, result
from sim.run.part_file import PartFile
from sim.run.part_head import PartHead
from sim.run.planned_faults import planned_faults
from sim.run.record import Record, timed_commits
from sim.run_directory import CAMPAIGN_PART_FILE, SCENARIO_FILE
from sim.scenario import Scenario, load
from sim.scenario.plan import plan
from sim.verify.command import conclude, scenario_of, writable
from sim.verify.judge import verdict
from sim.verify.verdict_result import Circumstances, verdict_result


@dataclass(frozen=True)
class MergeOptions:
    """Options of the command line.

    out: None for `runs/NAME-SEED`, or `demo/THEME` for a data set. replay: the command that repeats
    the merge. within: the parts are this process's own, as is `out` if they lie in it. judged: the
    run that parts of a verdict judged; the verdict's files go there, or into `report`. is_quiet:
    print one line. notes: of the run, for its reader.
    """

    parts: Sequence[Path]
    out: Path | None = None
    overwrite: bool = False
    replay: str = ""
    within: bool = False
    judged: Path | None = None
    report: Path | None = None
    is_quiet: bool = False
    notes: tuple[str, ...] = ()


def merge(options: MergeOptions, console: Console) -> int:
    """Make one result of all parts of any command. Return its exit code.

    Raises PartError, DirectoryError, ScenarioError.
    """
    heads = read_parts(options.parts)
    parts = {path: part for path, part in heads.items() if isinstance(part, PartFile)}
    kind = next(iter(heads.values())).kind
    if kind == "verify":
        if options.out is not None:
            raise PartError("parts of a verdict make no directory; leave out --out")
        return _merge_verdict(parts, options, console)
    scenario = load(next(iter(heads)) / SCENARIO_FILE)
    theme = next(iter(heads.values())).common.get("theme")
    out = options.out or _usual(theme, scenario)
    for path in () if options.within else heads:
        if out.resolve() in (path.resolve(), *path.resolve().parents):
            holds = "is one of the parts" if out.resolve() == path.resolve() else f"holds {path}"
            raise PartError(f"{out}: {holds}; name another directory with --out DIR")
    if kind == "demo":
        # not before: it brings matplotlib and the dashboard
        from sim.demo.command import print_made
        from sim.merge.demo import merge_demo

        shown = SafeConsole(quiet=True) if options.is_quiet else console
        made = merge_demo(scenario, parts, out, options.overwrite, shown, options.within)
        print_made(made, is_quiet=options.is_quiet)
        return PASS
    if not parts:
        from sim.campaign.campaign_part import CampaignPart
        from sim.merge.campaign import merge_campaign

        campaign = {p: part for p, part in heads.items() if isinstance(part, CampaignPart)}
        with _directory(scenario, out, options):
            replay = options.replay if options.within else ""
            return merge_campaign(campaign, out, console, options.is_quiet, replay)
    record = merged(scenario, parts, options.within)
    record.notes += options.notes
    with _directory(scenario, out, options):
        return report(scenario, record, out, options.replay, console, options.is_quiet)


def _usual(theme: str | None, scenario: Scenario) -> Path:
    """Return the directory without --out. theme: of a data set."""
    if theme is None:
        return Path("runs") / f"{scenario.name}-{scenario.seed}"
    from sim.demo.command import FOLDER

    return FOLDER / theme


def _merge_verdict(parts: Mapping[Path, PartFile], options: MergeOptions, console: Console) -> int:
    """Print the verdict of all parts, and write its files if the run is known."""
    each = sorted(parts.values(), key=lambda part: part.index)
    found = verdict([part.judgement for part in each])
    around = Circumstances(
        options.judged or next(iter(parts)),
        options.replay,
        min((part.started for part in each if part.started), default=None),
        sum(part.verify_s or 0.0 for part in each),
        str(each[0].common.get("lake", "")),
        sum(part.workers for part in each),
    )
    scenario, _ = scenario_of(around.run_dir)
    if options.judged is None:
        result_ = verdict_result(found, scenario, around)
        if options.is_quiet:
            print_line(result_, None, console)
        else:
            print_verdict(console, result_)
        return result_.exit_code
    folder = options.report or options.judged
    with writable(folder, options.report is not None):
        return conclude(found, scenario, around, folder, console)


def read_parts(folders: Sequence[Path]) -> dict[Path, PartHead]:
    """Read the records of all parts of one command. Raises PartError."""
    heads = {path: _read(path) for path in dict.fromkeys(folders)}
    times = Counter(path.resolve() for path in folders)
    twice = [str(path) for path in heads if times[path.resolve()] > 1]
    if twice:
        raise PartError(f"{', '.join(twice)}: given more than once; name each part once")
    require_whole(heads)
    return heads


def _directory(
    scenario: Scenario, out: Path, options: MergeOptions
) -> AbstractContextManager[None]:
    """Make the directory of the result, unless it is there with the parts in it."""
    if options.within:
        return nullcontext()
    return run_directory.made(out, options.overwrite, scenario.text, 0)


def _read(path: Path) -> PartHead:
    """Read the record of a part of any command. Raises PartError."""
    if any((path / name).exists() for name in (CAMPAIGN_FILE, CAMPAIGN_PART_FILE)):
        from sim.campaign import campaign_part

        return campaign_part.read(path)
    return part_file.read(path)


def report(
    scenario: Scenario,
    record: Record,
    out: Path,
    replay: str,
    console: Console,
    is_quiet: bool = False,
) -> int:
    """Write and print the result of all parts in an existing directory. Return its exit code."""
    with (out / OPERATIONS_FILE).open("wb") as file:
        pq.write_table(record.operations, file, compression="zstd")
    found = result.of_run(scenario, record, replay)
    write_all(found, out, record.operations)
    if is_quiet:
        print_line(found, out / HTML_FILE, console)
    else:
        print_summary(console, found, out)
    return found.exit_code


def merged(scenario: Scenario, parts: Mapping[Path, PartFile], within: bool = False) -> Record:
    """Return one record of all parts. Raises PartError.

    within: the parts are this process's own. It knows that they waited for one another.
    """
    each = sorted(parts.values(), key=lambda part: part.index)
    made = [_operations(path) for path in parts]
    commits = [
        timed_commits(part.shards, table, part.began)
        for part, table in zip(parts.values(), made, strict=True)
    ]
    record = Record(
        shards=[shard for part in each for shard in part.shards],
        operations=operations.merged(made),
        commits=pa.concat_tables(commits),
        ceiling_per_s=min((p.ceiling_per_s for p in each if p.ceiling_per_s), default=None),
        memory_peak_bytes=max((p.memory_peak_bytes or 0 for p in each), default=0) or None,
        node_bytes=sum(part.node_bytes or 0 for part in each),
        verify_s=sum(part.verify_s or 0.0 for part in each),
        total_s=_span_s(each),
        started=min((part.started for part in each if part.started), default=None),
        store={"store": _stores(each), **_gateway(each), "parts": str(len(each))},
        workers=sum(part.workers for part in each),
        verdict=verdict([part.judgement for part in each]),
        errors=[error for part in each for error in part.errors],
        notes=[
            *(f"part {part.index} of {part.count}: {note}" for part in each for note in part.notes),
            *(() if within else _apart(made)),
        ],
        planned=planned_faults(scenario, plan(scenario)),
        stopped_by=next((part.stopped_by for part in each if part.stopped_by is not None), None),
    )
    for part in each:
        record.injections.merge(part_file.injections(part))
    return record


def _apart(made: Sequence[pa.Table]) -> list[str]:
    """Return a sentence on the throughput, unless all parts ran at the same time.

    made: operations of each part.
    """
    tables = [table for each in made if len(table := timed(each))]
    spans = [(pc.min(each["start"]).value, pc.max(each["end"]).value) for each in tables]
    if not spans or max(begin for begin, _ in spans) < min(end for _, end in spans):
        return []
    whole = "the parts did not all run at the same time; throughput counts the whole time"
    return [f"{whole}, from the first to the last operation"]


def _operations(run_dir: Path) -> pa.Table:
    path = run_dir / OPERATIONS_FILE
    try:
        with path.open("rb") as file:
            table = pq.read_table(file)
        return table.select([*SCHEMA.names, *{TIMED}.intersection(table.column_names)])
    except (OSError, KeyError, pa.ArrowException) as error:
        raise PartError(
            f"{path}: cannot read the part's operations: {cause(error)}; run the part again"
        ) from error


def _span_s(parts: Sequence[PartFile]) -> float | None:
    """Return the seconds from the first start to the last end."""
    try:
        spans = _spans(parts)
    except ValueError as error:
        raise PartError(f"a part's start is no time: {error}; run the part again") from error
    if not spans:
        return None
    return max(begin + length for begin, length in spans) - min(begin for begin, _ in spans)


def _spans(parts: Sequence[PartFile]) -> list[tuple[float, float]]:
    return [
        (datetime.fromisoformat(part.started).timestamp(), part.total_s)
        for part in parts
        if part.started is not None and part.total_s is not None
    ]


def _gateway(parts: Sequence[PartFile]) -> dict[str, str]:
    """Return gateway and processes of the parts' LocalStacks, if all have the same."""
    names = ("gateway", "store_processes")
    found = [{name: part.store[name] for name in names if name in part.store} for part in parts]
    return found[0] if all(each == found[0] for each in found) else {}


def _stores(parts: Sequence[PartFile]) -> str:
    """Return the stores of the parts in words, each kind once. Ports differ, and are left out."""
    names = {part.store.get("store", "unknown").rsplit(", http", 1)[0] for part in parts}
    return ", ".join(sorted(names))
