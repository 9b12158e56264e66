"""`windfleet verify DIR`: the verdict on a run again, from its node files and its lake.

The lake is a saved copy, or still in a store. The verdict goes into verify.json, verify.html and
verify-junit.xml of the run directory, or of --report DIR. Nothing else in the run changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from pipeline.settings import settings
from sim import run_directory
from sim.check import LakeReader, Verdict
from sim.errors import ENVIRONMENT, DirectoryError, ScenarioError, TargetError, reason
from sim.fleet.part import FarmPart
from sim.output_file import require_replaceable
from sim.report.progress import RunProgress
from sim.report.verify_terminal import print_verified
from sim.report.write import VERIFY_MARKS, write_verify
from sim.resume_state import way_on
from sim.run_directory import SCENARIO_FILE, is_run
from sim.scenario import Scenario
from sim.scenario import load as load_scenario
from sim.store import localstack, target
from sim.store.s3_lake import s3_lake, settings_of
from sim.verify.judge import judge
from sim.verify.judge import verdict as verdict_on
from sim.verify.lake_layout import layout_of
from sim.verify.verdict_result import Circumstances, verdict_result


@dataclass(frozen=True)
class VerifyOptions:
    """Options of the command line.

    report: directory of the verdict's files; None for the run itself. replay: the command that
    repeats the verdict.
    """

    run: Path
    lake: LakeReader
    workers: int
    report: Path | None = None
    replay: str = ""

    @property
    def folder(self) -> Path:
        """The directory of the verdict's files."""
        return self.report or self.run


def find_lake(
    run_dir: Path, folder: Path | None, endpoint_url: str | None, allow_remote: bool = False
) -> LakeReader:
    """Return the run's lake, the first of these that exists.

    1. `folder` or `endpoint_url`, from the command line
    2. the run's saved copy
    3. the S3 of the environment
    4. the detached LocalStack

    allow_remote: the S3 may be on another machine. Raises TargetError, also if there is none.
    """
    if folder is not None:
        if not folder.is_dir():
            raise TargetError(f"{folder}: no such folder")
        return LakeReader.folder(folder)
    if endpoint_url is None and (run_dir / "lake").is_dir():
        return LakeReader.folder(run_dir / "lake")
    named = target.endpoint_of(target.Options(endpoint_url, allow_remote=allow_remote))
    if named is not None:
        return s3_lake(named)
    if (server := localstack.status()) is not None:
        return s3_lake(settings(server.endpoint_url, own=True))
    raise TargetError(
        f"{run_dir}: holds no lake/, and no LocalStack is up (it loses everything when it stops). "
        "Run the scenario with --save-lake or --keep, or name the lake with --lake DIR or "
        "--endpoint-url URL"
    )


def verify(options: VerifyOptions, console: Console) -> int:
    """Judge the lake, write and print the verdict. Return the exit code.

    Raises DirectoryError if its files cannot be written.
    """
    notes: list[str] = []
    with writable(options.folder, options.report is not None):
        started, begun = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()
        with RunProgress(console) as progress:
            scenario, problem = scenario_of(options.run)
            log = _into(notes, progress)
            if problem:
                log(problem)
            if (way := way_on(options.run)) is not None:
                log(f"the run ended early: what it had not delivered is lost; go on with: {way}")
            judgement = judge(
                options.run,
                options.lake,
                workers=options.workers,
                farms=[FarmPart.whole(farm) for farm in scenario.fleet.farms] if scenario else (),
                store=settings_of(options.lake),
                by_hand=not is_run(options.run),
                compacted=layout_of(options.run),
                progress=progress.follow("judging the lake", "objects"),
                log=log,
            )
        around = Circumstances(
            options.run,
            options.replay,
            started,
            time.perf_counter() - begun,
            options.lake.location,
            options.workers,
            tuple(notes),
        )
        return conclude(verdict_on([judgement]), scenario, around, options.folder, console)


def conclude(
    verdict: Verdict,
    scenario: Scenario | None,
    around: Circumstances,
    folder: Path,
    console: Console,
) -> int:
    """Write a verdict and print it. Return the exit code."""
    found = verdict_result(verdict, scenario, around)
    try:
        write_verify(found, folder)
    except OSError as error:
        raise _unwritable(folder, error) from error
    print_verified(console, found, folder)
    return found.exit_code


def scenario_of(run_dir: Path) -> tuple[Scenario | None, str]:
    """Return a run's scenario and no text; None and a text if it cannot be read."""
    try:
        return load_scenario(run_dir / SCENARIO_FILE), ""
    except ScenarioError as error:
        return None, f"could not check for missing node files: {error}"


@contextmanager
def writable(folder: Path, named: bool) -> Iterator[None]:
    """Lock the directory of a verdict for the block, made if it is not there.

    named: the user named it. Raises DirectoryError before anything is judged.
    """
    with ExitStack() as stack:
        try:
            if named:
                folder.mkdir(parents=True, exist_ok=True)
                for name, mark in VERIFY_MARKS.items():
                    require_replaceable(folder / name, mark, "--report DIR")
            stack.enter_context(run_directory.locked(folder))
        except OSError as error:
            raise _unwritable(folder, error) from error
        yield


def _unwritable(folder: Path, error: OSError) -> DirectoryError:
    fix = "name a directory that can, with --report DIR"
    text = f"{folder}: cannot hold the files of the verdict: {reason(error)}; {fix}"
    return DirectoryError(text, ENVIRONMENT)


def _into(notes: list[str], progress: RunProgress) -> Callable[[str], None]:
    """Return a log that prints a line and keeps it for the report."""

    def log(text: str) -> None:
        notes.append(text)
        progress.log(text)

    return log
