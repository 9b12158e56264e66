"""report.html of a load test: one page that starts with the sustained rate and the limit.

Made only from result.json, requests.parquet, resources.parquet and operations.parquet, so it can be
rebuilt at any time, byte for byte. All figures are measured: wall time of this machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from sim.measure import bottleneck, latency
from sim.measure.figures import FIGURES
from sim.measure.loadtest import LoadTest
from sim.measure.request_kinds import KINDS
from sim.measure.requests import figures, samples
from sim.measure.usl import Fit, Interval
from sim.report import numbers, outcomes, page, tiles
from sim.report.load import charts, curves, phases
from sim.report.load.charts import Lane
from sim.report.result import Result

HEADLINES = (
    ("load.sustainable_per_s", "Sustained under the SLO"),
    ("load.peak_per_s", "Best level of the sweep"),
    ("load.achieved_per_s", "Achieved"),
    ("load.offered_per_s", "Offered"),
    ("latency.flush.p50", "Flush latency, p50"),
    ("latency.flush.p95", "Flush latency, p95"),
    ("errors.share", "Errors"),
    ("load.backlog.max", "Longest backlog"),
    ("load.late.p99", "Late starts, p99"),
    ("cpu.server", "Store's CPU"),
    ("cpu.client", "Busiest client's CPU"),
    ("load.generator_per_s", "Generator's maximum"),
)
TILES = 8
_HEROES = {
    "load.sustainable_per_s": "sustained under the SLO",
    "load.peak_per_s": "at the best level of the sweep",
    "load.achieved_per_s": "achieved",
}


@dataclass(frozen=True)
class KindRow:
    """One kind of request over all open phases: its number, and percentiles in seconds.

    A percentile that is not known is absent.
    """

    kind: str
    requests: int
    latency: dict[str, float]
    service: dict[str, float]


@dataclass(frozen=True)
class Hero:
    """The main result: a rate, and what it means."""

    number: str
    unit: str
    text: str


def sentence(result: Result) -> str:
    """Return the result in words, without the words pass, fail and unknown."""
    return " ".join([*reasons(result), *([strip] if (strip := disturbance(result)) else [])])


def reasons(result: Result) -> list[str]:
    """Return the sentences of the verdict: failed expectations, the result, the limit."""
    test = result.load
    if test is None or not test.phases:
        obstacle = next(iter(result.errors), "")
        nothing = "No phase of the load test was completed."
        return [f"Not decided: {obstacle.rstrip('.')}.", nothing] if obstacle else [nothing]
    sentences = [missed] if (missed := outcomes.reasons(outcomes.shown(result))) else []
    sentences.append(_result(result, test))
    stopped = [
        phase for phase in test.phases if phase.stopped_early and phase.kind in ("open", "closed")
    ]
    sentences += [
        f"Phase {phase.name} was stopped early: {_first_line(phase.stopped_early)}."
        for phase in stopped
    ]
    if lost := sum(phase.lost_workers for phase in test.phases):
        sentences.append(f"{lost} load generator{'s' * (lost > 1)} died during the test.")
    if test.limit is not None:
        sentences.append(f"Limit: {test.limit.text[:1].lower()}{test.limit.text[1:]}")
    return sentences


def _result(result: Result, test: LoadTest) -> str:
    if test.search is not None:
        return test.search.said
    if test.sweep is not None:
        return test.sweep.said.split(". ")[0].rstrip(".") + "."
    offered, achieved = (
        result.figure("load.offered_per_s"),
        result.figure("load.achieved_per_s"),
    )
    return (
        f"The store achieved {numbers.decimal(achieved)} of {numbers.decimal(offered)} "
        "requests/s offered."
    )


def disturbance(result: Result) -> str:
    """Return a warning that other work on the machine was in the way; empty if none was."""
    tested = result.load.phases if result.load else ()
    disturbed = sum(bottleneck.disturbed(phase.figures) for phase in tested)
    if not disturbed:
        return ""
    share = f" in {disturbed} of {len(tested)} phases" if len(tested) > 1 else ""
    return f"Other work on the machine disturbed the test{share}: repeat it on a quiet machine."


def hero(result: Result) -> Hero | None:
    """Return the result of the search, else the best level, else the rate achieved."""
    test = result.load
    if test is None:
        return None
    name = _hero_name(result)
    if name is None:
        return None
    slo = f": {' and '.join(test.search.slo)}" if test.search and "SLO" in _HEROES[name] else ""
    entry = result.figures[name]
    return Hero(numbers.decimal(entry.value), entry.unit, _HEROES[name] + slo)


def _hero_name(result: Result) -> str | None:
    return next((name for name in _HEROES if result.figure(name) is not None), None)


def _first_line(text: str | None) -> str:
    return (text or "").partition("\n")[0].rstrip(".")


def render_load(
    result: Result, requests: pa.Table, resources: pa.Table, operations: pa.Table | None
) -> str:
    """Return the page. `result.load` must not be None.

    Tables: requests.parquet, resources.parquet, operations.parquet.
    """
    test = result.load
    assert test is not None
    unit = FIGURES[test.search.slo[0].split()[0]].unit if test.search else ""
    shown = charts.lanes(test.phases, requests, resources)
    counted, counted_phases = counted_lanes(test, shown)
    expected = outcomes.shown(result)
    drawn = [
        *charts.schedule(shown),
        charts.heat(shown),
        charts.processes(shown),
        curves.percentiles(counted),
        *(curves.sweep(test.sweep) if test.sweep else []),
        curves.search(test.search) if test.search else None,
    ]
    return page.render(
        "load.html.j2",
        drawn,
        result=result,
        fit_rows=fit_rows,
        slo_value=lambda value: numbers.figure(value, unit),
        test=test,
        reasons=reasons(result),
        disturbance=disturbance(result),
        hero=hero(result),
        tiles=tiles.tiles(
            result, [each for each in HEADLINES if each[0] != _hero_name(result)], expected, TILES
        ),
        expected=expected,
        phases=phases.rows(test),
        figure_groups=tiles.groups(result),
        kinds=kinds(counted),
        counted_phases=counted_phases,
        operations=latency.by_kind(operations) if operations is not None else [],
        outcomes=request_outcomes(requests),
    )


def counted_lanes(test: LoadTest, shown: list[Lane]) -> tuple[list[Lane], str]:
    """Return the phases from which the page's figures are made, and their name in words.

    Those of the schedule; if there are none, the hold that confirmed the rate; else all phases.
    """
    if scheduled := [lane for lane in shown if lane.phase.kind == "open"]:
        return scheduled, "over the open phases"
    holds = [lane for lane in shown if lane.phase.kind == "hold"]
    if holds and test.search is not None and test.search.sustainable is not None:
        return holds[-1:], f"over {holds[-1].phase.name}, which confirmed the rate"
    return shown, "over all phases"


def kinds(shown: list[Lane]) -> list[KindRow]:
    """Return a row per kind of request that was made."""
    parts = [lane.part for lane in shown]
    found = figures(parts) if parts else {}
    rows = []
    for kind in KINDS:
        if count := samples(parts, kind):
            ranks = {
                quantity: {
                    rank: found[f"{quantity}.{kind}.{rank}"]
                    for rank in ("p50", "p95", "p99", "p999")
                    if f"{quantity}.{kind}.{rank}" in found
                }
                for quantity in ("latency", "service")
            }
            rows.append(KindRow(kind, count, ranks["latency"], ranks["service"]))
    return rows


def request_outcomes(requests: pa.Table) -> list[tuple[str, dict[str, int]]]:
    """Return for each kind the number of requests by outcome, in all phases, warm-up included."""
    counts = requests.group_by(["kind", "outcome"]).aggregate([("number", "count")]).to_pylist()
    return [
        (kind, {row["outcome"]: row["number_count"] for row in counts if row["kind"] == kind})
        for kind in KINDS
        if pc.any(pc.equal(requests["kind"], kind)).as_py()
    ]


def fit_rows(fit: Fit) -> list[tuple[str, float | None, Interval | None, str]]:
    """Return (name, value, interval, description) of the parameters and of derived values."""
    rows = [
        ("λ", fit.lambda_, "requests/s of one user"),
        ("α", fit.alpha, "contention: work that only one user can do at a time"),
        ("β", fit.beta, "coherency: work that grows with every pair of users"),
        ("peak", fit.peak_per_s, "requests/s at the peak, if there is certainly one"),
        ("at", fit.peak_users, "users at the peak"),
        (
            "asymptote",
            fit.asymptote_per_s,
            "limit of requests/s if there is no peak, λ / α",
        ),
    ]
    found: list[tuple[str, float | None, Interval | None, str]] = [
        (name, interval.value if interval else None, interval, text)
        for name, interval, text in rows
    ]
    return [
        *found,
        ("r²", fit.r2, None, "share of the differences between levels that the fit explains"),
    ]
