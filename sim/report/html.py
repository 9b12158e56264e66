"""report.html of a run: one offline file that starts with the verdict.

Made only from the result and the raw operations, so it can be rebuilt at any time, byte for byte.
Modelled numbers (virtual time, prices) and measured ones (wall time) are always labelled, and never
in the same chart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from sim.chaos.faults import KINDS
from sim.measure import latency, run_limit
from sim.measure.operations import timed
from sim.report import (
    accounting,
    completeness,
    findings,
    numbers,
    outcomes,
    policies,
    tiles,
)
from sim.report.result import WRONGS, Result

BANDS_SHOWN: Final = 31
TILES: Final = 8
HEADLINES: Final = (
    ("rows.generated", "Rows generated"),
    ("throughput.rows_per_s", "Row throughput"),
    ("throughput.objects_per_s", "Object throughput"),
    ("store.put_ceiling_per_s", "Store's PUT ceiling"),
    ("latency.put.p99", "PUT latency, p99"),
    ("freshness.p99", "Freshness, p99"),
    ("memory.peak", "Peak memory"),
    ("cost.per_day", "S3 cost per day"),
)
_OTHER_WRONGS: Final = (
    ("windows.wrong", "window", "wrong"),
    ("manifest.mismatches", "manifest", "wrong"),
)
REPEATED: Final = (
    "Planned counts the calls of a run without faults. After a fault, nodes repeat calls, which "
    "can be hit again."
)
DETECTABLE: Final = (
    "Found: of the faults that altered a row and that some signal can detect, which may be fewer "
    "than were injected."
)
TWO_FAULTS: Final = (
    "A row with two faults counts for both, so the sum may exceed the rows in quarantine. Rows "
    "that a rule catches after a fault's end, or without one, are in quarantine and not in this "
    "table."
)


def some_undetectable(result: Result) -> bool:
    """Return True if more faults were injected than can be detected."""
    return any(
        fault.detectable is not None and fault.detectable != fault.injected
        for fault in result.truth
    )


@dataclass(frozen=True)
class PhaseShare:
    """A phase of the run on the bar of its time: share in percent of the whole, and its paint."""

    name: str
    share: float
    paint: str


_PAINTS: Final = {
    "start the store": "stopped",
    "ceiling": "curtailed",
    "simulate and deliver": "data",
    "judge": "maintenance",
}


def sentence(result: Result) -> str:
    """Return the verdict in one or two sentences, without the words pass, fail and unknown."""
    if result.load is not None:
        from sim.report.load.page import sentence as of_load  # it draws

        return of_load(result)
    return " ".join(reasons(result))


def reasons(result: Result) -> list[str]:
    """Return the sentences of the verdict: wrong rows, failed expectations, or the obstacle."""
    rows = result.figure("rows.generated")
    if result.verdict == "pass":
        return [f"Every one of {numbers.count(rows)} rows is where it must be, once and unchanged."]
    wrong = [
        f"{numbers.count(n)} row{'s' * (n != 1)} {kind}"
        for kind in WRONGS
        if (n := result.figure(f"rows.{kind}"))
    ]
    wrong += [
        f"{numbers.count(n)} {noun}{'s' * (n != 1)} {state}"
        for name, noun, state in _OTHER_WRONGS
        if (n := result.figure(name))
    ]
    if not wrong and result.verdict == "fail":
        wrong = [f"{numbers.count(n)} x {kind}" for kind, n in result.finding_counts.items()]
    counted = {f"rows.{kind}" for kind in WRONGS} | {name for name, *_ in _OTHER_WRONGS}
    expected = outcomes.shown(result)
    missed = outcomes.reasons(one for one in expected if not (wrong and one.figure in counted))
    found = [f"Found: {', '.join(wrong)}." if wrong else "", missed]
    if any(found):
        return [part for part in found if part]
    open_ = [one.reason for one in expected if one.passed is None]
    found_ = [f"{each.turbine or each.stage}: {each.detail}" for each in result.findings[:1]]
    obstacle = next(iter([*result.errors, *open_, *found_]), "")
    return [
        *([f"Not decided: {obstacle.rstrip('.')}."] if obstacle else []),
        "No row of the lake was judged."
        if not result.completeness
        else "No row was found to be wrong.",
    ]


def render(result: Result, operations: pa.Table | None, dashboard: str | None = None) -> str:
    """Return the page.

    operations: rows of operations.parquet. If None, the page has a sentence instead of their
    figures. dashboard: file of the run's dashboard, beside the report.
    """
    from sim.report import charts, page  # half a CPU-second, and a part draws nothing

    operations = None if operations is None else timed(operations)
    latencies = latency.by_kind(operations) if operations is not None else []
    bands = accounting.bands(result.completeness)
    ceiling = result.figure("store.put_ceiling_per_s")
    expected = outcomes.shown(result)
    drawn = [
        *(charts.throughput(result.throughput, ceiling, operations) if result.throughput else []),
        *(charts.timeline(result.timeline) if result.timeline else []),
        *([charts.freshness(result.freshness, result.fault_windows)] if result.freshness else []),
    ]
    return page.render(
        "report.html.j2",
        drawn,
        result=result,
        reasons=reasons(result),
        dashboard=dashboard,
        expected=expected,
        tiles=tiles.tiles(result, HEADLINES, expected, TILES),
        figure_groups=tiles.groups(result),
        limited=_limited(result, ceiling),
        phase_shares=_phase_shares(result),
        stages=accounting.by_stage(result),
        wrongs=WRONGS,
        two_faults=TWO_FAULTS,
        detectable=DETECTABLE if some_undetectable(result) else "",
        all_complete=completeness.all_complete(bands),
        bands=accounting.foremost(bands, BANDS_SHOWN),
        bands_hidden=max(len(bands) - BANDS_SHOWN, 0),
        farms=completeness.farms(result),
        latencies=latencies,
        ranges=charts.latency(latencies),
        freshness=_freshness(result),
        policies=policies.rows(result.outlook) if result.outlook else [],
        removals=policies.removals(result.outlook) if result.outlook else [],
        prices=policies.prices(result.outlook) if result.outlook else [],
        errors=[
            text
            for text in result.errors
            if not any(text.rstrip(".") in reason for reason in reasons(result))
        ],
        groups=findings.groups(result.findings, result.errors),
        short_key=findings.short_key,
        repeated=REPEATED,
        fault_texts={name: kind.text for name, kind in KINDS.items()},
    )


def _limited(result: Result, ceiling: float | None) -> str:
    if result.timeline is None or not result.figure("throughput.rows_per_s"):
        return ""
    return run_limit.sentence(result.timeline, result.figure("throughput.objects_per_s"), ceiling)


def _phase_shares(result: Result) -> list[PhaseShare]:
    """Return the phases with their shares of the run's time."""
    phases = result.timeline.phases if result.timeline else ()
    lengths = [max(phase.to_s - max(phase.from_s, 0.0), 0.0) for phase in phases]
    whole = sum(lengths) or 1.0
    return [
        PhaseShare(phase.name, round(100 * length / whole, 1), _PAINTS.get(phase.name, "wind"))
        for phase, length in zip(phases, lengths, strict=True)
    ]


def _freshness(result: Result) -> list[tuple[str, float, float]]:
    """Return (percentile, seconds, share of the largest) of each percentile that is known."""
    named = [(p, result.figure(f"freshness.{p}")) for p in ("p50", "p95", "p99")]
    known = [(p, float(value)) for p, value in named if value is not None]
    largest = max((value for _, value in known), default=0.0) or 1.0
    return [(p, value, 100 * value / largest) for p, value in known]
