"""The asset register: the operator's record of each turbine, with people and exact position.

Faker makes the people. A record is a function of (seed, turbine) only, whatever other turbines or
farms exist. People belong to farms: each farm has one operator contact and a team of technicians;
each turbine has one of the team. Nobody is real.
"""

from __future__ import annotations

import datetime as dt
from functools import cache

from faker import Faker

from pipeline.config import Asset
from sim import seeds
from sim.fleet.farm import Farm
from sim.fleet.part import FarmPart

TECHNICIANS = 10
OLDEST, NEWEST = dt.date(2012, 1, 1), dt.date(2023, 10, 31)
LOCALES = {"us": "en_US", "eu": "en_IE", "ap": "id_ID"}
"""First letters of the region -> locale of the people there."""
PROVIDERS = [
    f"faker.providers.{kind}"
    for kind in ("company", "date_time", "internet", "person", "phone_number")
]
"""Kinds of data that the register has. The others cost as much again."""
SERIAL_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"  # without I, O and Q


@cache
def _faker(locale: str) -> Faker:
    """Return one instance per language: creation costs 10 to 50 ms, a new seed microseconds."""
    return Faker(locale, providers=PROVIDERS)


def _person(fake: Faker) -> str:
    """Return a name with mail address and telephone, in the form of a register."""
    name = f"{fake.first_name()} {fake.last_name()}"
    mail = "".join(
        c for c in name.lower().replace(" ", ".") if c.isascii() and (c.isalpha() or c == ".")
    )
    return f"{name} <{mail}@{fake.domain_word()}.example>, {fake.phone_number()}"


def register(which: Farm | FarmPart, seed: int) -> list[Asset]:
    """Return one record per turbine, in the order of `turbine_ids`."""
    part = FarmPart.of(which)
    farm = part.farm
    fake = _faker(LOCALES.get(farm.region[:2], "en_US"))
    fake.seed_instance(seeds.number(seed, "asset", "people", farm.farm_id))
    operator = _person(fake)
    team = [_person(fake) for _ in range(TECHNICIANS)]
    kind = farm.turbine_type
    maker = "".join(word[0] for word in kind.manufacturer.split()).upper()
    assets = []
    for index, turbine_id in zip(part.indices, part.turbine_ids, strict=True):
        fake.seed_instance(seeds.number(seed, "asset", turbine_id))
        latitude, longitude = farm.coordinates(index)
        assets.append(
            Asset(
                turbine_type=kind.name,
                rated_power=kind.rated_power,
                rated_rpm=kind.rated_rpm,
                hub_height=kind.hub_height,
                power_curve=kind.power_curve,
                serial_number=f"{maker}-{fake.bothify('??##-######', letters=SERIAL_LETTERS)}",
                installation_date=fake.date_between(OLDEST, NEWEST).isoformat(),
                operator_contact=operator,
                technician=fake.random_element(team),
                latitude=latitude,
                longitude=longitude,
            )
        )
    return assets
