"""What the oracle found wrong: one `Finding` per defect, and a bounded collection that never loses the totals.

A run may be wrong in a million places. All are counted, by kind; of each kind only the first ones are kept in full,
and `Findings.bounded` deals them out kind by kind, so that one flood of equal findings cannot hide a rare one.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

KEPT: Final = 200
_IDS: Final = 3  # told of one defect
_LONGEST: Final = 1_000
_FIRST_HOUR, _LAST_HOUR = -17_259_888, 70_389_527  # of the years 1 to 9999


@dataclass(frozen=True)
class Finding:
    """One defect. `hour` is ISO 8601 UTC or empty, `rows` the rows it concerns, `key` is `<bucket>/<key>` or empty."""

    kind: str
    stage: str = ""
    farm: str = ""
    turbine: str = ""
    hour: str = ""
    key: str = ""
    rows: int = 0
    detail: str = ""


@dataclass
class Findings:
    """Findings so far: `counts` by kind is complete, `kept` holds at most `KEPT` of each kind."""

    kept: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)

    def add(self, finding: Finding) -> None:
        """Count it, and keep it if there is room: its texts as they can be written anywhere."""
        self.counts[finding.kind] += 1
        if self.held[finding.kind] < KEPT:
            self.held[finding.kind] += 1
            key, farm, turbine = map(written, (finding.key, finding.farm, finding.turbine))
            detail = (
                finding.detail
                if len(finding.detail) <= _LONGEST
                else f"{finding.detail[:_LONGEST]} ..."
            )
            written_down = dataclasses.replace(
                finding, key=key, farm=farm, turbine=turbine, detail=written(detail)
            )
            self.kept.append(written_down)

    def merge(self, other: Findings) -> None:
        beyond = other.counts - other.held
        for finding in other.kept:
            self.add(finding)
        self.counts += beyond

    def bounded(self) -> list[Finding]:
        """At most `KEPT` findings, every kind's first before any kind's second, then sorted by place."""
        seen: Counter[str] = Counter()
        ranked = []
        for finding in sorted(self.kept, key=dataclasses.astuple):
            ranked.append((seen[finding.kind], finding))
            seen[finding.kind] += 1
        ranked.sort(key=lambda pair: pair[0])
        return sorted((finding for _, finding in ranked[:KEPT]), key=dataclasses.astuple)


def written(text: str) -> str:
    """The text with what UTF-8 cannot write escaped: names of files may hold any bytes."""
    return text.encode("utf-8", "backslashreplace").decode()


def hour_text(hour: int | np.integer) -> str:
    """Hours since 1970 as ISO 8601, for example `2024-01-15T00:00:00Z`; before year 1 or after 9999 the nearest."""
    return f"{np.datetime64(min(max(int(hour), _FIRST_HOUR), _LAST_HOUR), 'h')}:00:00Z"


def id_ranges(ids: Iterable[int]) -> str:
    """A few ids for a person to read: `1-600`, or `3, 7, 12 ...` where they are not consecutive."""
    numbers = sorted(int(i) for i in ids)
    if len(numbers) > 1 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"ids {numbers[0]}-{numbers[-1]}"
    text = ", ".join(str(n) for n in numbers[:_IDS])
    return f"id{'s' if len(numbers) > 1 else ''} {text}{' ...' if len(numbers) > _IDS else ''}"
