"""Scenarios: all errors at once with their places, values, extends, overrides, the schema.

Every `golden/scenario/*.yaml` with a `.txt` beside it is a bad scenario and the exact text of its
errors. After a wanted change of words: `WINDFLEET_WRITE_GOLDEN=1 pytest
tests/scenario/test_scenario.py`, then read the diff.
"""

from __future__ import annotations

import functools
import os
import pickle
import random
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from sim import yamlfile
from sim.errors import ScenarioError
from sim.fleet import load_fleet
from sim.scenario import load, schema
from sim.scenario.document import Document
from sim.units import (
    format_duration,
    parse_bit_rate,
    parse_count,
    parse_duration,
    parse_instant,
    parse_rate,
)
from tests.support.paths import GOLDEN as GOLDEN_FILES
from tests.support.paths import SCENARIOS

GOLDEN = GOLDEN_FILES / "scenario"
BAD = sorted(path.stem for path in GOLDEN.glob("*.txt"))
GOOD = sorted(path.name for path in SCENARIOS.glob("*.yaml"))

TINY = """\
schema_version: 1
name: tiny
fleet: {preset: full, turbines: 8}
clock: {start: 2024-01-15T00:00:00Z, duration: 10m}
pipeline: {flush_every: 5m, window: 5m}
data_faults: [{kind: sensor.stuck, rate: 1 per turbine-day, channels: [temperature]}]
expect: [rows.lost == 0]
"""


def write(folder: Path, text: str, name: str = "x.yaml") -> Path:
    (folder / name).write_text(text)
    return folder / name


