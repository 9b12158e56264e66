"""From a scenario file to a Scenario, or to every error in it at once.

    scenario = load(Path("scenarios/quickstart.yaml"), ["clock.duration=1m"])

The steps: read the file and what it extends (`sources`), apply overrides, type each value (`document`), check rules
between values (`rules`), resolve the fleet. A step that finds errors does not stop the next; only text that is not
YAML does. pydantic's own errors are turned into the user's words and the place in the file here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from sim import yamlfile
from sim.errors import FleetError, ScenarioError
from sim.fleet import Fleet, load_fleet
from sim.scenario import data_faults as datafaults
from sim.scenario import delivery_faults, events, fleets, rules, sources, text
from sim.scenario.document import Document
from sim.scenario.load_section import rules as load_rules
from sim.scenario.load_section.resolve import resolve
from sim.scenario.scenario import Clock, PipelineSettings, Scenario, Uplink
from sim.scenario.wording import empty, fields, model_of, name, place, translate
from sim.units import COUNT_PATTERN, SECOND_US, instant_us, parse_count
from sim.yamlfile import Mapping, Problem


def load(path: Path, overrides: Sequence[str] = ()) -> Scenario:
    """Load a scenario. Raises ScenarioError with every problem of the file, of what it extends and of the overrides."""
    tree, problems = sources.read(path)
    if tree is None:
        raise ScenarioError(_sorted(problems, path))
    problems += sources.override(tree, overrides)
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
            translate(tree, one)
            for one in error.errors(include_url=False)
            if one["loc"] not in unwritten
        )
        problems += [wrong for wrong in wrongs if wrong is not None]
    found = (
        *rules.check(data),
        *events.check(data),
        *datafaults.check(data),
        *delivery_faults.check(data),
        *load_rules.check(data),
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
        data_faults=tuple(datafaults.fault(choice) for choice in document.data_faults),
        faults=tuple(delivery_faults.fault(choice) for choice in document.faults),
        load=resolve(document.load),
        expect=document.expect,
        text=text.write(data),
    )


def _fleet(tree: Mapping, data: dict[str, Any], path: Path) -> tuple[Fleet | None, list[Problem]]:
    """The fleet as far as it can be resolved, the part of it that runs, and what is wrong with the choice."""
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
        fleet, wrong = fleets.some_farms(fleet, tuple(farms))
        problems += [
            Problem.at(place(tree, ("fleet", "farms", i)), message) for i, message in wrong
        ]
    resolved = not problems
    if resolved:
        farm_ids = [farm.farm_id for farm in fleet.farms]
        found: rules.Found = chain(
            rules.check_farms(data, farm_ids), datafaults.check_calendar(data, fleet.farms)
        )
        problems += [Problem.at(place(tree, one.path), one.message) for one in found]
    if isinstance(turbines, str) and re.match(COUNT_PATTERN, turbines) and fleet.farms:
        try:
            fleet = fleets.fewer_turbines(fleet, parse_count(turbines))
        except ValueError as error:
            problems.append(
                Problem.at(place(tree, ("fleet", "turbines")), f"fleet.turbines: {error}")
            )
    sizes = (*rules.check_size(data, fleet.turbines), *load_rules.check_fleet(data, fleet.turbines))
    named = events.check_turbines(data, fleet.farms) if resolved else ()
    problems += [Problem.at(place(tree, one.path), one.message) for one in (*sizes, *named)]
    if preset.endswith((".yaml", ".yml")) or "/" in preset:
        choice["preset"] = str(
            (base / preset).resolve()
        )  # the resolved text is kept in another folder
    return fleet, problems


def _of_fleet(problem: Problem) -> str:
    """A problem that stands nowhere in a fleet's file, told where the scenario names the fleet."""
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
    """The scenario's own problems first, then other files', then overrides' in their order; by line; each once."""

    def key(problem: Problem) -> tuple[object, ...]:
        override = problem.file.startswith("--set")
        return override, problem.file != str(path), len(problem.file) if override else 0, problem

    return sorted(set(problems), key=key)
