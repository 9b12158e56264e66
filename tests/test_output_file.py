"""Files that a user names: those that windfleet did not write are kept, whatever option names them.

Each command is refused before it works, so most need no run.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from rich.console import Console

from sim.bench.record import write_record
from sim.errors import INVALID, PASS, DirectoryError
from sim.output_file import page_of, require_replaceable
from sim.query.output import write
from sim.report.write import rebuild
from sim.special_file import is_special, open_to_read
from sim.whole_file import write_text
from tests.support import runs
from tests.support.bench_samples import bench, size
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
    places = {"RUN": run, "RUNS": run.parent}
    words = [places.get(word, word) for word in COMMANDS[name]]
    for text in (MINE, page_of("run")):  # and another command's
        file.write_text(text)
        ended = runs.inside(*words, file)
        assert ended.code == INVALID, ended.text
        assert ended.said_once(f"{file}: is there", "--overwrite"), ended.text
        assert file.read_text() == text


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


@pytest.fixture
def places(run: Path, tmp_path: Path) -> dict[str, Path]:
    """The run, its parent, a record of `bench`, and the same run with a folder for its lake."""
    write_record(bench(size()), tmp_path / "record.json")
    judged = folder(tmp_path / "judged", sample())
    for name in ("nodes", "lake"):
        (judged / name).mkdir()
    return {"RUN": run, "RUNS": run.parent, "RECORD": tmp_path / "record.json", "JUDGED": judged}


WRITTEN: dict[str, tuple[Sequence[str], str]] = {
    "compare": (COMMANDS["compare"], "page.html"),
    "history": (COMMANDS["history"], "page.html"),
    "grafana": (COMMANDS["grafana"], "grafana.json"),
    "bench": (("bench", "--from", "RECORD", "--json"), "bench.json"),
    "verify": (("verify", "JUDGED", "--report"), "verify.html"),
}
"""Command, and the file that it writes into a folder. `verify` takes the folder.

Not covered: `dashboard`, which needs a lake (tests/dashboard).
"""


@pytest.mark.parametrize("name", WRITTEN)
def test_a_command_replaces_what_it_wrote_itself(
    places: dict[str, Path], tmp_path: Path, name: str
) -> None:
    words, file = WRITTEN[name]
    out = tmp_path / "out"
    out.mkdir()
    command = [*(places.get(word, word) for word in words), out if name == "verify" else out / file]
    for _ in range(2):
        ended = runs.inside(*command)
        assert ended.code != INVALID, ended.text
    assert file in os.listdir(out)
    (out / file).write_text(MINE)
    if name == "verify":
        assert runs.inside(*command).code == INVALID
    else:
        assert runs.inside(*command, "--overwrite").code == PASS
    assert ((out / file).read_text() == MINE) == (name == "verify")


@pytest.mark.parametrize("name", ["compare", "history"])
def test_every_page_names_its_command(run: Path, name: str) -> None:
    """The pages of a run and of a verdict on it, too: no other command may replace them."""
    page = rebuild(run)
    assert page_of("run") in page.read_text()
    command = ["history", run.parent] if name == "history" else ["compare", run, run]
    ended = runs.inside(*command, "--html", page)
    assert ended.code == INVALID
    assert ended.said_once(f"{page}: is there and was not written by this command", "--overwrite")


def test_an_empty_file_and_a_pipe_are_written_to(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    mark = page_of("history")
    for place in (tmp_path / "empty", tmp_path / "pipe", tmp_path / "none", Path("/dev/null")):
        require_replaceable(place, mark, "--html FILE", False)
    (tmp_path / "data").write_bytes(b"\xff\xfe" * 9000)
    with pytest.raises(DirectoryError, match="was not written by this command"):
        require_replaceable(tmp_path / "data", mark, "--html FILE", False)


@pytest.mark.parametrize("form", ["text", "rows"])
def test_an_open_file_is_written_from_where_it_stands(tmp_path: Path, form: str) -> None:
    """As `--out /dev/stdout >> FILE` is: the file keeps what it has, and is not replaced."""
    with (tmp_path / "log").open("w+") as file:
        print("before", file=file, flush=True)
        before = os.fstat(file.fileno()).st_ino
        path = Path(f"/dev/fd/{file.fileno()}")
        require_replaceable(path, None, "--out FILE", False)
        if form == "text":
            write_text(path, "1\n")
        else:
            write(pa.table({"a": [1]}), "json", path, Console())
        os.write(file.fileno(), b"after\n")
    assert (tmp_path / "log").read_text() == {
        "text": "before\n1\nafter\n",
        "rows": 'before\n{"a": 1}\nafter\n',
    }[form]
    assert (tmp_path / "log").stat().st_ino == before


def test_standard_streams_are_open_files() -> None:
    for name in ("stdin", "stdout", "stderr", "fd/1"):
        assert is_special(Path("/dev") / name)
    assert not is_special(Path("/dev/fd-1"))


@pytest.mark.parametrize("words", [("check",), ("query", "--endpoint-url", "http://127.0.0.1:1")])
def test_a_pipe_without_a_writer_is_refused(tmp_path: Path, words: Sequence[str]) -> None:
    """Plant: a plain `open` waits for ever."""
    pipe = tmp_path / "pipe.sql"
    os.mkfifo(pipe)
    ended = runs.inside(words[0], pipe, *words[1:])
    assert ended.code == INVALID, ended.text
    assert f"{pipe}: " in ended.err
    assert "it is a pipe or a device; name a regular file" in ended.err


def test_only_regular_and_open_files_are_read(tmp_path: Path) -> None:
    read, written = os.pipe()
    os.write(written, b"a: 1\n")
    os.close(written)
    with open_to_read(Path(f"/dev/fd/{read}")) as file:
        assert file.read() == b"a: 1\n"
    os.close(read)
    with pytest.raises(OSError, match="a pipe or a device"):
        open_to_read(Path("/dev/zero"))
    with pytest.raises(IsADirectoryError):
        open_to_read(tmp_path)
