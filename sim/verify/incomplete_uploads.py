"""Incomplete multipart uploads in the lake's buckets.

Amazon S3 stores and bills their parts, and no listing of objects shows them. The pipeline makes no
multipart upload, so each one in its buckets is a defect.

Not covered: objects that do not belong in the lake (the oracle's `object.foreign` and
`object.unexpected`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipeline import lake
from pipeline.settings import Settings
from sim.check import Finding, Verdict

KEPT: Final = 20
"""Most findings kept. `counts` has the number of all."""


def find(store: Settings) -> list[str]:
    """Return the place of each upload, `<bucket>/<key>`. Raises pipeline.lake.LakeError."""
    return lake.incomplete_uploads(store)


def verdict(uploads: Sequence[str]) -> Verdict:
    """Return `fail` if there is an upload, else `pass`; `objects.unfinished` counts them."""
    figures: dict[str, float] = {"objects.unfinished": len(uploads)}
    if not uploads:
        return Verdict("pass", figures)
    findings = [
        Finding(
            "upload.unfinished",
            stage=place.split("/")[1],
            key=place,
            detail="multipart upload that was never completed: abort it",
        )
        for place in uploads[:KEPT]
    ]
    return Verdict("fail", figures, findings=findings, counts={"upload.unfinished": len(uploads)})
