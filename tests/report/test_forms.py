"""The end of a run as JSON, Markdown or one line: one document on stdout, the rest on stderr."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from sim.report.forms import Form, in_form, markdown
from sim.report.result import RESULT_FILE, Difference, Recheck, Result
from sim.report.write import HTML_FILE
from tests.support import runs
from tests.support.report_samples import failed, passed, unknown


def ended(folder: Path, result: Result) -> Callable[[Console], int]:
    def run(console: Console) -> int:
        console.print("progress")
        (folder / RESULT_FILE).write_text(result.to_json())
        return result.exit_code

    return run


@pytest.mark.parametrize("form", ["json", "markdown", "quiet"])
@pytest.mark.parametrize("result", [passed(), failed(), unknown()], ids=lambda r: r.verdict)
def test_stdout_is_one_document_and_the_exit_code_stays(
    form: Form, result: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_form(form, tmp_path, ended(tmp_path, result)) == result.exit_code
    out, err = capsys.readouterr()
    assert "progress" not in out
    assert ("progress" in err) == (form != "quiet")
    if form == "json":
        assert json.loads(out)["verdict"] == result.verdict
        assert out == result.to_json()
    elif form == "markdown":
        assert out.startswith("## ")
        assert result.verdict in out.partition("\n")[0]
    else:
        assert out.startswith(result.verdict.upper())
        said = [f"error: {error}" for error in result.errors]
        said += [f"report: {tmp_path / HTML_FILE}"] if result.exit_code else []
        assert out.splitlines()[1:] == said


def test_text_is_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert in_form("text", tmp_path, ended(tmp_path, passed())) == 0
    assert capsys.readouterr() == ("progress\n", "")


def test_markdown_names_each_condition_that_failed_and_counts_the_findings(tmp_path: Path) -> None:
    result = failed()
    page = markdown(result, tmp_path)
    missed = [outcome for outcome in result.expectations if not outcome.passed]
    assert missed
    assert all(f"`{outcome.text}`" in page for outcome in missed)
    assert f"and {len(result.findings) - 10:,} more findings" in page
    assert page.count("\n|---") == 2


DAY = """\
## ❌ windfleet fail: fleet-day, seed 20240115

Found: 4,500 rows lost, 900 rows duplicated, 900 rows misplaced, 1 row altered.

- not met: `rows.lost == 0`, is 4,500 rows
- not met: `rows.duplicated == 0`, is 900 rows
- not decided: `verify.rows_per_s >= 100000`, is –
- lost ingestion A-017 object is missing
- duplicated ingestion C-002 rows twice
- altered enriched H object 7
- manifest F-000 \\<b\\>no\\</b\\> manifest 0

| figure | value | kind |
|---|---:|---|
| Rows generated | 129,600,000 rows | counted |
| Row throughput | 14,873 rows/s | measured |
| Object throughput | 148.6 objects/s | measured |
| Store's PUT ceiling | 412.4 requests/s | measured |
| PUT latency, p99 | 21.4 ms | measured |
| Freshness, p99 | 15 min 3 s | modelled |
| Peak memory | 1.2 GiB | measured |
| S3 cost per day | 6.43 USD | modelled |

| stage | expected | in the lake | wrong |
|---|---:|---:|---|
| ingestion | 129,600,000 | 129,597,300 | 3,600 lost, 900 duplicated |
| quarantine | 129,528 | 129,528 | none |
| validated | 129,470,472 | 129,470,472 | 900 misplaced |
| enriched | 129,470,472 | 129,469,572 | 900 lost, 1 altered |
| aggregated | 216,000 | 215,208 | 792 lost |

differs from result.json in: digest

digest `9f2c9f2c9f2c9f2c`; report: `report.html`; \
replay: `windfleet run scenarios/fleet-day.yaml --set seed=20240115`
"""


def test_markdown_is_complete() -> None:
    result = failed()
    found = (
        *result.findings[:2],
        replace(result.findings[2], turbine=None, detail="object 7"),
        result.findings[3],
    )
    check = Recheck("x", "pass", 40, (Difference("digest", "a", "b"),))
    assert markdown(replace(result, findings=found, recheck=check), Path("report.html")) == DAY


def test_markdown_shows_text_of_a_run_as_it_is(tmp_path: Path) -> None:
    wild = replace(unknown(), errors=("<b>a|b</b>\n# [x](http://y) `z` *w*",))
    (line,) = [each for each in markdown(wild, tmp_path).splitlines() if "error:" in each]
    assert line == r"- error: \<b\>a\|b\</b\> # \[x\](http://y) \`z\` \*w\*"


def test_two_forms_at_once_are_2() -> None:
    done = runs.inside("run", "x.yaml", "--json", "--quiet")
    assert (done.code, done.out) == (2, "")
    assert "not allowed with" in done.err


def test_check_prints_every_problem_as_json(tmp_path: Path) -> None:
    path = runs.scenario(tmp_path, runs.SCENARIO.replace("seed: 7", "sede: 7"))
    done = runs.inside("check", path, "--json", "--set", "clock.sample_every=7s")
    found = json.loads(done.out)
    assert (done.code, found["valid"], done.err) == (2, False, "")
    assert [(each["file"], each["line"]) for each in found["problems"]] == [
        (str(path), 3),
        ("--set 1", 0),
    ]
    good = json.loads(runs.inside("check", runs.scenario(tmp_path), "--json").out)
    assert (good["valid"], good["turbines"]) == (True, 9)


def test_plan_prints_json(tmp_path: Path) -> None:
    found = json.loads(runs.inside("plan", runs.scenario(tmp_path), "--json").out)
    assert found["rows"] == 9 * 240
    assert set(found["objects"]) >= {"ingestion", "aggregated", "checkpoints"}
