"""The load section: its resolved schedules, and every mistake reported with line and column."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import jsonschema
import pytest
import yaml

from sim.errors import ScenarioError
from sim.load_schedule import KINDS, Entry, Load
from sim.scenario import load
from sim.scenario.schema import SCHEMA_FILE, make
from tests.support.paths import SCENARIOS

SHIPPED = sorted((SCENARIOS).glob("load-*.yaml"))
HEAD = """\
schema_version: 1
name: bad
fleet: {preset: full, turbines: 100}
clock: {start: 2024-01-15T00:00:00Z, duration: 10m}
pipeline: {flush_every: 1m}
load:
"""
"""Six lines: the text of a test begins on line 7."""


def problems(folder: Path, section: str) -> list[str]:
    """Return the errors of a load section, without the file's path."""
    path = folder / "bad.yaml"
    path.write_text(HEAD + "".join(f"  {line}\n" for line in section.strip().splitlines()))
    with pytest.raises(ScenarioError) as raised:
        load(path)
    return [line.removeprefix(f"{path}:") for line in str(raised.value).splitlines()]


def good(folder: Path, section: str) -> Load:
    path = folder / "good.yaml"
    path.write_text(HEAD + "".join(f"  {line}\n" for line in section.strip().splitlines()))
    found = load(path).load
    assert found is not None
    return found


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_scenarios_load_and_fit_the_schema(path: Path, tmp_path: Path) -> None:
    scenario = load(path)
    assert scenario.load is not None
    assert scenario.name == path.stem
    jsonschema.validate(_plain(yaml.safe_load(path.read_text())), make())
    (tmp_path / "again.yaml").write_text(scenario.text)
    assert load(tmp_path / "again.yaml").load == scenario.load


def _plain(document: object) -> object:
    """Return the document as an editor sees it: dates of YAML are texts."""
    return json.loads(
        json.dumps(document, default=lambda value: value.isoformat().replace("+00:00", "Z"))
    )


def test_every_kind_of_schedule_is_resolved(tmp_path: Path) -> None:
    found = good(
        tmp_path,
        """
warm_up: 1s
mix: {flush: 9, get_manifest: 1, list_hour: 0}
users: 1e2
processes: 4
batch_rows: 60
schedule:
  - {kind: constant, rate: 20/s, for: 30s}
  - {kind: poisson, rate: 90/min, for: 30s}
  - {kind: ramp, from: 5/s, to: 80/s, for: 1m}
  - {kind: step, rates: [10/s, 20/s], each: 10s}
  - {kind: spike, rate: 10/s, peak: 60/s, at: 10s, lasts: 5s, for: 30s}
  - {kind: soak, rate: 1.5/s, for: 2m}
  - {kind: fleet, for: 30s, speed: 2.5}
  - {kind: herd, outage: 10m, for: 40s}
sweep: {users: [1, 2, 4, 8]}
search: {slo: latency.flush.p95 <= 500ms, from: 5/s, to: 400/s, hold: 20s}
stop_when: [errors.share > 5%]
limits: {rate: 500/s, time: 20m, bytes: 1 GiB}
""",
    )
    assert found.mix == (("flush", 9.0), ("get_manifest", 1.0))
    assert (found.users, found.processes, found.batch_rows, found.encode_inside) == (
        100,
        4,
        60,
        False,
    )
    assert [entry.kind for entry in found.schedule] == list(KINDS)
    constant, poisson, ramp, step, spike, soak, fleet, herd = found.schedule
    assert constant == Entry("constant", 30.0, rate_per_s=20.0)
    assert poisson.rate_per_s == 1.5
    assert (ramp.from_per_s, ramp.to_per_s, ramp.for_s) == (5.0, 80.0, 60.0)
    assert (step.rates_per_s, step.for_s) == ((10.0, 20.0), 20.0)
    assert (spike.rate_per_s, spike.peak_per_s, spike.at_s, spike.lasts_s) == (
        10.0,
        60.0,
        10.0,
        5.0,
    )
    assert soak.for_s == 120.0
    assert fleet.speed == 2.5
    assert (herd.outage_s, herd.speed) == (600.0, 1.0)
    assert found.sweep is not None
    assert (found.sweep.users, found.sweep.for_s) == ((1, 2, 4, 8), 10.0)
    assert found.search is not None
    assert [slo.text for slo in found.search.slo] == ["latency.flush.p95 <= 500ms"]
    assert (found.search.within, found.search.each_s, found.search.hold_s) == (0.05, 10.0, 20.0)
    assert found.stop_when[0].value == 0.05
    assert (found.limits.rate_per_s, found.limits.time_s, found.limits.bytes) == (
        500.0,
        1200.0,
        2**30,
    )


