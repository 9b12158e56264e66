"""`windfleet verify DIR`: the verdict on a run again, from its node files and its lake.

The lake is a saved copy, or still in a store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich.console import Console

from pipeline.settings import settings
from pipeline.terminal import one_line
from sim.check import Finding, LakeReader, Verdict
from sim.errors import ENVIRONMENT, EXIT_CODE_OF, ResultError, ScenarioError, TargetError
from sim.fleet.part import FarmPart
from sim.report.progress import RunProgress
from sim.report.result import read_result
from sim.run_directory import SCENARIO_FILE, is_run
from sim.scenario import load as load_scenario
from sim.store import localstack, target
from sim.store.s3_lake import s3_lake, settings_of
from sim.verify.judge import judge
from sim.verify.judge import verdict as verdict_on

FINDINGS_SHOWN = 20


def find_lake(run_dir: Path, folder: Path | None, endpoint_url: str | None) -> LakeReader:
    """Return the run's lake, the first of these that exists.

    1. `folder` or `endpoint_url`, from the command line
    2. the run's saved copy
    3. the S3 of the environment
    4. the detached LocalStack

    Raises TargetError, also if there is none.
    """
    if folder is not None:
        if not folder.is_dir():
            raise TargetError(f"{folder}: no such folder")
        return LakeReader.folder(folder)
    if endpoint_url is not None:
        return s3_lake(endpoint_url)
    if (run_dir / "lake").is_dir():
        return LakeReader.folder(run_dir / "lake")
    if (named := target.endpoint_of_environment()) is not None:
        return s3_lake(named)
    if (server := localstack.status()) is not None:
        return s3_lake(settings(server.endpoint_url, own=True))
    raise TargetError(
        f"{run_dir}: holds no lake/, and no LocalStack is up (it loses everything when it stops). "
        "Run the scenario with --save-lake or --keep, or name the lake with --lake DIR or "
        "--endpoint-url URL"
    )


def verify(run_dir: Path, lake: LakeReader, workers: int, console: Console) -> int:
    """Judge the lake and print the verdict. Return the exit code. Change nothing in `run_dir`."""
    with RunProgress(console) as progress:
        judgement = judge(
            run_dir,
            lake,
            workers=workers,
            farms=_farms(run_dir, progress),
            store=settings_of(lake),
            by_hand=not is_run(run_dir),
            progress=progress.follow("judging the lake", "objects"),
            log=progress.log,
        )
    verdict = verdict_on([judgement])
    return print_verdict(console, verdict, comparison(run_dir, verdict))


def print_verdict(console: Console, verdict: Verdict, more: Iterable[str] = ()) -> int:
    """Print a verdict, and more lines after it. Return the exit code."""
    for line in (*_lines(verdict), *more):
        console.print(one_line(line), markup=False, highlight=False, soft_wrap=True)
    if verdict.status == "unknown" and verdict.errors and not verdict.figures:
        return ENVIRONMENT
    return EXIT_CODE_OF[verdict.status]


def _farms(run_dir: Path, progress: RunProgress) -> Sequence[FarmPart]:
    """Return the farms of the run's scenario; none if it cannot be read."""
    try:
        fleet = load_scenario(run_dir / SCENARIO_FILE).fleet
    except ScenarioError as error:
        progress.log(f"could not check for missing node files: {error}")
        return ()
    return [FarmPart.whole(farm) for farm in fleet.farms]


def _lines(verdict: Verdict) -> Iterator[str]:
    """Yield status, errors, findings, figures and digest as plain lines, which can be searched."""
    yield verdict.status.upper()
    for error in verdict.errors:
        yield f"error: {error}"
    for kind, count in verdict.counts.items():
        yield f"found {count:,} x {kind}"
    for finding in _sample(verdict.findings):
        rows = f" {finding.rows:,} rows" if finding.rows else ""
        places = (finding.stage, finding.turbine or finding.farm, finding.key)
        where = " ".join(place for place in places if place)
        yield f"{finding.kind}:{rows} {where} {finding.detail}"
    if (more := sum(verdict.counts.values()) - FINDINGS_SHOWN) > 0:
        yield f"and {more:,} more findings, counted above by kind"
    for name, value in verdict.figures.items():
        yield f"{name:<24}{value:>14,}"
    yield f"lake digest: {verdict.digest or 'not determined'}"


def _sample(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings to print. Kinds take turns, so that a frequent one hides no other."""
    seen: Counter[str] = Counter()
    ranked = []
    for place, finding in enumerate(findings):
        ranked.append((seen[finding.kind], place))
        seen[finding.kind] += 1
    return [
        findings[place] for place in sorted(place for _, place in sorted(ranked)[:FINDINGS_SHOWN])
    ]


def comparison(run_dir: Path, verdict: Verdict) -> Iterator[str]:
    """Yield a line that compares the verdict with result.json, if the run has one."""
    try:
        before = read_result(run_dir)
    except ResultError:
        return
    if before.lake is None or not before.lake.digest:
        return
    differing = [
        name for name, value in verdict.figures.items() if before.figure(name) not in (None, value)
    ]
    if before.lake.digest != verdict.digest:
        differing.append("lake digest")
    if differing:
        yield f"differs from result.json in: {', '.join(differing)}"
    else:
        yield "the same figures as in result.json"
