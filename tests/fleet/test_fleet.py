"""The fleet as data: layouts, types, asset register, node configurations, errors with position."""

import dataclasses
import uuid
import zoneinfo
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import NodeConfig
from sim import yamlfile
from sim.errors import FleetError
from sim.fleet import Farm, assets, climate, load_fleet, types
from sim.fleet.layout import CLEARANCE, Layout
from sim.fleet.loader import largest_remainder, presets
from sim.fleet.nodes import node_configs
from sim.fleet.positions import positions
from tests.support.paths import ROOT


def counts(name):
    return {farm.farm_id: farm.turbines for farm in load_fleet(name).farms}


def test_as_drawn_equals_the_document():
    drawn = {"A": 150, "B": 175, "C": 200, "D": 125, "E": 225, "F": 300, "G": 100, "H": 150}
    assert counts("as-drawn") == drawn
    assert load_fleet("as-drawn").turbines == 1425
    regions = ["us-east-1"] * 2 + ["us-west-2"] * 2 + ["eu-west-1"] * 2 + ["ap-southeast-1"] * 2
    assert [farm.region for farm in load_fleet("as-drawn").farms] == regions


def test_full_has_1500_turbines_by_largest_remainder():
    assert counts("full") == {
        "A": 158,
        "B": 184,
        "C": 210,
        "D": 132,
        "E": 237,
        "F": 316,
        "G": 105,
        "H": 158,
    }
    assert load_fleet().turbines == 1500


@pytest.mark.parametrize("total", [1, 7, 8, 1424, 1425, 1426, 99_999])
def test_largest_remainder_keeps_the_total_and_stays_within_one(total):
    weights = [150, 175, 200, 125, 225, 300, 100, 150]
    shares = largest_remainder(weights, total)
    assert sum(shares) == total
    exact = np.array(weights) * total / sum(weights)
    assert (np.abs(np.array(shares) - exact) < 1).all()


@pytest.mark.parametrize("preset", presets())
def test_turbines_keep_their_distance_and_are_named_in_order(preset):
    for farm in load_fleet(preset).farms:
        zoneinfo.ZoneInfo(farm.time_zone)
        east, north = farm.positions.T
        apart = np.hypot(east[:, None] - east, north[:, None] - north)
        apart[np.diag_indices_from(apart)] = np.inf
        assert apart.min() >= CLEARANCE * farm.turbine_type.rotor_diameter
        assert farm.turbine_ids[0] == f"{farm.farm_id}-001"
        assert farm.turbine_ids[-1] == f"{farm.farm_id}-{farm.turbines:03d}"


@pytest.mark.parametrize("pattern", ["grid", "staggered"])
def test_closest_bounds_the_distance_under_jitter(pattern):
    layout = Layout(pattern, across=4.0, along=3.0, jitter=0.4)
    east, north = positions(layout, 400, 100.0, "X").T
    apart = np.hypot(east[:, None] - east, north[:, None] - north)
    apart[np.diag_indices_from(apart)] = np.inf
    assert layout.closest * 100 <= apart.min() < 1.6 * layout.closest * 100
    assert np.array_equal(positions(layout, 400, 100.0, "X"), positions(layout, 400, 100.0, "X"))


@pytest.mark.parametrize("name", types.names())
def test_published_types_are_plausible(name):
    kind = types.read_type(types.FOLDER / f"{name}.yaml", [])
    assert kind is not None
    wind, power = np.array(kind.power_curve).T
    assert (wind[0], wind[-1]) == (kind.cut_in, kind.cut_out)
    assert power[-1] == pytest.approx(kind.rated_power, rel=1e-3)
    swept = np.pi / 4 * kind.rotor_diameter**2
    coefficient = power * 1e6 / (0.5 * 1.225 * swept * wind**3)
    assert 0.4 < coefficient.max() < 16 / 27  # Betz
    tip_speed = np.pi * kind.rotor_diameter * kind.rated_rpm / 60
    assert 70 < tip_speed < 96
    at, thrust = np.array(kind.thrust_curve).T
    assert at[0] <= kind.cut_in
    assert at[-1] >= kind.cut_out
    assert ((thrust > 0) & (thrust < 1)).all()
    produced = np.interp(at, wind, power) * 1e6 / (0.5 * 1.225 * swept * at**3)
    assert (produced < thrust + 0.02).all()  # power is thrust times the slowed wind
    assert (np.diff(thrust[at > 1.05 * kind.rated_wind]) < 0).all()


