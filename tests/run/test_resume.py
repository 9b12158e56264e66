"""`windfleet run --resume DIR`: killed runs end as if nothing had happened.

The kills are SIGKILL of the whole process group, at moments that a seed draws: by the number of
store operations so far, so that no machine is too fast or too slow for them.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline import lake
from sim import api
from sim.run import attempts, command, truth
from sim.store.target import Target
from tests.support import runs

WITHIN_S = 120
FAULTS = """\
faults:
  - {kind: node.crash, share: 5%}
  - {kind: node.second-writer, share: 40%}
  - {kind: farm.uplink, farms: [G], from: 100s, for: 70s}
  - {kind: worker.kill, count: 1}
  - {kind: store.error, share: 8%}
  - {kind: store.ack-lost, share: 6%}
  - {kind: store.late-commit, share: 20%, count: 1, at: [checkpoint]}
  - {kind: store.outage, from: 60s, for: 20s, farms: [A]}
"""
LIKE_NEW = {"name", "exit_code", "verdict", "lake", "completeness", "findings", "truth", "faults"}
"""Fields of a result that tell nothing of its attempts."""


def operations(run: Path) -> int:
    """Return the number of store operations that all attempts recorded so far."""
    files = [*run.glob(".operations/*.tsv"), *run.glob(".resume/operations/*.tsv")]
    try:
        return sum(file.read_bytes().count(b"\n") for file in files)
    except FileNotFoundError:  # it was kept for the next attempt meanwhile
        return 0


def attempts_begun(run: Path) -> int:
    """Return the number of attempts at a run that has not ended."""
    try:
        return len(json.loads((run / ".resume" / "run.json").read_bytes())["began"])
    except FileNotFoundError:
        return 0


def resumed_until_done(run: Path, moments: list[float], total: int, *first: object) -> int:
    """Begin a run, kill it at each moment, go on with it. Return the number of kills.

    moments: shares of `total`, the store operations of the whole run.
    """
    killed, arguments = 0, first
    for moment in [*moments, None]:
        command = runs.start("run", *arguments)
        try:
            if moment is None:
                assert command.wait(WITHIN_S) == 0, command.text
                return killed

            def is_due(
                share: float = moment, command: runs.Command = command, before: int = killed
            ) -> bool:
                begun = attempts_begun(run) > before and operations(run) >= share * total
                return begun or command.process.poll() is not None

            assert runs.wait_until(is_due, WITHIN_S), command.text
            # An attempt may begin behind its moment. It must not die at its first step each time.
            time.sleep(moment)
            if command.process.poll() is not None:
                assert command.wait() == 0, command.text
                return killed
            os.killpg(command.process.pid, signal.SIGKILL)
            command.process.wait()
            killed += 1
            assert runs.wait_until(partial(is_gone, command), WITHIN_S)
        finally:
            command.close()
        arguments = ("--resume", run, "--workers", 2)
    raise AssertionError("unreachable: the last attempt ends")


def is_gone(command: runs.Command) -> bool:
    return not command.processes()


def like_new(result: dict[str, Any]) -> dict[str, Any]:
    """Return what must not depend on the attempts: counted and modelled figures among them."""
    figures = {
        name: figure["value"]
        for name, figure in result["figures"].items()
        if figure["kind"] != "measured"
    }
    return {name: result[name] for name in LIKE_NEW & result.keys()} | figures


@pytest.mark.parametrize(
    ("kills", "seed"), [(2, 1), pytest.param(10, 2, marks=pytest.mark.campaign)]
)
def test_a_run_killed_at_random_moments_ends_as_without(
    localstack: str, tmp_path: Path, kills: int, seed: int
) -> None:
    expected = runs.result(runs.saved(localstack)[0])
    draw, run = random.Random(seed), tmp_path / "run"
    moments = sorted(draw.uniform(0, 0.9) for _ in range(kills))
    total = int(expected["figures"]["store.requests"]["value"])
    store = ("--endpoint-url", localstack, "--empty-lake")
    killed = resumed_until_done(
        run, moments, total, runs.scenario(tmp_path), "--out", run, "--workers", 2, *store
    )
    assert killed > kills // 2
    result = runs.result(run)
    assert like_new(result) == like_new(expected)
    assert f"resumed: this was attempt {killed + 1}. Counted" in result["notes"][0]
    assert not (run / ".resume").exists()
    assert not (run / ".operations").exists()


@pytest.mark.campaign
def test_a_run_with_faults_that_is_killed_passes_as_without(
    localstack: str, tmp_path: Path
) -> None:
    """Finished farms keep the faults that struck them; none counts as one that never fired."""
    expected = runs.result(runs.saved(localstack)[0])
    run, path = tmp_path / "run", runs.scenario(tmp_path, runs.SCENARIO + FAULTS)
    total = int(expected["figures"]["store.requests"]["value"])
    store = ("--endpoint-url", localstack, "--empty-lake")
    killed = resumed_until_done(
        run, [0.2, 0.5, 0.8, 0.95], total, path, "--out", run, "--workers", 2, *store
    )
    result = runs.result(run)
    assert killed >= 2
    assert result["verdict"] == "pass"
    assert result["lake"]["digest"] == expected["lake"]["digest"]


def test_a_run_killed_with_its_embedded_store_is_made_again(
    localstack: str, tmp_path: Path
) -> None:
    expected = runs.result(runs.saved(localstack)[0])
    run = tmp_path / "run"
    total = int(expected["figures"]["store.requests"]["value"])
    killed = resumed_until_done(
        run, [0.4], total, runs.scenario(tmp_path), "--out", run, "--workers", 2
    )
    result = runs.result(run)
    assert killed == 1
    assert like_new(result) == like_new(expected)
    assert "the store of the one before was gone, so everything was made again" in str(
        result["notes"]
    )


def interrupt(monkeypatch: pytest.MonkeyPatch, run: Path, at: int) -> None:
    """Let Ctrl-C come once the workers recorded so many store operations."""
    alive = Target.require_alive

    def require_alive(self: Target) -> None:
        if operations(run) >= at:
            raise KeyboardInterrupt
        alive(self)

    monkeypatch.setattr(Target, "require_alive", require_alive)


def test_an_interrupted_run_is_refused_to_others_and_goes_on(
    clean_lake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = runs.result(runs.saved(clean_lake)[0])
    run, path = tmp_path / "runs" / "one", runs.scenario(tmp_path)
    first = ("run", path, "--out", run, "--workers", 1, "--endpoint-url", clean_lake)
    with monkeypatch.context() as patch:
        interrupt(patch, run, 150)
        done = runs.inside(*first, "--empty-lake")
    assert done.code == 130
    way = f"windfleet run --resume {run}"
    assert done.out.splitlines()[-1] == f"go on with: {way}"
    kept = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}

    again = runs.inside(*first)
    assert (again.code, again.said_once(f"go on with `{way}`, replace it with --overwrite")) == (
        2,
        True,
    )
    listed = runs.inside("list", "runs", run.parent, "--json")
    assert json.loads(listed.out)["runs"][0]["resumable"] is True
    for more, words in (
        ([path], "leave out SCENARIO"),
        (["--set", "seed=8"], "leave out --set"),
        (["--overwrite", "--shard", "1/2"], "leave out --overwrite, --shard"),
    ):
        done = runs.inside("run", "--resume", run, *more)
        assert (done.code, words in done.err) == (2, True), done.err
    assert "was made by another command" in runs.inside("campaign", "--resume", run).err
    with monkeypatch.context() as patch:
        patch.setattr(attempts, "program_versions", lambda: {"windfleet": "99"})
        done = runs.inside("run", "--resume", run)
        assert (done.code, done.said_once("this machine has 99", "--overwrite")) == (2, True)
    scenario = (run / "scenario.yaml").read_text()
    (run / "scenario.yaml").write_text(scenario.replace("seed: 7", "seed: 8"))
    assert runs.inside("run", "--resume", run).said_once("scenario.yaml was changed")
    (run / "scenario.yaml").write_text(scenario)
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == kept

    done = runs.inside("run", "--resume", run, "--workers", 2)
    assert done.code == 0, done.text
    result = runs.result(run)
    assert like_new(result) == like_new(expected)
    assert result["run"]["replay"].endswith("--empty-lake --overwrite")
    done = runs.inside("run", "--resume", run)
    assert (done.code, done.said_once("holds a run that is finished")) == (2, True)


def test_a_run_that_filled_the_disk_goes_on_once_there_is_space(
    clean_lake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "_command", runs.answer)
    expected = runs.result(runs.saved(clean_lake)[0])
    run = tmp_path / "run"
    done = runs.quick(
        *("run", runs.scenario(tmp_path), "--out", run, "--workers", 1),
        *("--endpoint-url", clean_lake, "--empty-lake"),
        plant="import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))",
    )
    assert done.code == 3, done.text
    assert api.resume(run, workers=2).result.verdict == "pass"
    assert like_new(runs.result(run)) == like_new(expected)
    with pytest.raises(api.CommandFailed, match="holds a run that is finished"):
        api.resume(run)


def test_a_lake_that_lost_what_was_delivered_is_refused(
    clean_lake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    first = ("run", runs.scenario(tmp_path), "--out", run, "--endpoint-url", clean_lake)
    with monkeypatch.context() as patch:
        patch.setattr(command, "judge_lake", interrupted)
        assert runs.inside(*first, "--empty-lake", "--workers", 1).code == 130
    bucket, key = lake.BUCKETS["checkpoints"], "checkpoints/A/A-001.json"
    lake.client(clean_lake).delete_object(Bucket=bucket, Key=key)
    done = runs.inside("run", "--resume", run)
    assert done.code == 3, done.text
    assert f"the lake has lost what this run delivered ({bucket}/{key})" in done.text
    assert runs.inside("store", "empty", "--endpoint-url", clean_lake).code == 0
    done = runs.inside("run", "--resume", run)
    assert done.code == 0, done.text
    assert "everything was made again" in done.text


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    for command_ in ("run", "campaign"):
        for place in (tmp_path, tmp_path / "nowhere"):
            done = runs.inside(command_, "--resume", place)
            assert (done.code, done.said_once("is not a windfleet run")) == (2, True), done.err
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("workers", [(3, 1, 3), (1, 3, 3)])
def test_shards_cut_anew_by_other_workers_are_not_taken_for_done(
    clean_lake: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    workers: tuple[int, ...],
) -> None:
    """Each attempt cuts the farms otherwise, and stops in the middle of some of its shards."""
    expected = runs.result(runs.saved(clean_lake)[0])
    monkeypatch.setattr("sim.run.part.LEAST_TURBINES", 1)
    run, first, second = tmp_path / "run", *workers[:2]
    begin = ("run", runs.scenario(tmp_path), "--out", run, "--workers", first)
    with monkeypatch.context() as patch:
        interrupt(patch, run, 120)
        joined = spy_on_joins(patch)
        done = runs.inside(*begin, "--endpoint-url", clean_lake, "--empty-lake")
        assert done.code == 130, done.text
    ended = {path.stem for path in (run / ".resume" / "shards").glob("*.json")}
    assert joined <= ended, "truth is joined of shards that ended"
    with monkeypatch.context() as patch:
        interrupt(patch, run, 200)
        done = runs.inside("run", "--resume", run, "--workers", second)
        assert done.code == 130, done.text
    done = runs.inside("run", "--resume", run, "--workers", workers[2])
    assert done.code == 0, done.text
    assert like_new(runs.result(run)) == like_new(expected)


def spy_on_joins(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the names of the shards whose ground truth is joined from now on."""
    names: set[str] = set()
    join = truth.join

    def spy(folder: Path, name: str, pieces: Sequence[tuple[Path, str]]) -> None:
        names.update(piece for _, piece in pieces)
        join(folder, name, pieces)

    monkeypatch.setattr(truth, "join", spy)
    return names


def test_the_lake_of_another_run_is_not_touched(
    clean_lake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, path = tmp_path / "one", runs.scenario(tmp_path)
    store = ("--workers", 1, "--endpoint-url", clean_lake, "--empty-lake")
    with monkeypatch.context() as patch:
        interrupt(patch, run, 150)
        assert runs.inside("run", path, "--out", run, *store).code == 130
    other = runs.inside("run", path, "--out", tmp_path / "other", "--set", "seed=8", *store)
    assert other.code in (0, 4), other.text
    digest = runs.result(tmp_path / "other")["lake"]["digest"]
    done = runs.inside("run", "--resume", run)
    assert done.code == 3, done.text
    assert "the lake is not the one of this run" in done.text
    judged = runs.inside("verify", tmp_path / "other", "--endpoint-url", clean_lake, "--json")
    assert json.loads(judged.out)["lake"]["digest"] == digest
