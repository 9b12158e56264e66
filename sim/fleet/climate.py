"""A site's climate: the long-term figures around which the weather of single years varies.

    climate: coast                              a preset of `climates/`
    climate: {base: coast, mean_wind: 8.2}      a preset with other figures

A farm without a climate gets `monsoon` between the tropics, else `coast`, both with the usual
temperatures of its latitude. Months are the northern hemisphere's (1.0 is 1 January, 7.5 the middle
of July); south of the equator they count from July. Hours are local solar time.

Not covered: climate change, terrain maps, sea ice.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

from sim.fleet.fields import Fields, read
from sim.yamlfile import Mapping, Node, Problem, Scalar, suggestion

FOLDER = Path(__file__).parent / "climates"
TROPIC = 23.5  # deg


@dataclass(frozen=True)
class Climate:
    """Long-term figures of a site; wind is free wind at hub height."""

    name: str
    mean_wind: float  # m/s, of the year
    weibull_k: float  # shape of the year's distribution of wind speed
    iref: float  # turbulence intensity at 15 m/s (IEC 61400-1), mean of the site
    mesoscale: float  # std of changes over minutes to 3 h at 10 m/s, fraction of the wind
    terrain: float  # std of the turbines' speed-up over the farm's mean wind, fraction
    winter_direction: float  # deg, from which the mean flow of the cool season comes
    summer_direction: float  # deg
    steadiness: float  # mean flow, in standard deviations of the passing weather
    channelling: float  # 0..1, damping by terrain of flow across winter_direction
    seasonal_wind: float  # amplitude over the year, fraction of the mean
    windiest_month: float
    diurnal_wind: float  # amplitude over the day, fraction of the mean
    windiest_hour: float
    diurnal_turbulence: float  # effect of convection by day and calm air by night, fraction
    fronts: float  # 0 none .. 1 as in the North Atlantic's storm track
    altitude: float  # m, of the hub
    mean_temperature: float  # degC at hub height
    seasonal_temperature: float  # K, amplitude
    coldest_month: float
    diurnal_temperature: float  # K, amplitude
    airmass_temperature: float  # K, std over passing weather
    humidity: float  # relative, 0..1, mean


LIMITS: Final = {
    "mean_wind": (3.0, 14.0),
    "weibull_k": (1.4, 3.2),
    "iref": (0.04, 0.25),
    "mesoscale": (0.0, 0.15),
    "terrain": (0.0, 0.15),
    "winter_direction": (0.0, 360.0),
    "summer_direction": (0.0, 360.0),
    "steadiness": (0.0, 3.0),
    "channelling": (0.0, 0.9),
    "seasonal_wind": (0.0, 0.5),
    "windiest_month": (1.0, 13.0),
    "diurnal_wind": (0.0, 0.4),
    "windiest_hour": (0.0, 24.0),
    "diurnal_turbulence": (0.0, 0.6),
    "fronts": (0.0, 2.0),
    "altitude": (0.0, 4500.0),
    "mean_temperature": (-20.0, 35.0),
    "seasonal_temperature": (0.0, 25.0),
    "coldest_month": (1.0, 13.0),
    "diurnal_temperature": (0.0, 12.0),
    "airmass_temperature": (0.0, 10.0),
    "humidity": (0.2, 0.95),
}
assert [*LIMITS] == [field.name for field in fields(Climate)][1:]


def names() -> list[str]:
    """List the climates that come with windfleet, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


@functools.cache
def preset(name: str) -> Climate:
    """Return a climate of `climates/`. Raise KeyError for a name that is not there."""
    problems: list[Problem] = []
    found = read(FOLDER / f"{name}.yaml", "climate", problems) if name in names() else None
    if found is None:
        raise KeyError(name)
    figures = {key: found.number(key, *bounds) for key, bounds in LIMITS.items()}
    found.close()
    assert not problems, "\n".join(map(str, problems))  # shipped data; tests read every preset
    return Climate(name, **figures)  # type: ignore[arg-type]


def usual(latitude: float) -> Climate:
    """Return the climate of a farm that names none.

    From equator to pole, temperatures fall and seasons grow.
    """
    away = abs(latitude)
    base = preset("monsoon" if away < TROPIC else "coast")
    return replace(
        base, mean_temperature=29.0 - 0.36 * away, seasonal_temperature=0.5 + 0.12 * away
    )


def load_climate(node: Node | None, latitude: float, problems: list[Problem]) -> Climate | None:
    """Return a farm's climate. If it has problems, add them to `problems` and return None."""
    if node is None:
        return usual(latitude)
    if isinstance(node, Scalar):
        return _named(node, problems)
    if not isinstance(node, Mapping):
        problems.append(
            Problem.at(node.place, "climate must be a name or a mapping ('base: name' and figures)")
        )
        return None
    before = len(problems)
    given = Fields(node, "climate", problems)
    base_node = given.get("base", required=False)
    base = usual(latitude) if base_node is None else _named(base_node, problems)
    figures = {key: given.number(key, *bounds) for key, bounds in LIMITS.items() if given.has(key)}
    given.close()
    if base is None or len(problems) > before:
        return None
    return replace(base, **figures)  # type: ignore[arg-type]


def _named(node: Node, problems: list[Problem]) -> Climate | None:
    name = node.text.strip() if isinstance(node, Scalar) else ""
    if name in names():
        return preset(name)
    problems.append(Problem.at(node.place, f"unknown climate '{name}'{suggestion(name, names())}"))
    return None
