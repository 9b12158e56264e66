"""Wakes against measurements at wind farms and physical limits. Sources stand at each test."""

import dataclasses
import math

import numpy as np
import pytest

from sim.fleet import load_fleet
from sim.fleet.part import FarmPart
from sim.fleet.types import FOLDER, read_type
from sim.model.wind.wake import STEP_DEG, Wakes

FARMS = {farm.farm_id: farm for farm in load_fleet().farms}
V80 = read_type(FOLDER / "vestas-v80-2mw.yaml", [])


def flat(farm_id, positions, kind=V80):
    """Return a farm without terrain and with turbines at these positions (metres)."""
    farm = FARMS[farm_id]
    climate = dataclasses.replace(farm.climate, terrain=0.0)
    return dataclasses.replace(
        farm.at(np.array(positions, dtype=float)), turbine_type=kind, climate=climate
    )


def row(spacing, count=10, **kind):
    """Turbines in a row from west to east, `spacing` rotor diameters apart."""
    return flat("F", [[i * spacing * V80.rotor_diameter, 0.0] for i in range(count)], **kind)


def power(kind, speed):
    return np.interp(speed, *np.array(kind.power_curve).T, left=0.0)


def at(wakes, direction, speed):
    """Return (factor, added) of each turbine for one wind."""
    factor, added = wakes.at(np.array([float(direction)]), np.array([float(speed)]))
    return factor[0], added[0]


def loss(farm):
    """Share of a year's energy lost to wakes, with wind evenly from all directions."""
    wakes = Wakes(FarmPart.whole(farm), 7)
    k = farm.climate.weibull_k
    scale = farm.climate.mean_wind / math.gamma(1 + 1 / k)
    bearing = np.arange(0.0, 360.0, STEP_DEG)
    site = np.stack([wakes.site(math.radians(each)) for each in bearing])
    with_wakes = without = 0.0
    for speed in np.arange(3.5, 25.0):
        often = math.exp(-(((speed - 0.5) / scale) ** k)) - math.exp(
            -(((speed + 0.5) / scale) ** k)
        )
        factor, _ = wakes.at(bearing, np.full(len(bearing), speed))
        with_wakes += often * power(farm.turbine_type, speed * factor).mean()
        without += often * power(farm.turbine_type, speed * site).mean()
    return 1.0 - with_wakes / without


def test_horns_rev_rows():
    """Horns Rev 1, 7 D apart, wind along the rows at 8 and 10 m/s.

    - Second machine: 55 to 70 % of the first.
    - Tenth machine: 50 to 65 %.

    Sources: Barthelmie et al. 2009, Wind Energy 12; Hansen et al. 2012, Wind Energy 15.
    """
    farm = flat("F", [[c * 560.0, -r * 560.0] for r in range(8) for c in range(10)])
    wakes = Wakes(FarmPart.whole(farm), 7)
    for speed in (8, 10):
        factor, added = at(wakes, 270, speed)
        share = power(V80, speed * factor[30:40]) / power(V80, speed * factor[30])
        assert 0.55 < share[1] < 0.70
        assert 0.50 < share[-1] < 0.66
        assert (np.diff(share[1:]) < 0.04).all()
        assert added[30] == 0
        assert 0.08 < added[31] < 0.16  # Crespo and Hernandez 1996: 0.05 to 0.15 at 5 to 10 D


def test_wakes_weaken_with_distance():
    pairs = [at(Wakes(FarmPart.whole(row(spacing, 2)), 7), 270, 8) for spacing in range(3, 20, 2)]
    lost = [1 - power(V80, 8 * factor)[1] / power(V80, 8.0) for factor, _ in pairs]
    assert (np.diff(lost) < 0).all()
    assert 0.3 < lost[1] < 0.55  # 5 D
    assert lost[-1] < 0.15  # 19 D
    assert (np.diff([added[1] for _, added in pairs]) < 0).all()


def test_only_downwind_machines_are_in_the_wake():
    wakes = Wakes(FarmPart.whole(row(7)), 7)
    for direction in (0, 180, 45):
        factor, _ = at(wakes, direction, 8)
        assert factor == pytest.approx(1.0, abs=2e-3)
    west, _ = at(wakes, 270, 8)
    east, _ = at(wakes, 90, 8)
    assert west == pytest.approx(east[::-1], abs=1e-9)
    assert west[0] == 1.0
    width = [at(wakes, 270 + turn, 8)[0][1] for turn in range(0, 21, 2)]
    assert (np.diff(width) > -1e-9).all()  # decreasing
    assert width[0] < 0.9 < 0.99 < width[-1]  # half-widths at 7 D are some 6 to 8 deg


