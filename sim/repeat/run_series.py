"""Repeated runs of one scenario and seed: spread of the measured figures, lakes that differ."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from sim.errors import INTERRUPTED
from sim.report import numbers
from sim.report.headline import STYLE, headline
from sim.report.html import sentence
from sim.report.plain_table import plain_table
from sim.report.result import Result


@dataclass(frozen=True)
class Spread:
    """One measured figure over the runs that have it."""

    unit: str
    runs: int
    median: float
    low: float
    high: float
    deviation: float

    @property
    def share(self) -> float | None:
        """The difference of highest and lowest value, as a share of the median."""
        return (self.high - self.low) / self.median if self.median else None


@dataclass
class Series:
    """Runs that were made so far, by their directory, in order."""

    folder: Path
    results: dict[Path, Result] = field(default_factory=dict)

    def add(self, folder: Path, result: Result) -> None:
        """Add a run."""
        self.results[folder] = result

    @property
    def differing(self) -> list[str]:
        """A line for each run whose lake is another one than that of the first."""
        known = [
            (folder, result.lake.digest)
            for folder, result in self.results.items()
            if result.lake is not None and result.lake.digest
        ]
        return [
            f"not deterministic: the lake digest of {folder} is {digest[:16]}, that of "
            f"{known[0][0]} is {known[0][1][:16]}; one scenario and seed must give the same bytes"
            for folder, digest in known[1:]
            if digest != known[0][1]
        ]

    @property
    def spreads(self) -> dict[str, Spread]:
        """The measured figures of runs that were not interrupted, in alphabetical order."""
        ended = [each for each in self.results.values() if each.exit_code != INTERRUPTED]
        names = {
            name: figure.unit
            for result in ended
            for name, figure in result.figures.items()
            if figure.kind == "measured"
        }
        found = {}
        for name, unit in sorted(names.items()):
            values = [v for result in ended if (v := result.figure(name)) is not None]
            if len(values) > 1:
                found[name] = Spread(
                    unit,
                    len(values),
                    float(statistics.median(values)),
                    float(min(values)),
                    float(max(values)),
                    statistics.stdev(values),
                )
        return found

    def as_json(self, exit_code: int) -> dict[str, Any]:
        """Return the series for JSON."""
        first = next(iter(self.results.values()))
        return {
            "schema_version": 1,
            "scenario": first.scenario,
            "seed": first.seed,
            "exit_code": exit_code,
            "runs": [
                {
                    "folder": str(folder),
                    "verdict": result.verdict,
                    "exit_code": result.exit_code,
                    "started": result.run.started,
                    "digest": result.lake.digest if result.lake else None,
                }
                for folder, result in self.results.items()
            ],
            "differing": self.differing,
            "spread": {name: asdict(each) for name, each in self.spreads.items()},
        }

    def markdown(self, exit_code: int) -> str:
        """Return the series as Markdown, for the page of a CI job."""
        lines = [f"## windfleet: {len(self.results)} runs, exit code {exit_code}", ""]
        lines += [
            f"- `{folder}`: {result.verdict}. {' '.join(sentence(result).split())}"
            for folder, result in self.results.items()
        ]
        lines += [f"- {line}" for line in self.differing]
        lines += [
            "",
            "| figure | median | lowest | highest | spread |",
            "|---|---:|---:|---:|---:|",
        ]
        for name, each in self.spreads.items():
            lines.append(f"| `{name}` | {' | '.join(_cells(each))} |")
        return "\n".join([*lines, ""])

    def print(self, console: Console, brief: bool) -> None:
        """Print the verdict of each run and, unless `brief`, the spread of the figures."""
        console.print()
        for folder, result in self.results.items():
            line = Text(f"{folder}  ") + headline(result.verdict, sentence(result))
            console.print(line, soft_wrap=True)
        for text in self.differing:
            console.print(Text(text, STYLE["fail"]), soft_wrap=True)
        spreads = self.spreads
        if brief or not spreads:
            return
        table = plain_table("measured figure", ">median", ">lowest", ">highest", ">spread")
        table.padding = (0, 1, 0, 0)
        table.columns[0].no_wrap = False
        table.columns[0].overflow = "fold"
        for name, each in spreads.items():
            table.add_row(name, *_cells(each))
        console.print(table)
        hint = f"compare them with others: windfleet compare {self.folder} DIR"
        console.print(Text(hint, "dim"), soft_wrap=True)


def _cells(each: Spread) -> list[str]:
    """Return median, lowest, highest and spread as texts."""
    texts = [numbers.in_table(value, each.unit) for value in (each.median, each.low, each.high)]
    share = numbers.NOTHING if each.share is None else f"{100 * each.share:,.1f} %"
    return [*texts, share]
