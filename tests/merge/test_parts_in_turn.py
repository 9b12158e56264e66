"""`--shard 3-6/16`: parts one after the other in one process."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from sim.errors import INTERRUPTED, INVALID, LAKE_WRONG, PASS, UNKNOWN, StoreGone
from sim.parts_in_turn import in_turn
from sim.run.part_index import PartIndex, PartRange
from tests.support import runs


def arguments(**more: object) -> argparse.Namespace:
    given = {"command": "run", "out": Path("parts"), "replay": "windfleet run x --shard=2-4/5"}
    return argparse.Namespace(shard=PartRange(2, 4, 5), **{**given, **more})


def ending(*codes: int) -> tuple[list[argparse.Namespace], Callable[[argparse.Namespace], int]]:
    """Return the arguments that a command got so far, and the command, which ends with `codes`."""
    got: list[argparse.Namespace] = []

    def command(args: argparse.Namespace) -> int:
        got.append(args)
        return codes[len(got) - 1]

    return got, command


def test_each_part_has_its_number_its_directory_and_its_command() -> None:
    got, command = ending(PASS, PASS, PASS)
    assert in_turn(arguments(), command) == PASS
    assert [args.shard for args in got] == [PartIndex(i, 5) for i in (2, 3, 4)]
    assert [args.out for args in got] == [Path(f"parts/part-{i}-of-5") for i in (2, 3, 4)]
    assert shlex.split(got[1].replay) == shlex.split(
        "windfleet run x --shard 3/5 --out parts/part-3-of-5"
    )


def test_without_a_directory_each_part_takes_its_own() -> None:
    got, command = ending(PASS, PASS, PASS)
    in_turn(arguments(out=None), command)
    assert [args.out for args in got] == [None] * 3


def test_a_data_set_goes_below_its_folder_and_never_into_a_url() -> None:
    for to, want in (("sets", "sets/part-2-of-5"), ("http://127.0.0.1:1", "http://127.0.0.1:1")):
        got, command = ending(PASS, PASS, PASS)
        in_turn(arguments(command="demo", to=to), command)
        assert got[0].to == want


def test_the_exit_code_is_that_of_the_worst_part() -> None:
    got, command = ending(PASS, LAKE_WRONG, UNKNOWN)
    assert in_turn(arguments(), command) == LAKE_WRONG
    assert len(got) == 3


def test_an_interrupt_ends_the_row_and_names_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    got, command = ending(PASS, INTERRUPTED)
    assert in_turn(arguments(), command) == INTERRUPTED
    assert len(got) == 2
    assert "not done: --shard 3-4/5" in capsys.readouterr().err


def test_an_error_names_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    def command(args: argparse.Namespace) -> int:
        if args.shard.index == gone:
            raise StoreGone("gone")
        return PASS

    gone = 3
    with pytest.raises(StoreGone):
        in_turn(arguments(), command)
    assert capsys.readouterr().err == "windfleet: not done: --shard 3-4/5\n"
    gone = 2  # nothing was done
    with pytest.raises(StoreGone):
        in_turn(arguments(), command)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--json",), "--json (it prints one document"),
        (("--markdown",), "--markdown (it prints one document"),
        (("--keep",), "--keep (each part ends its own store)"),
    ],
)
def test_options_for_one_run_are_refused(options: tuple[str, ...], names: str) -> None:
    done = runs.inside("run", "small", "--shard", "1-2/2", *options)
    assert done.code == INVALID
    assert names in done.err


def test_parts_in_turn_are_merged_to_the_run_of_one_process(
    clean_lake: str, tmp_path: Path
) -> None:
    want = runs.result(runs.saved(clean_lake)[0])
    scenario, parts = runs.scenario(tmp_path), tmp_path / "parts"
    store = ("--endpoint-url", clean_lake, "--workers", "1")
    assert runs.inside("store", "empty", "--endpoint-url", clean_lake).code == PASS
    begun = runs.inside("run", scenario, "--shard", "1-3/4", "--out", parts, *store)
    assert begun.code == PASS, begun.text
    last = runs.inside("run", scenario, "--shard", "4/4", "--out", parts / "last", *store)
    assert last.code == PASS, last.text
    merged = runs.inside("merge", *sorted(parts.iterdir()), "--out", tmp_path / "merged")
    assert merged.code == PASS, merged.text
    assert runs.result(tmp_path / "merged")["lake"] == want["lake"]


def test_a_verdict_in_turn_is_merged_to_that_of_the_run(clean_lake: str, tmp_path: Path) -> None:
    run = runs.copy(runs.saved(clean_lake)[0], tmp_path / "run")
    verdicts = tmp_path / "verdicts"
    done = runs.inside("verify", run, "--shard", "1-3/3", "--out", verdicts, "--workers", 1)
    assert done.code == PASS, done.text
    merged = runs.inside("merge", *sorted(verdicts.iterdir()))
    assert merged.code == PASS, merged.text
    assert f"lake digest: {runs.result(run)['lake']['digest']}" in merged.out


def test_a_data_set_in_turn_is_made_below_its_folder(tmp_path: Path) -> None:
    small = ("--farms", "E,F", "--turbines", "5", "--days", "2", "--layout", "turbine")
    small += ("--sample-every", "30m", "--no-dashboard", "--workers", "1")
    done = runs.inside("demo", *small, "--shard", "1-2/2", "--to", tmp_path / "parts")
    assert done.code == PASS, done.text
    merged = runs.inside(
        "merge", *sorted((tmp_path / "parts").iterdir()), "--out", tmp_path / "set"
    )
    assert merged.code == PASS, merged.text
    assert (tmp_path / "set/index.html").exists()