def test_flushes_only_when_there_is_no_mix(tmp_path: Path) -> None:
    assert good(tmp_path, "sweep: {users: [1, 2, 3, 4]}").mix == (("flush", 1.0),)


def test_a_scenario_needs_no_load(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(HEAD.replace("load:\n", ""))
    assert load(tmp_path / "run.yaml").load is None


CONSTANT = "schedule: [{kind: constant, rate: 20/s, for: 30s}]\n"
SWEEP = "sweep: {users: [1, 2, 4, 8]}\n"
BAD = {
    "nothing": ("warm_up: 1s", "7:3: load asks for nothing; add a schedule, a sweep or a search"),
    "an SLO on no metric": (
        "search: {slo: latncy.flush.p95 <= 1s, from: 5/s, to: 9/s}",
        (
            "7:17: load.search.slo[0]: unknown figure 'latncy.flush.p95';"
            " did you mean 'latency.flush.p95'?"
        ),
    ),
    "an SLO on a figure of the whole run": (
        "search: {slo: [freshness.p99 <= 20m], from: 5/s, to: 9/s}",
        (
            "7:18: load.search.slo[0]: freshness.p99 is not known for a single phase; use latency, "
            "service, load.late, load.backlog.max or errors.share"
        ),
    ),
    "an SLO the wrong way round": (
        "search: {slo: latency.flush.p95 >= 1s, from: 5/s, to: 9/s}",
        "7:17: load.search.slo: an SLO needs < or <=, not >=",
    ),
    "an SLO on a request that is not made": (
        "search: {slo: latency.list_hour.p95 <= 1s, from: 5/s, to: 9/s}",
        "7:17: load.search.slo: the load makes no list_hour; load.mix has flush",
    ),
    "a stop the wrong way round": (
        CONSTANT + "stop_when: [errors.share < 5%]",
        "8:15: load.stop_when[0]: an early stop needs > or >=, not <",
    ),
    "a ramp that never ends": (
        "schedule: [{kind: ramp, from: 5/s, to: 80/s}]",
        (
            "7:14: missing key 'for' in load.schedule[0]: a ramp never ends without it;"
            " add for example 'for: 30s'"
        ),
    ),
    "a ramp that does not rise": (
        "schedule: [{kind: ramp, from: 5/s, to: 5/s, for: 30s}]",
        "7:42: load.schedule[0].to: a ramp from 5/s to 5/s is a constant rate",
    ),
    "a setting of another kind": (
        "schedule: [{kind: constant, rate: 5/s, for: 30s, peak: 9/s}]",
        "7:52: load.schedule[0].peak: a constant has no peak; remove the key",
    ),
    "an unknown kind": (
        "schedule: [{kind: rampe, from: 5/s, to: 9/s, for: 30s}]",
        "7:21: load.schedule[0].kind: unknown kind of schedule 'rampe'; did you mean 'ramp'?",
    ),
    "an unknown key": (SWEEP + "user: 3", "8:3: unknown key 'user' in load; did you mean 'users'?"),
    "a rate without a unit": (
        "schedule: [{kind: constant, rate: 20, for: 30s}]",
        "7:37: load.schedule[0].rate: '20' has no unit; write 20/s",
    ),
    "a spike beyond its stretch": (
        "schedule: [{kind: spike, rate: 5/s, peak: 9/s, at: 20s, lasts: 20s, for: 30s}]",
        "7:66: load.schedule[0].lasts: the spike ends at 40s, after the end of the entry at 30s",
    ),
    "a spike that is none": (
        "schedule: [{kind: spike, rate: 9/s, peak: 5/s, at: 2s, lasts: 2s, for: 30s}]",
        "7:45: load.schedule[0].peak: 5/s is not above the rate, 9/s",
    ),
    "weights of nothing": (
        CONSTANT + "mix: {flush: 0, list_hour: 0}",
        (
            "8:8: load.mix: every weight is 0, so no request would be made; "
            "give at least one a weight above 0"
        ),
    ),
    "a rate beyond the limit": (
        "schedule: [{kind: constant, rate: 90/s, for: 30s}]\nlimits: {rate: 50/s}",
        (
            "7:37: load.schedule[0].rate: 90 requests a second, and load.limits.rate is 50/s; "
            "ask for less, or raise the limit"
        ),
    ),
    "a fleet beyond the limit": (
        "schedule: [{kind: fleet, for: 30s, speed: 100}]\nlimits: {rate: 50/s}",
        (
            "7:45: load.schedule[0]: 100 nodes at speed 100 make 167 flushes a second, "
            "and load.limits.rate is 50/s; ask for less, or raise the limit"
        ),
    ),
    "a herd that does not fit": (
        "schedule: [{kind: herd, outage: 1d, for: 30s}]\nlimits: {bytes: 1 TB}",
        (
            "7:35: load.schedule[0].outage: 144,000 waiting batches in 30s exceed "
            "load.limits.rate, 2000/s; make `for` longer"
        ),
    ),
    "longer than the limit": (
        "schedule: [{kind: soak, rate: 1/s, for: 20m}]\n" + SWEEP + "limits: {time: 10m}",
        (
            "7:13: load.schedule: all phases take 20m40s (schedule 20m, sweep 40s),"
            " and load.limits.time is 10m"
        ),
    ),
    "more bytes than the limit": (
        (
            "schedule: [{kind: constant, rate: 100/s, for: 10m}]\n"
            "batch_rows: 3600\nlimits: {bytes: 1 GB}"
        ),
        "7:13: load.schedule: 60,000 flushes write about 16.",
    ),
    "all warm-up": (
        CONSTANT + "warm_up: 30s",
        "7:14: load.schedule[0]: 30s is all warm-up (30s); nothing would be measured",
    ),
    "a level of nothing but warm-up": (
        "sweep: {users: [1, 2, 3, 4], for: 5s}",
        "7:37: load.sweep.for: a level of 5s is all warm-up (5s); make it longer",
    ),
    "levels that do not rise": (
        "sweep: {users: [1, 4, 2, 8]}",
        "7:18: load.sweep.users: 1, 4, 2, 8 is not rising; write each once, in order",
    ),
    "too few levels": (
        "sweep: {users: [1, 2]}",
        "7:18: load.sweep.users: 2 levels cannot show a bend; name at least 4",
    ),
    "a search from above": (
        "search: {slo: latency.flush.p95 <= 1s, from: 50/s, to: 9/s}",
        "7:58: load.search.to: 9/s is not above from, 50/s",
    ),
    "a search too fine": (
        "search: {slo: latency.flush.p95 <= 1s, from: 5/s, to: 9/s, within: 0.1%}",
        "7:70: load.search.within: finer than 1% drowns in noise, coarser than 50% says nothing",
    ),
    "no users": (CONSTANT + "users: 0", "8:10: load.users: '0' is none at all"),
    "idle processes": (
        CONSTANT + "users: 2\nprocesses: 4",
        "9:14: load.processes: 4 processes for 2 users leave some idle",
    ),
    "no answer to a flag": (
        CONSTANT + "encode_inside: yes",
        "8:18: load.encode_inside: 'yes' is not known; write true",
    ),
}


@pytest.mark.parametrize(("section", "expected"), BAD.values(), ids=BAD)
def test_a_mistake_is_reported_with_line_and_column(
    tmp_path: Path, section: str, expected: str
) -> None:
    found = problems(tmp_path, section)
    assert any(line.startswith(expected) for line in found), found
    assert len(found) == 1, found


def test_more_users_than_file_descriptors_are_refused_with_the_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda what: (256, 1024))
    assert problems(tmp_path, CONSTANT + "users: 129") == [
        (
            "8:10: load.users: 129 users in 1 process need 1,030 file descriptors per process, "
            "and this system's hard limit is 1,024; use at most 128 users, or more processes"
        ),
    ]
    assert good(tmp_path, CONSTANT + "users: 128").users == 128
    assert good(tmp_path, CONSTANT + "users: 256\nprocesses: 2").users == 256
    assert problems(tmp_path, "sweep: {users: [1, 2, 3, 2000], for: 10s}")[0].startswith(
        "7:28: load.sweep.users[3]"
    )