def test_exact_positions_are_farm_plus_offset():
    farm = load_fleet().farms[0]
    latitude, longitude = farm.coordinates(5)
    east, north = farm.positions[5]
    assert (latitude - farm.latitude) * 111_320 == pytest.approx(north, abs=0.2)
    assert (longitude - farm.longitude) * 111_320 * np.cos(
        np.radians(farm.latitude)
    ) == pytest.approx(east, abs=0.2)


def test_an_asset_record_depends_on_seed_and_turbine_only():
    farm = load_fleet().farms[2]
    whole = assets.register(farm, 7)
    alone = farm.first(3)
    assets.register(load_fleet().farms[6], 7)  # another farm in between, another language
    assert assets.register(alone, 7) == whole[:3]
    assert assets.register(farm, 8)[0].serial_number != whole[0].serial_number


def test_the_register_is_plausible():
    farm = load_fleet().farms[5]
    register = assets.register(farm, 7)
    assert len({asset.serial_number for asset in register}) == farm.turbines
    assert len({asset.operator_contact for asset in register}) == 1
    assert 5 <= len({asset.technician for asset in register}) <= assets.TECHNICIANS
    assert all("2012" <= asset.installation_date < "2024" for asset in register)
    assert all(
        ".example" in asset.operator_contact and "@" in asset.technician for asset in register
    )
    assert register[0].power_curve == farm.turbine_type.power_curve


def test_node_configurations_have_bacalhau_ids(tmp_path):
    farms = load_fleet().farms[:2]
    configs = [config for farm in farms for config in node_configs(farm, 7, 600, 300, 60)]
    for prefix, field in (("j-", "job_id"), ("e-", "execution_id"), ("n-", "node_id")):
        values = [getattr(config, field) for config in configs]
        assert all(value.startswith(prefix) and uuid.UUID(value[2:]) for value in values)
        assert len(set(values)) == (1 if prefix == "j-" else len(configs))
    assert len({config.privacy_key for config in configs}) == 1
    assert {config.labels["os_arch"] for config in configs} == {"amd64", "arm64"}
    assert configs[0].labels["region"] == "us-east-1"
    (tmp_path / "node.json").write_text(configs[0].to_json())
    assert NodeConfig.load(tmp_path / "node.json") == configs[0]
    assert (configs[0].flush_every_s, configs[0].window_s, configs[0].allowed_lateness_s) == (
        600,
        300,
        60,
    )


GOOD = """\
name: mine
farms:
  - {id: X, region: eu-west-1, time_zone: Europe/Dublin, latitude: 53, longitude: -8, \
turbine_type: iea-3.4mw-130,
     turbines: 3}
"""


def write(tmp_path, text):
    path = tmp_path / "fleet.yaml"
    path.write_text(text)
    return path


def problems(tmp_path, text):
    with pytest.raises(FleetError) as caught:
        load_fleet(str(write(tmp_path, text)))
    assert str(caught.value).count("\n") == len(caught.value.problems) - 1
    return [(problem.line, problem.col, problem.message) for problem in caught.value.problems]


def test_a_custom_fleet_is_loaded(tmp_path):
    fleet = load_fleet("fleet.yaml", base=write(tmp_path, GOOD).parent)
    assert (fleet.name, fleet.turbines, fleet.farms[0].turbine_ids) == (
        "mine",
        3,
        ["X-001", "X-002", "X-003"],
    )
    more = tmp_path / "more.yaml"
    more.write_text(
        GOOD.replace("id: X", "id: Y").replace("mine\n", "more\nextends: fleet.yaml\nscale_to: 9\n")
    )
    assert [(farm.farm_id, farm.turbines) for farm in load_fleet(str(more)).farms] == [
        ("X", 5),
        ("Y", 4),
    ]


