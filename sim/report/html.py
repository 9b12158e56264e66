"""report.html of a run: one offline file that starts with the verdict.

Made only from the result and the raw operations, so it can be rebuilt at any time, byte for byte.
Modelled numbers (virtual time, prices) and measured ones (wall time) are always labelled, and never
in the same chart.

Not covered: interaction; the page has no script.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from sim.chaos.faults import KINDS
from sim.measure import latency
from sim.measure.figures import FIGURES
from sim.report import accounting, numbers, policies
from sim.report.result import WRONGS, Result

FINDINGS_SHOWN: Final = 200
BANDS_SHOWN: Final = 31
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
    ("windows.wrong", "windows wrong"),
    ("manifest.mismatches", "manifests wrong"),
)
TWO_FAULTS: Final = (
    "A row with two faults counts for both, so the sum may exceed the rows in quarantine."
)


def sentence(result: Result) -> str:
    """Return the verdict in one sentence, without the words pass, fail and unknown."""
    rows = result.figure("rows.generated")
    if result.verdict == "pass":
        return f"Every one of {numbers.count(rows)} rows is where it must be, once and unchanged."
    wrong = [
        f"{numbers.count(n)} row{'s' * (n != 1)} {kind}"
        for kind in WRONGS
        if (n := result.figure(f"rows.{kind}"))
    ]
    wrong += [
        f"{numbers.count(n)} {noun}" for name, noun in _OTHER_WRONGS if (n := result.figure(name))
    ]
    failed = [outcome.text for outcome in result.expectations if outcome.passed is False]
    sentences = [f"Found: {', '.join(wrong)}." if wrong else ""]
    sentences.append(
        f"Expectations not met: {len(failed)} of {len(result.expectations)}." if failed else ""
    )
    text = " ".join(part for part in sentences if part)
    if text:
        return text
    return (
        "No row of the lake was judged."
        if not result.completeness
        else "No row was found to be wrong."
    )


def render(result: Result, operations: pa.Table | None, dashboard: str | None = None) -> str:
    """Return the page.

    operations: rows of operations.parquet. If None, the page has a sentence instead of their
    figures. dashboard: file of the run's dashboard, beside the report.
    """
    from sim.report import charts, jinja_environment  # half a CPU-second, and a part draws nothing

    latencies = latency.by_kind(operations) if operations is not None else []
    bands = accounting.bands(result.completeness)
    ceiling = result.figure("store.put_ceiling_per_s")
    return (
        jinja_environment.environment()
        .get_template("report.html.j2")
        .render(
            result=result,
            sentence=sentence(result),
            dashboard=dashboard,
            headlines=[
                (label, result.figures[name])
                for name, label in HEADLINES
                if result.figure(name) is not None
            ],
            stages=accounting.by_stage(result),
            wrongs=WRONGS,
            two_faults=TWO_FAULTS,
            bands=accounting.foremost(bands, BANDS_SHOWN),
            bands_hidden=max(len(bands) - BANDS_SHOWN, 0),
            throughput_svg=charts.throughput(result.throughput, ceiling)
            if result.throughput
            else None,
            timeline_svg=charts.timeline(result.timeline) if result.timeline else None,
            latencies=latencies,
            latency_svg=charts.latency(latencies),
            freshness=_freshness(result),
            policies=policies.rows(result.outlook) if result.outlook else [],
            removals=policies.removals(result.outlook) if result.outlook else [],
            prices=policies.prices(result.outlook) if result.outlook else [],
            findings=result.findings[:FINDINGS_SHOWN],
            fault_texts={name: kind.text for name, kind in KINDS.items()},
            descriptions={name: described.description for name, described in FIGURES.items()},
        )
    )


def _freshness(result: Result) -> list[tuple[str, float, float]]:
    """Return (percentile, seconds, share of the largest) of each percentile that is known."""
    named = [(p, result.figure(f"freshness.{p}")) for p in ("p50", "p95", "p99")]
    known = [(p, float(value)) for p, value in named if value is not None]
    largest = max((value for _, value in known), default=0.0) or 1.0
    return [(p, value, 100 * value / largest) for p, value in known]
