"""The exposition, read by Prometheus' own parser; the dashboard asks for metrics that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from sim.watch import grafana
from sim.watch.metrics import exposition
from sim.watch.state import RunState
from tests.support import watch_samples
from tests.support.watch_samples import START_S, polled

BASE_UNITS = ("seconds", "bytes", "total")
COUNTED = ("rows", "batches", "requests", "operations", "retries", "injections")


def families(state: RunState) -> dict[str, Metric]:
    text = exposition(state).decode()
    return {each.name: each for each in text_string_to_metric_families(text)}


def value(state: RunState, name: str, **labels: str) -> float:
    found = [
        sample.value
        for family in families(state).values()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    assert found, f"no {name} {labels}"
    return sum(found)


@pytest.fixture
def run(tmp_path: Path) -> RunState:
    return polled(watch_samples.delivering(tmp_path / "run"))


@pytest.fixture
def load(tmp_path: Path) -> RunState:
    return polled(watch_samples.loading(tmp_path / "load"), START_S + 10.0)


def test_values_of_a_run(run: RunState) -> None:
    assert value(run, "windfleet_rows_durable_total", farm="B") == 60
    assert value(run, "windfleet_rows_durable_total", farm="H") == 20
    assert value(run, "windfleet_batches_durable_total", farm="H") == 2
    assert value(run, "windfleet_rows_planned") == 16 * 30
    assert value(run, "windfleet_batches_planned") == 16 * 3
    assert value(run, "windfleet_store_operations_total", outcome="missing") == 40
    assert value(run, "windfleet_store_operations_total", outcome="unavailable", kind="put") == 1
    assert value(run, "windfleet_store_retries_total", kind="put") == 1
    assert value(run, "windfleet_fault_injections_total", kind="store.error") == 12
    # The last batch of farm A ended at second 25.02, the poll was at second 60.
    assert value(run, "windfleet_last_batch_age_seconds", farm="A") == pytest.approx(34.98)
    assert value(run, "windfleet_run_stage", stage="delivering") == 1
    assert value(run, "windfleet_run_stage") == 1


def test_a_latency_counts_in_each_bucket_that_holds_it(run: RunState) -> None:
    name = "windfleet_store_operation_seconds"
    put = {bound: value(run, f"{name}_bucket", kind="put", le=bound) for bound in ("0.01", "0.025")}
    answered = value(run, f"{name}_count", kind="put")
    assert put["0.01"] == 0
    # An attempt without an answer has no latency.
    assert answered == value(run, "windfleet_store_operations_total", kind="put") - 1
    # Four of 40 seconds have puts of 300 ms.
    assert put["0.025"] == answered - 4
    assert value(run, f"{name}_bucket", kind="put", le="+Inf") == answered
    assert value(run, f"{name}_sum", kind="put") == pytest.approx(0.02 * (answered - 4) + 0.3 * 4)


def test_values_of_a_load_test(load: RunState) -> None:
    assert value(load, "windfleet_requests_total", kind="flush", outcome="ok") == 19
    assert value(load, "windfleet_requests_backlog") == 18
    assert value(load, "windfleet_requests_under_way") == 2
    assert value(load, "windfleet_phase_requests_planned", phase="ramp") == 40
    assert value(load, "windfleet_phase_requests_done", phase="ramp") == 20
    assert value(load, "windfleet_request_seconds_bucket", kind="flush", le="0.05") == 20
    assert value(load, "windfleet_run_stage", stage="loading") == 1


def test_before_a_run_there_is_its_stage(tmp_path: Path) -> None:
    assert set(families(polled(tmp_path / "none"))) == {"windfleet_run_stage"}


@pytest.mark.parametrize("world", ["run", "load"])
def test_names_follow_the_conventions(world: str, request: pytest.FixtureRequest) -> None:
    for name, family in families(request.getfixturevalue(world)).items():
        assert re.fullmatch(r"windfleet_[a-z_]+[a-z]", name), name
        assert family.documentation.endswith("."), f"{name} has no help"
        assert family.type in ("counter", "gauge", "histogram"), name
        assert (family.type == "histogram") <= name.endswith("_seconds"), name
        for sample in family.samples:
            if family.type == "counter":
                assert sample.name == f"{name}_total"
            assert "_ms" not in sample.name
            assert sample.value >= 0
            assert not set(sample.labels) - {
                *("farm", "kind", "bucket", "outcome", "stage", "phase", "le"),
                *("scenario", "seed", "command", "verdict"),
            }


def test_the_dashboard_asks_for_what_there_is(
    run: RunState, load: RunState, tmp_path: Path
) -> None:
    over = polled(watch_samples.ended_load(tmp_path / "ended"))
    there = {
        sample.name
        for state in (run, load, over)
        for family in families(state).values()
        for sample in family.samples
    }
    asked = set()
    for title, query in grafana.queries():
        names = set(re.findall(r"windfleet_[a-z_]+", query))
        assert names, title
        assert names <= there, f"{title}: {names - there} in no exposition"
        asked |= names
    shown = {re.sub(r"_(bucket|count|sum)$", "", name) for name in there}
    assert shown == {re.sub(r"_(bucket|count|sum)$", "", name) for name in asked}


def test_the_dashboard_is_one_that_grafana_imports() -> None:
    made = json.loads(grafana.dashboard())
    assert made["uid"]
    assert [each["name"] for each in made["templating"]["list"]] == ["source"]
    ids = [panel["id"] for panel in made["panels"]]
    assert len(set(ids)) == len(ids)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in made["panels"]]
    assert len(set(places)) == len(places)
    shown = [target["expr"] for panel in made["panels"] for target in panel["targets"]]
    assert shown == [query for _, query in grafana.queries()]