def test_a_custom_turbine_type_is_loaded(tmp_path):
    own = (types.FOLDER / "nrel-5mw-126.yaml").read_text().replace("NREL 5MW", "Mine")
    (tmp_path / "own.yaml").write_text(own)
    fleet = load_fleet(str(write(tmp_path, GOOD.replace("iea-3.4mw-130", "own.yaml"))))
    assert fleet.farms[0].turbine_type.name == "Mine"
    for old, new, message in (
        (
            "thrust_curve:",
            "trust_curve:",
            "turbine type has no thrust_curve; add 'thrust_curve: ...'",
        ),
        ("[3, 0.99]", "[3, 1.99]", "thrust coefficient is 1.99; it must be 0 to 1.1"),
        ("[3.5, 0.99]", "[3, 0.99]", "wind speeds of thrust_curve must ascend"),
        ("  - [25, 0.0574]\n", "", "thrust_curve must reach from cut_in to cut_out"),
    ):
        (tmp_path / "own.yaml").write_text(own.replace(old, new))
        assert message in [
            m for *_, m in problems(tmp_path, GOOD.replace("iea-3.4mw-130", "own.yaml"))
        ]
    (tmp_path / "own.yaml").write_text(
        own.replace("rated_wind: 11.4", "rated_wind: 2.5").replace("hub_", "hob_")
    )
    assert [m for *_, m in problems(tmp_path, GOOD.replace("iea-3.4mw-130", "own.yaml"))] == [
        "turbine type has no hub_height; add 'hub_height: ...'",
        "unknown key 'hob_height' in turbine type; did you mean 'hub_height'?",
    ]


@pytest.mark.parametrize("shown", ["NREL 5MW", "nrel-5mw", "NREL_5MW", "nrel-5mw-126"])
def test_a_turbine_type_is_known_by_the_name_that_pictures_show(shown: str) -> None:
    problems: list[yamlfile.Problem] = []
    kind = types.load_type(shown, Path(), yamlfile.Place("fleet.yaml"), problems)
    assert kind is not None
    assert (kind.name, problems) == ("NREL 5MW", [])


def test_all_errors_are_reported_with_their_positions(tmp_path):
    text = """\
name: bad
scale: 12
farms:
  - {id: A, region: r, time_zone: Europe/Dublim, latitude: 95, longitude: 5, turbines: 10}
  - {id: B, region: r, time_zone: UTC, latitude: 1, longitude: 5, \
turbine_type: nrel-5mw-12, turbines: 0}
  - {id: C, region: r, time_zone: UTC, latitude: 1, longitude: 5, \
turbine_type: nrel-5mw-126, turbines: ten}
  - {id: D, region: r, time_zone: UTC, latitude: 1, longitude: 5, \
turbine_type: nrel-5mw-126, turbines: 2,
     layout: {across: 2.5, jitter: 0.5, pattern: hex}}
"""
    assert problems(tmp_path, text) == [
        (2, 1, "unknown key 'scale' in fleet; did you mean 'scale_to'?"),
        (4, 5, "farm A has no turbine_type; add for example 'turbine_type: iea-3.4mw-130'"),
        (4, 35, "unknown time zone 'Europe/Dublim'; did you mean 'Europe/Dublin'?"),
        (4, 60, "latitude is 95; it must be -70 to 70"),
        (5, 81, "unknown turbine type 'nrel-5mw-12'; did you mean 'nrel-5mw-126'?"),
        (5, 104, "turbines is 0; it must be 1 to 100000"),
        (6, 105, "turbines must be a whole number, not 'ten'"),
        (
            8,
            14,
            (
                "turbines could stand 1.1 rotor diameters apart; the least is 2: "
                "raise across or along, or lower jitter"
            ),
        ),
        (8, 50, "unknown pattern 'hex'; known: grid, staggered"),
    ]


PLACES = GOOD.replace(
    "     turbines: 3}", "     layout: {positions: [[0, 0], [300, 0], [0, -450.5]]}}"
)


