"""windfleet from Python: typed results, Arrow tables, and errors with the command's text."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sim import api
from tests.support import runs
from tests.support.paths import ROOT

QUICK = {"clock.duration": "2m", "expect": ["rows.lost == 0"], "seed": 8}


def readme_block() -> str:
    """The README's example, without the import that only an installed wheel has."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    first, _, rest = block.partition("\n")
    assert first.startswith("from windfleet import demo, query, run")
    return str(rest)


def test_the_example_of_the_readme_runs(
    tmp_path: Path,
    clean_lake: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On fewer turbines, on the tests' LocalStack. All that a run has is looked at."""
    monkeypatch.setattr(api, "_command", runs.answer)

    def run(scenario: str, set: dict[str, object]) -> api.Run:
        assert (scenario, set) == ("small", {"seed": 8})
        return api.run(
            runs.scenario(tmp_path),
            out=tmp_path / "run",
            set=QUICK | set,
            workers=1,
            endpoint_url=clean_lake,
        )

    names = {"run": run, "query": api.query}
    exec(readme_block(), names)
    assert capsys.readouterr().out == "pass 0\n"
    made, table = names["made"], names["table"]
    assert isinstance(made, api.Run)
    assert table == made.lake("enriched")
    assert made.result.verdict == "pass"
    assert made.result.seed == 8
    assert made.result.expectations[0].passed
    rows = made.result.figures["rows.generated"].value
    ingested = made.lake("ingestion")
    assert ingested.num_rows == rows
    assert {"turbine_id", "year", "hour"} <= set(ingested.column_names)
    operations = made.operations()
    assert operations.num_rows >= made.result.figures["objects.written"].value
    again = api.verify(made.folder)
    assert (again.verdict, again.findings) == ("pass", ())
    assert again.recheck is not None
    assert (again.recheck.before, again.recheck.differences) == ("pass", ())
    answer = api.query(made.folder, "SELECT count(*) AS n FROM wind_turbine_enriched")
    assert answer.to_pylist() == [{"n": made.lake("enriched").num_rows}]
    with pytest.raises(FileNotFoundError, match="no stage 'nosuch'"):
        made.lake("nosuch")
    with pytest.raises(api.CommandFailed, match="--overwrite") as caught:
        api.run(runs.scenario(tmp_path), out=made.folder)
    assert caught.value.exit_code == 2


def test_a_verdict_of_fail_is_a_result(tmp_path: Path, clean_lake: str) -> None:
    wrong = {**QUICK, "clock.duration": "1m", "expect": ["rows.lost >= 1"], "fleet.farms": ["G"]}
    wrong["data_faults"] = []
    made = api.run(
        runs.scenario(tmp_path), out=tmp_path / "run", set=wrong, endpoint_url=clean_lake
    )
    assert (made.result.verdict, made.result.exit_code) == ("fail", 4)


def test_a_scenario_that_is_wrong_is_an_error_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(api.CommandFailed, match="seed: 'x' is not a whole number") as caught:
        api.run("small", set={"seed": "x"}, out=tmp_path / "run")
    assert caught.value.exit_code == 2
    assert "Traceback" not in str(caught.value)


def test_the_api_is_imported_without_tables_or_results() -> None:
    program = "import sys; from sim.api import *; print(sorted(sys.modules))"
    shown = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )
    heavy = {"pyarrow", "numpy", "pydantic", "rich", "sim.cli"}
    assert not heavy & set(ast_list(shown.stdout))


def ast_list(text: str) -> list[str]:
    import ast

    return list(ast.literal_eval(text))


def test_a_lake_that_is_wrong_is_a_result_of_a_run_and_an_error_of_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command is feigned: exit code 5."""
    feigned = tmp_path / "python"
    feigned.write_text("#!/bin/sh\necho the lake is wrong >&2\nexit 5\n")
    feigned.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(feigned))
    assert api.run("small", out=tmp_path).folder == tmp_path
    assert api.resume(tmp_path).folder == tmp_path
    for command in (lambda: api.demo(to=tmp_path), lambda: api.query(tmp_path, "SELECT 1")):
        with pytest.raises(api.CommandFailed, match="the lake is wrong") as caught:
            command()
        assert caught.value.exit_code == 5
