"""A record, or two, as tables: on the terminal, or as Markdown for a README."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console
from rich.table import Table

from sim.bench import record
from sim.bench.comparison import Change
from sim.bench.record import JOB, JOB_PARTS, SETUP, GrowthPoint, SizeRecord
from sim.bench.rounds import Cost
from sim.report import numbers

LABELS: Final = {
    record.SAMPLES: "samples",
    record.WRITE: "write",
    record.DELIVER: "deliver",
    record.READ: "· read",
    record.PROCESS: "· process",
    record.STAGES: "·· stages",
    record.PUT: "· PUT",
    record.VERIFY: "verify",
    JOB: "whole job",
}
"""Rows of the table in their order. A dot: a part of the part above."""


@dataclass
class Sheet:
    """A table of texts, with notes below it. The first column is text, the others are numbers."""

    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)


def show(sheet: Sheet, console: Console, markdown: bool) -> None:
    """Print a sheet."""
    if not markdown:
        table = Table(title=sheet.title, title_justify="left")
        for i, name in enumerate(sheet.header):
            table.add_column(name, justify="right" if i else "left")
        for row in sheet.rows:
            table.add_row(*row)
        console.print(table)
        for note in sheet.notes:
            console.print(note, highlight=False, soft_wrap=True)
        return
    lines = [sheet.title, "", _line(sheet.header), _line(["---"] + ["--:"] * len(sheet.header[1:]))]
    lines += [_line(row) for row in sheet.rows]
    lines += ["", *(f"{note}  " for note in sheet.notes)]
    for line in lines:
        console.print(line.rstrip(), highlight=False, soft_wrap=True)


def parts(sizes: Sequence[SizeRecord]) -> Sheet:
    """Return the parts of one size, or of several side by side."""
    header = ["part, CPU us/row"]
    for size in sizes:
        header += [f"{size.rows_per_batch:,} rows a batch", "floor", "ratio"]
    rows = []
    for part, label in LABELS.items():
        row = [label]
        for size in sizes:
            row += _cells(size, part) if part in size.names() else ["", "", ""]
        rows.append(row)
    if all(JOB in size.names() for size in sizes):
        row = [f"{JOB}, in one number"]
        for size in sizes:
            product, floor = size.product(JOB).both_s, (size.floor(JOB) or Cost(0.0)).both_s
            row += [_us(product, size.rows), _us(floor, size.rows), _ratio(product, floor)]
        rows.append(row)
    turbines = ", ".join(dict.fromkeys(f"{size.turbines:,}" for size in sizes))
    rounds = ", ".join(dict.fromkeys(str(len(size.fixed_s)) for size in sizes))
    return Sheet(
        f"{turbines} nodes, least of {rounds} rounds; after a plus: LocalStack's own; "
        "ratio: ours to the floor's",
        header,
        rows,
        [note for size in sizes for note in _notes(size)],
    )


def _cells(size: SizeRecord, part: str) -> list[str]:
    product, floor = size.product(part), size.floor(part)
    if floor is None:
        return [_pair(product, size.rows), "", ""]
    ratio = _ratio(product.cpu_s, floor.cpu_s)
    return [_pair(product, size.rows), _pair(floor, size.rows), ratio]


def _notes(size: SizeRecord) -> Iterator[str]:
    yield f"{size.name}: fixed work {min(size.fixed_s) * 1e3:.1f} ms, {size.objects:,} objects"
    rates = size.put_rates()
    if rates is not None and min(rates) > 0:
        yield (
            f"{size.name}: {rates[0]:,.0f} objects/s, PUT ceiling {rates[1]:,.0f}/s "
            f"(wall time): {rates[0] / rates[1]:.2f} of it"
        )


def growth(points: Sequence[GrowthPoint]) -> Sheet:
    """Return the points of one series."""
    first = points[0]
    unit = "minutes" if first.series == "duration" else first.series
    rows = []
    for point in points:
        whole, base = point.product(JOB), first.product(JOB)
        memory = f"{point.worker_bytes / 2**20:,.0f} + {point.store_bytes / 2**20:,.0f}"
        rows.append(
            [
                f"{point.value:,}",
                *(_us(point.product(part).cpu_s, point.rows) for part in (SETUP, *JOB_PARTS)),
                _us(whole.server_s, point.rows),
                _us(whole.both_s, point.rows),
                _ratio(whole.both_s / point.rows, base.both_s / first.rows),
                memory,
            ]
        )
    title = f"growth with {first.series}, CPU us/row; MiB: ours and LocalStack's"
    header = [unit, SETUP, *JOB_PARTS, "store", JOB, "to first", "MiB"]
    note = f"{JOB}: without the {SETUP}, which a run pays once"
    return Sheet(title, header, rows, [note])


def compared(changes: Sequence[Change]) -> Iterator[Sheet]:
    """Yield two records side by side, a sheet for each place."""
    header = ["ours and LocalStack's, CPU us/row", "earlier", "now", "corrected", "noise", ""]
    for place in dict.fromkeys(change.place for change in changes):
        rows = []
        for change in changes:
            if change.place == place:
                us = ["" if us is None else _number(us) for us in (change.old_us, change.new_us)]
                ratio = "" if change.ratio is None else f"{change.ratio:.2f}"
                noise = "" if change.noise is None else f"±{change.noise:.0%}"
                outcome = change.outcome + (f": {change.reason}" if change.reason else "")
                label = LABELS.get(change.part, change.part)
                rows.append([label, *us, ratio, noise, outcome])
        yield Sheet(place, header, rows)


def _pair(cost: Cost, rows: int) -> str:
    served = f" + {_us(cost.server_s, rows)}" if cost.server_s else ""
    return f"{_us(cost.cpu_s, rows)}{served}"


def _us(seconds: float, rows: int) -> str:
    return _number(seconds / rows * 1e6)


def _number(us: float) -> str:
    return f"{us:.2f}" if us < 10 else f"{us:.1f}" if us < 100 else f"{us:,.0f}"


def _ratio(a: float, b: float) -> str:
    return f"{a / b:.2f}" if b > 0 else numbers.NOTHING


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
