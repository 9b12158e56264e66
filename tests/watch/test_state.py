"""The state of a run, from its first moment to its end, as its directory shows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import partition
from sim.errors import DirectoryError
from sim.folder_lock import LOCK_FILE
from sim.watch.document import document
from sim.watch.state import RunState
from tests.support import runs, watch_samples
from tests.support.watch_samples import HOUR, START_S, append, batch, operation, polled

RESULT = {"verdict": "pass", "exit_code": 0, "errors": [], "faults": []}


def farm(state: RunState, name: str) -> dict[str, object]:
    return next(each for each in document(state)["farms"] if each["name"] == name)


def end(folder: Path, **fields: object) -> None:
    (folder / "result.json").write_text(json.dumps(RESULT | fields))
    (folder / LOCK_FILE).unlink()


def test_stages_of_a_run(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    state = RunState(folder, lambda: START_S + 60.0)
    stages = []

    def poll() -> None:
        state.poll()
        stages.append(state.stage)

    poll()
    folder.mkdir()
    poll()
    watch_samples.run_dir(folder)
    poll()
    append(folder, batch("A-001", 1, 10))
    poll()
    watch_samples.merge(folder)
    poll()
    end(folder)
    poll()
    assert stages == ["waiting", "waiting", "preparing", "delivering", "judging", "ended"]
    assert farm(state, "A")["rows"] == 10


def test_a_killed_run_is_not_waited_for(tmp_path: Path) -> None:
    folder = watch_samples.run_dir(tmp_path, owner=2**22 + 1)  # beyond the largest process id
    append(folder, batch("A-001", 1, 10))
    state = polled(folder)
    assert (state.stage, state.is_over) == ("stopped", True)
    assert farm(state, "A")["rows"] == 10
    assert state.rate_per_s("rows") is None


def test_only_new_lines_count_and_half_a_line_does_not(tmp_path: Path) -> None:
    folder = watch_samples.run_dir(tmp_path)
    now = START_S + 1.0
    state = RunState(folder, lambda: now)
    path = append(folder, batch("A-001", 1, 10))
    state.poll()
    text = watch_samples.lines(batch("A-001", 11, 20))
    with path.open("ab") as file:
        file.write(text[:-5])
    now += 1
    state.poll()
    assert farm(state, "A")["batches"] == 1
    with path.open("ab") as file:
        file.write(text[-5:])
    now += 1
    state.poll()
    assert farm(state, "A")["batches"] == 2
    assert state.rate_per_s("rows") == 5.0
    assert state.run is not None
    assert state.run.store.counts.total() == 4


def test_a_batch_counts_once_however_often_it_is_tried(tmp_path: Path) -> None:
    folder = watch_samples.run_dir(tmp_path)
    key = partition.manifest_key(HOUR, "A-001", 1, 10)
    tries = [
        operation(key=key, outcome="unavailable", at_s=1),
        operation(key=key, outcome="exists", at_s=2, attempt=2),
        operation(key=key, outcome="exists", at_s=9),  # by another process, after a crash
    ]
    append(folder, tries[:2])
    state = RunState(folder, lambda: START_S + 12.0)
    state.poll()
    append(folder, tries[2:], worker="B")
    state.poll()
    found = farm(state, "A")
    assert (found["batches"], found["rows"]) == (1, 10)
    assert found["last_s"] == pytest.approx(START_S + 2.02)
    assert document(state)["retries"] == 1


def test_rows_under_way_and_the_time_behind(tmp_path: Path) -> None:
    folder = watch_samples.run_dir(tmp_path)
    first, second = "E-001", "E-002"
    begun = operation("put", "ingestion", partition.data_key("ingestion", HOUR, first, 11, 20))
    append(folder, [*batch(first, 1, 10), begun, *batch(second, 1, 10)])
    found = farm(polled(folder), "E")
    assert (found["rows"], found["under_way"]) == (20, 10)
    # 20 samples of a minute have reached the store, and 10 are durable of the slowest turbine
    slowest_has = 10 if found["turbines"] == 2 else 0
    assert found["lag_s"] == 60.0 * (20 - slowest_has)
    assert found["until_us"] == (1_705_276_800 + 60 * slowest_has) * 1_000_000


def test_plan_of_each_farm(tmp_path: Path) -> None:
    found = document(polled(watch_samples.run_dir(tmp_path)))["farms"]
    assert sum(each["turbines"] for each in found) == 16
    assert all(each["rows_planned"] == 30 * each["turbines"] for each in found)
    assert all(each["batches_planned"] == 3 * each["turbines"] for each in found)


def test_keys_of_nobody_are_left_out(tmp_path: Path) -> None:
    folder = watch_samples.run_dir(tmp_path)
    append(folder, [operation(key=key) for key in ("x", "a/Z-009-1-10.json", "a/A-001-x-10.json")])
    assert all(each["rows"] == 0 for each in document(polled(folder))["farms"])


def test_another_run_in_the_directory_begins_from_nothing(tmp_path: Path) -> None:
    folder = watch_samples.run_dir(tmp_path)
    append(folder, batch("A-001", 1, 10))
    state = RunState(folder, lambda: START_S + 60.0)
    state.poll()
    (folder / ".operations" / "A-1.tsv").unlink()
    (folder / "scenario.yaml").unlink()
    watch_samples.run_dir(folder, scenario=watch_samples.SCENARIO.replace("watched", "other"))
    state.poll()
    assert document(state)["scenario"] == "other"
    assert document(state)["operations"] == []


def test_the_end_has_the_whole_record(tmp_path: Path) -> None:
    """Lines that were written and merged between two polls count, too."""
    folder = watch_samples.delivering(tmp_path)
    state = RunState(folder, lambda: START_S + 60.0)
    append(folder, batch("G-001", 1, 10), worker="G")
    watch_samples.merge(folder)
    end(folder, verdict="fail", exit_code=5, faults=[{"kind": "node.crash", "fired": 4}])
    state.poll()
    shown = document(state)
    assert farm(state, "G")["rows"] == 10
    assert shown["faults"] == {"node.crash": 4}
    assert shown["ending"]["heading"] == "Fail: the lake is wrong"
    assert shown["rates"]["operations"] is None


def test_followed_and_whole_record_agree(tmp_path: Path) -> None:
    folder = watch_samples.delivering(tmp_path)
    state = RunState(folder, lambda: START_S + 60.0)
    state.poll()
    followed = document(state)
    watch_samples.merge(folder)
    end(folder)
    state.poll()
    whole = document(state)
    for name in ("operations", "farms", "retries"):
        assert followed[name] == whole[name], name
    slots = len(whole["series"]["x"])
    assert slots == 40
    for name in ("put", "get", "rows", "p50", "p95", "p99"):
        assert followed["series"][name][:slots] == whole["series"][name], name


def test_series_of_a_run(tmp_path: Path) -> None:
    series = document(polled(watch_samples.delivering(tmp_path)))["series"]
    assert series["width_s"] == 1
    assert series["get"][:40] == [1.0] * 40
    assert series["rows"][5] == 40.0
    assert series["p50"][0] == pytest.approx(0.3, rel=0.05)
    assert series["p50"][1] == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize("content", ["file", "folder"])
def test_what_is_no_run_is_refused(tmp_path: Path, content: str) -> None:
    place = tmp_path / "place"
    if content == "file":
        place.write_text("x")
    else:
        place.mkdir()
        (place / "photo.jpg").write_text("x")
    with pytest.raises(DirectoryError, match="is not a windfleet run"):
        RunState(place)


def test_a_result_of_another_form_is_reported(tmp_path: Path) -> None:
    folder = watch_samples.run_dir(tmp_path)
    (folder / "result.json").write_text("{}")
    state = polled(folder)
    assert state.trouble is not None
    assert "record cannot be read" in state.trouble


def test_a_real_run_shows_the_figures_of_its_result(localstack: str) -> None:
    folder, _ = runs.saved(localstack)
    result = json.loads((folder / "result.json").read_bytes())
    state = polled(folder)
    shown = document(state)
    assert state.stage == "ended"
    assert shown["ending"]["verdict"] == result["verdict"]
    generated = result["figures"]["rows.generated"]["value"]
    assert sum(each["rows"] for each in shown["farms"]) == generated
    assert all(each["batches"] == each["batches_planned"] for each in shown["farms"])
    assert all(each["under_way"] == each["lag_s"] == 0 for each in shown["farms"])