def test_wakes_vanish_in_strong_wind_and_without_upwind_machines():
    wakes = Wakes(FarmPart.whole(row(7)), 7)
    assert (at(wakes, 270, 24)[0][1:] > 0.96).all()
    assert at(wakes, 270, 8)[0][1] < at(wakes, 270, 14)[0][1] < at(wakes, 270, 20)[0][1]
    still = dataclasses.replace(V80, thrust_curve=((4.0, 0.0), (25.0, 0.0)))
    factor, added = at(Wakes(FarmPart.whole(row(7, kind=still)), 7), 270, 8)
    assert (factor == 1.0).all()
    assert (added == 0.0).all()


@pytest.mark.parametrize(
    ("farm_id", "low", "high"),
    [("A", 0.03, 0.12), ("E", 0.03, 0.13), ("B", 0.08, 0.2), ("F", 0.08, 0.2)],
)
def test_wake_losses_of_a_year_are_in_the_reported_range(farm_id, low, high):
    """Wakes cost 5 to 8 % on land, 10 to 20 % for large farms at sea.

    Sources: Barthelmie et al. 2009: 10-20 %; Lee and Fields 2021, Wind Energ. Sci. 6. The model's
    farms on land are large and dense.
    """
    assert low < loss(FARMS[farm_id]) < high


def test_no_farm_extracts_more_than_the_free_wind():
    """Without terrain no machine has more than the free wind, or less than momentum allows."""
    for farm_id in "BG":
        farm = FARMS[farm_id]
        farm = flat(farm_id, farm.positions, farm.turbine_type)
        wakes = Wakes(FarmPart.whole(farm), 7)
        bearing = np.arange(0.0, 360.0, 7.5)
        for speed in (4.0, 8.0, 12.0, 20.0):
            factor, added = wakes.at(bearing, np.full(len(bearing), speed))
            assert (factor <= 1.0 + 1e-12).all()
            assert (factor > 0.3).all()
            assert (added >= 0).all()
            assert (added < 0.35).all()
            assert factor.max(axis=1) == pytest.approx(1.0, abs=1e-9)  # the first row


def test_wider_spacing_loses_less():
    """Scale a whole layout up."""
    farm = flat("G", FARMS["G"].positions[:40], FARMS["G"].turbine_type)
    lost = [loss(farm.at(farm.positions * stretch)) for stretch in (0.7, 1.0, 1.4, 2.0)]
    assert (np.diff(lost) < 0).all()


def test_the_table_is_computed_on_demand_and_interpolated():
    farm = FARMS["D"]
    wakes = Wakes(FarmPart.whole(farm), 7)
    wakes.at(np.array([359.0, 361.0]), np.array([8.0, 9.0]))
    assert wakes.filled.sum() == 3  # 357, 0 and 3 deg
    fine = np.arange(-20.0, 20.0, 0.05)
    factor, added = wakes.at(fine, np.full(len(fine), 9.0))
    assert np.abs(np.diff(factor, axis=0)).max() < 0.02
    assert np.abs(np.diff(added, axis=0)).max() < 0.02
    once, _ = wakes.at(fine + 720.0, np.full(len(fine), 9.0))
    assert np.allclose(once, factor)
    speeds = np.arange(2.0, 30.0, 0.05)
    factor, _ = wakes.at(np.full(len(speeds), 245.0), speeds)
    assert np.abs(np.diff(factor, axis=0)).max() < 0.02


def test_sites_differ_by_terrain_and_by_direction():
    spread = {}
    for farm_id in "AF":
        wakes = Wakes(FarmPart.whole(FARMS[farm_id]), 7)
        site = np.stack([wakes.site(math.radians(each)) for each in range(0, 360, 10)])
        spread[farm_id] = site.std(axis=1).mean()
        assert spread[farm_id] == pytest.approx(FARMS[farm_id].climate.terrain, rel=0.25)
        assert np.abs(np.diff(site, axis=0)).max() < 0.6 * FARMS[farm_id].climate.terrain * 3
    assert spread["A"] > 8 * spread["F"]
    assert np.array_equal(
        Wakes(FarmPart.whole(FARMS["A"]), 7).site(1.0),
        Wakes(FarmPart.whole(FARMS["A"]), 7).site(1.0),
    )
    assert not np.array_equal(
        Wakes(FarmPart.whole(FARMS["A"]), 7).site(1.0),
        Wakes(FarmPart.whole(FARMS["A"]), 8).site(1.0),
    )
