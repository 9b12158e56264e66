"""One small run by the real command and its own LocalStack, then variants of it.

A run directory is a contract. Its files, columns and figures are compared with each other and with
the saved lake. Not covered: a correct lake (tests/check), the look of reports (test_report.py),
early ends (test_bad_luck.py).
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipeline.records import BUCKET_PREFIX, NODE_COLUMNS, TABLE
from sim.measure.figures import FIGURES
from sim.scenario import load
from sim.scenario.plan import NOT_COUNTED, plan
from tests.support import lakesecrets, runs

BUCKETS = {
    f"expanso-databricks-{name}"
    for name in ("ingestion", "validated", "enriched", "aggregated", "checkpoints", "metadata")
}
HOUR = r"year=(\d{4})/month=(\d\d)/day=(\d\d)/hour=(\d\d)"
BATCH = r"([A-H]-\d{3})-(\d+)-(\d+)"
KEYS = {
    "ingestion": rf"ingestion/{HOUR}/{BATCH}\.parquet",
    "validated": rf"(?:validated|_quarantine)/{HOUR}/{BATCH}\.parquet",
    "enriched": rf"enriched/{HOUR}/{BATCH}\.parquet",
    "aggregated": rf"aggregated/{HOUR}/{BATCH}\.parquet",
    "metadata": rf"metadata/{HOUR}/{BATCH}\.json",
    "checkpoints": r"checkpoints/([A-H])/\1-\d{3}\.json",
}
FIXED_NAMES = {
    *(f"rows.{name}" for name in ("generated", "ingested", "validated", "quarantined")),
    *(f"rows.{name}" for name in ("lost", "duplicated", "misplaced", "unexpected", "altered")),
    *("manifest.mismatches", "windows.wrong", "throughput.rows_per_s", "throughput.objects_per_s"),
    *(
        "store.put_ceiling_per_s",
        "freshness.p50",
        "freshness.p95",
        "freshness.p99",
        "latency.put.p50",
    ),
    *("latency.put.p95", "latency.put.p99", "memory.peak", "cost.per_day", "cost.kept_year"),
}
DONE: dict[str, runs.Done] = {}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a run by the installed command, on two workers and its own LocalStack."""
    folder = tmp_path_factory.mktemp("real")
    DONE["run"] = runs.command(
        "run", runs.scenario(folder), "--out", folder / "run", "--save-lake", "--workers", 2
    )
    return folder / "run"


@pytest.fixture(scope="module")
def result(run: Path) -> dict[str, Any]:
    return runs.result(run)


@pytest.fixture(scope="module")
def operations(run: Path) -> pa.Table:
    return pq.read_table(run / "operations.parquet")


def value(result: dict[str, Any], name: str) -> float:
    return float(result["figures"][name]["value"])


def test_personal_data_is_readable_by_the_owner_only(run: Path) -> None:
    secrets = lakesecrets.of_nodes(run / "nodes")
    assert secrets
    assert lakesecrets.open_to_others(run, secrets) == []


def lake_files(run: Path) -> dict[str, Path]:
    """Return `<bucket>/<key>` -> file."""
    lake = run / "lake"
    return {path.relative_to(lake).as_posix(): path for path in lake.rglob("*") if path.is_file()}


def data_files(run: Path) -> dict[str, Path]:
    return {name: path for name, path in lake_files(run).items() if name.endswith(".parquet")}


def stage_of(name: str) -> str:
    return "quarantine" if "/_quarantine/" in name else name.split("/")[1]


def test_it_passes_in_plain_text_and_leaves_nothing_running(run: Path) -> None:
    done = DONE["run"]
    assert done.code == 0, done.text
    assert done.err == ""
    assert done.left == []
    assert runs.control_characters(done.out) == []
    assert re.search(r"^PASS ", done.out, re.MULTILINE)
    assert str(run / "report.html") in done.out


