"""Files of a data set for people: one table, dictionary, page, notebook, snippets, exports."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest
import sqlglot
from sqlglot import exp

from pipeline.records import CHANNELS, unit_of
from pipeline.records.schemas import REJECTED, SCHEMAS, VALIDATED
from sim.api import DataSet
from sim.demo import dictionary, export, flat, readings, snippets
from sim.model.events import Event
from sim.scenario import load
from tests.support.browser import Page
from tests.support.data_sets import rows, snippet
from tests.support.paths import ROOT

ORDER = [("turbine_id", "ascending"), ("timestamp", "ascending")]
FOREIGN = ("openoa==3.2", "flasc==2.5")


def test_the_readings_are_the_valid_rows_by_turbine_and_time(made: dict[str, Path]) -> None:
    found = pq.ParquetFile(made["farm"] / flat.FILE)
    table = found.read()
    assert table.equals(rows(made["farm"], "validated").sort_by(ORDER).cast(table.schema))
    assert found.metadata.row_group(0).sorting_columns[0].column_index == 3  # turbine_id
    for each in CHANNELS:
        assert table.schema.field(each.name).metadata[b"unit"].decode() == each.unit
    assert b"unit" not in table.schema.field("status").metadata
    assert (made["farm"] / flat.FILE).read_bytes() == (made["turbine"] / flat.FILE).read_bytes()


def test_the_readings_are_written_as_a_stream(
    made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pq.read_table(made["farm"] / flat.FILE)
    monkeypatch.setattr(flat, "MOST_ROWS", 200)  # one turbine at a time
    monkeypatch.setattr(flat, "ROW_GROUP", 100)
    (tmp_path / "lake").symlink_to(made["farm"] / "lake")
    flat.write(load(made["farm"] / "scenario.yaml"), tmp_path)
    parts = pq.ParquetFile(tmp_path / flat.FILE)
    assert parts.num_row_groups == 8
    assert parts.read().equals(whole)


def test_the_dictionary_has_every_column_with_its_unit() -> None:
    text = dictionary.text()
    for stage, schema in (*SCHEMAS.items(), ("quarantine", REJECTED)):
        section = text.partition(f"\n## {stage}")[2].partition("\n## ")[0]
        lines = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
        names = [line[0].removeprefix("| ").strip("`") for line in lines]
        assert names == schema.names
        assert [line[2].strip() for line in lines] == [unit_of(name) for name in names]
        assert all(line[3].strip() and line[5].strip(" |") for line in lines)
    assert "| 0 to 75 |" in text


def test_the_page_fits_and_shows_what_the_data_say(made: dict[str, Path], tab: Page) -> None:
    folder = made["farm"]
    for width, dark in ((390, False), (1400, True)):
        tab.open(folder / "index.html", width=width, dark=dark)
        assert tab.errors == []
        assert tab.value("document.documentElement.scrollWidth") <= width
    assert tab.value(
        "Array.from(document.querySelectorAll('.picture img'), (each) => each.naturalWidth > 900)"
    ) == [True] * len(list(folder.glob("*.png")))
    assert tab.texts("h1") == ["A winter storm crosses Ireland"]
    assert "databases: pass: 591 rows" in tab.texts(".banner")[0]
    with duckdb.connect(config={"file_search_path": str(folder)}) as connection:
        connection.execute(snippet(folder, "DuckDB"))
        first, second = (
            connection.sql(sql).fetchall()
            for sql in snippets.queries((folder / "README.md").read_text())
        )
    shown = tab.value("document.querySelectorAll('#queries tbody tr').length")
    assert shown == min(len(first), 8) + min(len(second), 8) > 0
    for name in tab.value(
        "Array.from(document.querySelectorAll('#files a'), (each) => each.getAttribute('href'))"
    ):
        assert (folder / name).exists()
    for name in ("readings.parquet", "dashboard.html", "realism.html", "explore.ipynb", "openoa"):
        assert name in tab.texts("#files a")


def test_the_notebook_runs(made: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "Agg")
    notebook = json.loads((made["farm"] / "explore.ipynb").read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    cells = ["".join(each["source"]) for each in notebook["cells"] if each["cell_type"] == "code"]
    names: dict[str, object] = {}
    with contextlib.chdir(made["farm"]):
        for cell in cells:
            exec(compile(cell, "cell", "exec"), names)
    assert isinstance(names["readings"], pa.Table)
    assert sum("SELECT turbine_id, min(timestamp)" in cell for cell in cells) == 1
    assert len({each["id"] for each in notebook["cells"]}) == len(notebook["cells"])


def test_the_api_returns_the_truth_of_all_farms(made: dict[str, Path]) -> None:
    found = DataSet(made["farm"]).truth("faults")
    assert set(found["turbine_id"].to_pylist()) == {"E-001", "E-002", "F-001", "F-002"}
    with pytest.raises(FileNotFoundError, match="there is no table 'fault'"):
        DataSet(made["farm"]).truth("fault")


def test_the_polars_snippet_runs(made: dict[str, Path]) -> None:
    import polars as pl  # here, or every test worker imports it

    names: dict[str, object] = {}
    with contextlib.chdir(made["farm"]):
        exec(snippet(made["farm"], "polars"), names)
    windows, by_turbine = names["windows"], names["by_turbine"]
    assert isinstance(windows, pl.DataFrame)
    assert isinstance(by_turbine, pl.DataFrame)
    found = rows(made["farm"], "aggregated")
    last = found.group_by(["turbine_id", "window_start"]).aggregate([("revision", "max")])
    assert windows["revision"].sum() == pc.sum(last["revision_max"]).as_py() > 0
    assert (len(windows), len(by_turbine)) == (last.num_rows, 4)


def test_duckdb_reads_months_and_hours_as_numbers(made: dict[str, Path]) -> None:
    with duckdb.connect(config={"file_search_path": str(made["farm"])}) as connection:
        connection.execute(snippet(made["farm"], "DuckDB"))
        kinds = connection.sql("SELECT DISTINCT typeof(month), typeof(hour) FROM validated")
        assert kinds.fetchall() == [("INTEGER", "INTEGER")]


def test_the_snippets_for_databricks_and_s3_parse(made: dict[str, Path]) -> None:
    parsed = sqlglot.parse(snippet(made["farm"], "Databricks"), read="databricks")
    assert [type(each) for each in parsed if each is not None] == [exp.Create, exp.Create]
    sql = snippets.duckdb_over_s3("http://127.0.0.1:4566")
    assert len(duckdb.extract_statements(sql)) == 4
    assert "ENDPOINT '127.0.0.1:4566'" in sql
    assert "USE_SSL false" in sql
    assert "USE_SSL true" in snippets.duckdb_over_s3("https://s3.example")


@pytest.mark.campaign
@pytest.mark.parametrize("heading", ["pandas", "Spark"])
def test_the_snippets_for_pandas_and_spark_run(made: dict[str, Path], heading: str) -> None:
    """In the environment of `make spark`, which has both."""
    python = ROOT / ".spark" / "venv" / "bin" / "python"
    if not python.exists():
        pytest.skip("`make spark` installs pandas and Spark")
    count = "len(windows)" if heading == "pandas" else "windows.count()"
    script = f"{snippet(made['farm'], heading)}\nprint('rows', {count})"
    done = subprocess.run(
        [python, "-c", script], cwd=made["farm"], capture_output=True, text=True, check=False
    )
    last = rows(made["farm"], "aggregated").group_by(["turbine_id", "window_start"]).aggregate([])
    assert f"rows {last.num_rows}\n" in done.stdout, done.stderr


def test_an_export_for_openoa_has_its_names_and_units(made: dict[str, Path]) -> None:
    place = made["farm"] / "openoa" / "E"
    scada, valid = pq.read_table(place / "scada.parquet"), pq.read_table(made["farm"] / flat.FILE)
    ours = valid.filter(pc.equal(valid["farm_id"], "E"))
    assert scada.column_names == list(export.OPENOA)
    assert scada.schema.field("time").type == pa.timestamp("us")
    for name, column in export.OPENOA.items():
        if name not in ("time", "WTUR_W"):
            assert scada[name].equals(ours[column])
    assert scada["WTUR_W"].equals(pc.multiply(ours["power_output"], 1000.0))
    assets = csv.read_csv(place / "asset.csv").to_pydict()
    assert assets["asset_id"] == ["E-001", "E-002"]
    farm = next(
        each for each in load(made["farm"] / "scenario.yaml").fleet.farms if each.farm_id == "E"
    )
    assert (assets["latitude"][1], assets["longitude"][1]) == farm.coordinates(1)
    kind = farm.turbine_type
    assert assets["rated_power"] == [1000 * kind.rated_power] * 2
    assert assets["rotor_diameter"] == [kind.rotor_diameter] * 2
    assert assets["hub_height"][0] + assets["elevation"][0] == farm.climate.altitude
    assert json.loads((place / "plant.json").read_text())["scada"]["frequency"] == "10min"
    assert not list(made["turbine"].glob("openoa"))


def test_an_export_for_flasc_is_wide(made: dict[str, Path]) -> None:
    place = made["farm"] / "flasc" / "F"
    wide, valid = pq.read_table(place / "scada.parquet"), pq.read_table(made["farm"] / flat.FILE)
    assert wide.column_names == [
        "time",
        *(f"{name}_{index:03d}" for name in ("ws", "wd", "pow") for index in (0, 1)),
    ]
    assert wide.num_rows == 144
    ours = valid.filter(pc.equal(valid["turbine_id"], "F-002"))
    for name, column, factor in (("ws", "wind_speed", 1.0), ("pow", "power_output", 1000.0)):
        there = wide.filter(pc.is_in(wide["time"], ours["timestamp"].cast(pa.timestamp("us"))))
        assert there[f"{name}_001"].to_pylist() == pc.multiply(ours[column], factor).to_pylist()
    assert wide["ws_001"].null_count == 144 - ours.num_rows > 0
    layout = csv.read_csv(place / "layout.csv").to_pydict()
    assert (layout["index"], layout["turbine_id"]) == ([0, 1], ["F-001", "F-002"])
    assert {"x", "y", "rotor_diameter", "elevation", "latitude"} <= layout.keys()


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with OpenOA and FLASC, from the package index."""
    folder = tmp_path_factory.mktemp("foreign") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [str(folder / "bin" / "pip"), "install", "--quiet", *FOREIGN]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"OpenOA and FLASC do not install: {done.stderr[-300:]}")
    return folder / "bin" / "python"


