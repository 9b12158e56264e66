"""The extensions of `.docs/pages/extend.md`: taken out of the page, applied, run and judged.

Together they are one process. Longer tests take each by itself, and all in `windfleet run`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sim.campaign.world import make_world
from sim.scenario import load
from tests.support import chaos_world, extension, runs
from tests.support.paths import ROOT

MOST_LINES = 40
Found = dict[str, Any]


def check_turbine_type(found: Found) -> None:
    assert found["judged"]["status"] == "pass", found["judged"]
    assert found["types"] == ["Example 2.5MW-100"]
    assert found["rated"] == [2.5]
    assert found["curve"][0] == [3, 0.02]
    assert 0.5 < found["most_mw"] < 2.7
    assert 7 < found["most_rpm"] < 14.5 * 1.15


def check_fault_of_delivery(found: Found) -> None:
    assert found["kinds"] == ["store.repeated"]
    assert found["points"] == ["checkpoint", "data", "manifest"]
    assert all(found["fired"])
    assert found["puts"][1] - found["puts"][0] == found["repeated"] > 10
    assert found["broken"] == []
    assert found["digests"] == 1
    assert found["judged"]["status"] == "pass", found["judged"]
    assert found["wire"] == ["ask", "forward"]


def check_fault_of_the_data(found: Found) -> None:
    judged = found["judged"]
    assert judged["status"] == "pass", judged
    assert 0 < found["negative"] <= found["rows"]
    assert judged["rules"]["range"] == found["negative"]
    assert "sensor.swapped" in judged["injected"]
    (score,) = (each for each in judged["detection"] if each["kind"] == "sensor.swapped")
    assert score["injected"] == score["detectable"] == score["found"] > 0
    assert score["by_signal"].keys() == {"range"}


def check_channel(found: Found) -> None:
    assert ["oil_pressure", "REAL"] in found["columns"]
    assert ["oil_pressure", "DOUBLE", "bar"] in found["table"]
    assert "| `oil_pressure` | double | bar | oil before the bearings" in found["dictionary"]
    assert len(set(found["stored"])) > 10
    assert 1.0 < min(found["stored"]) < max(found["stored"]) < 8.0
    for stage, values in found["lake"].items():
        assert set(values) <= set(found["stored"]), stage
        assert len(values) > 30, stage
    assert found["judged"]["status"] == "pass", found["judged"]
    assert any(
        each.startswith("altered enriched: ") and "oil_pressure is" in each
        for each in found["spoiled"]["findings"]
    ), found["spoiled"]


def check_stage(found: Found) -> None:
    judged = found["judged"]
    assert judged["status"] == "pass", judged
    assert found["buckets"] == ["expanso-databricks-enriched"]
    assert found["named"], "a manifest does not name an object of the stage, or names another"
    assert found["columns"] == ["air_density", "wind_power"]
    assert 1.1 < found["density"][0] <= found["density"][1] < 1.5
    assert found["right"]
    assert found["compact"] == [True, True]
    assert ["wind_power", "DOUBLE", "W/m2"] in found["table"]
    assert "| `wind_power` | double | W/m2 | power of the wind" in found["dictionary"]
    assert judged["rows"]["resource"] == judged["rows"]["validated"] > 0
    assert any(
        each.startswith("altered resource: ") and "the node's readings give" in each
        for each in found["spoiled"]["findings"]
    ), found["spoiled"]
    assert any(each.startswith("lost resource: ") for each in found["lost"]["findings"])


def check_own_node(found: Found) -> None:
    assert found["driven"] == [True, True]
    assert found["fired"] == ["node.crash", "node.second-writer"]
    assert found["broken"] == []
    assert found["same"]
    assert found["judged"]["status"] == "pass", found["judged"]
    assert found["forgetful"]["status"] == "fail"
    assert any(each.startswith("lost enriched: ") for each in found["forgetful"]["findings"])


EXTENSIONS = {
    "turbine_type": ("A turbine type", check_turbine_type),
    "fault_of_delivery": ("A fault of delivery", check_fault_of_delivery),
    "fault_of_the_data": ("A fault of the data", check_fault_of_the_data),
    "channel": ("A channel", check_channel),
    "stage": ("A stage", check_stage),
    "own_node": ("Your own node in the place of `pipeline/`", check_own_node),
}
"""Heading of each on the page, and the check of what its proof finds."""


def test_the_extensions_of_the_page_together(tmp_path: Path) -> None:
    for heading, _ in EXTENSIONS.values():
        text = extension.section(heading)
        assert 0 < extension.changed(text) < MOST_LINES, heading
        extension.apply(text, tmp_path)
    found = extension.proved(list(EXTENSIONS), tmp_path)
    world = make_world(load(chaos_world.scenario_file(tmp_path)), tmp_path / "before")
    before = world.final / "A" / "A-001.db"
    others = [extension.stored_in(before, name) for name in extension.OTHERS]
    assert found["channel"]["others"] == others
    for name, (_, check) in EXTENSIONS.items():
        check(found[name])
        assert found[name]["judged"]["unnamed"] == []


@pytest.mark.campaign
@pytest.mark.parametrize("name", EXTENSIONS)
def test_an_extension_of_the_page_by_itself(name: str, tmp_path: Path) -> None:
    heading, check = EXTENSIONS[name]
    extension.apply(extension.section(heading), tmp_path)
    found = extension.proved([name], tmp_path)
    assert found.keys() == {name}
    check(found[name])


LIVE = """
extends: my-run.yaml
seed: 7
data_faults:
  - {kind: sensor.swapped, rate: 150 per turbine-day, channels: [wind_speed], duration: 3m}
