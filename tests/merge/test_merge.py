"""Parts of a run, made in this process, against one run of everything with worker processes."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from pipeline import lake
from sim.check import LakeReader
from sim.errors import LAKE_WRONG, PASS, DirectoryError, PartError
from sim.measure.operations import marked
from sim.merge.command import MergeOptions, _apart, merge
from sim.run import part_file
from sim.run.command import RunOptions, run
from sim.run.part import part_of
from sim.run.part_index import PartIndex
from sim.run.record import Record
from sim.scenario import load
from sim.store.folder import FolderStore
from sim.store.target import Options
from sim.verify.judge import judge
from tests.support import runs
from tests.support.part_records import edited

PARTS = 3
"""9 turbines of 3 farms with 3, 4 and 2: the cuts are at turbine 3 of farm A, and within B."""
CONSOLE = Console(quiet=True)
APART = "the parts did not all run at the same time; throughput counts the whole time"


def run_part(folder: Path, place: PartIndex | None, name: str, workers: int = 1) -> Path:
    """Run the tiny scenario, or one part of it, with a lake in a folder."""
    options = RunOptions(
        folder / name, workers, Options(folder=folder / f"lake-{name}"), shard=place, replay=name
    )
    assert run(load(folder / "tiny.yaml"), options, CONSOLE) == PASS
    return folder / name


@pytest.fixture(scope="module", autouse=True)
def short_ceiling() -> Iterator[None]:
    """Measure the stores for a moment: no test reads the figure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sim.store.target.CEILING_S", 0.04)
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the directories of the whole run and of its parts."""
    folder = tmp_path_factory.mktemp("merge")
    runs.scenario(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sim.run.part.LEAST_TURBINES", 1)  # shards within farms
        run_part(folder, None, "whole", workers=3)
    for index in range(1, PARTS + 1):
        run_part(folder, PartIndex(index, PARTS), f"part-{index}")
    return folder


def directories(folder: Path) -> list[Path]:
    return [folder / f"part-{index}" for index in range(1, PARTS + 1)]


def merged(folder: Path, parts: list[Path], want: int = PASS) -> dict[str, Any]:
    assert merge(MergeOptions(parts, folder / "merged", overwrite=True), CONSOLE) == want
    return runs.result(folder / "merged")


def counted(result: dict[str, Any]) -> dict[str, Any]:
    """Return all that does not depend on the machine's speed."""
    figures = {
        name: figure for name, figure in result["figures"].items() if figure["kind"] != "measured"
    }
    same = (
        *("scenario", "seed", "verdict", "exit_code", "lake", "completeness", "findings", "truth"),
        *("expectations", "faults", "outlook", "errors", "notes", "versions"),
    )
    kept = {name: result[name] for name in same}
    kept["notes"] = [note for note in result["notes"] if not note.startswith(APART)]
    return {"figures": figures, **kept}


def test_the_merged_result_is_that_of_one_process(made: Path) -> None:
    want = counted(runs.result(made / "whole"))
    assert want["lake"]["digest"]
    assert len(want["figures"]) > 30
    assert counted(merged(made, directories(made))) == want
    assert counted(merged(made, directories(made)[::-1])) == want, "in any order"


def test_parts_that_ran_apart_are_named_where_throughput_would_mislead(made: Path) -> None:
    assert [note for note in merged(made, directories(made))["notes"] if note.startswith(APART)]
    tables = [pq.read_table(each / "operations.parquet") for each in directories(made)]
    assert len(_apart(tables)) == 1
    assert _apart(tables[:1]) == _apart([tables[0], tables[0]]) == _apart([]) == []
    (made / "within").mkdir()
    own = MergeOptions(directories(made), made / "within", overwrite=True, within=True)
    assert merge(own, CONSOLE) == PASS
    assert runs.result(made / "within")["notes"] == [], "a cluster's parts wait by design"


def test_latencies_come_from_all_operations(made: Path) -> None:
    found = merged(made, directories(made))
    parts = [runs.result(part) for part in directories(made)]
    for name in ("latency.put.p50", "throughput.rows_per_s", "time.total", "memory.peak"):
        assert found["figures"][name]["value"] > 0
    figure = "store.requests"
    assert found["figures"][figure]["value"] == sum(p["figures"][figure]["value"] for p in parts)
    assert found["environment"]["parts"] == str(PARTS)
    page = (made / "merged" / "report.html").read_text()
    assert f"<dd>{PARTS}</dd>" in page
    assert "Each part ran at its own time on its own machine" in page
    assert "Wall time of this machine" not in page


