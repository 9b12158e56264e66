"""The record: a round trip through JSON, files that are refused, and the sums made from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sim.bench import record
from sim.bench.record import PartRounds, read_record, write_record
from sim.bench.rounds import Cost, Rounds
from sim.errors import ResultError
from tests.support.bench_samples import bench, point, rounds, size

FOUND = bench(size(), size(60), growth=(point(), point(1000)))


def test_a_record_survives_its_file(tmp_path: Path) -> None:
    write_record(FOUND, tmp_path / "bench.json")
    assert read_record(tmp_path / "bench.json") == FOUND


def with_field(path: tuple[str | int, ...], value: object) -> Callable[[Any], None]:
    def spoil(raw: Any) -> None:
        for name in path[:-1]:
            raw = raw[name]
        raw[path[-1]] = value

    return spoil


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (with_field(("kind",), "result"), "not a file of `windfleet bench --json`: it has no kind"),
        (
            with_field(("schema_version",), 2),
            "schema_version is 2, this windfleet reads 1; measure",
        ),
        (with_field(("seed",), "7"), "seed: Input should be a valid integer"),
        (with_field(("more",), 1), "more: Unexpected keyword argument"),
        (with_field(("growth", 0, "series"), "rows"), "growth.0.series: Input should be"),
        (with_field(("sizes", 1, "turbines"), 0), "sizes.1: rows_per_batch, turbines and objects"),
        (with_field(("sizes", 0, "fixed_s"), []), "sizes.0.fixed_s: must be one round or more"),
        (
            with_field(("sizes", 0, "parts", "read", "floor", "cpu_s"), [1.0]),
            "sizes.0.parts.read.floor: must be one round or more",
        ),
        (with_field(("growth", 0, "parts"), {}), "growth.0.parts: set-up is missing"),
        (
            with_field(("growth", 1, "parts", "verify", "wall_s"), [-1.0, 1.0]),
            "growth.1.parts.verify: must be one round or more",
        ),
    ],
)
def test_a_spoilt_file_is_refused_by_field(
    tmp_path: Path, spoil: Callable[[Any], None], text: str
) -> None:
    file = tmp_path / "bench.json"
    write_record(FOUND, file)
    raw = json.loads(file.read_text(encoding="utf-8"))
    spoil(raw)
    file.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(ResultError) as found:
        read_record(file)
    assert str(found.value).startswith(f"{file}: {text}")
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "not a file of `windfleet bench --json`"),
        (b"[" * 100_000, "not a file of `windfleet bench --json`"),
        (b"\xff", "not a file of `windfleet bench --json`"),
        (b'{"kind": NaN}', "NaN is not a finite number"),
        (b"[]", "it has no kind"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, body: bytes, text: str) -> None:
    (tmp_path / "other").write_bytes(body)
    with pytest.raises(ResultError, match=text):
        read_record(tmp_path / "other")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"cannot be read: .*; name a file of"):
        read_record(tmp_path / "none")


def test_the_whole_job_is_its_parts() -> None:
    found = size()
    assert found.product(record.JOB) == Cost(24.0, 6.0, 48.0)
    assert found.floor(record.DELIVER) == Cost(3.0, 3.0, 6.0)
    assert found.floor(record.JOB) == Cost(1.0 + 2.0 + 3.0 + 3.0, 6.0, 18.0)
    assert found.names()[-1] == record.JOB
    assert found.middle_s(record.JOB) == pytest.approx(24 * 1.01 + 6)


def test_the_set_up_is_no_cost_of_a_row() -> None:
    assert point(cpu_s=2.0).product(record.JOB) == Cost(8.0, 0.0, 16.0)
    assert point(cpu_s=2.0).middle_s(record.JOB) == pytest.approx(8.0)


def test_rates_are_objects_in_wall_time() -> None:
    assert size().put_rates() == (600 / 18.0, 600 / 1.0)


def test_a_job_needs_all_its_parts() -> None:
    parts = {record.READ: PartRounds(rounds(1.0), None)}
    found = replace(size(), parts=parts)
    assert found.names() == [record.READ]
    assert found.put_rates() is None
    assert found.floor(record.READ) is None
    assert Rounds([1.0], [0.0], [2.0]) == parts[record.READ].product
