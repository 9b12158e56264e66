"""The report of a load test: one page that says first what the store sustains, and what limits it.

Made from result.json, requests.parquet, resources.parquet and operations.parquet alone, so it can be rebuilt at any
time, byte for byte. All of it is measured: wall time of this machine. Not covered: interaction; no script in the page.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from sim.measure import bottleneck, latency
from sim.measure.figures import FIGURES
from sim.measure.loadtest import LoadTest
from sim.measure.requests import KINDS, figures, samples
from sim.measure.usl import Fit, Interval
from sim.report import numbers, page
from sim.report.load import charts, curves
from sim.report.load.charts import Lane
from sim.report.result import Result

HEADLINES = (
    ("load.sustainable_per_s", "Sustained under the SLO"),
    ("load.peak_per_s", "Best closed level"),
    ("load.achieved_per_s", "Achieved"),
    ("load.offered_per_s", "Offered"),
    ("latency.flush.p50", "Flush latency, p50"),
    ("latency.flush.p95", "Flush latency, p95"),
    ("errors.share", "Errors"),
    ("load.backlog.max", "Longest backlog"),
    ("load.late.p99", "Late starts, p99"),
    ("cpu.server", "Store's processor"),
    ("cpu.client", "Busiest client"),
    ("load.generator_per_s", "Generator alone"),
)
CARDS = 8


@dataclass(frozen=True)
class KindRow:
    """One kind of request over all open phases: how many, and percentiles in seconds (absent: none)."""

    kind: str
    requests: int
    latency: dict[str, float]
    service: dict[str, float]


def sentence(result: Result) -> str:
    """What was found, without the word pass, fail or unknown."""
    test = result.load
    if test is None or not test.phases:
        return "No phase of the load test came to an end."
    said = []
    if test.search is not None:
        said.append(test.search.said)
    elif test.sweep is not None:
        said.append(test.sweep.said.split(". ")[0].rstrip(".") + ".")
    else:
        offered, achieved = (
            result.figure("load.offered_per_s"),
            result.figure("load.achieved_per_s"),
        )
        said.append(
            f"{numbers.decimal(achieved)} of {numbers.decimal(offered)} requests/s offered were achieved."
        )
    stopped = [
        phase for phase in test.phases if phase.stopped_early and phase.kind in ("open", "closed")
    ]
    said += [
        f"Phase {phase.name} was stopped early: {_first_line(phase.stopped_early)}."
        for phase in stopped
    ]
    if lost := sum(phase.lost_workers for phase in test.phases):
        said.append(f"{lost} load generator{'s' * (lost > 1)} died on the way.")
    if test.limit is not None:
        said.append(f"Limit: {test.limit.text}")
    if disturbed := sum(bottleneck.disturbed(phase.figures) for phase in test.phases):
        share = f" in {disturbed} of {len(test.phases)} phases" if len(test.phases) > 1 else ""
        said.append(f"Other work on the machine was in the way{share}: repeat on a quiet one.")
    return " ".join(said)


def _first_line(text: str | None) -> str:
    return (text or "").partition("\n")[0].rstrip(".")


def render(
    result: Result, requests: pa.Table, resources: pa.Table, operations: pa.Table | None
) -> str:
    """The page. Tables: requests.parquet, resources.parquet, operations.parquet. `result.load` must be there."""
    test = result.load
    assert test is not None
    environment = page.environment()
    environment.filters["decimal2"] = lambda value: (
        numbers.NOTHING if value is None else f"{value:.2f}"
    )
    unit = FIGURES[test.search.slo[0].split()[0]].unit if test.search else ""
    environment.globals.update(
        fit_rows=fit_rows, slo_value=lambda value: numbers.figure(value, unit)
    )
    shown = charts.lanes(test.phases, requests, resources)
    counted, counted_said = counting(test, shown)
    return environment.get_template("load.html.j2").render(
        result=result,
        test=test,
        sentence=sentence(result),
        headlines=headlines(result),
        shown=shown,
        schedule_svg=charts.schedule(shown) if shown else None,
        heat_svg=charts.heat(shown),
        percentiles_svg=curves.percentiles(counted),
        processes_svg=charts.processes(shown),
        sweep_svg=curves.sweep(test.sweep) if test.sweep else None,
        search_svg=curves.search(test.search) if test.search else None,
        kinds=kinds(counted),
        counted_said=counted_said,
        operations=latency.by_kind(operations) if operations is not None else [],
        outcomes=outcomes(requests),
        descriptions={name: described.description for name, described in FIGURES.items()},
    )


def headlines(result: Result) -> list[tuple[str, float | int | None, str]]:
    """(label, value, unit) of the most telling figures that there are; shares of all, or of a core, in percent."""
    found: list[tuple[str, float | int | None, str]] = []
    for name, label in HEADLINES:
        entry = result.figures.get(name)
        if entry is not None and entry.value is not None:
            percent = {"": "%", "cores": "% of a core"}.get(entry.unit)
            found.append(
                (label, round(100 * entry.value, 1), percent)
                if percent
                else (label, entry.value, entry.unit)
            )
    return found[:CARDS]


def counting(test: LoadTest, shown: list[Lane]) -> tuple[list[Lane], str]:
    """The phases that the figures are of, with words for them: the schedule's, or the hold, or else all there are."""
    if scheduled := [lane for lane in shown if lane.phase.kind == "open"]:
        return scheduled, "over the open phases"
    held = [lane for lane in shown if lane.phase.kind == "hold"]
    if held and test.search is not None and test.search.sustainable is not None:
        return held[-1:], f"of {held[-1].phase.name}, which confirmed the rate"
    return shown, "over all phases"


def kinds(shown: list[Lane]) -> list[KindRow]:
    """A row per kind of request that was made."""
    parts = [lane.part for lane in shown]
    found = figures(parts) if parts else {}
    rows = []
    for kind in KINDS:
        if count := samples(parts, kind):
            ranks = {
                what: {
                    rank: found[f"{what}.{kind}.{rank}"]
                    for rank in ("p50", "p95", "p99", "p999")
                    if f"{what}.{kind}.{rank}" in found
                }
                for what in ("latency", "service")
            }
            rows.append(KindRow(kind, count, ranks["latency"], ranks["service"]))
    return rows


def outcomes(requests: pa.Table) -> list[tuple[str, dict[str, int]]]:
    """Kind -> how many requests had which outcome, all phases, warm-up included."""
    counts = requests.group_by(["kind", "outcome"]).aggregate([("number", "count")]).to_pylist()
    return [
        (kind, {row["outcome"]: row["number_count"] for row in counts if row["kind"] == kind})
        for kind in KINDS
        if pc.any(pc.equal(requests["kind"], kind)).as_py()
    ]


def fit_rows(fit: Fit) -> list[tuple[str, float | None, Interval | None, str]]:
    """(name, value, interval, what it is) of the parameters and of what follows from them."""
    rows = [
        ("λ", fit.lambda_, "requests/s of one user"),
        ("α", fit.alpha, "contention: what is shared, one at a time"),
        ("β", fit.beta, "coherency: what grows with every pair of users"),
        ("peak", fit.peak_per_s, "requests/s at the peak, where there is one beyond doubt"),
        ("at", fit.peak_users, "users at the peak"),
        (
            "asymptote",
            fit.asymptote_per_s,
            "requests/s that throughput tends to without a peak, λ / α",
        ),
    ]
    found: list[tuple[str, float | None, Interval | None, str]] = [
        (name, interval.value if interval else None, interval, what)
        for name, interval, what in rows
    ]
    return [*found, ("r²", fit.r2, None, "how much of the levels' differences the fit explains")]
