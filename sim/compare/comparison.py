"""The result of a comparison: a row for each figure, a verdict over all of them, and notes.

State of a row, in the order in which they decide the verdict:

    different        an exact figure differs, although scenario and seed are the same
    regression       the whole interval is worse than the limit; or a modelled figure is
    unclear          the interval contains the limit
    none             the whole interval is within the limit; or a modelled figure is
    same             the same value
    changed          another value, which decides nothing: `note` has the reason
    not comparable   `note` has the reason
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from sim.errors import LAKE_WRONG, PASS, THRESHOLD, UNKNOWN
from sim.measure.slowdown import SIGNIFICANCE
from sim.report import numbers

State = Literal["different", "regression", "unclear", "none", "same", "changed", "not comparable"]
Verdict = Literal["different", "regression", "unknown", "none"]
Value = int | float | str | None
STATES: Final[tuple[State, ...]] = (
    *("different", "regression", "unclear", "none"),
    *("changed", "not comparable", "same"),
)
"""Rows of a table are in this order."""
EXIT_CODES: Final[dict[Verdict, int]] = {
    "different": LAKE_WRONG,
    "regression": THRESHOLD,
    "unknown": UNKNOWN,
    "none": PASS,
}
DIGEST: Final = "lake digest"
_NAMED: Final = 3


_MEANS: Final = (
    "Base and new are geometric means over equal spans of each run, whose scatter gives the "
    "interval; result.json has the figure of the whole run."
)


RATIO: Final = "of times, new to base (of a rate: base to new)"


@dataclass(frozen=True)
class Row:
    """One figure of both sides.

    base, new: value, or mean of the runs. ratio: of times, so that a rate has base to new; above 1
    is worse. low, high: the ends of its interval.
    interval: the kind of interval; empty without one. counts: an unclear row makes the verdict
    unknown. in_family: the interval is corrected for the number of those that are.
    """

    name: str
    unit: str
    kind: str
    base: Value
    new: Value
    state: State
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    interval: str = ""
    note: str = ""
    counts: bool = True
    in_family: bool = False

    @property
    def change(self) -> str:
        """The change of the value shown, in words: `42 % less`, `+3`, `unchanged`."""
        if isinstance(self.base, str) or isinstance(self.new, str):
            return "" if self.base == self.new else "another"
        if self.base is None or self.new is None:
            return ""
        if self.base == self.new:
            return "unchanged"
        if self.kind == "counted":
            sign = "+" if self.new > self.base else "−"
            return f"{sign}{numbers.decimal(abs(self.new - self.base))}"
        if self.unit.endswith("/s") and not self.new:
            return "no rate any more"
        return _percent(self.new / self.base) if self.base else "from 0"

    @property
    def in_time(self) -> str:
        """The change as the limit judges it, for a rate; empty for values that it judges as shown.

        A rate that falls by 50 % takes 100 % more time.
        """
        if self.ratio is None or not self.unit.endswith("/s") or not math.isfinite(self.ratio):
            return ""
        return f"{_percent(self.ratio)} time"

    @property
    def range(self) -> str:
        """The interval as text: `1.10 to 2.38`."""
        if self.low is None or self.high is None:
            return ""
        return f"{self.low:.2f} to {self.high:.2f}"


@dataclass(frozen=True)
class Compared:
    """Two sets of runs, compared.

    base, new: their directories. limit: share that is allowed. is_gate: the limit was asked for, so
    the verdict is unknown where it could judge no speed.
    """

    scenario: str
    base: tuple[str, ...]
    new: tuple[str, ...]
    limit: float
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    is_gate: bool = False

    @property
    def judges_speed(self) -> bool:
        """True if the limit can decide about a measured figure."""
        decided = ("none", "regression")
        return any(
            row.interval and (row.state in decided or (row.state == "unclear" and row.counts))
            for row in self.rows
        )

    @property
    def verdict(self) -> Verdict:
        states = {row.state for row in self.rows}
        if "different" in states:
            return "different"
        if "regression" in states:
            return "regression"
        if self.is_gate and not self.judges_speed:
            return "unknown"
        judged = [row for row in self.rows if row.counts and row.state in ("none", "unclear")]
        if any(row.state == "unclear" for row in judged):
            return "unknown"
        exact = any(row.state == "same" and row.name == DIGEST for row in self.rows)
        return "none" if judged or exact else "unknown"

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.verdict]

    @property
    def sentences(self) -> list[str]:
        """The verdict in sentences, the deciding one first."""
        found = [_different(self.of("different"))] if self.of("different") else []
        found += [_slower(self.of("regression"), self.limit)] if self.of("regression") else []
        if self.verdict == "unknown" and self.is_gate and not self.judges_speed:
            found.append(f"Not decided: the limit of {_share(self.limit)} could judge no speed.")
        if unclear := [row for row in self.of("unclear") if row.counts]:
            found.append(_unclear(unclear, self.limit))
        exact = [row for row in self.of("same") if row.kind != "measured"]
        if self.verdict == "none":
            if any(row.kind == "measured" for row in self.of("none")):
                found.append(f"Nothing takes more than {_share(self.limit)} more time.")
            if exact:
                found.append(f"{len(exact):,} counts and modelled figures are the same.")
        if not any(row.interval for row in self.rows):
            found.append(
                "Speed was not compared: the runs are too short, or have no records; repeat each "
                "side with --repeat 3."
            )
        return found

    @property
    def correction(self) -> str:
        """The meaning of values and intervals, and the correction; empty without an interval."""
        family = sum(row.in_family for row in self.rows)
        if not family:
            return ""
        text = f"95 % interval of the ratio {RATIO}; above 1 is worse"
        if family == 1:
            return f"{text}. {_MEANS}"
        each = 100 * (1 - SIGNIFICANCE / family)
        return (
            f"{text}. The {family} of them hold together with 95 %, so each is one of {each:.4g} % "
            f"(Bonferroni's correction). {_MEANS}"
        )

    def of(self, state: State) -> list[Row]:
        """Return the rows of a state."""
        return [row for row in self.rows if row.state == state]

    def as_json(self) -> dict[str, Any]:
        """Return all of it for JSON. A ratio without a bound is null."""
        rows = [
            {name: _finite(value) for name, value in asdict(row).items()} | {"change": row.change}
            for row in self.rows
        ]
        return {
            "schema_version": 1,
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "sentences": self.sentences,
            **{name: getattr(self, name) for name in ("scenario", "base", "new", "limit")},
            "correction": self.correction,
            "figures": rows,
            "notes": self.notes,
        }


def ordered(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Return rows as a reader wants them: those that decide first, equal ones last."""
    return tuple(sorted(rows, key=lambda row: STATES.index(row.state)))