def errors(path: Path, *overrides: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        load(path, overrides)
    return str(caught.value).splitlines()


def problems_of(path: Path) -> list[yamlfile.Problem] | None:
    try:
        load(path)
    except ScenarioError as error:
        return error.problems
    return None


@pytest.mark.parametrize("name", BAD)
def test_a_bad_scenario_gets_all_its_errors(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(GOLDEN)
    text = "\n".join(errors(Path(f"{name}.yaml"))) + "\n"
    if os.environ.get("WINDFLEET_WRITE_GOLDEN"):
        Path(f"{name}.txt").write_text(text)
    assert text == Path(f"{name}.txt").read_text()


def test_every_golden_file_is_compared() -> None:
    assert len(BAD) >= 20
    helpers = {"bad-fleet.fleet", "circle-b"}
    assert {path.stem for path in GOLDEN.glob("*.yaml")} == {*BAD, *helpers}


@pytest.mark.parametrize("name", GOOD)
def test_shipped_scenario_loads(name: str) -> None:
    scenario = load(SCENARIOS / name)
    assert scenario.fleet.turbines > 0
    assert scenario.clock.samples > 0
    assert pickle.loads(pickle.dumps(scenario)).text == scenario.text


def test_quickstart_is_the_whole_fleet_for_ten_minutes() -> None:
    scenario = load(SCENARIOS / "quickstart.yaml")
    assert scenario.fleet.turbines * scenario.clock.samples == 900_000
    assert [farm.turbines for farm in load(SCENARIOS / "as-drawn.yaml").fleet.farms] == [
        150, 175, 200, 125, 225, 300, 100, 150,
    ]  # fmt: skip


def test_base_shows_every_key_and_its_default(tmp_path: Path) -> None:
    text = (SCENARIOS / "_base.yaml").read_text()

    def keys(model: type) -> set[str]:
        names = {f.alias or n for n, f in model.model_fields.items()}  # type: ignore[attr-defined]
        for part in model.__subclasses__():
            names |= keys(part)
        return names

    for key in keys(Document.__mro__[1]):
        assert f"{key}:" in text, key
    least = write(
        tmp_path,
        "schema_version: 1\nname: base\nclock: {start: 2024-01-15T00:00:00Z, duration: 10m}\n",
    )
    assert load(least).text == load(SCENARIOS / "_base.yaml").text


def test_values_do_not_depend_on_yamls_types(tmp_path: Path) -> None:
    text = TINY.replace("name: tiny", "name: NO\nseed: 1e6").replace(
        "rows.lost == 0", "'rows.generated >= 1e3'"
    )
    scenario = load(write(tmp_path, text))
    assert (scenario.name, scenario.seed) == ("NO", 1_000_000)
    assert scenario.expect[0].value == 1000.0
    assert (
        "'12:30' is not a length of time"
        in errors(write(tmp_path, TINY.replace("10m}", "12:30}")))[0]
    )


def test_clock_by_end_is_the_same_as_by_duration(tmp_path: Path) -> None:
    by_end = TINY.replace("duration: 10m", "end: 2024-01-15T01:10:00+01:00")
    assert load(write(tmp_path, by_end)).clock == load(write(tmp_path, TINY, "y.yaml")).clock


def test_clock_figures(tmp_path: Path) -> None:
    clock = load(write(tmp_path, TINY.replace("10m}", "10m, sample_every: 500ms}"))).clock
    assert clock.start == datetime(2024, 1, 15, tzinfo=UTC)
    assert (clock.start_us, clock.end_us) == (1705276800_000000, 1705277400_000000)
    assert (clock.samples, clock.duration_s, clock.sample_us) == (1200, 600.0, 500_000)


def test_resolved_text_loads_to_the_same_run(tmp_path: Path) -> None:
    for name in GOOD:
        scenario = load(SCENARIOS / name)
        again = load(write(tmp_path, scenario.text))
        same = (
            "name",
            "seed",
            "clock",
            "pipeline",
            "uplink",
            "data_faults",
            "faults",
            "expect",
            "text",
        )
        assert all(getattr(scenario, key) == getattr(again, key) for key in same)
        assert again.fleet.turbines == scenario.fleet.turbines
        assert "extends" not in scenario.text


def test_resolved_text_finds_the_fleet_file_from_anywhere(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    write(tmp_path / "a", "name: mine\nextends: full\nscale_to: 30\n", "fleet.yaml")
    scenario = load(
        write(tmp_path / "a", TINY.replace("{preset: full, turbines: 8}", "./fleet.yaml"))
    )
    assert scenario.fleet.turbines == 30
    assert load(write(tmp_path / "b", scenario.text)).fleet.turbines == 30


def test_extends_merges_mappings_and_replaces_the_rest(tmp_path: Path) -> None:
    write(tmp_path, TINY, "parent.yaml")
    child = (
        "extends: parent.yaml\nname: child\nclock: {duration: 20m}\nexpect: [rows.altered == 0]\n"
    )
    scenario = load(write(tmp_path, child))
    assert (scenario.name, scenario.clock.samples, scenario.pipeline.flush_every_s) == (
        "child",
        1200,
        300,
    )
    assert [expectation.figure for expectation in scenario.expect] == ["rows.altered"]
    grandchild = "extends: x.yaml\nname: grandchild\nclock: {end: 2024-01-15T00:05:00Z}\n"
    assert load(write(tmp_path, grandchild, "z.yaml")).clock.samples == 300


def test_fleet_file_counts_from_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    write(tmp_path / "deep", "name: mine\nextends: full\nscale_to: 24\n", "fleet.yaml")
    write(
        tmp_path / "deep", TINY.replace("{preset: full, turbines: 8}", "fleet.yaml"), "parent.yaml"
    )
    assert load(write(tmp_path, "extends: deep/parent.yaml\n")).fleet.turbines == 24


def test_overrides(tmp_path: Path) -> None:
    path = write(tmp_path, TINY)
    settings = [
        "clock.end=2024-01-15T00:20:00Z",
        "fleet.turbines=12",
        "seed=1e2",
        "data_faults[0].rate=2 per turbine-day",
    ]
    scenario = load(
        path, [*settings, "uplink={bandwidth: 1 Mbit/s}", "expect=[rows.late >= 1, rows.lost == 0]"]
    )
    assert (scenario.clock.samples, scenario.fleet.turbines, scenario.seed) == (1200, 12, 100)
    assert scenario.data_faults[0].rate_per_day == 2.0
    assert scenario.data_faults[0].channels == ("temperature",)
    assert scenario.uplink.bandwidth_bit_per_s == 1e6
    assert len(scenario.expect) == 2
    assert load(path, ["seed=1", "seed=2"]).seed == 2
    assert (
        load(
            write(tmp_path, TINY.replace("{preset: full, turbines: 8}", "full")),
            ["fleet.turbines=9"],
        ).fleet.turbines
        == 9
    )


def test_errors_in_overrides_are_placed_at_them(tmp_path: Path) -> None:
    settings = [
        "seed", "clock.duratoin=1m", "expect[3]=x", "data_faults[0].rate=1 per month",
        "pipeline.window.x=1", "expect=[a", "uplink.latency=", "data_faults.kind=x", "seed=1",
        "seed=y",
    ]  # fmt: skip
    rate = "write for example '3/1000 per turbine-day', '2 per turbine-year' or '1 per farm-month'"
    bracket = "is a closing bracket or a comma missing?"
    assert errors(write(tmp_path, TINY), *settings) == [
        (
            "--set 1: 'seed' is not path=value; write for example clock.duration=10m"
            " or data_faults[0].rate=..."
        ),
        "--set 2: unknown key 'duratoin' in clock; did you mean 'duration'?",
        "--set 3: expect[3] does not exist; expect has 1 entry, from [0]",
        f"--set 4: data_faults[0].rate: '1 per month': 'month' is not a unit of a rate; {rate}",
        (
            "--set 5: pipeline.window is a single value; set it as a whole,"
            " for example pipeline.window={x: ...}"
        ),
        f"--set 6: not valid YAML: expected ',' or ']', but got '<stream end>'; {bracket}",
        "--set 7: uplink.latency has no value; write one or remove it",
        "--set 8: data_faults is a list; name an entry, for example data_faults[0].kind=...",
        "--set 10: seed: 'y' is not a whole number; write for example 7",
    ]


def test_an_override_of_null_removes_a_key(tmp_path: Path) -> None:
    path = write(tmp_path, TINY)
    changed = load(path, ["data_faults[0]=null", "expect=~", "fleet.turbines=null", "name='null'"])
    assert (changed.data_faults, changed.expect, changed.name) == ((), (), "null")
    assert changed.fleet.turbines == 1500
    assert load(path, ["name=null", "name=other"]).name == "other"


def test_an_override_of_null_is_refused_where_there_is_no_key_or_a_required_one(
    tmp_path: Path,
) -> None:
    removed = "is not set, so there is nothing to remove"
    required = "is required, so it cannot be removed; give it another value instead of null"
    null = ["name=null", "clock.start=~", "clock.duratoin=null", "expect[7]=null"]
    assert errors(write(tmp_path, TINY), *null) == [
        f"--set 1: name {required}",
        f"--set 2: clock.start {required}",
        f"--set 3: clock.duratoin {removed}; did you mean clock.duration=null?",
        f"--set 4: expect[7] {removed}",
    ]


def test_a_scenario_that_cannot_be_read(tmp_path: Path) -> None:
    assert errors(tmp_path / "no.yaml") == [
        f"{tmp_path}/no.yaml: cannot be read: No such file or directory"
    ]
    assert errors(tmp_path) == [f"{tmp_path}: cannot be read: Is a directory"]
    (tmp_path / "latin.yaml").write_bytes(b"name: x\nseed: \xe9\n")
    assert errors(tmp_path / "latin.yaml")[0].startswith(
        f"{tmp_path}/latin.yaml:2:7: byte 0xe9 is not UTF-8"
    )
    assert errors(write(tmp_path, "")) == [f"{tmp_path}/x.yaml:1:1: the file is empty"]
    assert ":1:8: control character U+0007" in errors(write(tmp_path, "name: x\x07\n"))[0]


def test_aliases_are_bounded() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9))
    _, problems = yamlfile.parse_text(bomb, yamlfile.Place("bomb.yaml", 1, 1))
    assert [problem.message for problem in problems] == [
        "more than 200,000 values; do the aliases multiply?"
    ]
    _, problems = yamlfile.parse_text("a: &a [*a]\n", yamlfile.Place("loop.yaml", 1, 1))
    assert str(problems[0]) == "loop.yaml:1:4: an alias contains itself"


def test_any_text_gives_errors_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """600 mutations of a good file: each loads or gives a ScenarioError with its place."""
    monkeypatch.setattr("sim.scenario.loader.load_fleet", functools.cache(load_fleet))
    draw = random.Random(7)
    pieces = [
        *TINY,
        "\t",
        "{",
        "}",
        "[",
        "- ",
        ": ",
        "&a",
        "*a",
        "!!x",
        "'",
        '"',
        "~",
        "0",
        "\n",
        "é",
        "#",
        "<<: ",
        "? ",
    ]
    refused = 0
    for _ in range(600):
        text = list(TINY)
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(text))
            text[at : at + draw.randint(0, 3)] = [draw.choice(pieces)]
        problems = problems_of(write(tmp_path, "".join(text)))
        refused += problems is not None
        assert problems is None or problems
        assert all(
            problem.message and problem.file.startswith(str(tmp_path)) for problem in problems or ()
        )
        assert not any("Input should" in problem.message for problem in problems or ())
    assert refused > 300


