"""`windfleet run --resume DIR`: the settings of an interrupted run, from its directory."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from sim.report.forms import in_form
from sim.run import attempts
from sim.run.command import RunOptions, run
from sim.run.part_index import part_index
from sim.run_directory import SCENARIO_FILE
from sim.scenario import Scenario, load
from sim.store import localstack
from sim.store.target import Options


def resume(args: argparse.Namespace, console: Console) -> int:
    """Go on with an interrupted run. Return its exit code.

    console: not used, since `--json` and its like decide about streams. Raises DirectoryError,
    ResumeError, ScenarioError, and the errors of `command.run`.
    """
    scenario, options = _resumed(args.resume, args.workers, args.allow_remote)
    return in_form(args.form, options.out, lambda console: run(scenario, options, console))


def _resumed(out: Path, workers: int | None, allow_remote: bool) -> tuple[Scenario, RunOptions]:
    """Return scenario and options of the run's next attempt.

    workers: None for as many as before. Raises DirectoryError, ResumeError, ScenarioError.
    """
    before = attempts.read(out)
    up = localstack.status() if before.keep else None
    is_up = up is not None and up.endpoint_url == before.endpoint_url
    named = before.named or is_up
    store = Options(
        before.endpoint_url if named else None,
        keep=before.keep and not is_up,
        allow_remote=allow_remote,
        gateway=before.gateway,
        processes=before.store_processes,
        shared=before.opened or before.shard is not None,
        embedded=not named,
    )
    options = RunOptions(
        out,
        workers or before.workers,
        store,
        save_lake=before.save_lake,
        replay=before.replay,
        shard=None if before.shard is None else part_index(before.shard),
        resume=before,
    )
    return load(out / SCENARIO_FILE), options