def test_the_run_directory_has_the_documented_files_and_no_others(run: Path) -> None:
    files = {"result.json", "report.html", "junit.xml", "operations.parquet", "scenario.yaml"}
    assert {path.name for path in run.iterdir()} == files | {"nodes", "truth", "lake"}
    nodes = {
        path.relative_to(run / "nodes").as_posix()
        for path in (run / "nodes").rglob("*")
        if path.is_file()
    }
    turbines = [
        f"{farm}/{farm}-{n:03}"
        for farm, count in runs.TURBINES.items()
        for n in range(1, count + 1)
    ]
    assert nodes == {f"{turbine}{suffix}" for turbine in turbines for suffix in (".db", ".json")}
    truth = {path.name for path in (run / "truth").iterdir()}
    kinds = ("faults", "operations", "states", "wear")
    assert truth == {f"{kind}-{farm}.parquet" for kind in kinds for farm in runs.TURBINES}


def test_every_node_has_the_documented_table_and_ids_without_a_gap(
    run: Path, result: dict[str, Any]
) -> None:
    rows = 0
    for path in sorted((run / "nodes").glob("*/*.db")):
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        columns = [column for _, column, *_ in connection.execute(f"PRAGMA table_info({TABLE})")]
        assert columns == list(NODE_COLUMNS)
        facts = "count(*), min(id), max(id), count(DISTINCT turbine_id), min(turbine_id)"
        found = connection.execute(f"SELECT {facts} FROM {TABLE}").fetchone()
        count, first, last, turbines, turbine = found
        connection.close()
        assert (first, last, turbines, turbine) == (1, count, 1, path.stem)
        rows += count
    assert (
        rows == value(result, "rows.generated") == sum(shard["rows"] for shard in result["shards"])
    )


def test_truth_names_existing_rows_and_every_requested_fault(
    run: Path, result: dict[str, Any]
) -> None:
    faults = pa.concat_tables(
        pq.read_table(path) for path in sorted((run / "truth").glob("faults-*.parquet"))
    )
    names = {
        "turbine_id",
        "kind",
        "channel",
        "from",
        "to",
        "first_id",
        "last_id",
        "rows",
        "offset_us",
        "detail",
    }
    assert set(faults.column_names) == names
    by_kind = {entry["kind"]: (entry["injected"], entry["rows"]) for entry in result["truth"]}
    assert set(by_kind) == {
        "sensor.stuck",
        "sensor.dropout",
        "sensor.spike",
        "row.late",
        "row.duplicate",
    }
    for kind, (injected, rows) in by_kind.items():
        mine = faults.filter(pc.equal(faults["kind"], kind))
        assert (mine.num_rows, pc.sum(mine["rows"]).as_py()) == (injected, rows)
    assert value(result, "faults.injected") == faults.num_rows
    last_id = {}
    for path in (run / "nodes").glob("*/*.db"):
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        last_id[path.stem] = connection.execute(f"SELECT max(id) FROM {TABLE}").fetchone()[0]
        connection.close()
    for fault in faults.select(["turbine_id", "first_id", "last_id"]).to_pylist():
        assert (
            fault["first_id"] is None
            or 1 <= fault["first_id"] <= fault["last_id"] <= last_id[fault["turbine_id"]]
        )


def test_six_buckets_with_keys_of_the_documented_form(run: Path) -> None:
    assert {path.name for path in (run / "lake").iterdir()} == BUCKETS
    seen: Counter[str] = Counter()
    for name in lake_files(run):
        bucket, key = name.split("/", 1)
        stage = bucket.removeprefix("expanso-databricks-")
        assert re.fullmatch(KEYS[stage], key), name
        seen[stage_of(name)] += 1
    assert seen["checkpoints"] == sum(runs.TURBINES.values())
    assert min(seen[stage] for stage in (*KEYS, "quarantine")) > 0
    assert {name.split("/hour=")[1][:2] for name in data_files(run)} == {"00", "01"}


