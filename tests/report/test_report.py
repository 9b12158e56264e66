"""sim.report: one result as JSON, JUnit, HTML and on the terminal."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from markupsafe import Markup
from rich.console import Console

from sim.chaos.faults import Fault
from sim.errors import ResultError
from sim.measure.lifecycle import Removed
from sim.measure.thresholds import Outcome
from sim.report import accounting, findings, html, junit, numbers, policies
from sim.report.plan import print_plan
from sim.report.progress import RunProgress
from sim.report.result import Fault as DeliveryFault
from sim.report.result import Figure, Injected, Result, read_result
from sim.report.terminal import print_summary
from sim.report.write import rebuild, write_all
from sim.scenario.plan import Plan
from tests.support import runs
from tests.support.report_samples import OUTLOOK, failed, operations, passed, unknown

SAMPLES = [passed(), failed(), unknown()]
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


@pytest.mark.parametrize("result", SAMPLES, ids=lambda r: r.verdict)
def test_json_round_trip_keeps_every_field(result: Result, tmp_path: Path) -> None:
    write_all(result, tmp_path, None)
    assert read_result(tmp_path) == result
    assert read_result(tmp_path).to_json() == result.to_json()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["junit.xml", "report.html", "result.json"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda raw: raw.update(seed="seven"), "seed"),
        (lambda raw: raw.update(verdict="maybe"), "verdict"),
        (lambda raw: raw.update(sed=7), "sed"),
        (lambda raw: raw["completeness"][0].pop("lost"), "completeness.0.lost"),
        (lambda raw: raw.update(schema_version=2), "schema_version is 2"),
        (lambda raw: raw.update(exit_code=42), "exit_code"),
        (lambda raw: raw["completeness"][0].update(hour="banana"), "completeness.0.hour"),
        (lambda raw: raw["completeness"][0].update(hour="20240115"), "completeness.0.hour"),
        (
            lambda raw: raw["throughput"].update(bucket_s=0, rows_per_s=[], objects_per_s=[]),
            "throughput.bucket_s",
        ),
        (lambda raw: raw["throughput"].update(bucket_s=1, rows_per_s=[]), "throughput.rows_per_s"),
        (
            lambda raw: raw["throughput"].update(bucket_s=1, objects_per_s=[]),
            "throughput.objects_per_s",
        ),
    ],
)
def test_an_invalid_result_is_refused_by_field(change, expected: str, tmp_path: Path) -> None:
    raw = json.loads(passed().to_json())
    change(raw)
    (tmp_path / "result.json").write_text(json.dumps(raw))
    with pytest.raises(ResultError, match=re.escape(expected)) as caught:
        read_result(tmp_path)
    assert str(tmp_path / "result.json") in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_a_file_that_is_no_result_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(ResultError, match=r"result\.json"):
        read_result(tmp_path)


@pytest.mark.parametrize("number", ["1" + 400 * "0", "1e400", "-1e400", "NaN", "Infinity"])
@pytest.mark.parametrize("command", ["report", "compare"])
def test_a_number_beyond_a_float_is_refused(number: str, command: str, tmp_path: Path) -> None:
    raw = json.loads(passed().to_json())
    raw["figures"]["rows.generated"]["value"] = "NUMBER"
    text = json.dumps(raw).replace('"NUMBER"', number)
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(ResultError, match="out of range"):
        read_result(tmp_path)
    done = runs.inside(command, *([tmp_path] * (2 if command == "compare" else 1)))
    assert (done.code, done.said_once("result.json", "out of range")) == (2, True)


def test_a_directory_without_result_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="run directory"):
        read_result(tmp_path / "nowhere")


def test_nan_never_reaches_the_json() -> None:
    with pytest.raises(ValueError):
        dataclasses.replace(
            passed(), run=dataclasses.replace(passed().run, wall_s=float("nan"))
        ).to_json()


@pytest.mark.parametrize("result", SAMPLES, ids=lambda r: r.verdict)
def test_rebuilt_reports_are_byte_identical(result: Result, tmp_path: Path) -> None:
    table = operations()
    write_all(result, tmp_path, table)
    pq.write_table(table, tmp_path / "operations.parquet")
    before = {name: (tmp_path / name).read_bytes() for name in ("report.html", "junit.xml")}
    (tmp_path / "report.html").unlink()
    assert rebuild(tmp_path) == tmp_path / "report.html"
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


def test_a_report_links_to_the_dashboard_where_it_is_there(tmp_path: Path) -> None:
    write_all(passed(), tmp_path, None)
    assert "dashboard" not in (tmp_path / "report.html").read_text()
    (tmp_path / "dashboard.html").touch()
    rebuild(tmp_path)
    assert '<a href="dashboard.html">dashboard</a>' in (tmp_path / "report.html").read_text()


def test_a_failed_write_leaves_the_old_report_and_no_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_all(passed(), tmp_path, None)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_all(failed(), tmp_path, None)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_broken_table_of_operations_is_named(tmp_path: Path) -> None:
    write_all(passed(), tmp_path, None)
    (tmp_path / "operations.parquet").write_text("no parquet")
    with pytest.raises(ResultError, match=r"operations\.parquet"):
        rebuild(tmp_path)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda table: table.drop_columns(["outcome"]), "no column 'outcome'"),
        (
            lambda table: table.set_column(2, "end", pa.array(["x"] * table.num_rows)),
            "column 'end' is string",
        ),
        (
            lambda table: table.set_column(3, "kind", pa.array([7] * table.num_rows)),
            "column 'kind' is int64",
        ),
    ],
)
def test_a_table_of_other_columns_is_refused_by_column(
    spoil, expected: str, tmp_path: Path
) -> None:
    write_all(passed(), tmp_path, None)
    pq.write_table(spoil(operations()), tmp_path / "operations.parquet")
    with pytest.raises(ResultError, match=rf"operations\.parquet: {expected}"):
        rebuild(tmp_path)


class _Page(HTMLParser):
    """Tags, ids, references and text of a page. Every non-void element must close in order."""

    VOID = frozenset({"meta", "br", "path", "circle", "use", "rect", "line", "link", "img"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.handle_startendtag(tag, attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"link", "img", "iframe", "object"}
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in {"href", "src", "xlink:href", "srcset", "action"}:
                self.references.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in {"style", "script"}:
            self.text += data + " "


@pytest.mark.parametrize("result", SAMPLES, ids=lambda r: r.verdict)
def test_the_page_is_complete_and_loads_nothing(result: Result) -> None:
    text = html.render(result, operations())
    page = _Page(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert all(reference.startswith("#") for reference in page.references)
    assert {reference[1:] for reference in page.references} <= set(page.ids)
    assert set(re.findall(r"url\(#([^)]*)\)", text)) <= set(page.ids)
    outside = re.sub(r"<script>.*?</script>", "", text, flags=re.S)  # a browser test has those
    assert not re.search(r"https?:|@import|url\((?!#)", outside)


def test_the_failing_page_lists_findings_and_escapes_them() -> None:
    text = html.render(failed(), operations())
    page = " ".join(_Page(text).text.split())
    assert "Fail: the lake is wrong" in page
    assert "Found: 4,500 rows lost, 900 rows duplicated, 900 rows misplaced, 1 row altered." in page
    assert "--set seed=20240115" in page
    assert "129,600,000" in page
    assert "modelled, virtual time" in page
    assert "PUT ceiling of the store: 412/s" in text
    assert "<b>no</b>" not in text
    for section in (
        "rows",
        "completeness",
        "throughput",
        "timeline",
        "latency",
        "freshness",
        "truth",
        "shards",
        "figures",
    ):
        assert f'<section id="{section}">' in text


def test_the_time_line_shows_the_use_of_the_cores() -> None:
    page = " ".join(_Page(html.render(passed(), None)).text.split())
    assert "this machine with 2 cores; they were 89.1 % busy" in page
    assert "the run used it (90.3 %), or" in page
    assert "judge 4.0 s 57 s 93.4 % 71.3 s 18.2 s 2.5 s 93.4 %" in page
    assert "The machine's 2 cores: they were 93 % busy; the workers used 1.3 cores" in page


def test_a_page_without_data_names_that_and_never_passes() -> None:
    text = html.render(unknown(), None)
    assert "Verdict unknown" in text
    assert text.count("No data: ") == 9
    assert "<figure" not in text
    assert text.count("stopped answering") == 1  # in the banner


@pytest.mark.parametrize(("hours", "titles"), [(1, 1), (24, 1), (48, 2), (24 * 40, 2)])
def test_the_map_stays_readable_at_any_length(hours: int, titles: int) -> None:
    bands = accounting.bands(failed(hours).completeness)
    assert len(bands) == titles
    assert all(len(band.columns) <= 31 and len(band.rows) == 8 for band in bands)
    assert sum(
        tile.state == "lost" for band in bands for _, tiles in band.rows for tile in tiles
    ) == min(2, hours - 1)


def test_the_map_is_bounded_and_keeps_the_worst() -> None:
    cells = failed(1).completeness[:1]
    stray = [
        dataclasses.replace(cells[0], hour=f"{year}-01-01T00:00:00+00:00")
        for year in range(1990, 2040)
    ]
    stray[45] = dataclasses.replace(stray[45], lost=1)
    result = dataclasses.replace(failed(1), completeness=tuple(stray))
    text = html.render(result, None)
    assert text.count('<table class="map') == html.BANDS_SHOWN
    assert "<h3>2035-01</h3>" in text
    assert "19 more time spans" in text


def test_map_tiles_never_round_a_loss_away() -> None:
    tiles = dict(accounting.bands(failed().completeness)[0].rows)
    assert (tiles["A"][3].state, tiles["A"][3].share) == ("lost", "99.37")
    assert (tiles["D"][7].state, tiles["D"][7].share) == ("lost", "0")
    assert (tiles["H"][0].state, tiles["H"][0].detail) == ("wrong", "1 altered in enriched")
    assert (tiles["B"][0].state, tiles["B"][0].share) == ("complete", "100")
    assert numbers.percent(9_999_999, 10_000_000) == "99.99 %"
    assert numbers.percent(1, 10_000_000) == "0.01 %"


def test_stage_rows_add_up() -> None:
    rows = {row.stage: row for row in accounting.by_stage(failed())}
    assert list(rows) == ["ingestion", "quarantine", "validated", "enriched", "aggregated"]
    assert rows["ingestion"].expected == 129_600_000
    assert rows["ingestion"].wrong == {
        "lost": 3600,
        "duplicated": 900,
        "misplaced": 0,
        "altered": 0,
        "unexpected": 0,
    }
    assert not rows["enriched"].flawless
    assert rows["quarantine"].flawless


def _without_quarantine(digest: str) -> Result:
    result = passed()
    assert result.lake is not None
    cells = tuple(cell for cell in result.completeness if cell.stage != "quarantine")
    rows = result.lake.rows_by_stage | {"quarantine": 0}
    return dataclasses.replace(
        result,
        completeness=cells,
        lake=dataclasses.replace(result.lake, rows_by_stage=rows, digest=digest),
    )


def test_an_empty_stage_that_should_be_empty_was_judged(tmp_path: Path) -> None:
    result = _without_quarantine("9f2c")
    console, stream = _piped()
    print_summary(console, result, tmp_path)
    assert re.search(r"quarantine +0 +0 +none", stream.getvalue())
    assert '<th scope="row">quarantine</th><td class="n">0</td><td class="n">0</td>' in html.render(
        result, None
    )


def test_a_stage_that_was_not_read_was_not_judged(tmp_path: Path) -> None:
    console, stream = _piped()
    print_summary(console, _without_quarantine(""), tmp_path)
    assert re.search(r"quarantine +– +0 +not judged", stream.getvalue())


def test_rows_under_two_faults_are_explained_beside_their_count(tmp_path: Path) -> None:
    console, stream = _piped()
    print_summary(console, passed(), tmp_path)
    assert html.TWO_FAULTS in " ".join(stream.getvalue().split())
    assert Markup.escape(html.TWO_FAULTS) in html.render(passed(), None)
    assert "may exceed" in html.TWO_FAULTS
    assert "not in this table" in html.TWO_FAULTS


@pytest.mark.parametrize("detectable", [9, 10])
def test_fewer_detectable_than_injected_faults_are_explained_in_report_and_terminal(
    tmp_path: Path, detectable: int
) -> None:
    fault = Injected("sensor.stuck", 10, 214, {}, detectable=detectable, found=9, delay_s=70.0)
    result = dataclasses.replace(passed(), truth=(fault,))
    console, stream = _piped()
    print_summary(console, result, tmp_path)
    assert (html.DETECTABLE in stream.getvalue()) == (detectable == 9)
    assert (html.DETECTABLE in html.render(result, None)) == (detectable == 9)


def test_many_rules_wrap_and_squeeze_no_other_column(tmp_path: Path) -> None:
    rules = {"null": 2, "range": 5, "power.rated": 10, "stuck": 76, "duplicate": 121}
    fault = Injected("sensor.dropout", 11, 214, rules, detectable=11, found=11, delay_s=70.0)
    console, stream = _piped()
    print_summary(console, dataclasses.replace(passed(), truth=(fault,)), tmp_path)
    assert "…" not in stream.getvalue()
    assert re.search(r"sensor\.dropout +11 +214 +11 of 11 +1 min 10 s +null 2", stream.getvalue())
    assert "duplicate 121" in " ".join(stream.getvalue().split())


@pytest.mark.parametrize(
    ("detectable", "is_told"), [(9, True), (0, True), (10, False), (None, False)]
)
def test_the_terminal_says_why_fewer_faults_can_be_found_than_were_injected(
    detectable: int | None, is_told: bool, tmp_path: Path
) -> None:
    fault = Injected("sensor.dropout", 10, 214, {"null": 2}, detectable=detectable, found=9)
    console, stream = _piped()
    print_summary(console, dataclasses.replace(passed(), truth=(fault,)), tmp_path)
    assert ("fewer than were injected" in stream.getvalue()) is is_told


def test_junit_counts_failures_and_errors() -> None:
    root = ET.fromstring(junit.render(failed()))
    assert root.tag == "testsuites"
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("46", "9", "1")
    suites = {suite.get("name"): suite for suite in root}
    assert set(suites) == {"fleet-day.verdict", "fleet-day.expectations", "fleet-day.completeness"}
    for suite in suites.values():
        cases = suite.findall("testcase")
        assert suite.get("tests") == str(len(cases))
        assert suite.get("failures") == str(len(suite.findall("testcase/failure")))
        assert all(case.get("classname") and case.get("name") for case in cases)
    lost = suites["fleet-day.completeness"].find("testcase[@name='farm A, ingestion']/failure")
    assert lost is not None
    assert lost.get("message") == "3,600 lost"
    assert lost.text == "2024-01-15T03:00:00+00:00: 3,600 lost"


def test_junit_of_an_unknown_verdict_is_an_error_and_of_a_pass_is_clean() -> None:
    root = ET.fromstring(junit.render(unknown()))
    assert (root.get("failures"), root.get("errors")) == ("0", "2")
    root = ET.fromstring(junit.render(passed()))
    assert (root.get("failures"), root.get("errors")) == ("0", "0")


def test_junit_survives_characters_that_xml_forbids() -> None:
    root = ET.fromstring(
        junit.render(dataclasses.replace(unknown(), errors=("a\x1b[31m\x00 & <b>",)))
    )
    assert "&" in "".join(root.itertext())


def _piped(width: int = 80) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, width=width, force_terminal=False, color_system=None), stream


def test_piped_progress_is_plain_lines_every_few_seconds() -> None:
    console, stream = _piped()
    now = [0.0]
    with RunProgress(console, clock=lambda: now[0]) as progress:
        progress.phase("starting store", None, "tries")
        now[0] += 3.0
        progress.phase("simulating + pipeline", 900_000, "rows")
        for _ in range(60):
            now[0] += 0.5
            progress.advance(15_000)
        progress.log("a \x1b[31m[bold]line\r")
    lines = stream.getvalue().splitlines()
    assert not CONTROL.search(stream.getvalue())
    assert lines[1] == "starting store: done in 3 s"
    assert (
        lines[3]
        == "simulating + pipeline: 150,000 of 900,000 rows (16 %), 30,000 rows/s, 25 s left"
    )
    assert len([line for line in lines if " of 900,000" in line]) == 6
    assert lines[-2] == "a  [31m[bold]line "
    assert lines[-1] == "simulating + pipeline: done in 30 s, 900,000 rows, 30,000 rows/s"


def test_progress_on_a_terminal_is_live_and_cleans_up() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=100, force_terminal=True)
    with RunProgress(console) as progress:
        progress.phase("verifying", 10, "rows")
        progress.advance(10)
    assert "\x1b[?25l" in stream.getvalue()
    assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("\x1b[?25l")
    assert "verifying: done in" in stream.getvalue()


@pytest.mark.parametrize("result", SAMPLES, ids=lambda r: r.verdict)
def test_the_piped_summary_is_plain_and_names_verdict_and_report(
    result: Result, tmp_path: Path
) -> None:
    console, stream = _piped()
    print_summary(console, result, tmp_path)
    text = stream.getvalue()
    assert not CONTROL.search(text)
    assert text.lstrip().startswith(result.verdict.upper())
    assert str(tmp_path / "report.html") in text
    assert (tmp_path / "report.html").as_uri() in text
    assert "…" not in text


def test_delivery_faults_are_listed_with_their_meaning() -> None:
    faults = (DeliveryFault("store.reset", 3, 0), DeliveryFault("node.crash", 2, 4))
    text = html.render(dataclasses.replace(passed(), faults=faults), None)
    page = " ".join(_Page(text).text.split())
    assert "store.reset the connection is reset before any effect 3 calls 0 calls" in page
    assert (
        "node.crash a node's process dies before or after a call's effect 2 calls 4 calls" in page
    )
    assert text.count('<td class="n bad">') == 1  # never fired


def test_the_summary_of_a_failure_lists_what_failed(tmp_path: Path) -> None:
    console, stream = _piped()
    print_summary(console, failed(), tmp_path)
    text = stream.getvalue()
    assert "not met: rows.lost == 0 (is 4,500 rows)" in text
    assert "unknown: verify.rows_per_s >= 100000 (could not be determined)" in text
    assert "3,600 lost, 900 duplicated" in text
    assert "A-017-10801-11700.parquet object is missing" in text
    assert "and 2 more findings" in text
    assert "freshness.p99" in text
    assert "modelled" in text


def test_the_report_lists_each_transition_and_the_reason_for_none() -> None:
    page = " ".join(_Page(html.render(passed(), None)).text.split())
    assert (
        "ingestion small 365 days GLACIER from 128 KiB 144,000 45.5 KiB none"
        " S3 moves none below 128 KB" in page
    )
    assert "enriched large 90 days STANDARD_IA 1 MiB to 1 GiB 24 2.0 MiB 24, 48.0 MiB" in page
    assert "metadata – – – – 24 2.0 KiB none no rule moves it" in page
    assert "Removed: no object of the lake expires; old versions after 7 days" in page
    assert "a day's data, kept for 5 years, costs 7.00 USD, and 9.00 USD without policies" in page
    without = dataclasses.replace(passed(), outlook=None)
    assert "Lifecycle policies" not in html.render(without, None)
    expiring = dataclasses.replace(OUTLOOK, removed=(Removed("current objects", 1, ("a", "b")),))
    assert policies.removals(expiring) == ["current objects after 1 day: a, b"]


def test_the_plan_shows_totals_estimates_and_cost() -> None:
    console, stream = _piped()
    stages = ("ingestion", "validated", "enriched", "aggregated", "metadata", "checkpoints")
    plan = Plan(
        turbines=1500,
        farms=8,
        rows=900_000,
        windows=1500,
        batches=3000,
        objects=dict.fromkeys(stages, 1500),
        lake_bytes=dict.fromkeys(stages, 3 << 20),
        node_bytes=1 << 27,
        writes=dict.fromkeys(stages, 3000),
        reads=1500,
        verify_requests=9012,
        store_s=81.5,
        faults={"sensor.stuck": 0.031},
        cost_per_day=12.3456,
        outlook=OUTLOOK,
        delivery=(Fault("store.outage", share=0.125, from_s=60.0, for_s=30.0, farms=("A", "B")),),
    )
    print_plan(console, plan, [("sensor.stuck", "rare")], ["fires in 12 % of seeds"])
    text = stream.getvalue()
    assert not CONTROL.search(text)
    assert "…" not in text
    assert re.search(r"all +9,000 +18\.0 MiB +18,000", text)
    for line in (
        "1,500 turbines in 8 farms",
        "900,000 in 3,000 batches",
        "1 min 22 s at 1,500",
        "12.35 USD a day",
        "128.0 MiB",
    ):
        assert line in text
    assert re.search(r"data faults +sensor\.stuck: rare", text)
    assert (
        "store.outage, 12.5 % of calls, 1m to 1m30s, farm A B: fires in 12 % of seeds"
        in " ".join(text.split())
    )
    assert re.search(r"ingestion +144,000 +45\.5 KiB +none: rules start at 128 KiB", text)
    assert re.search(
        r"enriched +24 +2\.0 MiB +24 \(48\.0 MiB\) after 90 days to\s+STANDARD_IA", text
    )
    assert re.search(r"metadata +24 +2\.0 KiB +none: no rule moves them", text)
    assert "no object of the lake expires" in text
    assert "old versions after 7 days, in a bucket that keeps versions: checkpoints" in text
    assert (
        "a day's data, kept for a year, costs 6.00 USD (including transitions 1.50 USD), "
        "and 9.00 USD without policies" in text
    )
    assert "store.outage, 12.5 % of calls, 1m to 1m30s, farm A B" in text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "rows", "–"),
        (1_234_567, "rows", "1,234,567 rows"),
        (0.00531, "s", "5.31 ms"),
        (75.2, "s", "1 min 15 s"),
        (90_000, "s", "1 d 1 h"),
        (3_000_000_000, "bytes", "2.8 GiB"),
        (0.004, "USD", "< 0.01 USD"),
        (1.316, "s", "1.32 s"),
        (14873.2, "rows/s", "14,873 rows/s"),
        (0.000012, "", "0.000012"),
    ],
)
def test_figures_in_words(value: float | None, unit: str, text: str) -> None:
    assert numbers.figure(value, unit) == text


def test_findings_stand_by_kind_and_node_with_the_cause_of_the_run() -> None:
    lost, other = (
        dataclasses.replace(failed().findings[0], turbine=name, key=None)
        for name in ("A-017", "A-170")
    )
    errors = ["2 nodes could not deliver; A-017: no SQLite database"]
    (group,) = findings.groups([lost, other, lost], errors)
    assert (group.kind, group.rows, group.farms) == ("lost", 3 * 3600, "A")
    assert [(node.name, len(node.findings), node.cause) for node in group.nodes] == [
        ("A-017", 2, errors[0]),
        ("A-170", 1, ""),
    ]
    page = html.render(dataclasses.replace(failed(), errors=tuple(errors)), None)
    assert "Cause reported by the run:</b> 2 nodes could not deliver" in page


def test_a_verdict_names_what_failed_and_a_run_cut_short_has_no_zeros() -> None:
    slow = dataclasses.replace(
        passed(),
        verdict="fail",
        exit_code=4,
        expectations=(Outcome("freshness.p99 <= 10m", False, 903.4),),
    )
    assert html.sentence(slow) == "freshness.p99 is 15 min 3 s, allowed 10 min."
    nothing = Figure(0.0, "bytes", "measured")
    cut = dataclasses.replace(unknown(), figures={"memory.peak": nothing})
    assert html.sentence(cut).startswith("Not decided: The store at 127.0.0.1:4566 stopped")
    assert "memory.peak" not in html.render(cut, None)
    whole = dataclasses.replace(slow, figures=slow.figures | {"memory.peak": nothing})
    assert "memory.peak" in html.render(whole, None)


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_live_progress_is_one_line_at_any_width(width: int) -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=width, color_system=None)
    with RunProgress(console) as progress:
        progress.phase("simulating and delivering", 900_000, "rows")
        assert progress._live is not None
        progress._live.refresh()
        progress.advance(390_000)
        progress._live.refresh()
    frames = re.split(r"[\r\n]", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue()))
    shown = [frame for frame in frames if "simulating" in frame and "done in" not in frame]
    assert any("no rows yet" in frame for frame in shown)
    assert any("390,000/900,000" in frame for frame in shown)
    assert all(len(frame) <= width for frame in shown), shown
    assert not [frame for frame in frames if frame.strip() and frame not in shown][:-1]


def test_a_live_rate_is_shown_a_second_after_the_first_amount() -> None:
    """Two amounts a millisecond apart say nothing, however long the phase has lasted."""
    stream, now = io.StringIO(), [0.0]
    console = Console(file=stream, force_terminal=True, width=120, color_system=None)
    shown = []
    with RunProgress(console, lambda: now[0]) as progress:
        progress.phase("preparing batches", 1_000, "batches")
        assert progress._live is not None
        for wait_s in (30.0, 0.001, 0.5, 0.6):
            now[0] += wait_s
            progress.advance(10)
            before = len(stream.getvalue())
            progress._live.refresh()
            shown.append("batches/s" in stream.getvalue()[before:])
    assert shown == [False, False, False, True]


def test_a_pipe_gets_no_time_left_before_the_first_twentieth_and_at_the_end() -> None:
    now = [0.0]
    stream = io.StringIO()
    with RunProgress(Console(file=stream, width=200), lambda: now[0]) as progress:
        progress.phase("delivering", 1_000, "rows")
        for amount in (1, 48, 1, 450, 500):
            now[0] += 10.0
            progress.advance(amount)
    lines = [line for line in stream.getvalue().splitlines() if "of 1,000" in line]
    assert [("left" in line) for line in lines] == [False, False, True, True, False], lines


def test_more_faults_than_planned_calls_are_explained_and_only_they() -> None:
    more = dataclasses.replace(
        passed(), faults=(DeliveryFault("store.error", 12, 82), DeliveryFault("node.busy", 3, 24))
    )
    fewer = dataclasses.replace(
        passed(), faults=(DeliveryFault("store.error", 12, 12), DeliveryFault("node.busy", 3, 24))
    )
    for result, there in ((more, True), (fewer, False)):
        stream = io.StringIO()
        print_summary(Console(file=stream, width=160), result, Path("runs/x"))
        assert (html.REPEATED in stream.getvalue()) is there
        assert (html.REPEATED in html.render(result, None)) is there
