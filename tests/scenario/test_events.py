"""`events` of a scenario: types, inheritance, overrides, errors with line and column.

The texts of errors are in golden/scenario/bad-events.yaml.
"""

import pytest
import yaml

from sim.errors import ScenarioError
from sim.model.events import KINDS, Event
from sim.scenario import events, load, schema
from tests.support.paths import SCENARIOS

HEAD = """\
schema_version: 1
name: tiny
fleet: {preset: full, turbines: 16}
clock: {start: 2024-01-15T00:00:00Z, duration: 1h}
pipeline: {flush_every: 5m, window: 5m}
"""


def scenario(folder, entries, name="x.yaml", head=HEAD):
    (folder / name).write_text(head + "events:\n" + "".join(f"  - {entry}\n" for entry in entries))
    return folder / name


def errors(path, *overrides):
    with pytest.raises(ScenarioError) as caught:
        load(path, overrides)
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]


def test_events_are_typed_and_survive_the_resolved_text(tmp_path):
    path = scenario(
        tmp_path,
        [
            "{kind: weather.icing, from: 0s, for: 2h, size: -4.5, farms: [A, B]}",
            (
                "{kind: machine.failure, from: 5m, for: 2d, turbines: [A-001, B-002],"
                " component: main_bearing}"
            ),
            "{kind: grid.outage, from: 30m, for: 1h30m}",
        ],
    )
    made = load(path)
    assert made.events == (
        Event("weather.icing", 0.0, 7200.0, farms=("A", "B"), size=-4.5),
        Event(
            "machine.failure",
            300.0,
            172_800.0,
            turbines=("A-001", "B-002"),
            component="main_bearing",
        ),
        Event("grid.outage", 1800.0, 5400.0),
    )
    (tmp_path / "again.yaml").write_text(made.text)
    assert load(tmp_path / "again.yaml").events == made.events


def test_events_are_inherited_replaced_and_taken_away(tmp_path):
    scenario(tmp_path, ["{kind: grid.outage, from: 30m, for: 1h}"], "base.yaml")
    child = tmp_path / "child.yaml"
    child.write_text("extends: base.yaml\nname: child\n")
    assert [event.kind for event in load(child).events] == ["grid.outage"]
    assert load(child, ["events=[]"]).events == ()
    assert load(child, ["events[0].for=2h"]).events[0].for_s == 7200.0
    other = scenario(
        tmp_path,
        ["{kind: weather.calm, from: 0s, for: 1h}"],
        head="extends: base.yaml\nname: other\n",
    )
    assert load(other).events == (Event("weather.calm", 0.0, 3600.0),)


def test_a_kind_has_its_required_keys(tmp_path):
    found = errors(
        scenario(tmp_path, ["{kind: machine.failure, from: 0s, for: 1h}", "{kind: grid.outage}"])
    )
    assert found == [
        "7:5: missing key 'component' in events[0]; add for example 'component: gearbox'",
        "7:5: missing key 'turbines' in events[0]; add for example 'turbines: [A-001]'",
        "8:5: missing key 'for' in events[1]; add for example 'for: 6h'",
        "8:5: missing key 'from' in events[1]; add for example 'from: 2h'",
    ]


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.size])
def test_sizes_have_their_range(tmp_path, kind):
    least, most, usual, unit = kind.size
    line = "{{kind: {}, from: 0s, for: 1h, size: {}}}"
    for size in (least, most, usual):
        assert load(scenario(tmp_path, [line.format(kind.name, size)])).events[0].strength == size
    for size in (least - 0.5, most + 0.5):
        path = scenario(tmp_path, [line.format(kind.name, size)])
        place = path.read_text().splitlines()[6].index(f"{size}}}") + 1
        text = f"events[0].size: {size:g} is out of range;"
        text += f" {kind.name} takes {least:g} to {most:g} {unit}"
        assert errors(path) == [f"7:{place}: {text}"]


def test_a_turbine_must_take_part(tmp_path):
    line = "{{kind: machine.failure, from: 0s, for: 1h, turbines: [{}], component: yaw}}"
    assert load(scenario(tmp_path, [line.format("A-001")])).events
    # 16 turbines of the fleet: A has two
    (found,) = errors(scenario(tmp_path, [line.format("A-100")]))
    assert found == "7:59: turbine 'A-100' takes no part in this run; did you mean 'A-002'?"
    (found,) = errors(scenario(tmp_path, [line.format("tower")]))
    assert found.endswith(
        "turbine 'tower' takes no part in this run; its turbines are A-001 to H-002"
    )
    assert errors(scenario(tmp_path, [line.format("A-001")]), "fleet.farms=[B]")[0].endswith(
        "did you mean 'B-001'?"
    )


def test_an_event_begins_in_the_run_and_may_end_after_it(tmp_path):
    assert load(scenario(tmp_path, ["{kind: weather.calm, from: 59m, for: 5h}"])).events
    found = errors(scenario(tmp_path, ["{kind: weather.calm, from: 1h, for: 5h}"]))
    assert found == ["7:32: events[0].from: begins at 1h, and the run ends at 1h"]


def test_the_schema_has_the_same_rules():
    validator = pytest.importorskip("jsonschema").Draft202012Validator(schema.make())
    head = yaml.safe_load(HEAD.replace("2024-01-15T00:00:00Z", "'2024-01-15T00:00:00Z'"))

    def valid(**event):
        return validator.is_valid({**head, "events": [{"from": "0s", "for": "1h", **event}]})

    assert valid(kind="weather.storm", size=30)
    assert not valid(kind="weather.storm", size=80)
    assert not valid(kind="weather.strom")
    assert not valid(kind="grid.outage", size=0.5)
    assert valid(kind="machine.failure", turbines=["A-001"], component="gearbox")
    assert not valid(kind="machine.failure", turbines=["A-001"])
    assert not valid(kind="machine.failure", turbines=["A-001"], component="gearbox", farms=["A"])
    assert set(events.takes(KINDS["grid.outage"])) == {"size", "farms", "turbines", "component"}


def test_the_shipped_events_are_of_every_sort():
    kinds = {event.kind for event in load(SCENARIOS / "events.yaml").events}
    assert kinds == set(KINDS) - {"weather.calm"}
