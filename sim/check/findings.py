"""Findings of the oracle: one `Finding` per defect, and a bounded collection with complete counts.

A run may be wrong in a million places. `Findings` counts every defect by its kind and keeps the
first `KEPT` findings of each kind. `Findings.bounded` picks from them kind by kind, so that a flood
of equal findings cannot hide a rare one.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass, field
from typing import Final

import numpy as np

KEPT: Final = 200
_NAMED_IDS: Final = 3
"""Ids that the text of one finding names."""
_LONGEST_DETAIL: Final = 1_000
_FIRST_HOUR, _LAST_HOUR = -17_259_888, 70_389_527
"""Hours since 1970 at which the years 1 and 9999 begin and end."""


@dataclass(frozen=True)
class Finding:
    """One defect.

    `hour` is ISO 8601 UTC or empty. `rows` counts the affected rows. `key` is `<bucket>/<key>` or
    empty. `detail` is one line for a person to read.
    """

    kind: str
    _: KW_ONLY
    stage: str = ""
    farm: str = ""
    turbine: str = ""
    hour: str = ""
    key: str = ""
    rows: int = 0
    detail: str = ""


@dataclass
class Findings:
    """Findings so far. `counts` by kind is complete; `kept` holds at most `KEPT` of each kind."""

    kept: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    kept_by_kind: Counter[str] = field(default_factory=Counter)

    def add(self, finding: Finding) -> None:
        """Count a finding and keep it if there is room. Its texts become valid UTF-8."""
        self.counts[finding.kind] += 1
        if self.kept_by_kind[finding.kind] < KEPT:
            self.kept_by_kind[finding.kind] += 1
            self.kept.append(
                dataclasses.replace(
                    finding,
                    key=utf8_text(finding.key),
                    farm=utf8_text(finding.farm),
                    turbine=utf8_text(finding.turbine),
                    detail=utf8_text(_shortened(finding.detail)),
                )
            )

    def merge(self, other: Findings) -> None:
        """Add the findings and counts of another part of the run."""
        beyond = other.counts - other.kept_by_kind
        for finding in other.kept:
            self.add(finding)
        self.counts += beyond

    def bounded(self) -> list[Finding]:
        """Return at most `KEPT` findings, sorted. Each kind's first precedes any kind's second."""
        seen: Counter[str] = Counter()
        ranked = []
        for finding in sorted(self.kept, key=dataclasses.astuple):
            ranked.append((seen[finding.kind], finding))
            seen[finding.kind] += 1
        ranked.sort(key=lambda pair: pair[0])
        return sorted((finding for _, finding in ranked[:KEPT]), key=dataclasses.astuple)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_DETAIL else f"{text[:_LONGEST_DETAIL]} ..."


def utf8_text(text: str) -> str:
    """Return the text with characters escaped that UTF-8 cannot encode.

    File names may contain any bytes.
    """
    return text.encode("utf-8", "backslashreplace").decode()


def hour_text(hour: int | np.integer) -> str:
    """Return hours since 1970 as ISO 8601, for example `2024-01-15T00:00:00Z`.

    An hour outside the years 1 to 9999 becomes the nearest hour inside.
    """
    return f"{np.datetime64(min(max(int(hour), _FIRST_HOUR), _LAST_HOUR), 'h')}:00:00Z"


def id_ranges(ids: Iterable[int]) -> str:
    """Return ids as text: `id 7`, `ids 1-600` if consecutive, else `ids 3, 7, 12 ...`."""
    numbers = sorted(int(i) for i in ids)
    if len(numbers) > 1 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"ids {numbers[0]}-{numbers[-1]}"
    text = ", ".join(str(n) for n in numbers[:_NAMED_IDS])
    return (
        f"id{'s' if len(numbers) > 1 else ''} {text}{' ...' if len(numbers) > _NAMED_IDS else ''}"
    )
