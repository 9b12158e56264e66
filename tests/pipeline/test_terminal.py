"""Safe output on a terminal, and the exit code of any command whose output fails."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.terminal import OutputError, SafeStream, one_line, safe
from sim.cli import main
from sim.console import SafeConsole
from sim.errors import exit_code_and_message
from sim.report.jinja_environment import environment
from sim.report.plain_table import plain_table
from sim.yamlfile import MAX_BYTES, MAX_DEPTH, parse
from tests.support import runs

WINDFLEET = str(Path(sys.executable).with_name("windfleet"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("A-001: 7 \u00b0C\n\t\u65e5\u672c", "A-001: 7 \u00b0C\n\t\u65e5\u672c"),
        ("\x1b[2Jgone\x07\r", "\\x1b[2Jgone\\x07\\x0d"),
        ("\x9b31m\x7f", "\\x9b31m\\x7f"),
        ("\u202egnp.exe\u2066\u2028", "\\u202egnp.exe\\u2066\\u2028"),
        ("caf\udce9 \ud800", "caf\\xe9 \\ud800"),
    ],
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    assert safe(text) == shown
    assert one_line(text) == shown.replace("\n", "\\n").replace("\t", "\\t")
    assert safe(shown) == shown


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_full_stream_is_an_error_if_it_is_needed() -> None:
    with pytest.raises(
        OutputError, match=r"^standard output cannot be written: No space left on device$"
    ):
        SafeStream(Full()).write("x")
    SafeStream(Full(), needed=False).write("x")


def test_rich_text_is_escaped_and_keeps_its_own_sequences(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", SafeStream(out))
    monkeypatch.setenv("FORCE_COLOR", "1")
    console = SafeConsole()
    console.print("name [red]x[/red] \x1b[2J \u202e :smile:", style="bold", highlight=False)
    assert "name [red]x[/red] \\x1b[2J \\u202e :smile:" in out.getvalue()
    assert out.getvalue().startswith("\x1b[1m")


def test_a_pipe_gets_whole_names_unless_the_width_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "runs/" + "long-" * 60
    table = plain_table("run", "text")
    table.columns[0].no_wrap = table.columns[1].no_wrap = False
    table.add_row(name, "word " * 100)
    monkeypatch.delenv("COLUMNS", raising=False)
    piped, shown = io.StringIO(), io.StringIO()
    SafeConsole(piped).print(table)
    assert name in piped.getvalue()
    assert len([line for line in piped.getvalue().splitlines() if "word" in line]) == 1
    monkeypatch.setenv("COLUMNS", "80")
    SafeConsole(shown).print(table)
    assert name not in shown.getvalue()


def test_a_page_shows_no_control_characters() -> None:
    page = environment().from_string("<b>{{ name }}</b>").render(name="\x1b[1m\u202e<i>")
    assert page == "<b>\\x1b[1m\\u202e&lt;i&gt;</b>"


@pytest.mark.parametrize(
    "command",
    [
        [WINDFLEET, "store", "status"],
        [WINDFLEET, "--help"],
        [sys.executable, "-m", "pipeline", "--help"],
    ],
)
def test_a_full_output_is_3_and_one_message(command: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "standard output cannot be written: No space left on device" in done.stderr


@pytest.mark.parametrize(
    ("closed", "message"), [(1, "standard output is closed"), (2, "standard error is closed")]
)
def test_a_closed_output_is_3(closed: int, message: str) -> None:
    command = ["sh", "-c", f'"$0" --version {closed}>&-', WINDFLEET]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, (done.stdout + done.stderr).count("\n")) == (3, 1)
    assert message in done.stdout + done.stderr


def test_a_name_that_is_not_utf_8_can_be_printed_in_any_locale(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9\x1b[1m\n.yaml")
    done = runs.command("check", tmp_path / name, LC_ALL="C", PYTHONUTF8="0")
    assert done.code == 2
    assert (
        done.err
        == f"{tmp_path}/caf\\xe9\\x1b[1m\\n.yaml: cannot be read: No such file or directory\n"
    )


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(13, "Permission denied", "/x/y"), "/x/y: Permission denied; name a place"),
        (OSError(36, "File name too long", "n"), "n: File name too long; use a shorter name"),
        (OSError("no number"), "a file or connection: no number"),
        (OSError(), "a file or connection: OSError"),
        (
            OSError(28, "No space left on device", "a\x1b\nb"),
            "a\\x1b\\nb: No space left on device; free some space",
        ),
    ],
)
def test_an_error_of_the_system_is_not_a_bug(error: OSError, message: str) -> None:
    code, text = exit_code_and_message(error)
    assert code == 3
    assert text.startswith(message)
    assert "bug" not in text


def test_a_scenario_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"#" * (MAX_BYTES + 1))
    tree, problems = parse(tmp_path / "big")
    assert tree is None
    assert [one.message for one in problems] == ["larger than 1000 kB, the most that is read"]
    (tmp_path / "big").write_bytes(b"a: 1\n".ljust(MAX_BYTES, b"#"))
    assert parse(tmp_path / "big")[1] == []


@pytest.mark.parametrize("links", [MAX_DEPTH + 5, 2000])
def test_aliases_do_not_nest_without_end(tmp_path: Path, links: int) -> None:
    lines = ["a0: &a0 [1]", *(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, links))]
    (tmp_path / "a.yaml").write_text("\n".join(lines))
    messages = [one.message for one in parse(tmp_path / "a.yaml")[1]]
    assert messages
    assert set(messages) <= {
        f"nested more than {MAX_DEPTH} deep",
        "more than 200,000 values; do the aliases multiply?",
    }


@pytest.mark.parametrize("option", ["--out", "--set"])
def test_arguments_that_no_file_can_have(option: str, capsys: pytest.CaptureFixture[Any]) -> None:
    for value in ("a\0b", *(["caf\udce9"] if option == "--out" else [])):
        with pytest.raises(SystemExit) as ended:
            main(["run", "x.yaml", option, value])
        assert ended.value.code == 2
        assert ("NUL" in capsys.readouterr().err) == ("\0" in value)