@pytest.mark.campaign
def test_openoa_and_flasc_load_the_exports(made: dict[str, Path], foreign: Path) -> None:
    script = """
import json
import pandas as pd
from openoa import PlantData
metadata = json.load(open("openoa/E/plant.json"))
plant = PlantData(metadata=metadata, scada=pd.read_parquet("openoa/E/scada.parquet"),
                  asset=pd.read_csv("openoa/E/asset.csv"), analysis_type=None)
print(list(plant.turbine_ids), round(plant.scada["WTUR_SupWh"].sum()))
from flasc import FlascDataFrame
wide = FlascDataFrame(pd.read_parquet("flasc/E/scada.parquet"))
print(wide.n_turbines, wide.in_flasc_format)
"""
    done = subprocess.run(
        [foreign, "-c", script], cwd=made["farm"], capture_output=True, text=True, check=False
    )
    power = pq.read_table(made["farm"] / "openoa" / "E" / "scada.parquet")["WTUR_W"]
    energy = round(pc.sum(power).as_py() / 6)
    assert f"['E-001', 'E-002'] {energy}\n2 True" in done.stdout, done.stderr


def test_the_pictures_have_titles_like_axes_and_turbine_ids(made: dict[str, Path]) -> None:
    from sim.demo import pictures  # here, or every test worker imports matplotlib

    folder = made["farm"]
    scenario = load(folder / "scenario.yaml")
    farms = readings.read(scenario, folder / "nodes")
    raster = pictures.raster(farms[0]).axes[0]
    assert [each.get_text() for each in raster.get_yticklabels()] == ["E-001", "E-002"]
    readme = (folder / "README.md").read_text()
    for caption in (pictures.FLEET, pictures.RASTER):
        assert caption in readme
    event = Event("machine.failure", 3600.0, 7200.0, (), ("E-001",), "main_bearing")
    figure = pictures.focus(farms[0], "E-001", event)
    assert [axes.get_ylabel() for axes in figure.axes] == ["mm/s", "degC", "degC", "MW"]
    marks = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert [text for text in marks if "fails" in text] == [" fails 20 Jan 03:00 "]


def test_the_first_alarm_is_the_first_in_the_event(made: dict[str, Path]) -> None:
    from sim.demo import pictures

    scenario = load(made["farm"] / "scenario.yaml")
    farm = readings.read(scenario, made["farm"] / "nodes")[0]
    values = np.zeros(len(farm.times_us))
    values[[2, 9, 12]] = 6.0
    event = Event("machine.failure", 3600.0, 7200.0, (), ("E-001",), "main_bearing")
    assert pictures.first_alarm(farm, values, 5.6, event) == farm.times_us[9]
    assert pictures.first_alarm(farm, values, 6.1, event) is None


def test_every_meaning_is_of_a_column() -> None:
    assert set(dictionary.meanings("validated")) == set(VALIDATED.names)
    known = {**dictionary._ROW, **dictionary._ENRICHED, **dictionary._REJECTED}
    columns = {name for schema in (*SCHEMAS.values(), REJECTED) for name in schema.names}
    assert set(known) | set(dictionary._AGGREGATED) == columns
