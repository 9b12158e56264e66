"""Records of `windfleet bench` made by hand."""

from __future__ import annotations

from dataclasses import replace

from sim.bench import record
from sim.bench.record import BenchRecord, GrowthPoint, PartRounds, SizeRecord
from sim.bench.rounds import Rounds


def rounds(*cpu_s: float, served: float = 0.0) -> Rounds:
    """Rounds of these CPU times; the store takes `served` in each, and wall time is double."""
    return Rounds(list(cpu_s), [served] * len(cpu_s), [2 * each for each in cpu_s])


def size(
    rows: int = 600, scale: float = 1.0, fixed_s: tuple[float, ...] = (0.02, 0.022)
) -> SizeRecord:
    """A size whose costs are easy to add up: all parts together 30 s, the floors 15 s."""

    def part(product: float, floor: float | None, served: float = 0.0) -> PartRounds:
        lean = None if floor is None else rounds(floor, floor * 1.1, served=served)
        return PartRounds(rounds(product * scale, product * scale * 1.02, served=served), lean)

    return SizeRecord(
        rows,
        100,
        600,
        10**7,
        list(fixed_s),
        {
            record.SAMPLES: part(1.0, None),
            record.WRITE: part(4.0, 2.0),
            record.READ: part(1.0, 0.5),
            record.STAGES: part(0.5, None),
            record.PROCESS: part(6.0, 2.0),
            record.PUT: part(2.0, 0.5, 3.0),
            record.DELIVER: part(9.0, None, 3.0),
            record.VERIFY: part(10.0, 3.0, 3.0),
        },
    )


def point(turbines: int = 100, cpu_s: float = 1.0) -> GrowthPoint:
    parts = {part: rounds(cpu_s, cpu_s) for part in (record.SETUP, *record.JOB_PARTS)}
    return GrowthPoint(
        "turbines", turbines, turbines, turbines * 60, 6 * turbines, [0.02], parts, 10**8, 10**9
    )


def bench(*sizes: SizeRecord, growth: tuple[GrowthPoint, ...] = ()) -> BenchRecord:
    empty = BenchRecord(
        record.KIND, record.SCHEMA_VERSION, "Linux, 2 cores", {"python": "3.11.7"}, "3", "short", 7
    )
    return replace(empty, sizes=list(sizes), growth=list(growth))