def test_a_layout_may_list_every_turbine(tmp_path):
    farm = load_fleet(str(write(tmp_path, PLACES))).farms[0]
    assert farm.positions.tolist() == [[0, 0], [300, 0], [0, -450.5]]
    assert farm.turbine_ids == ["X-001", "X-002", "X-003"]
    assert farm.coordinates(0) == (53, -8)
    with pytest.raises(ValueError, match="read-only"):
        farm.positions[0, 0] = 1.0
    same = write(tmp_path, PLACES.replace("     layout", "     turbines: 3, layout"))
    assert load_fleet(str(same)).turbines == 3


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        (
            "[300, 0]",
            "[200, 100]",
            (4, 35),
            (
                "turbines X-001 (4:27) and X-002 stand 224 m apart; "
                "the least is 2 rotor diameters, 260 m"
            ),
        ),
        (
            "[0, -450.5]",
            "[0, 0.0]",
            (4, 45),
            (
                "turbines X-001 (4:27) and X-003 stand 0 m apart; "
                "the least is 2 rotor diameters, 260 m"
            ),
        ),
        ("[300, 0]", "[300]", (4, 35), "a position must be [metres east, metres north]"),
        ("[300, 0]", "[300, far]", (4, 41), "metres north must be a number, not 'far'"),
        ("300", "300000", (4, 36), "metres east is 300000; it must be -100000 to 100000"),
        (
            "{positions",
            "{across: 5, positions",
            (4, 23),
            "across has no effect with positions; remove one of them",
        ),
        (
            "     layout",
            "     turbines: 4, layout",
            (4, 16),
            "turbines is 4, but layout lists 3 positions; remove turbines",
        ),
        (
            "[[0, 0], [300, 0], [0, -450.5]]",
            "[]",
            (4, 26),
            "positions lists no turbine; add '- [east, north]' points",
        ),
        (
            "name: mine",
            "name: mine\nscale_to: 9",
            (2, 11),
            "scale_to 9 would change the number of turbines, but farm X lists their positions",
        ),
    ],
)
def test_invalid_layouts_are_reported(tmp_path, old, new, place, message):
    assert problems(tmp_path, PLACES.replace(old, new, 1)) == [(*place, message)]


def test_many_turbines_in_one_place_are_reported_in_bounded_time(tmp_path):
    points = ", ".join(["[5, 5]"] * 3000)
    found = problems(tmp_path, PLACES.replace("[0, 0], [300, 0], [0, -450.5]", points))
    assert 20 <= len(found) <= 3000
    assert all("stand 0 m apart" in message for *_, message in found)


@pytest.mark.parametrize("name", climate.names())
def test_published_climates_are_plausible(name):
    found = climate.preset(name)
    assert found.name == name
    for key, (low, high) in climate.LIMITS.items():
        assert low <= getattr(found, key) <= high


def test_a_farm_has_the_climate_it_names(tmp_path):
    def of(text):
        return (
            load_fleet(str(write(tmp_path, GOOD.replace("turbines: 3", f"turbines: 3{text}"))))
            .farms[0]
            .climate
        )

    assert of(", climate: ridge") == climate.preset("ridge")
    assert of(", climate: {base: ridge, mean_wind: 9, iref: 0.1}") == dataclasses.replace(
        climate.preset("ridge"), mean_wind=9.0, iref=0.1
    )
    assert of("") == climate.usual(53.0)
    assert of(", climate: {mean_wind: 9}") == dataclasses.replace(
        climate.usual(53.0), mean_wind=9.0
    )
    assert climate.usual(-3.0).name == "monsoon"
    assert climate.usual(-50.0).mean_temperature < climate.usual(-30.0).mean_temperature
    assert {farm.farm_id: farm.climate.name for farm in load_fleet().farms} == {
        "A": "ridge",
        "B": "offshore",
        "C": "inland",
        "D": "inland",
        "E": "coast",
        "F": "offshore",
        "G": "monsoon",
        "H": "monsoon",
    }


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("rigde", [(28, "unknown climate 'rigde'; did you mean 'ridge'?")]),
        (
            "{base: tundra}",
            [(35, "unknown climate 'tundra'; known: coast, inland, monsoon, offshore, ridge")],
        ),
        ("{mean_wind: 44}", [(40, "mean_wind is 44; it must be 3 to 14")]),
        (
            "{base: coast, weibul_k: 2, iref: low}",
            [
                (42, "unknown key 'weibul_k' in climate; did you mean 'weibull_k'?"),
                (61, "iref must be a number, not 'low'"),
            ],
        ),
        ("[coast]", [(28, "climate must be a name or a mapping ('base: name' and figures)")]),
    ],
)
def test_invalid_climates_are_reported(tmp_path, value, found):
    text = GOOD.replace("turbines: 3", f"turbines: 3, climate: {value}")
    assert problems(tmp_path, text) == [(4, *each) for each in found]


