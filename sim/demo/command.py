"""`windfleet demo`: from its arguments to a theme, a scenario and the options of `make`."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from pipeline.endpoint import parse
from sim.demo import estimate, index, snippets, themes
from sim.demo.dataset import Dataset
from sim.demo.finish import Finish
from sim.demo.make import DemoOptions, make
from sim.demo.settings import command, has_own_events, scenario_of
from sim.demo.themes import Theme
from sim.errors import PASS
from sim.run.part_index import PartIndex
from sim.scenario import Scenario
from sim.store import target
from sim.yamlfile import Problem

FOLDER = Path("demo")


def demo(args: argparse.Namespace, workers: int, console: Console) -> int:
    """Make a data set, or list the themes. Raises the errors of `run`."""
    if args.list:
        estimate.print_list(args.layout, workers, console)
    else:
        print_made(run(args, workers, console), args.shard)
    return PASS


def run(args: argparse.Namespace, workers: int, console: Console) -> Dataset:
    """Make the requested data set. Raises the errors of `make.make`, and of `requested`."""
    return make(*requested(args, workers), console)


def requested(args: argparse.Namespace, workers: int) -> tuple[Scenario, Theme, DemoOptions]:
    """Return the requested data set. Raises ScenarioError with every problem."""
    theme = themes.theme(args.theme)
    endpoint_url, problems = _endpoint(args)
    scenario = scenario_of(theme, args, problems)
    part = f"-{args.shard.folder}" if args.shard else ""
    out = Path(args.to) if args.to and endpoint_url is None else FOLDER / f"{theme.name}{part}"
    upload = (
        target.Options(endpoint_url, None, False, args.empty_lake, args.allow_remote)
        if endpoint_url
        else None
    )
    options = DemoOptions(
        out,
        workers,
        args.overwrite,
        args.layout,
        upload,
        command(args),
        Finish(args.nodes, args.inspect, not args.no_dashboard, tuple(dict.fromkeys(args.export))),
        args.shard,
    )
    if has_own_events(args):
        theme = themes.without_story(theme, bool(scenario.events))
    return scenario, theme, options


def print_made(made: Dataset, shard: PartIndex | None = None, is_quiet: bool = False) -> None:
    """Print size, verdict and place of a data set, or of a part of it. is_quiet: the first line."""
    of = made.fleet if shard is None else f"part {shard}"
    judged = f"judged row by row: {made.verdict.status}"
    print(f"{made.rows:,} rows of {of} in {made.seconds:.0f} s; {judged}")
    if is_quiet:
        return
    print(f"the oracle counted {made.counts}")
    if shard is not None:
        print(f"{made.folder}: make one data set of all parts with `windfleet merge`")
        return
    print(f"{made.theme.title}: {made.folder / index.FILE}")
    if made.dashboard:
        print(f"dashboard: {made.folder / made.dashboard}")
    if made.endpoint_url:
        print(f"the six buckets at {made.endpoint_url} were filled: {made.uploaded:,} objects")
        print(f"look at them with\n  {snippets.aws(made.endpoint_url)}")
        over_s3 = snippets.duckdb_over_s3(made.endpoint_url).replace("\n", "\n  ")
        print(f"or in DuckDB, with LocalStack's keys:\n  {over_s3}")


def _endpoint(args: argparse.Namespace) -> tuple[str | None, list[Problem]]:
    """Return the endpoint URL that `--to` names, None for a folder, and its problems."""
    if args.to is None or "://" not in args.to:
        return None, []
    try:
        url = parse(args.to).url
    except ValueError as error:
        return None, [Problem("--to", 0, 0, f"is neither a folder nor an endpoint: {error}")]
    if args.shard or args.cluster:
        fix = "merge the parts in a folder, then copy it: its README has the command"
        return url, [Problem(f"--to {url}", 0, 0, f"a part is made in a folder; {fix}")]
    return url, []