def test_an_object_has_rows_of_its_hour_turbine_and_id_range_only(run: Path) -> None:
    for name, path in data_files(run).items():
        table = pq.read_table(path, partitioning=None)
        match = re.search(f"{HOUR}/{BATCH}", name)
        assert match is not None
        *when, turbine, first, last = match.groups()
        hour = np.datetime64("{}-{}-{}T{}".format(*when), "h")
        column = "window_start" if stage_of(name) == "aggregated" else "timestamp"
        times = table[column].cast(pa.int64()).to_numpy().view("datetime64[us]")
        assert set(times.astype("datetime64[h]")) == {hour}
        assert set(table["turbine_id"].to_pylist()) == {turbine}
        if stage_of(name) != "aggregated":
            ids = table["id"].to_numpy()
            assert int(first) <= ids.min() <= ids.max() <= int(last)


def test_result_has_every_documented_field(result: dict[str, Any]) -> None:
    assert (result["schema_version"], result["scenario"], result["seed"]) == (1, "tiny", 7)
    assert (result["verdict"], result["exit_code"], result["errors"]) == ("pass", 0, [])
    assert result["versions"]["windfleet"]
    assert [e["text"] for e in result["expectations"]] == re.findall(
        r"^  - (\w+\.\w+ .*)$", runs.SCENARIO, re.M
    )
    for expectation in result["expectations"]:
        name = expectation["text"].split()[0]
        assert (expectation["passed"], expectation["value"]) == (
            True,
            pytest.approx(value(result, name)),
        )
    assert {s["farm"]: s["turbines"] for s in result["shards"]} == runs.TURBINES
    peaks = [shard["memory_peak_bytes"] for shard in result["shards"]]
    assert len(set(peaks)) > 1  # each worker's own, nothing inherited
    # several processes of Python with pyarrow
    assert 30e6 < min(peaks) <= max(peaks) < value(result, "memory.peak")
    assert result["faults"] == []  # none of delivery
    assert (result["run"]["farms"], result["run"]["turbines"]) == (3, 9)
    assert (result["run"]["virtual_start"], result["run"]["virtual_end"]) == (
        "2024-01-15T00:58:00Z",
        "2024-01-15T01:02:00Z",
    )


def test_figures_have_their_documented_names_units_and_kinds(result: dict[str, Any]) -> None:
    figures = result["figures"]
    assert set(figures) >= FIXED_NAMES
    for name, figure in figures.items():
        assert (figure["unit"], figure["kind"]) == (FIGURES[name].unit, FIGURES[name].kind)
        assert figure["value"] >= 0
    kinds = {
        "freshness": "modelled",
        "cost": "modelled",
        "latency": "measured",
        "throughput": "measured",
    }
    kinds |= {"time": "measured", "memory": "measured", "rows": "counted", "windows": "counted"}
    for family, kind in kinds.items():
        assert {f["kind"] for name, f in figures.items() if name.split(".")[0] == family} == {kind}
    # Virtual time cannot go faster than the uplink. Four virtual minutes pass in seconds.
    assert 60 <= value(result, "freshness.p99") <= 240
    assert (
        value(result, "freshness.p50")
        <= value(result, "freshness.p95")
        <= value(result, "freshness.p99")
    )
    assert (
        value(result, "latency.put.p50")
        <= value(result, "latency.put.p99")
        < value(result, "time.total")
    )


def test_the_outlook_of_the_policies_is_of_the_objects_in_the_lake(
    run: Path, result: dict[str, Any]
) -> None:
    sizes: dict[str, list[int]] = {}
    for name, path in lake_files(run).items():
        sizes.setdefault(name.partition("/")[0].rpartition("-")[2], []).append(path.stat().st_size)
    del sizes["checkpoints"]
    days = 4 / (24 * 60)
    stored = {
        each["bucket"]: (each["objects"] * days, each["bytes"] * days)
        for each in result["outlook"]["stored"]
    }
    assert stored == {
        bucket: pytest.approx((len(found), sum(found))) for bucket, found in sizes.items()
    }
    # a minute's objects are small
    assert not any(moved["taken"] for moved in result["outlook"]["moved"])
    year = sum(map(sum, sizes.values())) / days / 2**30 * 0.023 * 365 / 30
    assert value(result, "cost.kept_year") == pytest.approx(year, rel=1e-3, abs=1e-6)
    page = (run / "report.html").read_text()
    assert "Lifecycle policies" in page
    for moved in result["outlook"]["moved"]:
        assert f"<code>{moved['rule']}</code>" in page