def test_a_quiet_merge_prints_the_verdict_in_one_line(made: Path, tmp_path: Path) -> None:
    ended = runs.inside("merge", *directories(made), "--out", tmp_path / "merged", "--quiet")
    assert ended.code == PASS, ended.text
    (line,) = ended.out.splitlines()
    assert line.startswith("PASS")
    assert ended.err == ""


def test_times_of_a_resumed_part_are_those_of_its_last_attempt(made: Path, tmp_path: Path) -> None:
    """The second part was interrupted a day before it went on."""
    day = 86_400_000_000_000
    shutil.copytree(made / "part-2", tmp_path / "part-2")
    path = tmp_path / "part-2" / "operations.parquet"
    own = pq.read_table(path)
    began = min(own["start"].cast("int64").to_pylist()) - 1
    columns = {name: own[name] for name in own.column_names}
    for name in ("intended_start", "start", "end"):
        columns[name] = pc.subtract(columns[name], pa.scalar(day, pa.duration("ns")))
    table = marked(pa.concat_tables([pa.table(columns), own]), [began - day, began])
    with path.open("wb") as file:
        pq.write_table(table, file)
    note = "resumed: this was attempt 2"
    edited(lambda raw: raw.update(began=[began - day, began], notes=[note]))(tmp_path)
    edited(lambda raw: raw["shards"][0]["commits"].append([began - day + 1, 1000]))(tmp_path)

    want = merged(made, directories(made))
    found = merged(made, [made / "part-1", tmp_path / "part-2", made / "part-3"])
    names = ("throughput.rows_per_s", "throughput.objects_per_s", "latency.put.p99")
    assert [found["figures"][name] for name in names] == [want["figures"][name] for name in names]
    assert found["figures"]["store.requests"]["value"] == (
        want["figures"]["store.requests"]["value"] + own.num_rows
    )
    assert found["throughput"] == want["throughput"]
    assert counted(found)["notes"] == [f"part 2 of 3: {note}"]


def test_a_part_says_that_it_is_one_and_judges_no_expectation(made: Path) -> None:
    part = runs.result(made / "part-2")
    assert part["run"]["part"] == "part 2 of 3"
    assert not (made / "part-2" / "report.html").exists()
    assert runs.inside("report", made / "part-2").code == PASS
    page = (made / "part-2" / "report.html").read_text()
    assert "<dd>part 2 of 3</dd>" in page
    assert "hold for the whole run: windfleet merge judges them" in page
    assert part["run"]["turbines"] == 3
    assert part["expectations"] == []
    assert part["verdict"] == "pass"
    names = [path.stem for path in sorted((made / "part-2" / "nodes" / "B").glob("*.db"))]
    assert names == ["B-001", "B-002", "B-003"]


def test_ground_truth_of_a_farm_is_one_file_whatever_its_shards(made: Path) -> None:
    workers = set(pq.read_table(made / "whole" / "operations.parquet")["worker"].to_pylist())
    assert {"A-001-001", "B-001-001"} <= workers
    assert {path.name for path in (made / "whole" / "truth").glob("faults-*")} == {
        f"faults-{farm}.parquet" for farm in "ABG"
    }
    assert (made / "part-1" / "truth" / "faults-A.parquet").read_bytes() == (
        made / "whole" / "truth" / "faults-A.parquet"
    ).read_bytes()


def test_a_defect_of_one_part_fails_the_merged_run(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "part-3", tmp_path / "part-3")
    shutil.copytree(made / "lake-part-3", tmp_path / "lake")
    gone = next((tmp_path / "lake").glob("*-ingestion/ingestion/*/*/*/*/*.parquet"))
    gone.unlink()
    scenario = load(made / "tiny.yaml")
    record = Record(part=part_of(scenario.fleet, PartIndex(3, PARTS)))
    record.shards = part_file.read(tmp_path / "part-3").shards
    record.judgement = judge(tmp_path / "part-3", LakeReader.folder(tmp_path / "lake"))
    part_file.write(tmp_path / "part-3", scenario, record)
    found = merged(made, [*directories(made)[:2], tmp_path / "part-3"], LAKE_WRONG)
    assert found["figures"]["rows.lost"]["value"] > 0
    assert {finding["key"].rpartition("/")[2] for finding in found["findings"]} >= {gone.name}


def verdict_lines(ended: runs.Ended) -> list[str]:
    """Return the output from the verdict to the digest, without progress."""
    lines = ended.out.splitlines()
    first = next(i for i, line in enumerate(lines) if re.match("(PASS|FAIL)  ", line))
    last = next(i for i, line in enumerate(lines) if line.startswith("lake digest: "))
    return lines[first : last + 1]


