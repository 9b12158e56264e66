"""Malformed objects: any bytes or tables in a lake get a verdict that names the object.

Not covered: node files (test_nodes.py) and objects that the store does not return.
"""

from __future__ import annotations

import decimal
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.check import LakeReader, Verdict, judge, share
from sim.check.privacy.scan import Privacy
from sim.check.read import parquet
from sim.check.read.lake import ObjectRef
from sim.check.read.objects import read_stage
from tests.support import lakebuilder
from tests.support.check_world import Memory, node
from tests.support.lakesurgery import AGGREGATED, ENRICHED, INGESTED, Objects, read, write
from tests.support.paths import ROOT

Judge = Callable[[Objects], Verdict]
TEXT = pa.array([b"\xff\xfe", b"ok"], pa.binary())


@pytest.fixture(scope="module")
def lake() -> Objects:
    return lakebuilder.build()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nodes")
    lakebuilder.write_nodes(folder)
    return folder


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, lake: Objects) -> lakebuilder.Kept:
    return lakebuilder.Kept(tmp_path_factory.mktemp("lake"), lake)


@pytest.fixture
def judged(nodes: Path, kept: lakebuilder.Kept) -> Judge:
    def run(changes: Objects) -> Verdict:
        with kept.changed(changes) as folder:
            return judge(nodes, LakeReader.folder(folder), None, 1)

    return run


def unnamed(verdict: Verdict, names: list[str]) -> list[str]:
    """Names of objects that no finding mentions."""
    texts = "\n".join(f"{found.key} {found.detail}" for found in verdict.findings)
    return [name for name in names if name not in texts]


def harmed(content: bytes, draw: random.Random) -> bytes:
    """Change, truncate, repeat or remove some of the bytes."""
    data = bytearray(content)
    for _ in range(draw.choice([1, 1, 1, 4, 16])):
        at = draw.randrange(len(data))
        match draw.randrange(6):
            case 0:
                data[at] ^= 1 << draw.randrange(8)
            case 1:
                data[at] = draw.choice(sorted({0, 0x7F, 0x80, 0xFF} - {data[at]}))
            case 2:
                del data[at : at + draw.randrange(1, 9)]
            case 3:
                data[at:at] = draw.randbytes(draw.randrange(1, 9))
            case 4 if len(data) > 40:
                footer = draw.randrange(1, 40)
                data[-footer] ^= 0xFF
            case _:
                data[at:at] = data[at : at + 8] + b"\0"
    return bytes(data) if bytes(data) != content else content + b"\0"


@pytest.mark.parametrize("seed", range(4))
def test_harmed_data_objects_are_named(judged: Judge, lake: Objects, seed: int) -> None:
    draw = random.Random(seed)
    names = draw.sample(sorted(name for name in lake if name.endswith(".parquet")), 25)
    verdict = judged({name: harmed(lake[name], draw) for name in names})
    assert (verdict.errors, verdict.status, unnamed(verdict, names)) == ([], "fail", [])


@pytest.mark.parametrize("seed", range(3))
def test_harmed_documents_are_named(judged: Judge, lake: Objects, seed: int) -> None:
    draw = random.Random(seed)
    manifests = draw.sample(sorted(name for name in lake if "-metadata/" in name), 8)
    free = b'"upload_timestamp": "2024-01-15T00:00:00.000+00:00", '
    changes = {name: harmed(lake[name].replace(free, b""), draw) for name in manifests}
    changes |= {name: harmed(lake[name], draw) for name in lake if "-checkpoints/" in name}
    verdict = judged(changes)
    assert (verdict.errors, verdict.status, unnamed(verdict, manifests)) == ([], "fail", [])


def text(values: pa.Array) -> pa.Array:
    """Return bytes as a string column without validation."""
    return pa.Array.from_buffers(pa.string(), len(values), values.buffers())


def with_column(name: str, values: Callable[[int], pa.Array]) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        table = read(content)
        at = table.schema.get_field_index(name)
        column = values(len(table))
        return write(
            table.append_column(name, column) if at < 0 else table.set_column(at, name, column)
        )

    return change


def repeated(value: object, kind: pa.DataType) -> Callable[[int], pa.Array]:
    return lambda rows: pa.array([value] * rows, kind)


def twice(content: bytes) -> bytes:
    table = read(content)
    return write(pa.table([*table.columns, table.column("id")], names=[*table.column_names, "id"]))


def bomb(content: bytes) -> bytes:
    """Write eight million equal rows in a few kilobytes."""
    one = read(content).slice(0, 1)
    indices = pa.array([0] * 8_000_000, pa.int32())
    return write(
        pa.table({"id": pa.DictionaryArray.from_arrays(indices, one.column("id").combine_chunks())})
    )


def long_text(content: bytes) -> bytes:
    """Write a text of a megabyte in every row, stored once."""
    rows = len(read(content))
    more = pa.DictionaryArray.from_arrays(
        pa.array([0] * rows, pa.int32()), pa.array(["x" * (1 << 23)])
    )
    return with_column("_rescued_data", lambda _: more)(content)