def value_text(value: Value, unit: str) -> str:
    """Return a value for a table; a digest by its beginning."""
    return value[:12] if isinstance(value, str) else numbers.in_table(value, unit)


def _different(rows: Sequence[Row]) -> str:
    named = "; ".join(
        f"{row.name} is {value_text(row.new, row.unit)}, was {value_text(row.base, row.unit)}"
        for row in rows[:_NAMED]
    )
    more = f"; {len(rows) - _NAMED} more figures differ" if len(rows) > _NAMED else ""
    return f"{named}{more}. Scenario and seed are the same, so these must be, too."


def _slower(rows: Sequence[Row], limit: float) -> str:
    named = "; ".join(
        f"{row.name} is {row.change}"
        + (f", which is {row.in_time}" if row.in_time else "")
        + (f" ({row.interval} {row.range})" if row.interval else "")
        for row in rows[:_NAMED]
    )
    more = f"; {len(rows) - _NAMED} more figures are" if len(rows) > _NAMED else ""
    allowed = f"{_share(limit)} more time" if any(row.in_time for row in rows) else _share(limit)
    return f"{named}{more}. {allowed} is allowed."


def _unclear(rows: Sequence[Row], limit: float) -> str:
    names = ", ".join(row.name for row in rows[:_NAMED])
    more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
    return (
        f"Not decided: the limit of {_share(limit)} lies in the interval of {names}{more}. "
        "Repeat the runs (--repeat N) for narrower intervals."
    )


def _percent(ratio: float) -> str:
    percent = 100 * abs(ratio - 1)
    if percent < 0.05:
        return "unchanged"
    amount = f"{percent:.1f}" if percent < 10 else f"{percent:,.0f}"
    return f"{amount.removesuffix('.0')} % {'more' if ratio > 1 else 'less'}"


def _share(limit: float) -> str:
    return f"{100 * limit:g} %"


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value
