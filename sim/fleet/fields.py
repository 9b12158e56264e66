"""Typed reading of a YAML mapping, field by field: problems are collected, nothing is raised.

`yamlfile` gives texts with line and column; this module gives them types. `loader` reads fleets and
turbine types with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from sim.yamlfile import Mapping, Node, Place, Problem, Scalar, Sequence, parse, suggestion

EXAMPLES: Final = {
    "id": "N",
    "region": "eu-west-1",
    "time_zone": "Europe/Dublin",
    "latitude": "53.1",
    "longitude": "-8.6",
    "turbine_type": "iea-3.4mw-130",
    "turbines": "12",
}
"""Keys of a farm -> a value, for messages. `windfleet new --kind fleet` has all of them."""


class Fields:
    """One mapping that is being read.

    Getters add a problem to `problems` and return None or the default. `close` reports unknown
    keys.
    """

    def __init__(self, node: Mapping, subject: str, problems: list[Problem]) -> None:
        self.node, self.subject, self.problems = node, subject, problems
        self._asked: list[str] = []

    def add_problem(self, message: str, at: Place | None = None) -> None:
        self.problems.append(Problem.at(at or self.node.place, message))

    def place(self, key: str) -> Place:
        """Return the place of the value of `key`; the mapping's own place if there is none."""
        value = self.node.entries.get(key)
        return value.place if value is not None else self.node.keys.get(key, self.node.place)

    def has(self, key: str) -> bool:
        self._asked.append(key)
        return key in self.node.keys

    def get(self, key: str, required: bool = True) -> Node | None:
        self._asked.append(key)
        value = self.node.entries.get(key)
        missing = value is None or (isinstance(value, Scalar) and value.empty)
        if missing and (required or key in self.node.keys):
            example = (
                f"for example '{key}: {EXAMPLES[key]}'" if key in EXAMPLES else f"'{key}: ...'"
            )
            self.add_problem(f"{self.subject} has no {key}; add {example}", self.place(key))
        return None if missing else value

    def text(self, key: str, required: bool = True) -> str | None:
        value = self.get(key, required)
        if value is None:
            return None
        if not isinstance(value, Scalar) or not value.text.strip():
            self.add_problem(f"{key} must be a plain text", value.place)
            return None
        return value.text.strip()

    def number(
        self, key: str, low: float, high: float, default: float | None = None
    ) -> float | None:
        """Return a finite number in [low, high]; required unless there is a default."""
        value = self.get(key, required=default is None)
        if value is None:
            return default
        return number(value, key, low, high, self.problems)

    def whole(self, key: str, low: int, high: int, required: bool = True) -> int | None:
        value = self.get(key, required)
        if value is None:
            return None
        if not isinstance(value, Scalar) or not value.text.strip().lstrip("+-").isascii():
            self.add_problem(f"{key} must be a whole number", value.place)
            return None
        try:
            parsed = int(value.text.replace(",", "_"))
        except ValueError:
            self.add_problem(f"{key} must be a whole number, not '{value.text}'", value.place)
            return None
        if not low <= parsed <= high:
            self.add_problem(f"{key} is {parsed}; it must be {low} to {high}", value.place)
            return None
        return parsed

    def choice(self, key: str, allowed: Iterable[str], default: str) -> str:
        value = self.text(key, required=False)
        names = list(allowed)
        if value is not None and value not in names:
            self.add_problem(f"unknown {key} '{value}'{suggestion(value, names)}", self.place(key))
        return value if value in names else default

    def mapping(self, key: str, subject: str) -> Fields | None:
        value = self.get(key, required=False)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self.add_problem(f"{key} must be a mapping ('name: value' lines)", value.place)
            return None
        return Fields(value, subject, self.problems)

    def items(self, key: str, required: bool = True) -> list[Node]:
        value = self.get(key, required)
        if value is None:
            return []
        if not isinstance(value, Sequence):
            self.add_problem(f"{key} must be a list ('- ...' lines)", value.place)
            return []
        return value.items

    def close(self) -> None:
        """Add a problem for every key that no getter asked for."""
        for key, place in self.node.keys.items():
            if key not in self._asked:
                self.add_problem(
                    f"unknown key '{key}' in {self.subject}{suggestion(key, self._asked)}", place
                )


def number(node: Node, name: str, low: float, high: float, problems: list[Problem]) -> float | None:
    """Return a scalar as a finite number in [low, high], or add a problem and return None."""
    try:
        parsed = float(node.text) if isinstance(node, Scalar) else math.nan
    except ValueError:
        parsed = math.nan
    if not math.isfinite(parsed):
        got = f", not '{node.text}'" if isinstance(node, Scalar) else ""
        problems.append(Problem.at(node.place, f"{name} must be a number{got}"))
        return None
    if not low <= parsed <= high:
        problems.append(
            Problem.at(node.place, f"{name} is {parsed:g}; it must be {low:g} to {high:g}")
        )
        return None
    return parsed


def read(
    path: Path, subject: str, problems: list[Problem], named: Place | None = None
) -> Fields | None:
    """Return the mapping at the top of a YAML file, or add to `problems` and return None.

    named: the place where another file names this one. An unreadable file is reported there.
    """
    tree, found = parse(path)
    problems.extend(
        found
        if named is None
        else [p if p.line else Problem.at(named, f"{subject}: {p}") for p in found]
    )
    if isinstance(tree, Mapping):
        return Fields(tree, subject, problems)
    if not found:
        place = tree.place if tree is not None else Place(str(path))
        problems.append(Problem.at(place, f"{subject} must be a mapping ('name: value' lines)"))
    return None
