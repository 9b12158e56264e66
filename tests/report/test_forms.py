"""The end of a run as JSON, Markdown or one line: one document on stdout, the rest on stderr."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from sim.report.forms import Form, in_form, markdown
from sim.report.result import RESULT_FILE, Result
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
