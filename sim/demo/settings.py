"""The scenario of a demo command: its theme's with the arguments applied, or every problem.

- `--days` takes a number of days, or a length of time such as `36h`; `--start` a date for its
  midnight in UTC.
- A step that does not divide the theme's window or flush moves them to the next length that it
  divides, unless the user sets them.
- The story happens at its farms and turbines that take part.
"""

from __future__ import annotations

import argparse
import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sim.demo.arguments import LAYOUT
from sim.demo.themes import Theme
from sim.errors import ScenarioError
from sim.model.events import Event
from sim.scenario import Scenario, load
from sim.scenario.scenario import PipelineSettings
from sim.units import DAY_US, SECOND_US, format_duration, parse_duration
from sim.yamlfile import Problem

_NUMBER: Final = re.compile(r"[0-9]+(\.[0-9]+)?")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def scenario_of(
    theme: Theme, args: argparse.Namespace, problems: Sequence[Problem] = ()
) -> Scenario:
    """Return the theme's scenario with the arguments applied.

    Raises ScenarioError with `problems`, which were found before, and all others.
    """
    usual = load(theme.scenario)
    found = list(problems)
    given = [*overrides(args), *moved(args, usual.pipeline)]
    if not has_own_events(args):
        events, wrong = _story(theme, usual.events, args)
        found += wrong
        given.append((f"theme {theme.name}", f"events={events}"))
    try:
        scenario = load(theme.scenario, [setting for _, setting in given])
    except ScenarioError as error:  # it names `--set` overrides; the user wrote other arguments
        written = {f"--set {number}": argument for number, (argument, _) in enumerate(given, 1)}
        found += [replace(p, file=written.get(p.file, p.file)) for p in error.problems]
        raise ScenarioError(found) from error
    if not has_own_events(args):
        found += _without_place(theme, scenario)
    if found:
        raise ScenarioError(found)
    return scenario


def _without_place(theme: Theme, scenario: Scenario) -> list[Problem]:
    """Return the problem of a set so small that no farm of a story's event has a turbine left."""
    here = {farm.farm_id for farm in scenario.fleet.farms}
    gone = {farm for event in scenario.events for farm in event.farms} - here
    if not any(event.farms and gone.issuperset(event.farms) for event in scenario.events):
        return []
    text = (
        f"no turbine of {', '.join(sorted(gone))} is among so few, where the story of theme "
        f"{theme.name} happens; give more turbines, name farms with --farms, or leave the story "
        "out with --set 'events=[]'"
    )
    return [Problem("--turbines", 0, 0, text)]


def has_own_events(args: argparse.Namespace) -> bool:
    """Return True if the user sets `events`, in place of the theme."""
    return _is_set(args, "events")


def overrides(args: argparse.Namespace) -> list[tuple[str, str]]:
    """(argument as the user wrote it, the same in the syntax of `--set`) of each given argument."""
    settings = {
        "--farms": ("fleet.farms", args.farms, f"[{args.farms}]"),
        "--turbines": ("fleet.turbines", args.turbines, args.turbines),
        "--start": ("clock.start", args.start, _instant(args.start or "")),
        "--days": ("clock.duration", args.days, _length(args.days or "")),
        "--sample-every": ("clock.sample_every", args.sample_every, args.sample_every),
        "--seed": ("seed", args.seed, args.seed),
    }
    named = [
        (f"{name} {given}", f"{path}={value}")
        for name, (path, given, value) in settings.items()
        if given is not None
    ]
    return [*named, *((f"--set {number}", setting) for number, setting in enumerate(args.set, 1))]


def moved(args: argparse.Namespace, usual: PipelineSettings) -> list[tuple[str, str]]:
    """Return window and flush of a theme that `--sample-every` does not divide, as overrides.

    Each is the next longer one that it divides: of a window, one that divides a day too.
    """
    step = _us(args.sample_every or "")
    if not step:
        return []
    lengths = {"window": usual.window_s * SECOND_US, "flush_every": usual.flush_every_s * SECOND_US}
    found = []
    for name, length in lengths.items():
        if length % step == 0 or _is_set(args, f"pipeline.{name}"):
            continue
        longer = range(-(-length // step) * step, DAY_US + 1, step)
        fits = (us for us in longer if name == "flush_every" or DAY_US % us == 0)
        if (us := next(fits, None)) is not None:
            moved_to = f"pipeline.{name}={format_duration(us)}"
            found.append((f"--sample-every {args.sample_every}", moved_to))
    return found


def command(args: argparse.Namespace) -> str:
    """The command that makes the same files again, in any folder: without `--to`.

    The README that has it is the same in every folder, and says so.
    """
    words = ["windfleet", "demo", "--theme", args.theme]
    for name in ("farms", "turbines", "days", "start", "sample_every", "seed"):
        if (value := getattr(args, name)) is not None:
            words += [f"--{name.replace('_', '-')}", value]
    words += ["--layout", args.layout] if args.layout != LAYOUT else []
    words += [f"--set={value}" for value in args.set]
    words += [word for form in dict.fromkeys(args.export) for word in ("--export", form)]
    flags = ("nodes", "inspect", "no_dashboard")
    words += [f"--{name.replace('_', '-')}" for name in flags if getattr(args, name)]
    return shlex.join(words)


def _story(
    theme: Theme, events: Sequence[Event], args: argparse.Namespace
) -> tuple[str, list[Problem]]:
    """The story's events at the participating farms, in the syntax of `--set`, and its problems.

    It has a problem when none is left, or when the run is too short for one; then it is empty.
    """
    without = "leave the story out with --set 'events=[]'"
    problems = []
    begins = max((event.from_s for event in events), default=0.0) / 86_400
    length = None if args.days is None else _us(_length(args.days))
    if length is not None and length <= begins * DAY_US:
        need = math.floor(begins) + 1
        most = f"begins after {begins:.1f} days; give it {need} day{'s' * (need > 1)} or more"
        story = f"the story of theme {theme.name} {most}, or {without}"
        problems.append(Problem(f"--days {args.days}", 0, 0, story))
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
        text = f"{happens}; name one of these farms, or {without}"
        problems.append(Problem(f"--farms {args.farms}", 0, 0, text))
    return ("[]" if problems else f"[{', '.join(kept)}]"), problems


def _is_set(args: argparse.Namespace, path: str) -> bool:
    return any(word.startswith(f"{path}=") for word in args.set)


def _length(text: str) -> str:
    return f"{text}d" if _NUMBER.fullmatch(text) else text


def _instant(text: str) -> str:
    return f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text


def _us(text: str) -> int | None:
    """Return a length of time, None for a text that is none: the scenario reports that."""
    try:
        return parse_duration(text)
    except ValueError:
        return None