def test_a_duplicate_farm_id_is_reported_with_the_other_errors(tmp_path):
    farm = "{region: r, time_zone: UTC, latitude: 1, longitude: 5, turbine_type: nrel-5mw-126"
    text = (
        f"name: bad\nfarms:\n  - {farm}, id: A, turbines: ten}}\n  - {farm}, id: A, turbines: 0}}\n"
    )
    assert [(line, message.split(";")[0]) for line, _, message in problems(tmp_path, text)] == [
        (3, "turbines must be a whole number, not 'ten'"),
        (4, "duplicate farm id 'A'"),
        (4, "turbines is 0"),
    ]
    own = f"name: own\nextends: fleet.yaml\nfarms:\n  - {farm}, id: A, turbines: 1}}\n"
    (tmp_path / "own.yaml").write_text(own)
    with pytest.raises(FleetError) as caught:
        load_fleet(str(tmp_path / "own.yaml"))
    assert [(Path(p.file).name, p.line) for p in caught.value.problems] == [
        ("fleet.yaml", 3),
        ("fleet.yaml", 4),
        ("fleet.yaml", 4),
        ("own.yaml", 4),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\n", "fleet has no farms; add 'farms: ...'"),
        ("name: x\nfarms: []\n", "fleet has no farms; add one under 'farms:'"),
        ("name: x\nfarms: 3\n", "farms must be a list ('- ...' lines)"),
        ("[1]\n", "fleet must be a mapping ('name: value' lines)"),
        ("name: x\nextends: fleet.yaml\n", "extends 'fleet.yaml' leads back to this file"),
        (
            "name: x\nextends: ful\n",
            "unknown fleet 'ful'; did you mean 'full'? (a file's name ends in .yaml)",
        ),
        (GOOD.replace("id: X", "id: a-1"), "farm id 'a-1' must be 1 to 8 letters or digits"),
        ("name: x\nextends: as-drawn\nscale_to: 5\n", "scale_to 5 leaves farm D without turbines"),
        (GOOD + GOOD.split("farms:\n")[1], "duplicate farm id 'X'; it is already used at "),
    ],
)
def test_an_invalid_fleet_is_reported(tmp_path, text, message):
    found = problems(tmp_path, text)
    assert any(each.startswith(message) for *_, each in found), found


def test_an_unknown_preset_and_a_missing_file_are_reported(tmp_path):
    with pytest.raises(FleetError, match=r"unknown fleet 'as-drwn'; did you mean 'as-drawn'\?"):
        load_fleet("as-drwn")
    with pytest.raises(FleetError, match=r"none\.yaml: cannot be read: No such file"):
        load_fleet("none.yaml", base=tmp_path)


def test_a_missing_file_is_reported_where_the_fleet_names_it(tmp_path):
    [(*at, message)] = problems(tmp_path, GOOD.replace("iea-3.4mw-130", "mine.yaml"))
    assert at == [3, 101]
    assert (
        message == f"turbine type: {tmp_path}/mine.yaml: cannot be read: No such file or directory"
    )
    [(*at, message)] = problems(tmp_path, "name: x\nextends: other.yaml\n")
    assert at == [2, 10]
    assert message == f"fleet: {tmp_path}/other.yaml: cannot be read: No such file or directory"


def test_a_negative_distance_is_reported(tmp_path):
    text = GOOD.replace("turbines: 3", "turbines: 3, layout: {across: 5, jitter: 3}")
    [(_, _, message)] = problems(tmp_path, text)
    assert message.startswith("turbines could stand 0.0 rotor diameters apart; the least is 2")


def test_farms_are_immutable():
    farm = load_fleet().farms[0]
    assert isinstance(farm, Farm)
    with pytest.raises(ValueError, match="read-only"):
        farm.positions[0, 0] = 1.0


def test_shipped_files_read_the_same_by_both_parsers() -> None:
    """libyaml is faster, and PyYAML reads the files of users."""
    shipped = sorted((ROOT / "sim").rglob("*.yaml"))
    assert len(shipped) > 9
    for path in shipped:
        text = path.read_text(encoding="utf-8")
        origin = yamlfile.Place(str(path), 1, 1)
        assert yamlfile.parse(path) == yamlfile.parse_text(text, origin)
