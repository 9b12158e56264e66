"""`windfleet demo`: from its arguments to a theme, a scenario and the options of `make`."""

from __future__ import annotations

import argparse
import math
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from pipeline.endpoint import parse
from sim.demo import themes
from sim.demo.dataset import Dataset
from sim.demo.finish import Finish
from sim.demo.make import DemoOptions, make
from sim.demo.themes import Theme
from sim.errors import INVALID, DemoError, ScenarioError
from sim.model.events import Event
from sim.run.part_index import PartIndex
from sim.scenario import Scenario, load
from sim.store import target

FOLDER = Path("demo")


def run(args: argparse.Namespace, workers: int, console: Console) -> Dataset:
    """Make the requested data set. Raises the errors of `make.make`, and of `requested`."""
    return make(*requested(args, workers), console)


def requested(args: argparse.Namespace, workers: int) -> tuple[Scenario, Theme, DemoOptions]:
    """Return the requested data set. Raises DemoError, ScenarioError."""
    theme = themes.theme(args.theme)
    endpoint_url = _endpoint(args.to)
    if endpoint_url and (args.shard or args.cluster):
        fix = "merge the parts in a folder, then copy it: its README has the command"
        raise DemoError(f"--to {args.to}: a part is made in a folder; {fix}", INVALID)
    scenario = _loaded(theme, args)
    part = f"-part-{args.shard.index}-of-{args.shard.count}" if args.shard else ""
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
        Finish(args.nodes, args.inspect, not args.no_dashboard),
        args.shard,
    )
    if _own_events(args):
        theme = themes.without_story(theme, bool(scenario.events))
    return scenario, theme, options


def print_made(made: Dataset, shard: PartIndex | None = None) -> None:
    """Print size, verdict and place of a data set, or of a part of it."""
    judged = (
        f"judged row by row: {made.verdict.status}"
        if made.verdict
        else "not judged: the compacted layout is not what the oracle reads"
    )
    of = made.fleet if shard is None else f"part {shard}"
    print(f"{made.rows:,} rows of {of} in {made.seconds:.0f} s; {judged}")
    if shard is not None:
        print(f"{made.folder}: make one data set of all parts with `windfleet merge`")
        return
    print(f"{made.theme.title}: {made.folder / 'README.md'}")
    if made.dashboard:
        print(f"dashboard: {made.folder / made.dashboard}")


def _endpoint(to: str | None) -> str | None:
    """The endpoint URL that `--to` names, None for a folder. Raises DemoError."""
    if to is None or "://" not in to:
        return None
    try:
        return parse(to).url
    except ValueError as error:
        raise DemoError(f"--to is neither a folder nor an endpoint: {error}", INVALID) from error


def _loaded(theme: Theme, args: argparse.Namespace) -> Scenario:
    """The theme's scenario with the arguments applied.

    Raises DemoError when its story does not fit them, and ScenarioError.
    """
    given = overrides(args)
    if not _own_events(args):
        given.append(
            (f"theme {theme.name}", f"events={_events(theme, load(theme.scenario).events, args)}")
        )
    try:
        return load(theme.scenario, [setting for _, setting in given])
    except ScenarioError as error:  # it names `--set` overrides; the user wrote other arguments
        written = {f"--set {number}": argument for number, (argument, _) in enumerate(given, 1)}
        raise ScenarioError(
            [replace(p, file=written.get(p.file, p.file)) for p in error.problems]
        ) from error


def _events(theme: Theme, events: Sequence[Event], args: argparse.Namespace) -> str:
    """The story's events at the participating farms, in the syntax of `--set`.

    Raises DemoError when none is left, or when the run is too short for one.
    """
    without = "leave the story out with --set 'events=[]'"
    begins = max((event.from_s for event in events), default=0.0) / 86_400
    if args.days is not None and args.days.isdecimal() and int(args.days) <= begins:
        most = f"begins after {begins:.1f} days; give it {math.ceil(begins) + 1} days or more"
        raise DemoError(
            f"--days {args.days}: the story of theme {theme.name} {most}, or {without}", INVALID
        )
    farms = args.farms.replace(" ", "").split(",") if args.farms is not None else None
    kept = []
    for event in events:
        here = [farm for farm in event.farms if farms is None or farm in farms]
        turbines = [
            turbine
            for turbine in event.turbines
            if farms is None or turbine.rpartition("-")[0] in farms
        ]
        if (event.farms and not here) or (event.turbines and not turbines):
            continue
        parts = [f"kind: {event.kind}", f"from: {event.from_s:.0f}s", f"for: {event.for_s:.0f}s"]
        parts += [f"size: {event.size}"] if event.size is not None else []
        parts += [f"component: {event.component}"] if event.component else []
        parts += [f"farms: [{', '.join(here)}]"] if here else []
        parts += [f"turbines: [{', '.join(turbines)}]"] if turbines else []
        kept.append(f"{{{', '.join(parts)}}}")
    if events and not kept:
        places = sorted({place for event in events for place in (*event.farms, *event.turbines)})
        happens = f"theme {theme.name} happens at {', '.join(places)}"
        raise DemoError(
            f"--farms {args.farms}: {happens}; name one of these farms, or {without}", INVALID
        )
    return f"[{', '.join(kept)}]"


def _own_events(args: argparse.Namespace) -> bool:
    """Return True if the user sets `events`, in place of the theme."""
    return any(word.startswith("events=") for word in args.set)


def overrides(args: argparse.Namespace) -> list[tuple[str, str]]:
    """(argument as the user wrote it, the same in the syntax of `--set`) of each given argument."""
    settings = {
        "--farms": ("fleet.farms", args.farms, f"[{args.farms}]"),
        "--turbines": ("fleet.turbines", args.turbines, args.turbines),
        "--start": ("clock.start", args.start, args.start),
        "--days": ("clock.duration", args.days, f"{args.days}d"),
        "--sample-every": ("clock.sample_every", args.sample_every, args.sample_every),
        "--seed": ("seed", args.seed, args.seed),
    }
    named = [
        (f"{name} {given}", f"{path}={value}")
        for name, (path, given, value) in settings.items()
        if given is not None
    ]
    return [*named, *((f"--set {number}", setting) for number, setting in enumerate(args.set, 1))]


def command(args: argparse.Namespace) -> str:
    """The command that makes the same bytes again, in any folder."""
    words = ["windfleet", "demo", "--theme", args.theme]
    for name in ("farms", "turbines", "days", "start", "sample_every", "seed", "layout"):
        if (value := getattr(args, name)) is not None:
            words += [f"--{name.replace('_', '-')}", value]
    return shlex.join([*words, *(f"--set={value}" for value in args.set)])
