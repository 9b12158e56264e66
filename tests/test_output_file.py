"""Files that a user names: those that windfleet did not write are kept, whatever option names them.

Each command is refused before it works, so most need no run.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from sim.errors import INVALID, PASS, DirectoryError
from sim.output_file import PAGE, require_replaceable
from tests.support import runs
from tests.support.run_folders import folder, sample

MINE = "<html><p>My notes on windfleet.</p></html>\n"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return folder(tmp_path / "runs" / "one", sample())


COMMANDS: dict[str, Sequence[str]] = {
    "compare": ("compare", "RUN", "RUN", "--html"),
    "history": ("history", "RUNS", "--html"),
    "grafana": ("watch", "--grafana"),
    "bench": ("bench", "--json"),
    "query": ("query", "SELECT 1", "--endpoint-url", "http://127.0.0.1:1", "--out"),
    "dashboard": ("dashboard", "--endpoint-url", "http://127.0.0.1:1", "--out"),
    "new": ("new",),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_file_of_the_user_is_kept(run: Path, tmp_path: Path, name: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(MINE)
    places = {"RUN": run, "RUNS": run.parent}
    words = [places.get(word, word) for word in COMMANDS[name]]
    ended = runs.inside(*words, file)
    assert ended.code == INVALID, ended.text
    assert ended.said_once(f"{file}: is there", "--overwrite"), ended.text
    assert file.read_text() == MINE


def test_the_default_page_of_a_history_is_no_exception(run: Path) -> None:
    page = run.parent / "history.html"
    page.write_text(MINE)
    assert runs.inside("history", run.parent).code == INVALID
    assert page.read_text() == MINE
    assert runs.inside("history", run.parent, "--overwrite").code == PASS


def test_the_files_of_a_verdict_replace_no_others(run: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "verify.json").write_text("{}")
    for name in ("lake", "nodes"):
        (run / name).mkdir()
    (run / "nodes" / "A-001.db").touch()
    ended = runs.inside("verify", run, "--report", tmp_path / "notes")
    assert ended.code == INVALID, ended.text
    assert "name another with --report DIR" in ended.err
    assert (tmp_path / "notes" / "verify.json").read_text() == "{}"


@pytest.mark.parametrize("name", ["compare", "history", "grafana"])
def test_what_windfleet_wrote_is_replaced(run: Path, tmp_path: Path, name: str) -> None:
    file = tmp_path / "out"
    places = {"RUN": run, "RUNS": run.parent}
    words = [places.get(word, word) for word in COMMANDS[name]]
    for _ in range(2):
        assert runs.inside(*words, file).code == PASS
    file.write_text(MINE)
    assert runs.inside(*words, file, "--overwrite").code == PASS
    assert file.read_text() != MINE


def test_an_empty_file_and_a_pipe_are_written_to(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "empty", tmp_path / "pipe", tmp_path / "none", Path("/dev/null")):
        require_replaceable(place, PAGE, "--html FILE", False)
    (tmp_path / "data").write_bytes(b"\xff\xfe" * 9000)
    with pytest.raises(DirectoryError, match="was not written by windfleet"):
        require_replaceable(tmp_path / "data", PAGE, "--html FILE", False)