def test_all_errors_come_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        """
schedule:
  - {kind: ramp, from: 5/s, to: 80/s}
  - {kind: constant, rate: 5000/s, for: 2s}
stop_when: [errors.shar > 5%]
""",
    )
    # the second: all warm-up
    assert [line.split(":")[0] for line in found] == [
        "8",
        "9",
        "9",
        "10",
    ]


def test_the_schema_refuses_mistakes_that_an_editor_can_check(tmp_path: Path) -> None:
    schema = json.loads(SCHEMA_FILE.read_text())
    base = _plain(yaml.safe_load(HEAD.replace("load:\n", "")))
    assert isinstance(base, dict)

    def valid(section: str) -> bool:
        return jsonschema.Draft202012Validator(schema).is_valid(
            base | {"load": yaml.safe_load(section)}
        )

    assert valid(CONSTANT)
    assert valid("search: {slo: latency.flush.p95 <= 500ms, from: 5/s, to: 400/s}")
    assert valid("search: {slo: [latency.flush.p95 <= 500ms], from: 5/s, to: 400/s}")
    assert not valid("schedule: [{kind: constant, rate: 20/s}]")
    assert not valid("schedule: [{kind: constant, rate: 20/s, for: 30s, peak: 9/s}]")
    assert not valid("search: {slo: latency.flash.p95 <= 500ms, from: 5/s, to: 400/s}")
    assert not valid("mix: {flash: 3}")