def removed(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "part-2" / name).unlink()


def written(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "part-2" / name).write_text(text) and None


@pytest.mark.parametrize(
    ("change", "chosen", "names"),
    [
        (None, [1, 3], ["missing of 3 parts: 2", "--shard 2/3"]),
        (None, [2], ["missing of 3 parts: 1, 3"]),
        (edited(lambda raw: raw.update(index=1)), [1, 2, 3], ["part 1 of 3 is there 2 times"]),
        (edited(lambda raw: raw.update(seed=8)), [1, 2, 3], ["part-2: its seed is 8", "is 7"]),
        (edited(lambda raw: raw.update(scenario="x")), [1, 2, 3], ["its scenario is x", "tiny"]),
        (edited(lambda raw: raw.update(count=4)), [1, 2, 3], ["number of parts is 4", "is 3"]),
        (edited(lambda raw: raw.update(scenario_sha256="")), [1, 2, 3], ["other settings"]),
        (
            edited(lambda raw: raw["versions"].update(numpy="1.0")),
            [1, 2, 3],
            ["made with numpy 1.0, this machine has"],
        ),
        (edited(lambda raw: raw.update(started="yesterday")), [1, 2, 3], ["start is no time"]),
        (edited(lambda raw: raw.update(count=10**12)), [1, 2, 3], ["part 2 of 1000000000000"]),
        (edited(lambda raw: raw.update(index=0)), [1, 2, 3], ["part 0 of 3"]),
        (written("part.json", "[" * 100_000), [1, 2, 3], ["not a record of a part"]),
        (edited(lambda raw: raw.update(schema_version=9)), [1, 2, 3], ["schema_version is 9"]),
        (edited(lambda raw: raw.pop("judgement")), [1, 2, 3], ["part.json", "run the part again"]),
        (edited(lambda raw: raw.update(shards=3)), [1, 2, 3], ["shards", "run the part again"]),
        (written("part.json", "{"), [1, 2, 3], ["not a record of a part"]),
        (written("part.json", "[]"), [1, 2, 3], ["not a record of a part"]),
        (written("objects.parquet", "x"), [1, 2, 3], ["part-2"]),
        (written("operations.parquet", "x"), [1, 2, 3], ["operations"]),
        (removed("part.json"), [1, 2, 3], ["not a finished part", "part.json"]),
        (removed("objects.parquet"), [1, 2, 3], ["not a finished part", "objects.parquet"]),
        (removed("operations.parquet"), [1, 2, 3], ["operations.parquet", "run the part again"]),
    ],
)
def test_parts_that_do_not_fit_are_refused_by_name(
    made: Path,
    tmp_path: Path,
    change: Callable[[Path], None] | None,
    chosen: list[int],
    names: list[str],
) -> None:
    for part in directories(made):
        shutil.copytree(part, tmp_path / part.name, ignore=shutil.ignore_patterns("nodes"))
    if change is not None:
        change(tmp_path)
    parts = [tmp_path / f"part-{index}" for index in chosen]
    with pytest.raises(PartError) as refused:
        merge(MergeOptions(parts, tmp_path / "merged"), CONSOLE)
    for name in names:
        assert name in str(refused.value)
    assert not (tmp_path / "merged").exists()


def test_the_result_does_not_replace_a_part(made: Path) -> None:
    parts = directories(made)
    with pytest.raises(PartError, match="is one of the parts"):
        merge(MergeOptions(parts, parts[0], overwrite=True), CONSOLE)


def test_the_result_does_not_replace_the_folder_of_its_parts(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "part-1", tmp_path / "run" / "parts" / "part-1")
    parts = [tmp_path / "run" / "parts" / "part-1", *directories(made)[1:]]
    with pytest.raises(PartError, match=r"holds .*part-1; name another"):
        merge(MergeOptions(parts, tmp_path / "run", overwrite=True), CONSOLE)
    assert (parts[0] / "part.json").exists()