faults:
  - {kind: store.repeated, share: 50%}
  - {kind: node.crash, share: 5%}
"""


@pytest.mark.campaign
def test_the_extensions_of_the_page_in_a_run(clean_lake: str, tmp_path: Path) -> None:
    """A copy of windfleet with all of them: worker processes, the fault proxy, a real store."""
    checkout, made = tmp_path / "checkout", tmp_path / "run"
    for name in ("sim", "pipeline"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, checkout / name, ignore=ignored)
    for heading, _ in EXTENSIONS.values():
        extension.apply(extension.section(heading), checkout)
    (checkout / "live.yaml").write_text(LIVE)
    command = [sys.executable, "-m", "sim", "run", "live.yaml", "--out", str(made), "--save-lake"]
    done = subprocess.run(
        [*command, "--endpoint-url", clean_lake], cwd=checkout, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((made / "result.json").read_text())
    assert result["verdict"] == "pass"
    assert all(each["fired"] for each in result["faults"]), result["faults"]
    rows = result["lake"]["rows_by_stage"]
    assert rows["resource"] == rows["validated"] > 0
    assert rows["quarantine"] > 0
    stages = made / "lake" / "expanso-databricks-enriched"
    for stage in ("enriched", "resource"):
        body = next((stages / stage).rglob("M-00*.parquet"))
        assert "oil_pressure" in pq.read_schema(body).names


@pytest.mark.campaign
def test_any_program_delivers_and_verify_judges(clean_lake: str, tmp_path: Path) -> None:
    (block,) = extension.blocks(
        extension.section("Your own node in the place of `pipeline/`"), "bash"
    )
    loop = block[block.index("for ") : block.index("done") + len("done")]
    world = make_world(load(chaos_world.scenario_file(tmp_path)), tmp_path / "mine")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-c", loop.replace("http://127.0.0.1:4566", clean_lake)],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    verified = runs.inside("verify", world.folder, "--endpoint-url", clean_lake)
    assert verified.code == 0, verified.out
    verdict = json.loads((world.folder / "verify.json").read_text())
    assert verdict["figures"]["rows.ingested"]["value"] > 0