def test_the_account_of_rows_adds_up(run: Path, result: dict[str, Any]) -> None:
    generated, ingested = value(result, "rows.generated"), value(result, "rows.ingested")
    assert (
        generated == ingested == value(result, "rows.validated") + value(result, "rows.quarantined")
    )
    assert value(result, "rows.enriched") == value(result, "rows.validated")
    held: Counter[str] = Counter()
    by_rule: Counter[str] = Counter()
    for name, path in data_files(run).items():
        table = pq.read_table(path, partitioning=None)
        held[stage_of(name)] += table.num_rows
        if stage_of(name) == "quarantine":
            by_rule.update(table["rule"].to_pylist())
    lake = result["lake"]
    assert lake["rows_by_stage"] == dict(held)
    assert lake["quarantined_by_rule"] == dict(by_rule)
    assert (
        lake["objects"]
        == len(data_files(run))
        == sum(shard["objects"] for shard in result["shards"])
    )
    cells: Counter[str] = Counter()
    for cell in result["completeness"]:
        assert cell["expected"] == cell["actual"]
        cells[cell["stage"]] += cell["actual"]
    windows = cells.pop("aggregated")
    # late rows made revisions
    assert windows == value(result, "windows.expected") < held.pop("aggregated")
    assert cells == held


def test_the_digest_is_that_of_the_saved_data_objects(run: Path, result: dict[str, Any]) -> None:
    lines = [
        f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n"
        for name, path in data_files(run).items()
    ]
    assert result["lake"]["digest"] == hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def test_operations_are_the_raw_record_of_store_requests(
    run: Path, result: dict[str, Any], operations: pa.Table
) -> None:
    time, text = pa.timestamp("ns", tz="UTC"), pa.string()
    types = {
        "intended_start": time,
        "start": time,
        "end": time,
        "kind": text,
        "bucket": text,
        "key": text,
    }
    types |= {"bytes": pa.int64(), "outcome": text, "attempt": pa.int32(), "worker": text}
    assert dict(zip(operations.schema.names, operations.schema.types, strict=True)) == types
    assert set(operations["worker"].to_pylist()) == set(runs.TURBINES)
    assert set(operations["kind"].to_pylist()) <= {"put", "get", "list", "head", "delete"}
    assert set(operations["outcome"].to_pylist()) <= {"ok", "exists", "missing"}
    assert pc.all(pc.less_equal(operations["intended_start"], operations["start"])).as_py()
    assert pc.all(pc.less_equal(operations["start"], operations["end"])).as_py()
    accepted = operations.filter(
        pc.and_(pc.equal(operations["kind"], "put"), pc.equal(operations["outcome"], "ok"))
    )
    assert value(result, "objects.written") == accepted.num_rows
    assert value(result, "bytes.written") == pc.sum(accepted["bytes"]).as_py()
    assert value(result, "store.requests") == operations.num_rows
    assert value(result, "store.errors") == 0
    names = [
        f"{bucket}/{key}"
        for bucket, key in zip(*(accepted[c].to_pylist() for c in ("bucket", "key")), strict=True)
    ]
    size = dict(zip(names, accepted["bytes"].to_pylist(), strict=True))
    assert {name: path.stat().st_size for name, path in lake_files(run).items()} == size
    assert {name for name, count in Counter(names).items() if count > 1} <= {
        n for n in names if "-checkpoints/" in n
    }