def extended(kind: pa.DataType, value: object) -> Callable[[int], pa.Array]:
    return lambda rows: pa.ExtensionArray.from_storage(
        kind, pa.array([value] * rows, kind.storage_type)
    )


NESTED = pa.struct({"a": pa.struct({"b": pa.list_(pa.int8())})})
ODD: dict[str, Callable[[bytes], bytes]] = {
    "text that is not UTF-8": with_column(
        "status", lambda rows: text(pa.array([b"\xff\xfe"] * rows, pa.binary()))
    ),
    "rescued text that is not UTF-8": with_column(
        "_rescued_data", lambda rows: text(pa.array([b"\xc3"] * rows, pa.binary()))
    ),
    "struct for text": with_column(
        "turbine_id", repeated({"a": "x"}, pa.struct({"a": pa.string()}))
    ),
    "struct for a number": with_column("wind_speed", repeated({"a": {"b": [1]}}, NESTED)),
    "struct for ids": with_column("id", repeated({"a": 1}, pa.struct({"a": pa.int64()}))),
    "list": with_column("status", repeated(["running"], pa.list_(pa.string()))),
    "map": with_column(
        "note", repeated([("k", "v"), ("l", None)], pa.map_(pa.string(), pa.string()))
    ),
    "map of structs": with_column(
        "m", repeated([("k", {"a": None})], pa.map_(pa.string(), NESTED))
    ),
    "fixed list": with_column("f", repeated([1.5, 2.5], pa.list_(pa.float32(), 2))),
    "decimals": with_column(
        "power_output", repeated(decimal.Decimal("1.25"), pa.decimal128(38, 2))
    ),
    "wide decimals": with_column("id", repeated(decimal.Decimal(10) ** 60, pa.decimal256(70, 0))),
    "half floats": with_column("wind_speed", repeated(1.5, pa.float16())),
    "unsigned ids beyond int64": with_column("id", repeated(2**64 - 1, pa.uint64())),
    "bytes for text": with_column("status", repeated(b"\xff", pa.binary())),
    "bytes for times": with_column("timestamp", repeated(b"12345678", pa.binary(8))),
    "times of day": with_column("recorded_at", repeated(5, pa.time64("ns"))),
    "times in the year 300000": with_column(
        "timestamp", repeated(2**63 - 1, pa.timestamp("us", tz="UTC"))
    ),
    "nulls only": with_column("status", lambda rows: pa.nulls(rows)),
    "UUIDs": with_column("u", extended(pa.uuid(), b"0" * 16)),
    "JSON": with_column("j", extended(pa.json_(), '{"a":' * 2_000)),
    "deep JSON rescued": with_column("_rescued_data", repeated('{"a":' * 50_000, pa.string())),
    "endless number rescued": with_column(
        "_rescued_data", repeated('{"a":' + "9" * 5_000 + "}", pa.string())
    ),
    "a column twice": twice,
    "no columns": lambda content: write(pa.table({})),
    "no rows, no columns of ours": lambda content: write(pa.table({"": pa.array([], pa.int8())})),
    "eight million rows": bomb,
    "a text of megabytes in every row": long_text,
    "another magic": lambda content: b"PARE" + content[4:-4] + b"PARE",
    "footer as long as the file": lambda content: (
        content[:-8] + len(content).to_bytes(4, "little") + b"PAR1"
    ),
    "a name of megabytes": with_column("n" * (1 << 21), repeated(1, pa.int8())),
    "a name with a nul and a line": with_column("a\0\nb", repeated(1, pa.int8())),
}


def test_odd_tables_are_each_named(judged: Judge, lake: Objects) -> None:
    for stage in ("ingestion", "enriched"):
        names = sorted(n for n in lake if f"-{stage}/" in n and len(read(lake[n])) > 20)
        for first in range(0, len(ODD), len(names)):
            some = list(ODD)[first : first + len(names)]
            places = dict(zip(some, names, strict=False))
            changes = {place: ODD[label](lake[place]) for label, place in places.items()}
            verdict = judged(changes)
            assert (verdict.errors, verdict.status) == ([], "fail")
            kinds = {each.key: each.kind for each in verdict.findings if each.kind in KINDS}
            assert [label for label, place in places.items() if place not in kinds] == []


KINDS = {"object.unreadable", "object.schema", "altered", "object.unexpected", "lost"}

