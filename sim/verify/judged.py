"""A verdict of the oracle as parts of a result: lake, completeness, findings, ground truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from sim.check.verdict import Verdict
from sim.measure.figures import FIGURES
from sim.report.result import Figure, Finding, HourCompleteness, Injected, Lake


class Judged(TypedDict):
    """Fields of `sim.report.result.Result` that come from the oracle."""

    lake: Lake | None
    completeness: tuple[HourCompleteness, ...]
    findings: tuple[Finding, ...]
    finding_counts: dict[str, int]
    truth: tuple[Injected, ...]


def judged(verdict: Verdict | None) -> Judged:
    """Return a verdict as fields of a result. Figures are apart: a run has more of them."""
    if verdict is None:
        return {
            "lake": None,
            "completeness": (),
            "findings": (),
            "finding_counts": {},
            "truth": (),
        }
    return {
        "lake": Lake(
            verdict.digest,
            verdict.objects,
            dict(verdict.rows_by_stage),
            dict(verdict.quarantined_by_rule),
        ),
        "completeness": tuple(HourCompleteness(**_fields(cell)) for cell in verdict.completeness),
        "findings": tuple(Finding(**vars(finding)) for finding in verdict.findings),
        "finding_counts": dict(verdict.counts),
        "truth": tuple(Injected(**_fields(entry)) for entry in verdict.truth),
    }


def figure(name: str, value: float) -> Figure:
    """Return a figure with its unit and kind."""
    known = FIGURES[name]
    return Figure(known.number(value), known.unit, known.kind)


def _fields(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry of the oracle, which knows no report, as fields of the report's record."""
    return dict(entry)