def test_latency_and_throughput_are_those_of_the_raw_record(
    result: dict[str, Any], operations: pa.Table
) -> None:
    puts = operations.filter(
        pc.and_(pc.equal(operations["kind"], "put"), pc.equal(operations["outcome"], "ok"))
    )
    end, intended = (puts[name].cast(pa.int64()).to_numpy() for name in ("end", "intended_start"))
    seconds = (end - intended) / 1e9
    for p in (50, 95, 99):
        low, high = np.quantile(seconds, [p / 100 - 0.01, min(1.0, p / 100 + 0.01)])
        assert low * 0.98 <= value(result, f"latency.put.p{p}") <= high * 1.02
    series = result["throughput"]
    assert sum(series["rows_per_s"]) * series["bucket_s"] == pytest.approx(
        value(result, "rows.ingested"), rel=0.01
    )
    assert sum(series["objects_per_s"]) * series["bucket_s"] == pytest.approx(
        puts.num_rows, rel=0.01
    )


def test_data_is_written_before_its_manifest_and_that_before_the_checkpoint(
    run: Path, operations: pa.Table
) -> None:
    columns = operations.select(["kind", "outcome", "bucket", "key"]).to_pylist()
    starts, ends = (operations[name].cast(pa.int64()).to_pylist() for name in ("start", "end"))
    data_end: dict[str, int] = {}
    manifests: dict[str, tuple[int, int]] = {}
    checkpoints: dict[str, list[int]] = {}
    for row, start, end in zip(columns, starts, ends, strict=True):
        if (row["kind"], row["outcome"]) != ("put", "ok"):
            continue
        batch = Path(row["key"]).stem
        if row["bucket"].endswith("-metadata"):
            manifests[batch] = (start, end)
        elif row["bucket"].endswith("-checkpoints"):
            checkpoints.setdefault(batch, []).append(start)
        else:
            data_end[batch] = max(end, data_end.get(batch, 0))
    assert manifests.keys() == data_end.keys()
    assert all(data_end[batch] <= start for batch, (start, _) in manifests.items())
    for turbine, checkpoint_starts in checkpoints.items():
        manifest_ends = sorted(
            end for batch, (_, end) in manifests.items() if batch.startswith(f"{turbine}-")
        )
        assert len(checkpoint_starts) <= len(manifest_ends)
        assert max(checkpoint_starts) >= manifest_ends[-1]
        for n, start in enumerate(sorted(checkpoint_starts)):
            assert start >= manifest_ends[n]


def test_manifests_carry_the_edge_names_and_the_hashes_of_their_objects(run: Path) -> None:
    files = lake_files(run)
    named = []
    for name, path in files.items():
        if "-metadata/" not in name:
            continue
        manifest = json.loads(path.read_text())
        assert [manifest[f"{kind}_id"][:2] for kind in ("job", "execution", "node")] == [
            "j-",
            "e-",
            "n-",
        ]
        assert manifest["destination"]["data_path"] == [
            entry["key"] for entry in manifest["objects"]
        ]
        for entry in manifest["objects"]:
            content = files[f"{entry['bucket']}/{entry['key']}"].read_bytes()
            assert (entry["bytes"], entry["sha256"]) == (
                len(content),
                hashlib.sha256(content).hexdigest(),
            )
            named.append(f"{entry['bucket']}/{entry['key']}")
    assert sorted(named) == sorted(data_files(run))


def test_junit_lists_every_expectation_as_passed(run: Path, result: dict[str, Any]) -> None:
    root = ET.parse(run / "junit.xml").getroot()
    assert (root.get("failures"), root.get("errors")) == ("0", "0")
    names = {case.get("name") for case in root.iter("testcase")}
    assert {e["text"] for e in result["expectations"]} <= names
    assert int(root.get("tests") or 0) == len(list(root.iter("testcase")))


