"""Debris: uploads in parts that were begun in the lake's buckets and never ended. No listing of objects shows them, and
they cost as much. The pipeline makes none, so whatever is found in its buckets is wrong.

Other debris is an object, and so the oracle's business (`object.foreign`, `object.unexpected`).
"""

from __future__ import annotations

from dataclasses import replace

from pipeline import lake
from pipeline.settings import Settings
from sim.check import Finding, Verdict

KEPT = 20


def held(verdict: Verdict, store: Settings) -> Verdict:
    """The verdict, with `objects.unfinished`; it fails when there is one. Raises pipeline.lake.LakeError."""
    uploads = lake.unfinished(store)
    figures = verdict.figures | {"objects.unfinished": len(uploads)}
    if not uploads:
        return replace(verdict, figures=figures)
    why = "an upload in parts was begun and never ended: abort it"
    findings = [Finding("upload.unfinished", place.split("/")[1], key=place, detail=why) for place in uploads[:KEPT]]
    counts = dict(sorted((verdict.counts | {"upload.unfinished": len(uploads)}).items()))
    status = "fail" if verdict.status == "pass" else verdict.status
    return replace(verdict, status=status, figures=figures, findings=[*verdict.findings, *findings], counts=counts)