@pytest.mark.parametrize("section", ["EventChoice", "DataFaultChoice", "FaultChoice"])
def test_schema_describes_each_kind(section: str) -> None:
    kind = schema.make()["$defs"][section]["properties"]["kind"]
    assert len(kind["enum"]) == len(kind["enumDescriptions"]) == len(set(kind["enumDescriptions"]))


def test_schema_file_is_current() -> None:
    current = schema.SCHEMA_FILE.read_text()
    assert current == schema.text(), "run: python -m sim.scenario.schema"


class _Core(yaml.SafeLoader):
    """YAML as editors read it: version 1.2, without dates."""


_Core.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if not tag.endswith(("timestamp", "bool"))]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@pytest.mark.parametrize("name", GOOD)
def test_schema_accepts_shipped_scenarios(name: str) -> None:
    validator = pytest.importorskip("jsonschema").Draft202012Validator(schema.make())
    data = yaml.load((SCENARIOS / name).read_text(), _Core)
    assert [error.message for error in validator.iter_errors(data)] == []


@pytest.mark.parametrize(
    "name",
    [
        "unknown-keys",
        "missing-keys",
        "wrong-units",
        "wrong-types",
        "both-ends",
        "unknown-names",
        "no-values",
        "inherited",
    ],
)
def test_schema_refuses_mistakes_that_an_editor_can_check(name: str) -> None:
    validator = pytest.importorskip("jsonschema").Draft202012Validator(schema.make())
    assert not validator.is_valid(yaml.load((GOLDEN / f"{name}.yaml").read_text(), _Core))


