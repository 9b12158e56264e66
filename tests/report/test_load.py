"""The report of a load test: its text, one offline file, rebuilt from the raw record."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from sim import cli
from sim.load.phase import REQUESTS, RESOURCES
from sim.measure.bottleneck import Limit
from sim.measure.operations import OPERATIONS_FILE
from sim.measure.operations import SCHEMA as OPERATIONS
from sim.report import forms, html
from sim.report import result as results
from sim.report.load.charts import lanes
from sim.report.load.page import counted_lanes, kinds, render_load, sentence
from sim.report.load.terminal import print_load
from sim.report.result import RESULT_FILE, Result
from sim.report.write import HTML_FILE, JUNIT_FILE, REQUESTS_FILE, RESOURCES_FILE


def page(run_dir: Path) -> str:
    return (run_dir / HTML_FILE).read_text()


def read(run_dir: Path) -> Result:
    return results.read_result(run_dir)


def test_every_part_is_there(run_dir: Path) -> None:
    html = page(run_dir)
    sections = (
        "limit expectations search sweep schedule heat percentiles operations processes plan"
        " figures environment"
    )
    for name in sections.split():
        assert f'<section id="{name}">' in html, name
    for chart in ("schedule", "heat", "percentiles", "processes", "sweep", "search"):
        assert f'data-chart="{chart}"' in html, chart
    assert "No data" not in html


def test_it_is_one_file_without_requests(run_dir: Path) -> None:
    html = page(run_dir)
    assert not re.search(r'(src|href)="(?!#|data:)', html)
    assert not re.search(r"https?://", re.sub(r"<script>.*?</script>", "", html, flags=re.S))
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_it_contains_the_results(run_dir: Path) -> None:
    html, found = page(run_dir), read(run_dir)
    assert found.verdict == "fail"
    assert found.exit_code == 4
    assert found.load is not None
    assert found.load.search is not None
    assert found.load.search.said in html
    assert "The store: its one core is" in html
    assert "SLO" in html
    assert html.count('<span class="tag fail">✗ not met</span>') == 1
    assert html.count('<span class="tag unknown">? unknown</span>') == 1
    for step in found.load.search.steps:
        assert f'<th scope="row">{step.phase}</th>' in html
    for phase in found.load.phases:
        assert phase.name in html


def test_percentiles_and_figures_are_of_the_same_phases(run_dir: Path) -> None:
    tables = [pq.read_table(run_dir / name) for name in (REQUESTS_FILE, RESOURCES_FILE)]
    found = read(run_dir)
    assert found.load is not None
    assert found.load.search is not None
    assert "Over the open phases, without warm-up." in page(run_dir)
    searched = replace(found.load, phases=tuple(p for p in found.load.phases if p.kind != "open"))
    hold = [phase for phase in searched.phases if phase.kind == "hold"][-1]
    shown, words = counted_lanes(searched, lanes(searched.phases, *tables))
    assert words == f"over {hold.name}, which confirmed the rate"
    row = next(row for row in kinds(shown) if row.kind == "flush")
    assert row.latency["p95"] == pytest.approx(hold.figures["latency.flush.p95"])
    nothing = replace(searched, search=replace(found.load.search, sustainable=None))
    assert counted_lanes(nothing, shown) == (shown, "over all phases")


def test_a_disturbed_test_is_reported_first(run_dir: Path) -> None:
    found = read(run_dir)
    assert found.load is not None
    assert "disturbed" not in sentence(found)
    first, *rest = found.load.phases
    busy = replace(first, figures=first.figures | {"cpu.idle": 0.1, "cpu.others": 0.7})
    words = sentence(replace(found, load=replace(found.load, phases=(busy, *rest))))
    assert f"disturbed the test in 1 of {1 + len(rest)} phases: repeat it on a quiet" in words


def test_other_forms_speak_of_the_load_and_of_no_rows(run_dir: Path) -> None:
    """One line, Markdown and the lines of a series."""
    found = read(run_dir)
    said = html.sentence(found)
    assert said == sentence(found)
    assert "rows is where it must be" not in said
    assert forms.markdown(found, run_dir / HTML_FILE).splitlines()[2] == said
    assert "| Achieved | " in forms.markdown(found, run_dir / HTML_FILE)


def test_the_result_comes_back_as_it_was(run_dir: Path) -> None:
    found = read(run_dir)
    assert found.to_json() == (run_dir / RESULT_FILE).read_text()


def test_windfleet_report_rebuilds_it_byte_for_byte(run_dir: Path) -> None:
    before = page(run_dir), (run_dir / JUNIT_FILE).read_text()
    (run_dir / HTML_FILE).unlink()
    (run_dir / JUNIT_FILE).unlink()
    assert cli.main(["report", str(run_dir)]) == 0
    assert (page(run_dir), (run_dir / JUNIT_FILE).read_text()) == before


def test_a_damaged_record_is_reported_by_file(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (RESULT_FILE, RESOURCES_FILE, REQUESTS_FILE):
        (tmp_path / name).write_bytes((run_dir / name).read_bytes())
    table = pq.read_table(run_dir / REQUESTS_FILE)
    pq.write_table(table.drop_columns(["outcome"]), tmp_path / REQUESTS_FILE)
    assert cli.main(["report", str(tmp_path)]) == 2
    assert "requests.parquet: no column 'outcome'" in capsys.readouterr().err
    (tmp_path / REQUESTS_FILE).write_bytes(b"no parquet")
    assert cli.main(["report", str(tmp_path)]) == 2
    assert "requests.parquet" in capsys.readouterr().err


def test_the_page_names_missing_operations(run_dir: Path) -> None:
    tables = [pq.read_table(run_dir / name) for name in (REQUESTS_FILE, RESOURCES_FILE)]
    assert "No data: no operation was recorded." in render_load(read(run_dir), *tables, None)


def test_a_test_without_results_has_a_page(run_dir: Path) -> None:
    found = read(run_dir)
    assert found.load is not None
    empty = replace(
        found, load=replace(found.load, phases=(), sweep=None, search=None, limit=None), figures={}
    )
    html = render_load(
        empty, REQUESTS.empty_table(), RESOURCES.empty_table(), OPERATIONS.empty_table()
    )
    assert "No phase of the load test was completed." in html
    assert "No data: no phase was run." in html


def test_external_text_is_escaped(run_dir: Path) -> None:
    found = read(run_dir)
    assert found.load is not None
    evil = replace(
        found, errors=("<b>no</b>",), load=replace(found.load, limit=Limit("unknown", "<i>x</i>"))
    )
    html = render_load(
        evil,
        *(
            pq.read_table(run_dir / name)
            for name in (REQUESTS_FILE, RESOURCES_FILE, OPERATIONS_FILE)
        ),
    )
    assert "<b>no</b>" not in html
    assert "<i>x</i>" not in html


def test_an_early_stop_and_a_lost_worker_are_reported(run_dir: Path) -> None:
    found = read(run_dir)
    assert found.load is not None
    first, *rest = found.load.phases
    stopped = replace(
        first, stopped_early="errors.share > 5% (it was 0.31).\nAnd its log", lost_workers=1
    )
    changed = replace(found, load=replace(found.load, phases=(stopped, *rest)))
    assert "Phase 1-ramp was stopped early: errors.share > 5% (it was 0.31)." in sentence(changed)
    assert "1 load generator died during the test." in sentence(changed)
    html = render_load(
        changed,
        *(
            pq.read_table(run_dir / name)
            for name in (REQUESTS_FILE, RESOURCES_FILE, OPERATIONS_FILE)
        ),
    )
    assert "stopped early: errors.share &gt; 5%" in html
    assert "1 load generator died" in html


def test_junit_has_a_case_per_expectation(run_dir: Path) -> None:
    root = ET.fromstring((run_dir / JUNIT_FILE).read_text())
    cases = {case.get("name"): [child.tag for child in case] for case in root.iter("testcase")}
    assert cases["errors.share <= 1%"] == []
    assert cases["latency.flush.p95 <= 10ms"] == ["failure"]
    assert cases["latency.scan_partition.p95 <= 1s"] == ["error"]


def test_the_terminal_shows_the_same(run_dir: Path) -> None:
    out = io.StringIO()
    print_load(Console(file=out, width=80), read(run_dir), run_dir)
    words = out.getvalue()
    assert words.lstrip().startswith("FAIL  ")
    for part in (
        "store: arithmetic",
        "1-ramp",
        "sweep-8",
        "load.sustainable_per_s",
        "not met: latency.flush.p95 <= 10ms",
        "report: ",
    ):
        assert part in words, part
    assert "unknown: latency.scan_partition.p95 <= 1s (was not measured)" in words
