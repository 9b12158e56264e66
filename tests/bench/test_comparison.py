"""Two records side by side: changes, noise, and work that cannot be compared."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.bench import record
from sim.bench.comparison import NOISE_OF_ONE, Change, changes, notes
from sim.bench.record import BenchRecord
from tests.support.bench_samples import bench, point, size

BASE = bench(size())


def outcome(new: BenchRecord, part: str = record.PROCESS, old: BenchRecord = BASE) -> Change:
    return next(change for change in changes(old, new) if change.part == part)


@pytest.mark.parametrize(
    ("scale", "expected"),
    [(1.0, "within noise"), (1.04, "within noise"), (1.3, "slower"), (0.7, "faster")],
)
def test_a_change_beyond_the_noise_is_one(scale: float, expected: str) -> None:
    found = outcome(bench(size(scale=scale)))
    assert found.outcome == expected
    assert found.ratio == pytest.approx(scale)
    assert (found.old_us, found.new_us) == (pytest.approx(100.0), pytest.approx(100.0 * scale))


def test_a_slower_machine_is_no_change() -> None:
    slower = outcome(bench(size(scale=2.0, fixed_s=(0.04, 0.044))))
    assert slower.outcome == "within noise"
    assert slower.ratio == pytest.approx(1.0)
    assert outcome(bench(size(fixed_s=(0.04, 0.044)))).outcome == "faster"


def test_the_store_s_time_counts() -> None:
    part = size().parts[record.PUT]
    part = replace(part, product=replace(part.product, server_s=[6.0, 6.0]))
    found = outcome(bench(replace(size(), parts={**size().parts, record.PUT: part})), record.PUT)
    assert (found.outcome, found.ratio) == ("slower", pytest.approx(8.0 / 5.0))


def test_scattered_rounds_widen_the_noise() -> None:
    part = size().parts[record.PROCESS]
    part = replace(part, product=replace(part.product, cpu_s=[7.5, 12.0]))
    found = outcome(bench(replace(size(), parts={**size().parts, record.PROCESS: part})))
    assert found.noise == pytest.approx(9.75 / 7.5 - 1)
    assert found.outcome == "within noise"
    assert found.ratio == pytest.approx(1.25)


def test_an_unsteady_machine_widens_the_noise() -> None:
    assert outcome(bench(size(scale=1.2, fixed_s=(0.02, 0.04)))).outcome == "within noise"


def test_one_round_shows_no_noise_of_its_own() -> None:
    found = outcome(bench(size(scale=1.2, fixed_s=(0.02,))))
    assert (found.noise, found.outcome) == (NOISE_OF_ONE, "within noise")


def test_other_rows_and_parts_are_not_comparable() -> None:
    found = list(changes(BASE, bench(size(60))))
    assert [(c.place, c.outcome, c.reason) for c in found] == [
        ("100 nodes x 60 rows", "not comparable", "the earlier file lacks it"),
        ("100 nodes x 600 rows", "not comparable", "the new file lacks it"),
    ]
    fewer = replace(size(), parts={k: v for k, v in size().parts.items() if k != record.STAGES})
    lost = outcome(bench(fewer), record.STAGES)
    assert (lost.outcome, lost.reason, lost.ratio) == (
        "not comparable",
        "the new file lacks it",
        None,
    )
    assert outcome(BASE, record.STAGES, bench(fewer)).reason == "the earlier file lacks it"


def test_a_part_without_time_is_not_comparable() -> None:
    found = outcome(bench(size(scale=0.0)), record.READ)
    assert (found.outcome, found.reason) == ("not comparable", "too short to measure")


def test_growth_is_compared_by_its_size() -> None:
    old, new = bench(growth=(point(), point(1000))), bench(growth=(point(cpu_s=2.0),))
    found = [(c.place, c.part, c.outcome) for c in changes(old, new)]
    assert found[-2:] == [
        ("turbines 100: 100 turbines, 6,000 rows", record.JOB, "slower"),
        ("turbines 1,000: 1,000 turbines, 60,000 rows", "", "not comparable"),
    ]


def test_differences_of_the_runs_are_named() -> None:
    other = replace(
        BASE,
        machine="Linux, 64 cores",
        pipeline_version="4",
        gateway="stock",
        seed=8,
        versions={"python": "3.13"},
    )
    assert list(notes(BASE, BASE)) == []
    assert [note.partition(",")[0] for note in notes(BASE, other)] == [
        "another machine: Linux",
        "pipeline version 3",
        "LocalStack's gateway short",
        "python 3.11.7",
        "seed 7",
    ]
