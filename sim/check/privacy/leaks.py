"""Leaks found in the lake: at most one per object and field, reported as findings.

`privacy.leak` names the object, the field and the place of the hit, never the value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pipeline.records import DERIVED
from sim.check.findings import Finding, Findings, hour_text
from sim.check.privacy.secrets import KEY, Secrets, field_of
from sim.check.read.columns import Ints
from sim.check.read.keys import (
    FarmKey,
    bucket_of,
    read_batch_key,
    read_checkpoint_key,
    read_farm_key,
)
from sim.check.read.lake import ObjectRef

PROTECTED: Final = ("enriched", *DERIVED, "aggregated", "metadata", "checkpoints")
"""Stages that must not contain any secret."""
KEY_PROTECTED: Final = ("validated", "quarantine")
"""Stages with rows as the node stored them: only keys are searched for."""
_KEY_PROTECTED_BUCKETS: Final = frozenset(map(bucket_of, KEY_PROTECTED))


@dataclass(frozen=True)
class Leak:
    """A secret found in an object. `rows`: affected rows, 0 if the hit is outside of the rows."""

    rows: int
    detail: str


class Leaks:
    """Leaks so far. `unsearched`: object -> reason why a part of it could not be searched."""

    def __init__(self) -> None:
        self._found: dict[tuple[ObjectRef, str], Leak] = {}
        self._words: dict[ObjectRef, set[bytes]] = defaultdict(set)
        self.unsearched: dict[ObjectRef, str] = {}

    def add(self, ref: ObjectRef, description: str, where: str, rows: int = 0) -> None:
        """Add a hit. Of several hits of one field in an object, the one with most rows counts."""
        field = field_of(description)
        if field != KEY and ref.bucket in _KEY_PROTECTED_BUCKETS:
            return
        known = self._found.get((ref, field))
        if known is None or rows > known.rows:
            self._found[ref, field] = Leak(rows, f"{description} {where}")

    def add_rows(self, refs: Sequence[ObjectRef], of: Ints, description: str, where: str) -> None:
        """Add a hit in rows. `of`: index of each affected row's object in `refs`."""
        for item, rows in zip(*np.unique(of, return_counts=True), strict=True):
            self.add(refs[int(item)], description, where, int(rows))

    def add_words(self, ref: ObjectRef, words: set[bytes]) -> None:
        """Add words of names. A leak needs both words of a name in one object."""
        self._words[ref] |= words

    def report(self, farm: str, findings: Findings, secrets: Secrets) -> int:
        """Add a finding for every leak and every unsearched object. Return the number of leaks."""
        for ref, words in self._words.items():
            for field in secrets.fields_of_words(words):
                self.add(ref, f"{field} as separate words", "in different values")
        for kind, ref, leak in self._sorted():
            known = read_farm_key(ref.bucket, ref.key) or read_batch_key(ref.bucket, ref.key)
            turbine = "" if known is None or isinstance(known, FarmKey) else known.turbine
            if node := read_checkpoint_key(ref.key):
                turbine = node[1]
            findings.add(
                Finding(
                    kind,
                    stage=known.stage if known else ref.bucket.rsplit("-", 1)[-1],
                    farm=farm,
                    turbine=turbine,
                    hour=hour_text(known.hour) if known else "",
                    key=ref.name,
                    rows=leak.rows,
                    detail=leak.detail,
                )
            )
        findings.kept = [_without_secrets(finding, secrets) for finding in findings.kept]
        return len(self._found)

    def _sorted(self) -> Iterator[tuple[str, ObjectRef, Leak]]:
        """Yield (kind of finding, object, leak), leaks by name of the object and text."""
        by_name = sorted(self._found.items(), key=lambda item: (item[0][0].name, item[0][1]))
        for (ref, _), leak in by_name:
            yield "privacy.leak", ref, leak
        for ref, reason in self.unsearched.items():
            yield "object.unreadable", ref, Leak(0, reason)


def _without_secrets(finding: Finding, secrets: Secrets) -> Finding:
    """Return the finding with a detail fit for a report, which has more readers than the lake."""
    field = secrets.quoted_field(finding.detail)
    return replace(finding, detail=f"withheld because it contains {field}") if field else finding
