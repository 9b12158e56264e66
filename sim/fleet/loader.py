"""Fleets from YAML: a preset by name, or a file. All problems at once, as `file:line:col: message`.

    name: my-fleet
    extends: as-drawn        # optional: take the farms of a preset or another file
    scale_to: 1500           # optional: turbines are then weights, shared out by largest remainder
    farms:
      - {id: A, name: ..., region: ..., time_zone: Europe/Dublin, latitude: 53.1,
         longitude: -8.6, turbine_type: iea-3.4mw-130, turbines: 150,
         layout: {pattern: grid, across: 5, along: 7},
         climate: {base: coast, mean_wind: 8.2}}       # a name or a mapping; default by latitude

A layout may list every turbine instead, as metres east and north of the farm's coordinates, turbine
001 first: `layout: {positions: [[0, 0], [650, 0], ...]}`. Then `turbines` may be left out.
Climates: see `climate`. Turbine types: see `types`. Farms listed beside `extends` are added to
those of the parent. Farm ids are 1 to 8 letters or digits.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sim.errors import FleetError
from sim.fleet.climate import Climate, load_climate
from sim.fleet.farm import Farm, Fleet
from sim.fleet.fields import Fields, read
from sim.fleet.layout import Layout, load_layout
from sim.fleet.turbine import TurbineType
from sim.fleet.types import load_type
from sim.yamlfile import Mapping, Node, Place, Problem, suggestion

PRESETS = Path(__file__).parent / "presets"
DEFAULT = "full"
MAX_TURBINES = 100_000


@dataclass(frozen=True)
class _Site:
    """A farm as written: everything but the final number of turbines."""

    farm_id: str
    name: str
    region: str
    time_zone: str
    latitude: float
    longitude: float
    turbine_type: TurbineType
    turbines: int
    layout: Layout
    climate: Climate


def presets() -> list[str]:
    """List the fleets that come with windfleet, sorted."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def load_fleet(name_or_path: str = DEFAULT, base: Path | None = None) -> Fleet:
    """Load a preset by name, or a YAML file (relative to `base`).

    Raises FleetError with every problem found.
    """
    problems: list[Problem] = []
    path = _find(name_or_path, base or Path(), Place(name_or_path), problems)
    fleet = _fleet(path, (), {}, problems) if path is not None else None
    if fleet is None or problems:
        raise FleetError(problems)
    name, sites, scale_to = fleet
    counts = [site.turbines for site in sites]
    if scale_to is not None:
        counts = largest_remainder(counts, scale_to)
    return Fleet(name, tuple(_farm(site, count) for site, count in zip(sites, counts, strict=True)))


def largest_remainder(weights: Sequence[int], total: int) -> list[int]:
    """Return whole shares of `total` in proportion to `weights`.

    Leftovers go to the largest remainders, on ties to the first.
    """
    whole, rest = zip(*(divmod(weight * total, sum(weights)) for weight in weights), strict=True)
    order = sorted(range(len(rest)), key=lambda i: -rest[i])
    lucky = set(order[: total - sum(whole)])
    return [count + (i in lucky) for i, count in enumerate(whole)]


def _find(name: str, base: Path, at: Place, problems: list[Problem]) -> Path | None:
    if name in presets():
        return PRESETS / f"{name}.yaml"
    if name.endswith((".yaml", ".yml")) or "/" in name:
        return base / name
    problems.append(
        Problem.at(
            at, f"unknown fleet '{name}'{suggestion(name, presets())} (a file's name ends in .yaml)"
        )
    )
    return None


def _fleet(
    path: Path,
    above: tuple[Path, ...],
    first: dict[str, Place],
    problems: list[Problem],
    named: Place | None = None,
) -> tuple[str, list[_Site], int | None] | None:
    """Return (name, sites, scale_to) of one file and its parents, None if there is nothing to read.

    first: farm id -> the place of its first use; it grows with every file. named: the place where
    another fleet extends this one.
    """
    fields = read(path, "fleet", problems, named)
    if fields is None:
        return None
    before = len(problems)
    name = fields.text("name") or path.stem
    sites: list[_Site] = []
    scale_to = None
    extends = fields.text("extends", required=False)
    if extends is not None:
        at = fields.place("extends")
        parent = _find(extends, path.parent, at, problems)
        if parent is not None and parent.resolve() in {p.resolve() for p in (*above, path)}:
            fields.add_problem(f"extends '{extends}' leads back to this file", at)
        elif (
            parent is not None
            and (found := _fleet(parent, (*above, path), first, problems, at)) is not None
        ):
            _, sites, scale_to = found
    if fields.has("scale_to"):
        scale_to = fields.whole("scale_to", 1, MAX_TURBINES)
    for item in fields.items("farms", required=extends is None):
        site = _site(item, path.parent, first, problems)
        if site is not None:
            sites.append(site)
    fields.close()
    if len(problems) == before:
        _check_size(fields, sites, scale_to)
    return name, sites, scale_to


