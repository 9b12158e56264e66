"""The dashboard's file: queries that DuckDB answers, widgets that show their columns."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import sqlglot

from pipeline.catalog.locations import Parameters
from sim.check.read.lake import LakeReader
from sim.query.engine import Engine
from sim.query.loader import LoadOptions, load
from sim.query.warehouse import Warehouse
from tests.support import lakehouse
from tests.support.catalog_files import HARD, texts

PATH = "bundle/src/wind_turbines.lvdash.json"
KINDS = {"counter": 2, "bar": 3, "table": 1, "filter-multi-select": 2}
"""Widget -> version of its format, as in Databricks' public examples."""
ASSOCIATED = "associative_filter_predicate_group"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tmp_path_factory.mktemp("lakehouse")
    lakehouse.add(folder / "lake", "A-001", 1, 20)
    made = Warehouse(folder / "warehouse", LakeReader.folder(folder / "lake"))
    load(made, LoadOptions())
    return Engine(made)


@pytest.fixture(scope="module")
def columns(engine: Engine) -> dict[str, set[str]]:
    """Columns of each dataset's answer."""
    found = {}
    for dataset in board()["datasets"]:
        (rows,) = engine.run("".join(dataset["queryLines"]))
        found[dataset["name"]] = set(rows.column_names)
    return found


def board() -> dict[str, Any]:
    return json.loads(texts(Parameters())[PATH])


def test_anomalies_of_the_same_instant_have_one_order() -> None:
    (query,) = (
        "".join(each["queryLines"]) for each in board()["datasets"] if each["name"] == "anomalies"
    )
    order = sqlglot.parse_one(query, read="databricks").args["order"].expressions
    assert {"first_time", "turbine_id", "kind"} <= {each.this.name for each in order}


def widgets(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [each["widget"] for page in found["pages"] for each in page["layout"]]


def shown(thing: Any) -> Iterator[tuple[str | None, str]]:
    """Yield (query, field) of each encoding."""
    if isinstance(thing, dict):
        if "fieldName" in thing:
            yield thing.get("queryName"), thing["fieldName"]
        for each in thing.values():
            yield from shown(each)
    elif isinstance(thing, list):
        for each in thing:
            yield from shown(each)


def require(found: dict[str, Any], columns: dict[str, set[str]]) -> None:
    """Demand that queries read columns of their dataset, and encodings fields of their query."""
    names = [widget["name"] for widget in widgets(found)]
    assert len(set(names)) == len(names)
    for widget in widgets(found):
        fields = {}
        for query in widget.get("queries", ()):
            made = query["query"]
            fields[query["name"]] = {field["name"] for field in made["fields"]}
            for field in made["fields"]:
                read = set(re.findall(r"`(\w+)`", field["expression"])) - {ASSOCIATED}
                assert read <= columns[made["datasetName"]], f"{widget['name']}: {read}"
        if spec := widget.get("spec"):
            assert KINDS[spec["widgetType"]] == spec["version"]
            encoded = list(shown(spec["encodings"]))
            assert encoded
            for query, field in encoded:
                assert field in fields[query or "main_query"], f"{widget['name']}: {field}"


def test_each_widget_shows_columns_that_its_query_returns(columns: dict[str, set[str]]) -> None:
    assert {each["spec"]["widgetType"] for each in widgets(board()) if "spec" in each} == set(KINDS)
    require(board(), columns)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('"`energy_mwh`"', '"`energy_mw`"'),
        ('"expression": "AVG(`efficiency`)"', '"expression": "AVG(`effciency`)"'),
        ('"fieldName": "component"', '"fieldName": "compnent"'),
        ('"datasetName": "anomalies"', '"datasetName": "anomaly"'),
        ('"widgetType": "bar"', '"widgetType": "bars"'),
        ('"version": 3', '"version": 2'),
    ],
)
def test_a_defect_is_found(columns: dict[str, set[str]], right: str, wrong: str) -> None:
    text = texts(Parameters())[PATH].replace("SUM(`energy_mwh`)", "`energy_mwh`")
    assert right in text
    with pytest.raises((AssertionError, KeyError)):
        require(json.loads(text.replace(right, wrong)), columns)


def test_widgets_lie_in_the_grid_side_by_side() -> None:
    (page,) = board()["pages"]
    taken: set[tuple[int, int]] = set()
    for each in page["layout"]:
        place = each["position"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["width"])
            for y in range(place["y"], place["y"] + place["height"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 6
        taken |= cells


def test_the_dashboard_has_no_catalogue_and_no_schema_of_its_own() -> None:
    """The bundle sets both, so the file is the same for all names."""
    assert texts(HARD)[PATH] == texts(Parameters())[PATH]
    resource = texts(HARD)["bundle/resources/dashboard.yml"]
    assert "dataset_catalog: ${var.catalog}\n" in resource
    assert "dataset_schema: ${var.schema}\n" in resource
