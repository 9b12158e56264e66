"""Turbine types by name: the published machines in `turbine_types/`, or a YAML file of the user."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from sim.fleet.fields import number, read
from sim.fleet.turbine import TurbineType
from sim.yamlfile import Node, Place, Problem, suggestion
from sim.yamlfile import Sequence as Items

FOLDER = Path(__file__).parent / "turbine_types"


def names() -> list[str]:
    """List the published types, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_type(name: str, base: Path, at: Place, problems: list[Problem]) -> TurbineType | None:
    """Load a type by name or YAML file; add its problems to `problems` and return None.

    A path ends in `.yaml` or `.yml` and is relative to `base`.
    """
    if name.endswith((".yaml", ".yml")):
        return read_type(base / name, problems, at)
    found = name if name in names() else _shown_names().get(_plain(name))
    if found is None:
        problems.append(Problem.at(at, f"unknown turbine type '{name}'{suggestion(name, names())}"))
        return None
    return _published(found)


@functools.cache
def _shown_names() -> dict[str, str]:
    """Return the names that pictures and `assets.csv` show, in plain form, with their types."""
    return {_plain(_published(each).name): each for each in names()}


def _plain(name: str) -> str:
    """Return a name without case, blanks and hyphens: people write them in many ways."""
    return re.sub(r"[\s_-]+", "", name.casefold())


@functools.cache
def _published(name: str) -> TurbineType:
    problems: list[Problem] = []
    kind = read_type(FOLDER / f"{name}.yaml", problems)
    assert kind is not None, "\n".join(map(str, problems))  # shipped data; tests read every type
    return kind


def read_type(
    path: Path, problems: list[Problem], named: Place | None = None
) -> TurbineType | None:
    """Read one file of a turbine type. `named`: the place where a fleet names it."""
    before = len(problems)
    fields = read(path, "turbine type", problems, named)
    if fields is None:
        return None
    name, manufacturer = fields.text("name"), fields.text("manufacturer")
    limits = {
        "rated_power": (0.001, 19.0),  # records: no sensor reads more than 20 MW
        "rotor_diameter": (1.0, 400.0),
        "hub_height": (1.0, 400.0),
        "cut_in": (1.5, 10.0),  # records.WIND_CALM: below 1 m/s nothing produces
        "rated_wind": (2.0, 30.0),
        "cut_out": (5.0, 60.0),
        "rotor_rpm_min": (0.6, 25.0),
        "rated_rpm": (0.7, 25.0),
    }
    figures = {key: fields.number(key, low, high) for key, (low, high) in limits.items()}
    curve = _curve(fields.items("power_curve"), "power_curve", "power MW", 20.0, problems)
    thrust = _curve(
        fields.items("thrust_curve"), "thrust_curve", "thrust coefficient", 1.1, problems
    )
    fields.close()
    if len(problems) > before or name is None or manufacturer is None:
        return None
    figures = {key: value for key, value in figures.items() if value is not None}
    kind = TurbineType(
        name=name,
        manufacturer=manufacturer,
        power_curve=curve,
        thrust_curve=thrust,
        **figures,  # type: ignore[arg-type]
    )
    for wrong in _contradictions(kind):
        fields.add_problem(wrong)
    return kind if len(problems) == before else None


def _curve(
    items: Sequence[Node], key: str, quantity: str, most: float, problems: list[Problem]
) -> tuple[tuple[float, float], ...]:
    points: list[tuple[float, float]] = []
    for item in items:
        if not isinstance(item, Items) or len(item.items) != 2:
            problems.append(
                Problem.at(item.place, f"a point of {key} must be [wind speed m/s, {quantity}]")
            )
            continue
        wind = number(item.items[0], "wind speed", 0.0, 60.0, problems)
        value = number(item.items[1], quantity, 0.0, most, problems)
        if wind is None or value is None:
            continue
        if points and wind <= points[-1][0]:
            problems.append(Problem.at(item.place, f"wind speeds of {key} must ascend"))
        points.append((wind, value))
    return tuple(points)


def _contradictions(kind: TurbineType) -> list[str]:
    """List the contradictions between fields."""
    found = []
    if not kind.cut_in < kind.rated_wind < kind.cut_out:
        found.append("cut_in, rated_wind and cut_out must ascend")
    if kind.rotor_rpm_min >= kind.rated_rpm:
        found.append("rotor_rpm_min must be below rated_rpm")
    if len(kind.power_curve) < 2:
        found.append("power_curve needs at least two points")
    elif max(p for _, p in kind.power_curve) > kind.rated_power * 1.01:
        found.append("power_curve exceeds rated_power")
    elif any(
        kind.power_curve[0][0] > v or kind.power_curve[-1][0] < v
        for v in (kind.rated_wind, kind.cut_out)
    ):
        found.append("power_curve must reach from cut_in to cut_out")
    elif any(low[1] > high[1] for low, high in pairwise(kind.power_curve)):
        found.append("power_curve must not fall")
    if len(kind.thrust_curve) < 2:
        found.append("thrust_curve needs at least two points")
    elif kind.thrust_curve[0][0] > kind.cut_in or kind.thrust_curve[-1][0] < kind.cut_out:
        found.append("thrust_curve must reach from cut_in to cut_out")
    return found