PLAIN = (
    pa.int8(),
    pa.uint64(),
    pa.float16(),
    pa.bool_(),
    pa.string(),
    pa.large_binary(),
    pa.date64(),
    pa.null(),
)
OTHERS = (pa.timestamp("s"), pa.decimal128(5, 2), pa.duration("ms"), pa.time32("s"), pa.binary(3))
LEAVES = st.sampled_from([*PLAIN, *OTHERS, pa.dictionary(pa.int8(), pa.string())])
TYPES = st.recursive(
    LEAVES,
    lambda inner: (
        inner.map(pa.list_)
        | inner.map(pa.large_list)
        | inner.map(lambda kind: pa.list_(kind, 2))
        | inner.map(lambda kind: pa.map_(pa.string(), kind))
        | st.lists(inner, min_size=1, max_size=3).map(
            lambda kinds: pa.struct([(f"f{i}", k) for i, k in enumerate(kinds)])
        )
    ),
    max_leaves=4,
)
NAMES = st.sampled_from(
    ["id", "timestamp", "turbine_id", "status", "_rescued_data", "rated_power", "note", "a.b", ""]
)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(NAMES, TYPES), max_size=5), st.integers(0, 3))
def test_tables_of_any_types_are_read_or_rejected(
    columns: list[tuple[str, pa.DataType]], rows: int
) -> None:
    try:
        table = pa.table(
            [pa.nulls(rows, kind) for _, kind in columns], names=[name for name, _ in columns]
        )
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
    except (pa.ArrowException, ValueError):
        return  # Parquet has no such type
    content = sink.getvalue().to_pybytes()
    ref = ObjectRef("expanso-databricks-enriched", ENRICHED.split("/", 1)[1], len(content))
    found = read_stage(Memory({ref.name: content}), "enriched", [ref], [])
    assert found.objects[0].problem or found.objects[0].schema_problem
    privacy = Privacy([node("A-001", privacy_key="ab" * 16)])
    privacy.search_object(ref, content)
    assert privacy.leaks.unsearched == {}


FLIPS = """
import sys
from pathlib import Path
from sim.check.read import objects, parquet
content = Path(sys.argv[1]).read_bytes()
schema = objects._encoded("aggregated")
footer = int.from_bytes(content[-8:-4], "little")
for at in range(len(content) - 8 - footer, len(content) - 8, 11):
    harmed = bytearray(content)
    harmed[at] ^= 1 << at % 8
    names = ["turbine_id", "farm_id"]
    for read in (
        lambda data: parquet.read_exact_schema(data, schema, names),
        parquet.read_any_schema,
    ):
        try:
            read(bytes(harmed))
        except parquet.Unreadable:
            pass
"""


def test_no_bit_of_a_footer_ends_the_process(lake: Objects, tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(lake[AGGREGATED])
    command = [sys.executable, "-c", FLIPS, str(tmp_path / "x.parquet")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_declared_sizes_are_bounded_before_anything_is_decoded() -> None:
    rows = write(
        pa.table(
            {
                "id": pa.DictionaryArray.from_arrays(
                    pa.array([0] * (1 << 21), pa.int32()), pa.array([7])
                )
            }
        )
    )
    with pytest.raises(parquet.Unreadable, match="declares 2097152 rows"):
        parquet.read_any_schema(rows)
    inside = write(
        pa.table({"a": pa.array([[0] * (parquet.MOST_VALUES + 1)], pa.list_(pa.int8()))})
    )
    with pytest.raises(parquet.Unreadable, match="column 0 declares 4194305 values"):
        parquet.read_any_schema(inside)
    groups = write(
        pa.table({f"c{i}": pa.array([1] * 60, pa.int8()) for i in range(2_000)}), row_group_size=1
    )
    with pytest.raises(parquet.Unreadable, match="60 row groups of 2000 columns"):
        parquet.read_any_schema(groups)


def test_odd_files_of_a_folder_affect_no_other_object(
    lake: Objects, nodes: Path, tmp_path: Path
) -> None:
    lakebuilder.write_lake(tmp_path / "lake", lake)
    top = tmp_path / "lake" / "expanso-databricks-enriched" / "enriched"
    (top / "circle.parquet").symlink_to("circle.parquet")
    (top / "folder.parquet").symlink_to("..")
    (top / "x.parquet").mkdir()
    (top / "x.parquet" / "a\nb").write_bytes(b"x")
    (top / "-").write_bytes(b"")
    Path(os.fsdecode(os.fsencode(top) + b"/\xff\xfe.parquet")).write_bytes(b"x")
    (tmp_path / "lake" / INGESTED).unlink()
    os.mkfifo(tmp_path / "lake" / INGESTED)  # as good as an unreadable file, even for root
    verdict = judge(nodes, LakeReader.folder(tmp_path / "lake"), None, 1)
    assert (verdict.errors, verdict.status) == ([], "fail")
    assert verdict.counts == {"object.foreign": 5, "object.unreadable": 1, "manifest.disagrees": 1}
    assert any(found.key.endswith("/\\udcff\\udcfe.parquet") for found in verdict.findings)
    assert verdict.digest == ""


def test_a_bug_of_the_oracle_affects_one_share_and_is_reported(
    judged: Judge, lake: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = share.compare_rows

    def wrong(stage: str, expected: Any, *rest: Any) -> Any:
        if expected.nodes[0].farm == "B" and stage == "validated":
            raise ZeroDivisionError("planted")
        return right(stage, expected, *rest)

    monkeypatch.setattr(share, "compare_rows", wrong)
    verdict = judged({})
    (error,) = verdict.errors
    assert "farm B, turbines B-001 to B-001, stage validated: judged only in part" in error
    assert "ZeroDivisionError: planted (at " in error
    assert error.endswith(" wrong)")
    assert verdict.status == "unknown"
    verdict = judged({INGESTED: b"torn"})
    assert (verdict.status, verdict.counts["object.unreadable"], len(verdict.errors)) == (
        "fail",
        1,
        1,
    )