def test_the_report_loads_nothing(run: Path, result: dict[str, Any]) -> None:
    page = (run / "report.html").read_text()
    assert result["lake"]["digest"][:12] in page
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", page)


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory, localstack: str) -> dict[str, Path]:
    """Runs of the same scenario: one worker, three workers, another seed, without farm B."""
    folder = tmp_path_factory.mktemp("others")
    scenario = runs.scenario(folder)
    arguments: dict[str, list[object]] = {
        "one": ["--workers", 1],
        "three": ["--workers", 3],
        "seed": ["--set", "seed=8", "--workers", 1],
        "subset": ["--set", "fleet.farms=[A, G]", "--set", "expect=[]", "--workers", 1],
    }
    for name, more in arguments.items():
        # One run takes the endpoint from the standard variable, the others from the option.
        options, env = (
            (["--endpoint-url", localstack], {})
            if name != "one"
            else ([], {"AWS_ENDPOINT_URL": localstack})
        )
        done = runs.inside(
            *("run", scenario, "--out", folder / name, "--empty-lake", "--save-lake"),
            *(*options, *more),
            **env,
        )
        assert (done.code, done.left) == (0, []), done.text
    return {name: folder / name for name in arguments}


def test_one_two_and_three_workers_make_the_same_lake_and_the_same_figures(
    run: Path, others: dict[str, Path]
) -> None:
    two, *rest = (runs.result(path) for path in (run, others["one"], others["three"]))
    exact = [
        name for name, figure in two["figures"].items() if figure["kind"] in ("counted", "modelled")
    ]
    assert {"freshness.p99", "cost.per_day", "store.requests", "rows.late"} <= set(exact)
    for other in rest:
        assert other["lake"] == two["lake"]
        assert other["completeness"] == two["completeness"]
        assert other["truth"] == two["truth"]
        assert {n: value(other, n) for n in exact} == {n: value(two, n) for n in exact}
    assert "LocalStack" not in rest[0]["environment"]["store"]
    assert "gateway" not in rest[0]["environment"]  # a named endpoint
    assert two["environment"]["gateway"] == "short"
    assert two["environment"]["store"].startswith("embedded LocalStack, short gateway, http://")
    assert f"store: {two['environment']['store']}" in DONE["run"].out


def test_another_seed_makes_another_lake(run: Path, others: dict[str, Path]) -> None:
    seven, eight = runs.result(run), runs.result(others["seed"])
    assert (eight["seed"], eight["verdict"]) == (8, "pass")
    assert eight["lake"]["digest"] != seven["lake"]["digest"]


def test_a_farm_is_the_same_whatever_other_farms_there_are(
    run: Path, others: dict[str, Path]
) -> None:
    whole = {name: path.read_bytes() for name, path in data_files(run).items() if "/B-" not in name}
    assert len(whole) > 50
    assert {name: path.read_bytes() for name, path in data_files(others["subset"]).items()} == whole


def test_a_plan_differs_from_its_run_by_what_it_says_it_does_not_count(localstack: str) -> None:
    run, path = runs.saved(localstack)
    planned, printed = plan(load(path)), runs.inside("plan", path).out
    assert NOT_COUNTED in printed
    found = {name: each["value"] for name, each in runs.result(run)["figures"].items()}
    assert planned.rows < found["rows.generated"] < 1.05 * planned.rows  # rows stored twice
    assert found["windows.expected"] == planned.windows
    files = [file.relative_to(run / "lake") for file in (run / "lake").rglob("*") if file.is_file()]
    real = Counter(file.parts[0].removeprefix(BUCKET_PREFIX) for file in files)
    assert all(real[bucket] >= objects for bucket, objects in planned.objects.items())
    assert (real["metadata"], real["checkpoints"]) == (planned.batches, planned.turbines)
    beyond = len(files) - sum(planned.objects.values())
    assert found["objects.written"] - sum(planned.writes.values()) == beyond > 0
    assert found["store.requests"] >= sum(planned.writes.values()) + planned.reads
    assert found["bytes.nodes"] == pytest.approx(planned.node_bytes, rel=0.15)
    assert found["bytes.written"] == pytest.approx(sum(planned.lake_bytes.values()), rel=0.3)
