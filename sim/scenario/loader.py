"""From a scenario file to a Scenario, or to every error in it at once.

    scenario = load(Path("scenarios/quickstart.yaml"), ["clock.duration=1m"])

1. Read the file and the files it extends (`sources`), and apply overrides.
2. Type each value (`document`).
3. Check the rules between values (`rules`, `events`, `data_faults`, `delivery_faults`,
   `load_section`).
4. Resolve the fleet.

A step that finds errors does not stop the next. Only text that is not YAML stops the loader.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sim import yamlfile
from sim.errors import FleetError, ScenarioError
from sim.fleet import Fleet, load_fleet
from sim.scenario import (
    data_faults,
    delivery_faults,
    events,
    fleet_selection,
    resolved_yaml,
    rules,
    sources,
)
from sim.scenario.document import Document
from sim.scenario.error_messages import empty, fields, model_of, name, place, translate
from sim.scenario.load_section.resolve import resolve
from sim.scenario.load_section.rules import check_load, check_load_size
from sim.scenario.scenario import Clock, PipelineSettings, Scenario, Uplink
from sim.units import COUNT_PATTERN, SECOND_US, instant_us, parse_count
from sim.yamlfile import Mapping, Place, Problem


def load(path: Path, overrides: Sequence[str] = ()) -> Scenario:
    """Load a scenario.

    Raises ScenarioError with every problem of the file, of the files it extends and of the
    overrides.
    """
    tree, problems = sources.read(path)
    if tree is None:
        raise ScenarioError(_sorted(problems, path))
    wrong, removed = sources.override(tree, overrides)
    problems += wrong
    data = yamlfile.plain(tree)
    if isinstance(data.get("fleet"), str):
        data["fleet"] = {"preset": data["fleet"]}
    _fill(Document, data)
    unwritten = list(empty(tree))
    for at in unwritten:
        problems.append(
            Problem.at(place(tree, at), f"{name(at)} has no value; write one or remove it")
        )
    document = None
    try:
        document = Document.model_validate(data)
    except ValidationError as error:
        wrongs = (
            _removed(removed, one) or translate(tree, one)
            for one in error.errors(include_url=False)
            if one["loc"] not in unwritten
        )
        problems += [wrong for wrong in wrongs if wrong is not None]
    found = (
        *rules.check(data),
        *events.check(data),
        *data_faults.check(data),
        *delivery_faults.check(data),
        *check_load(data),
    )
    problems += [Problem.at(place(tree, at, key), message) for at, message, key in found]
    fleet, more = _fleet(tree, data, path)
    problems += more
    if problems or document is None or fleet is None:
        raise ScenarioError(_sorted(problems, path))
    end_us = instant_us(document.clock.end) if document.clock.end else None
    start_us = instant_us(document.clock.start)
    return Scenario(
        name=document.name,
        seed=document.seed,
        fleet=fleet,
        clock=Clock(
            start=document.clock.start,
            duration_us=document.clock.duration or (end_us or 0) - start_us,
            sample_us=document.clock.sample_every,
        ),
        pipeline=PipelineSettings(
            flush_every_s=document.pipeline.flush_every // SECOND_US,
            window_s=document.pipeline.window // SECOND_US,
            allowed_lateness_s=document.pipeline.allowed_lateness // SECOND_US,
        ),
        uplink=Uplink(document.uplink.bandwidth, document.uplink.latency / SECOND_US),
        events=tuple(events.event(choice) for choice in document.events),
        data_faults=tuple(data_faults.fault(choice) for choice in document.data_faults),
        faults=tuple(delivery_faults.fault(choice) for choice in document.faults),
        load=resolve(document.load),
        expect=document.expect,
        text=resolved_yaml.write(data),
    )


def _removed(removed: dict[sources.KeyPath, Place], error: ErrorDetails) -> Problem | None:
    """Return the problem of a missing key that an override removed; None for any other error."""
    at = error["loc"]
    if error["type"] != "missing" or at not in removed:
        return None
    text = f"{name(at)} is required, so it cannot be removed; give it another value instead of null"
    return Problem.at(removed[at], text)


def _fleet(tree: Mapping, data: dict[str, Any], path: Path) -> tuple[Fleet | None, list[Problem]]:
    """Return the part of the fleet that runs, as far as it can be resolved, and its problems."""
    choice = data["fleet"]
    preset = choice.get("preset") if isinstance(choice, dict) else None
    if not isinstance(preset, str) or not preset:
        return None, []
    at = place(tree, ("fleet", "preset"))
    base = path.parent if at.file.startswith("--set") else Path(at.file).parent
    try:
        fleet = load_fleet(preset, base)
    except FleetError as error:
        return None, [p if p.line else Problem.at(at, _of_fleet(p)) for p in error.problems]
    problems = []
    farms, turbines = choice.get("farms"), choice.get("turbines")
    if isinstance(farms, list) and all(isinstance(farm, str) for farm in farms):
        fleet, wrong = fleet_selection.some_farms(fleet, tuple(farms))
        problems += [
            Problem.at(place(tree, ("fleet", "farms", i)), message) for i, message in wrong
        ]
    resolved = not problems
    if resolved:
        farm_ids = [farm.farm_id for farm in fleet.farms]
        found: rules.Found = chain(
            rules.check_farms(data, farm_ids), data_faults.check_calendar(data, fleet.farms)
        )
        problems += [Problem.at(place(tree, one.path), one.message) for one in found]
    if isinstance(turbines, str) and re.match(COUNT_PATTERN, turbines) and fleet.farms:
        try:
            cut = fleet_selection.fewer_turbines
            fleet = cut(fleet, parse_count(turbines), block=choice.get("choose") == "block")
        except ValueError as error:
            problems.append(
                Problem.at(place(tree, ("fleet", "turbines")), f"fleet.turbines: {error}")
            )
    sizes = (*rules.check_size(data, fleet.turbines), *check_load_size(data, fleet.turbines))
    named = events.check_turbines(data, fleet.farms) if resolved else ()
    problems += [Problem.at(place(tree, one.path), one.message) for one in (*sizes, *named)]
    if preset.endswith((".yaml", ".yml")) or "/" in preset:
        # absolute, because the resolved text is kept in another folder
        choice["preset"] = str((base / preset).resolve())
    return fleet, problems


def _of_fleet(problem: Problem) -> str:
    """Return the text of a fleet's problem that has no line, for the place of `fleet`."""
    return problem.message if problem.message.startswith("unknown fleet") else f"fleet: {problem}"


def _fill(model: type[BaseModel], data: dict[str, Any]) -> None:
    """Write the defaults of a model into the data, as a user would write them."""
    for key, field in fields(model).items():
        inner = model_of(field)
        if inner is not None and not field.is_required() and not get_args(field.annotation):
            data.setdefault(key, {})
        elif isinstance(field.default, str):
            data.setdefault(key, field.default)
        elif field.default == ():
            data.setdefault(key, [])
        if inner is not None and isinstance(data.get(key), dict):
            _fill(inner, data[key])


def _sorted(problems: list[Problem], path: Path) -> list[Problem]:
    """Sort problems, and remove repeated ones.

    Order: the scenario's own file, other files, overrides by number; within a file by line.
    """

    def key(problem: Problem) -> tuple[object, ...]:
        override = problem.file.startswith("--set")
        return override, problem.file != str(path), len(problem.file) if override else 0, problem

    return sorted(set(problems), key=key)
