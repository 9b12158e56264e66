"""The runs of one scenario in a folder, by their start, and the values of their figures.

A folder may hold other things: runs of other scenarios, parts, campaigns, runs without a result.
They are left out, each with the reason.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from sim import finite_json
from sim.errors import InvalidInput
from sim.listing.runs import PastRun, runs
from sim.measure.figures import FIGURES
from sim.report.result import RESULT_FILE

FIGURES_SHOWN: Final = {
    "run": (
        *("throughput.rows_per_s", "throughput.objects_per_s", "latency.put.p99"),
        *("freshness.p99", "memory.peak", "time.total", "cost.per_day"),
    ),
    "load test": (
        *("load.sustainable_per_s", "load.peak_per_s", "load.achieved_per_s"),
        *("latency.flush.p50", "latency.flush.p95", "latency.flush.p99"),
        *("cpu.server", "memory.server"),
    ),
}
"""Kind of run -> figures that are shown if none are asked for."""


@dataclass(frozen=True)
class LeftOut:
    """A directory that is no run of the scenario."""

    folder: str
    reason: str


@dataclass(frozen=True)
class Line:
    """One figure over the runs, in their order. None: a run does not have it."""

    name: str
    unit: str
    kind: str
    values: tuple[float | int | None, ...]

    @property
    def known(self) -> list[float | int]:
        """The values that are known."""
        return [value for value in self.values if value is not None]

    @property
    def change(self) -> float | None:
        """The last value as a share of the first; None if there are not two."""
        known = self.known
        return known[-1] / known[0] if len(known) > 1 and known[0] else None


@dataclass(frozen=True)
class Trend:
    """The runs of one scenario, oldest first, with the lines of their figures."""

    scenario: str
    kind: str
    runs: tuple[PastRun, ...]
    lines: tuple[Line, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def verdicts(self) -> str:
        """The number of runs by verdict: `10 pass, 1 fail`."""
        counts = Counter(run.verdict for run in self.runs)
        known = [each for each in ("pass", "fail", "unknown") if counts[each]]
        return ", ".join(f"{counts[each]:,} {each}" for each in known)

    @property
    def lakes(self) -> list[str]:
        """A line for each run whose lake differs from that of the run of its seed before it."""
        last: dict[int | None, PastRun] = {}
        found = []
        for run in self.runs:
            if not run.digest:
                continue
            before = last.get(run.seed)
            if before is not None and before.digest != run.digest:
                found.append(
                    f"{run.folder}: its lake differs from that of {before.folder}, of the same seed"
                )
            last[run.seed] = run
        return found

    def as_json(self) -> dict[str, Any]:
        """Return the trend for JSON: runs with their figures."""
        return {
            "schema_version": 1,
            "scenario": self.scenario,
            "kind": self.kind,
            "runs": [
                asdict(run) | {"figures": {line.name: line.values[place] for line in self.lines}}
                for place, run in enumerate(self.runs)
            ],
            "figures": {line.name: {"unit": line.unit, "kind": line.kind} for line in self.lines},
            "lakes": self.lakes,
            "left_out": [asdict(each) for each in self.left_out],
        }


def trend(folder: Path, scenario: str | None, figures: Sequence[str] | None) -> Trend:
    """Return the trend of a scenario; of the one with most runs if None.

    figures: names or patterns; None for those of FIGURES_SHOWN. Raises DirectoryError for a folder
    that is not there, InvalidInput for one without such runs and for unknown figures.
    """
    found = runs(folder)
    fit = [run for run in found if run.kind in FIGURES_SHOWN and run.verdict is not None]
    name, kind = _chosen(fit, folder, scenario)
    mine, left_out = [], []
    for run in found:
        if reason := _unfit(run, name, kind):
            left_out.append(LeftOut(run.folder, reason))
        else:
            mine.append(run)
    read = [_figures(Path(run.folder)) for run in mine]
    wanted = FIGURES_SHOWN[kind] if figures is None else _named(figures)
    lines = tuple(
        Line(
            each,
            FIGURES[each].unit,
            FIGURES[each].kind,
            tuple(_number(values.get(each)) for values in read),
        )
        for each in wanted
        if any(_number(values.get(each)) is not None for values in read)
    )
    return Trend(name, kind, tuple(mine), lines, tuple(left_out))


def _chosen(fit: Sequence[PastRun], folder: Path, scenario: str | None) -> tuple[str, str]:
    """Return the scenario and the kind of its runs: most of them, or the newest of equals."""
    counts: Counter[tuple[str, str]] = Counter()
    for run in fit:
        if run.scenario is not None and scenario in (None, run.scenario):
            counts[run.scenario, run.kind] += 1
    if not counts:
        there = sorted({run.scenario for run in fit if run.scenario})
        hint = f"; there are runs of {', '.join(there)}" if there else ""
        what = "no finished run" if scenario is None else f"no run of {scenario}"
        raise InvalidInput(f"{folder}: holds {what}{hint}")
    newest = {(run.scenario, run.kind): place for place, run in enumerate(fit)}
    return max(counts, key=lambda key: (counts[key], newest[key]))


def _unfit(run: PastRun, scenario: str, kind: str) -> str:
    """Return why a run is left out; empty if it is not."""
    if run.verdict is None:
        return run.note or "has no result"
    if run.kind not in FIGURES_SHOWN:
        return f"is a {run.kind}" if run.kind == "campaign" else f"is {run.kind} of a run"
    if run.scenario != scenario:
        return f"is a {run.kind} of {run.scenario}"
    return "" if run.kind == kind else f"is a {run.kind}"


def _figures(folder: Path) -> dict[str, Any]:
    """Return the figures of a result that `sim.listing` could read."""
    found = finite_json.loads((folder / RESULT_FILE).read_bytes())["figures"]
    return found if isinstance(found, dict) else {}


def _number(entry: object) -> float | int | None:
    value = entry.get("value") if isinstance(entry, dict) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _named(patterns: Sequence[str]) -> list[str]:
    """Return the figures that names or patterns name, each once. Raises InvalidInput."""
    found: dict[str, None] = {}
    for pattern in patterns:
        fit = [name for name in FIGURES if fnmatchcase(name, pattern)]
        if not fit:
            near = difflib.get_close_matches(pattern, FIGURES, 3, 0.6)
            hint = f"did you mean {' or '.join(near)}?" if near else "see: windfleet figures"
            raise InvalidInput(f"--figure {pattern}: there is no such figure; {hint}")
        found |= dict.fromkeys(fit)
    return list(found)
