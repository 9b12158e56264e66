"""Objects with a defect of their own: foreign, unreadable, of another schema, empty."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sim.check.compare.owners import Owners
from sim.check.compare.places import Places
from sim.check.completeness import Completeness
from sim.check.expected.rows import Expectation
from sim.check.findings import Finding, Findings, hour_text
from sim.check.read.keys import BatchKey, Key, foreign_reason, holds_rejected
from sim.check.read.objects import DataObject, StageRows


def report_objects(
    stage: str,
    lake: StageRows,
    owners: Owners,
    expected: Expectation,
    places: Places,
    farm: str,
    share_of: Mapping[str, int],
    blamed: set[str],
    completeness: Completeness,
    findings: Findings,
) -> dict[str, DataObject]:
    """Report objects that are foreign, unreadable or empty. Return those of judged turbines."""
    judged = {node.turbine for node in expected.nodes}
    stray = np.bincount(lake.object[owners.unowned], minlength=len(lake.objects))
    own = {}
    for i, item in enumerate(lake.objects):
        if item.guest:
            continue
        place, name = item.place, item.ref.name
        of_turbine = isinstance(place, BatchKey)
        if place is None or (of_turbine and place.holder not in share_of):
            misplaced = place is None and holds_rejected(item.ref.bucket, item.ref.key)
            if stray[i] or item.rows == 0 or misplaced:
                completeness.add(stage, "unexpected", np.full(stray[i], place.hour if place else 0))
                why = item.problem or foreign_reason(item.ref.bucket, item.ref.key)
                rows = int(stray[i])
                findings.add(
                    Finding("object.foreign", stage=stage, key=name, rows=rows, detail=why)
                )
        # A turbine with an unreadable node file cannot be judged.
        elif place.holder in judged if of_turbine else judged:
            own[name] = item
            if problem := _problem(item, stage, place, expected, places):
                kind, rows, detail = problem
                if kind == "object.unexpected":
                    blamed.add(name)
                findings.add(
                    Finding(
                        kind,
                        stage=stage,
                        farm=farm,
                        turbine=place.holder if of_turbine else "",
                        hour=hour_text(place.hour),
                        key=name,
                        rows=rows,
                        detail=detail,
                    )
                )
    return own


def _problem(
    item: DataObject, stage: str, place: Key, expected: Expectation, places: Places
) -> tuple[str, int, str] | None:
    """Return (kind of finding, affected rows, detail) for an object with a defect of its own."""
    if item.problem:
        # Which windows an object must hold is not known.
        in_stage = stage != "aggregated"
        rows = int((places.rows_at(place) & expected.belongs(stage)).sum()) if in_stage else 0
        return "object.unreadable", rows, item.problem
    if item.schema_problem:
        return "object.schema", item.rows, item.schema_problem
    if item.rows == 0:
        return "object.unexpected", 0, "has no rows; the pipeline never writes an empty object"
    return None