def _check_size(fields: Fields, sites: list[_Site], scale_to: int | None) -> None:
    total = sum(site.turbines for site in sites)
    if not sites:
        fields.add_problem("fleet has no farms; add one under 'farms:'", fields.place("farms"))
    elif total > MAX_TURBINES and scale_to is None:
        fields.add_problem(f"fleet has {total:,} turbines; at most {MAX_TURBINES:,} are supported")
    elif scale_to not in (None, total) and (
        fixed := [site.farm_id for site in sites if site.layout.places]
    ):
        fields.add_problem(
            f"scale_to {scale_to} would change the number of turbines, "
            f"but farm {fixed[0]} lists their positions",
            fields.place("scale_to"),
        )
    elif scale_to is not None and 0 in (
        counts := largest_remainder([s.turbines for s in sites], scale_to)
    ):
        empty = sites[counts.index(0)].farm_id
        fields.add_problem(
            f"scale_to {scale_to} leaves farm {empty} without turbines", fields.place("scale_to")
        )


def _site(node: Node, base: Path, first: dict[str, Place], problems: list[Problem]) -> _Site | None:
    if not isinstance(node, Mapping):
        problems.append(Problem.at(node.place, "a farm must be a mapping ('name: value' lines)"))
        return None
    before = len(problems)
    fields = Fields(node, "farm", problems)
    farm_id = fields.text("id")
    if farm_id is not None:
        fields.subject = f"farm {farm_id}"
        if not re.fullmatch(r"[A-Za-z0-9]{1,8}", farm_id):
            fields.add_problem(
                f"farm id '{farm_id}' must be 1 to 8 letters or digits", fields.place("id")
            )
        if farm_id in first:
            fields.add_problem(
                f"duplicate farm id '{farm_id}'; it is already used at {first[farm_id]}", node.place
            )
        first.setdefault(farm_id, node.place)
    name, region = fields.text("name", required=False) or f"Farm {farm_id}", fields.text("region")
    time_zone = fields.text("time_zone")
    if time_zone is not None and not _has_zone(time_zone):
        known = sorted(zone for zone in zoneinfo.available_timezones() if "/" in zone)
        hint = suggestion(time_zone, known) if "known" not in suggestion(time_zone, known) else ""
        fields.add_problem(
            f"unknown time zone '{time_zone}'{hint or '; use an IANA name'}",
            fields.place("time_zone"),
        )
    latitude, longitude = (
        fields.number("latitude", -70.0, 70.0),
        fields.number("longitude", -180.0, 180.0),
    )
    type_name = fields.text("turbine_type")
    kind = None
    if type_name is not None:
        kind = load_type(type_name, base, fields.place("turbine_type"), problems)
    placing = fields.mapping("layout", "layout")
    layout = load_layout(placing, farm_id or "", kind.rotor_diameter if kind is not None else None)
    listed = placing is not None and placing.has("positions")
    turbines = fields.whole("turbines", 1, MAX_TURBINES, required=not listed)
    if layout.places and turbines is None:
        turbines = len(layout.places)
    elif layout.places and turbines != len(layout.places):
        fields.add_problem(
            f"turbines is {turbines}, but layout lists {len(layout.places)} positions; "
            "remove turbines",
            fields.place("turbines"),
        )
    climate = load_climate(fields.get("climate", required=False), latitude or 0.0, problems)
    fields.close()
    if len(problems) > before:
        return None
    assert farm_id is not None
    assert region is not None
    assert time_zone is not None
    assert kind is not None
    assert turbines is not None
    assert latitude is not None
    assert longitude is not None
    assert climate is not None
    return _Site(
        farm_id, name, region, time_zone, latitude, longitude, kind, turbines, layout, climate
    )


def _has_zone(name: str) -> bool:
    """Return True for a name of `zoneinfo.available_timezones`, which opens 600 files."""
    try:
        zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return name.split("/")[0] not in ("posix", "right", "posixrules")


def _farm(site: _Site, turbines: int) -> Farm:
    return Farm(
        site.farm_id,
        site.name,
        site.region,
        site.time_zone,
        site.latitude,
        site.longitude,
        site.turbine_type,
        turbines,
        site.layout,
        site.climate,
    )
