"""The merge of verdicts, and the node files that a scenario wants."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.check import Finding, Verdict
from sim.fleet import load_fleet
from sim.fleet.part import FarmPart
from sim.verify import missing_nodes
from sim.verify.judge import merge


@pytest.mark.parametrize(
    ("statuses", "merged"),
    [
        (("pass",), "pass"),
        (("pass", "pass"), "pass"),
        (("pass", "unknown"), "unknown"),
        (("unknown", "fail"), "fail"),
        (("fail", "unknown", "pass"), "fail"),
        (("pass", "fail"), "fail"),
    ],
)
def test_the_strongest_status_wins(statuses: tuple[str, ...], merged: str) -> None:
    assert merge([Verdict(status) for status in statuses]).status == merged


def test_figures_findings_counts_and_errors_are_added() -> None:
    lake = Verdict(
        "fail",
        {"rows.lost": 2},
        digest="d",
        findings=[Finding("lost")],
        counts={"lost": 1, "upload.unfinished": 1},
        errors=["first"],
    )
    uploads = Verdict(
        "fail",
        {"objects.unfinished": 3},
        findings=[Finding("upload.unfinished")],
        counts={"upload.unfinished": 3},
        errors=["second"],
    )
    found = merge([lake, uploads])
    assert found.figures == {"rows.lost": 2, "objects.unfinished": 3}
    assert [finding.kind for finding in found.findings] == ["lost", "upload.unfinished"]
    assert found.counts == {"lost": 1, "upload.unfinished": 4}
    assert found.errors == ["first", "second"]
    assert found.digest == "d"


def test_a_missing_node_file_leaves_the_verdict_unknown(tmp_path: Path) -> None:
    farm = FarmPart.whole(load_fleet().farms[0])
    (tmp_path / farm.farm.farm_id).mkdir()
    for turbine in farm.turbine_ids:
        (tmp_path / farm.farm.farm_id / f"{turbine}.db").touch()
    assert missing_nodes.verdict(missing_nodes.missing(tmp_path, [farm])) == Verdict("pass")
    (tmp_path / farm.farm.farm_id / f"{farm.turbine_ids[3]}.db").unlink()
    found = missing_nodes.verdict(missing_nodes.missing(tmp_path, [farm]))
    assert found.status == "unknown"
    assert f"1 turbines of the scenario have no file in nodes/; first {farm.turbine_ids[3]}" in str(
        found.errors
    )