@pytest.mark.parametrize(
    ("text", "us"),
    [("1h", 3_600_000_000), ("90s", 90_000_000), ("1h30m", 5_400_000_000), ("500ms", 500_000),
     ("2d", 172_800_000_000), ("1.5h", 5_400_000_000), ("0s", 0), ("25us", 25)],
)  # fmt: skip
def test_durations(text: str, us: int) -> None:
    assert parse_duration(text) == us
    assert parse_duration(format_duration(us)) == us


def test_quantities() -> None:
    assert parse_rate("3/1000 per turbine-day") == (0.003, False)
    assert parse_rate("365.25 per turbine-year") == (1.0, False)
    assert parse_rate("60 per farm-month") == (2.0, True)
    assert parse_rate("5% per turbine-hour").per_day == pytest.approx(1.2)
    assert parse_bit_rate("10 Mbit/s") == 10e6
    assert parse_bit_rate("256 kbit/s") == 256e3
    assert parse_count("1e6") == 1_000_000
    assert parse_instant("2024-01-15T01:00:00+01:00") == datetime(2024, 1, 15, tzinfo=UTC)


def test_a_line_without_bandwidth_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, TINY + "uplink: {bandwidth: 0 bit/s}\n")
    fault = "'0 bit/s' carries nothing; write for example 10 Mbit/s or 256 kbit/s"
    assert errors(path) == [f"{path}:8:21: uplink.bandwidth: {fault}"]


def test_a_run_too_large_to_plan_is_refused_with_its_numbers(tmp_path: Path) -> None:
    path = write(tmp_path, TINY)
    flushes = [
        "clock.duration=10000001s", "clock.sample_every=1s", "pipeline.flush_every=1s",
        "pipeline.window=1s",
    ]  # fmt: skip
    batches = "1s in a run of 115d17h46m41s makes 10,000,001 batches a node;"
    batches += " at most 10,000,000 are supported"
    assert errors(path, *flushes) == [f"--set 3: pipeline.flush_every: {batches}"]
    assert load(path, ["clock.duration=10000000s", *flushes[1:]]).clock.samples == 10_000_000
    rows = "makes 1,000,008,000,000 rows of 8 turbines; at most 1,000,000,000,000 are supported"
    fine = "clock.sample_every=1us"
    assert errors(path, "clock.duration=125001s", fine) == [
        f"--set 2: clock.sample_every: 1us in a run of 1d10h43m21s {rows}"
    ]
    assert load(path, ["clock.duration=125000s", fine]).clock.samples == 125_000_000_000


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("1e9 per turbine-day", "'1e9' is not a plain number, ratio or percentage"),
        ("x per turbine-year", "'x' is not a plain number, ratio or percentage"),
        ("1 per fleet-month", "'fleet-month' is not a unit of a rate"),
    ],
)
def test_a_wrong_rate_is_refused_with_its_reason(text: str, fault: str) -> None:
    with pytest.raises(
        ValueError,
        match=re.escape(f"'{text}': {fault}; write for example '3/1000 per turbine-day'"),
    ):
        parse_rate(text)


@pytest.mark.parametrize("parse", [parse_rate, parse_bit_rate])
def test_a_quantity_out_of_range_is_refused(parse: Callable[[str], float]) -> None:
    unit = " per turbine-day" if parse is parse_rate else " bit/s"
    with pytest.raises(ValueError, match="is too large"):
        parse("9" * 400 + unit)
