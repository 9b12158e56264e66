"""Thresholds: units are explicit, figures must exist, and an unmeasured figure does not pass."""

from __future__ import annotations

import math
import re

import pytest

from sim.measure.figures import FIGURES
from sim.measure.thresholds import THRESHOLD_PATTERN, Outcome, evaluate, parse


@pytest.mark.parametrize(
    ("text", "figure", "op", "value", "unit"),
    [
        ("rows.lost == 0", "rows.lost", "==", 0.0, "rows"),
        ("rows.generated>=9e5", "rows.generated", ">=", 900_000.0, "rows"),
        ("rows.lost != 1_000 rows", "rows.lost", "!=", 1000.0, "rows"),
        ("freshness.p99 <= 20m", "freshness.p99", "<=", 1200.0, "s"),
        ("freshness.p99 < 1h30m", "freshness.p99", "<", 5400.0, "s"),
        ("latency.put.p50 < 1.5 ms", "latency.put.p50", "<", 0.0015, "s"),
        ("memory.peak <= 2 GiB", "memory.peak", "<=", 2.0 * 2**30, "bytes"),
        ("throughput.rows_per_s > 1e5 rows/s", "throughput.rows_per_s", ">", 100_000.0, "rows/s"),
        ("cost.per_day <= 7.50 USD", "cost.per_day", "<=", 7.5, "USD"),
    ],
)
def test_reads(text: str, figure: str, op: str, value: float, unit: str) -> None:
    expectation = parse(text)
    assert (expectation.figure, expectation.op, expectation.value, expectation.unit) == (
        figure,
        op,
        value,
        unit,
    )
    assert re.match(THRESHOLD_PATTERN, text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rows.lots == 0", "unknown figure 'rows.lots'; did you mean 'rows.lost'?"),
        ("lost == 0", "unknown figure 'lost'"),
        ("rows.lost = 0", "'=' is not a comparison; did you mean '=='?"),
        ("rows.lost =< 0", "'=<' is not a comparison; use one of == != <= >= < >"),
        ("rows.lost", "is not an expectation; write 'figure op value'"),
        ("rows.lost ==", "is not an expectation"),
        ("rows.lost == -1", "needs a number from 0 to 1e99 in rows, not '-1'"),
        ("rows.lost == nan", "needs a number of rows, not 'nan'"),
        ("rows.lost >= 1e999", "rows.lost needs a number from 0 to 1e99 in rows, not '1e999'"),
        ("rows.lost >= 1e-999 rows", "needs a number from 0 to 1e99 in rows, not '1e-999 rows'"),
        ("rows.lost >= " + "9" * 400, "needs a number from 0 to 1e99 in rows, not '999"),
        ("rows.lost == 5%", "rows.lost is in rows, not in '%'"),
        ("rows.lost == 0 s", "rows.lost is in rows, not in 's'; write 0 rows"),
        ("freshness.p99 <= 20", "'20' has no unit; write 20s, 20m or 20h"),
        ("freshness.p99 <= 2 GB", "freshness.p99 is a time"),
        ("memory.peak <= 2", "needs one of the units"),
        ("cost.per_day <= 5", "write 5 USD"),
        ("throughput.rows_per_s > 1000 s", "throughput.rows_per_s is in rows/s, not in 's'"),
    ],
)
def test_refuses_with_the_fix(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        parse(text)


@pytest.mark.parametrize(
    ("op", "below", "equal", "above"),
    [
        ("==", False, True, False), ("!=", True, False, True), ("<", True, False, False),
        ("<=", True, True, False), (">", False, False, True), (">=", False, True, True),
    ],
)  # fmt: skip
def test_operators(op: str, below: bool, equal: bool, above: bool) -> None:
    wanted = [parse(f"freshness.p99 {op} 2m")]
    judged = [
        evaluate(wanted, {"freshness.p99": seconds})[0].passed for seconds in (119.9, 120.0, 120.1)
    ]
    assert judged == [below, equal, above]


def test_not_measured_is_not_passed() -> None:
    wanted = [parse("rows.lost == 0"), parse("memory.peak < 1 GB"), parse("freshness.p99 < 1h")]
    assert evaluate(wanted, {"rows.lost": 0, "freshness.p99": math.nan}) == [
        Outcome("rows.lost == 0", True, 0),
        Outcome("memory.peak < 1 GB", None, None),
        Outcome("freshness.p99 < 1h", None, None),
    ]


def test_figures_of_the_contract() -> None:
    """Names that scripts depend on: they are fixed."""
    fixed = (
        "rows.generated rows.ingested rows.validated rows.quarantined rows.lost rows.duplicated"
        " rows.misplaced rows.unexpected rows.altered manifest.mismatches windows.wrong"
        " throughput.rows_per_s throughput.objects_per_s store.put_ceiling_per_s"
        " freshness.p50 freshness.p95 freshness.p99"
        " latency.put.p50 latency.put.p95 latency.put.p99 memory.peak cost.per_day"
    )
    assert set(fixed.split()) <= set(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_can_be_judged(name: str) -> None:
    figure = FIGURES[name]
    value = {"s": "1s", "bytes": "1 kB", "USD": "1 USD"}.get(figure.unit, f"1 {figure.unit}")
    assert parse(f"{name} <= {value}").unit == figure.unit
    assert re.fullmatch(r"[a-z]+(\.[a-z][a-z_0-9]*)+", name)
    assert figure.description
    if figure.kind == "counted":
        assert "/" not in figure.unit
        assert figure.unit not in ("s", "USD")


def test_a_share_of_counts_is_counted_and_stays_a_share() -> None:
    assert FIGURES["detection.precision"].kind == FIGURES["detection.recall"].kind == "counted"
    assert FIGURES["detection.precision"].number(0.75) == 0.75
    assert FIGURES["detection.alarms"].number(3.0) == 3
    assert FIGURES["detection.delay.p50"].kind == "modelled"