def test_a_merged_result_is_replaced_on_request_only(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "merged"
    assert merge(MergeOptions(directories(made), out), CONSOLE) == PASS
    with pytest.raises(DirectoryError, match="--overwrite"):
        merge(MergeOptions(directories(made), out), CONSOLE)


def test_a_part_judges_all_of_a_store_of_its_own(made: Path, tmp_path: Path) -> None:
    """Nobody else would see an object under the key of another part's turbine."""
    scenario = load(made / "tiny.yaml")
    lake_folder = tmp_path / "lake"

    class Astray(FolderStore):
        def create(self, bucket: str, key: str, body: bytes) -> str:
            made_now = super().create(bucket, key, body)
            if "/ingestion/" in f"/{key}" and "/A-001-" in key:
                super().create(bucket, key.replace("/A-001-", "/G-002-"), body)
            return made_now

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sim.run.shard.FolderStore", Astray)
        options = RunOptions(
            tmp_path / "part", 1, Options(folder=lake_folder), shard=PartIndex(1, PARTS)
        )
        assert run(scenario, options, CONSOLE) == LAKE_WRONG
    kinds = {finding["kind"] for finding in runs.result(tmp_path / "part")["findings"]}
    assert kinds == {"duplicated"}


def test_a_part_of_a_verdict_replaces_no_run(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "part-1", tmp_path / "other")
    lake = ("--lake", made / "lake-whole", "--shard", "1/2", "--out")
    for out, words in ((tmp_path / "other", "earlier run"), (made / "whole", "is the run itself")):
        done = runs.inside("verify", made / "whole", *lake, out)
        assert done.code == 2
        assert words in done.text
        assert list((out / "nodes").glob("*/*.db"))
    for _ in range(2):  # an earlier record of a verdict is replaced
        assert runs.inside("verify", made / "whole", *lake, tmp_path / "record").code == PASS


def test_names_that_are_not_utf_8_pass_through_a_record(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "lake-whole", tmp_path / "lake")
    odd = os.fsencode(tmp_path / "lake" / "expanso-databricks-ingestion") + b"/\xff.parquet"
    Path(os.fsdecode(odd)).write_bytes(b"strange")
    codes = []
    for index in (1, 2):
        part = ("--shard", f"{index}/2", "--out", tmp_path / str(index))
        codes.append(runs.inside("verify", made / "whole", "--lake", tmp_path / "lake", *part).code)
    assert codes == [LAKE_WRONG, PASS]
    both = runs.inside("merge", tmp_path / "1", tmp_path / "2")
    whole = runs.inside("verify", made / "whole", "--lake", tmp_path / "lake")
    assert both.code == LAKE_WRONG
    assert verdict_lines(both) == verdict_lines(whole)


def test_a_directory_that_is_no_part_is_named(made: Path) -> None:
    done = runs.inside("merge", made / "whole")
    assert done.code == 2
    assert "is a whole run, not a part" in done.text
    assert "finished" not in done.text
    done = runs.inside("merge", made / "nowhere")
    assert done.code == 2
    assert "nowhere" in done.text


def test_a_folder_given_twice_is_named(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by another path: a pattern and a name of one of its folders."""
    parts = directories(made)
    monkeypatch.chdir(made)
    for again in (parts[0], Path("part-1")):
        done = runs.inside("merge", *parts, again, "--out", tmp_path / "out")
        assert done.code == 2
        assert done.said_once("part-1", "given more than once; name each part once"), done.text
        assert not (tmp_path / "out").exists()


def test_parts_of_a_verdict_add_up_to_the_whole(made: Path, tmp_path: Path) -> None:
    lake = ("--lake", made / "lake-whole")
    whole = runs.inside("verify", made / "whole", *lake)
    assert whole.code == PASS
    for index in (1, 2):
        part = ("--shard", f"{index}/2", "--out", tmp_path / str(index))
        assert runs.inside("verify", made / "whole", *lake, *part).code == PASS
    both = runs.inside("merge", tmp_path / "1", tmp_path / "2")
    assert both.code == PASS
    assert verdict_lines(both) == verdict_lines(whole)
    assert "\nthe same figures as in result.json\n" in whole.out
    other = tmp_path / "other-lake"
    shutil.copytree(made / "lake-whole", other)
    second = ("--lake", other, "--shard", "2/2", "--out", tmp_path / "2")
    assert runs.inside("verify", made / "whole", *second).code == PASS
    two = runs.inside("merge", tmp_path / "1", tmp_path / "2")
    assert two.code == 2
    assert f"2: its lake is {other}, that of {tmp_path / '1'} is {made / 'lake-whole'}" in two.text
    mixed = runs.inside("merge", tmp_path / "1", made / "part-2")
    assert mixed.code == 2
    assert "its command is run" in mixed.text


def test_a_part_of_a_verdict_names_its_defects(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "lake-whole", tmp_path / "lake")
    next((tmp_path / "lake").glob("*-ingestion/ingestion/*/*/*/*/G-*.parquet")).unlink()
    codes = []
    for index in (1, 2):
        part = ("--shard", f"{index}/2", "--out", tmp_path / str(index))
        codes.append(runs.inside("verify", made / "whole", "--lake", tmp_path / "lake", *part).code)
    assert codes == [PASS, LAKE_WRONG]
    both = runs.inside("merge", tmp_path / "1", tmp_path / "2")
    assert both.code == LAKE_WRONG
    whole = runs.inside("verify", made / "whole", "--lake", tmp_path / "lake")
    assert verdict_lines(both) == verdict_lines(whole)


def test_shard_and_out_of_verify_go_together(made: Path, tmp_path: Path) -> None:
    for part in (("--shard", "1/2"), ("--out", tmp_path / "x")):
        done = runs.inside("verify", made / "whole", *part)
        assert done.code == 2
        assert "go together" in done.text


@pytest.fixture(scope="module")
def shared(made: Path, localstack: str) -> Path:
    """Folder with the parts of a run that write into one lake, the last of them twice."""
    scenario = load(made / "tiny.yaml")
    lake.ensure(localstack)
    lake.empty(localstack)
    for index in (1, 2, 3, 3):
        store = Options(endpoint_url=localstack, shared=True)
        options = RunOptions(
            made / f"shared-{index}", 1, store, True, shard=PartIndex(index, PARTS)
        )
        assert run(scenario, options, CONSOLE) == PASS
    return made


def test_parts_in_one_lake_judge_their_own_objects(shared: Path) -> None:
    parts = [shared / f"shared-{index}" for index in (1, 2, 3)]
    assert merge(MergeOptions(parts, shared / "m", overwrite=True), CONSOLE) == PASS
    found, want = runs.result(shared / "m"), runs.result(shared / "whole")
    assert found["lake"] == want["lake"]
    assert found["completeness"] == want["completeness"]
    # The lake held all that part 3 had to write: it counts once, and has no times.
    again, once = (runs.result(shared / name) for name in ("shared-3", "part-3"))
    for name in ("objects.written", "bytes.written", "store.requests", "cost.per_day"):
        assert again["figures"][name] == once["figures"][name], name
    assert not {"latency.put.p99", "throughput.rows_per_s"} & again["figures"].keys()
    (note,) = again["notes"]
    assert "what an earlier attempt delivered from 3 nodes; its record is lost" in note
    assert counted(found)["notes"] == [f"part 3 of 3: {note}"]


def test_a_foreign_object_of_one_lake_counts_once(shared: Path, localstack: str) -> None:
    client = lake.client(localstack)
    bucket, key = "expanso-databricks-ingestion", "ingestion/year=2024/strange.parquet"
    client.put_object(Bucket=bucket, Key=key, Body=b"strange")
    try:
        codes = []
        for index in (1, 2):
            part = ("--shard", f"{index}/2", "--out", shared / f"v-{index}")
            ended = runs.inside("verify", shared / "whole", "--endpoint-url", localstack, *part)
            codes.append(ended.code)
        assert codes == [LAKE_WRONG, PASS], "part 1 judges the objects of no turbine"
        both = runs.inside("merge", shared / "v-1", shared / "v-2")
        whole = runs.inside("verify", shared / "whole", "--endpoint-url", localstack)
    finally:
        client.delete_object(Bucket=bucket, Key=key)
    assert both.code == LAKE_WRONG
    assert "\nobject.foreign: 1 finding" in both.out
    assert verdict_lines(both) == verdict_lines(whole)


def test_an_emptied_lake_would_lose_other_parts(made: Path, localstack: str) -> None:
    done = runs.inside(
        *("run", made / "tiny.yaml", "--shard", "1/3", "--endpoint-url", localstack),
        *("--empty-lake", "--out", made / "x"),
    )
    assert done.code == 2
    assert "objects of other parts" in done.text


def test_objects_of_an_attempt_that_delivered_no_batch_are_named(
    made: Path, tmp_path: Path, clean_lake: str
) -> None:
    """The first attempt died before any node had a checkpoint: nothing else shows it."""
    scenario = load(made / "tiny.yaml")
    store = Options(endpoint_url=clean_lake, shared=True)
    options = RunOptions(tmp_path / "one", 1, store, shard=PartIndex(3, PARTS))
    key = "ingestion/year=2024/month=01/day=15/hour=00"
    source = next((made / "lake-part-3").glob(f"*-ingestion/{key}/*.parquet"))
    lake.client(clean_lake).put_object(
        Bucket="expanso-databricks-ingestion", Key=f"{key}/{source.name}", Body=source.read_bytes()
    )
    assert run(scenario, options, CONSOLE) == PASS
    (note,) = runs.result(tmp_path / "one")["notes"]
    assert note.startswith("the lake held 1 object of an earlier attempt")
