"""`windfleet bench`: measure, show, keep, compare."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from rich.console import Console

from pipeline.records import PIPELINE_VERSION
from sim.bench import comparison, growth, query, table
from sim.bench.parts import measure
from sim.bench.record import KIND, SCHEMA_VERSION, BenchRecord, read_record, write_record
from sim.errors import PASS, BenchError
from sim.measure.environment import machine, versions
from sim.output_file import require_replaceable
from sim.store.gateway import Gateway, chosen


def run(args: argparse.Namespace, console: Console) -> int:
    """Run the command. Return its exit code: a slower part is shown, and is no failure.

    Raises BenchError, ResultError, TargetError, OSError.
    """
    gateway = chosen(args.gateway)
    if args.only == "query":
        _require_alone(args)
        query.measure(args.objects, gateway, console)
        return PASS
    earlier = None if args.compare is None else read_record(args.compare)
    if args.json is not None:
        _require_writable(args.json)
        require_replaceable(args.json, f'"kind": "{KIND}"', "--json FILE", args.overwrite)
    if args.source is None:
        found = _measured(args, gateway, console)
    else:
        found = read_record(args.source)
        _keep(found, args.json)
    if args.source is not None or args.markdown:
        _show(found, console, args.markdown)
    if earlier is not None:
        for sheet in table.compared(list(comparison.changes(earlier, found))):
            table.show(sheet, console, args.markdown)
        for note in comparison.notes(earlier, found):
            console.print(note, highlight=False, soft_wrap=True)
    return PASS


def _measured(args: argparse.Namespace, gateway: Gateway, console: Console) -> BenchRecord:
    """Measure, keep each result, and print its table, unless Markdown is to come."""
    found = BenchRecord(
        KIND, SCHEMA_VERSION, machine(), versions(), PIPELINE_VERSION, gateway, args.seed
    )
    if not args.markdown:
        console.print(_place(found), highlight=False)
    if args.only != "growth":
        for rows in dict.fromkeys(args.rows):
            found.sizes.append(measure(args.turbines, rows, args.rounds, args.seed, gateway))
            _keep(found, args.json)
            if not args.markdown:
                table.show(table.parts(found.sizes[-1:]), console, False)
    if args.growth or args.only == "growth":
        for point in growth.points(args.rounds, args.seed, gateway):
            found.growth.append(point)
            _keep(found, args.json)
            last = [job for job in growth.JOBS if job.series == point.series][-1]
            if not args.markdown:
                console.print(f"measured: {point.name}", highlight=False)
                if point.value == last.value:
                    _show_growth(found, point.series, console, False)
    return found


def _keep(found: BenchRecord, path: Path | None) -> None:
    """Write all that was measured so far: an interrupted run keeps it."""
    if path is not None:
        write_record(found, path)


def _show(found: BenchRecord, console: Console, markdown: bool) -> None:
    sheets = [table.parts(found.sizes)] if markdown and found.sizes else []
    sheets += [] if markdown else [table.parts([size]) for size in found.sizes]
    for sheet in sheets:
        table.show(sheet, console, markdown)
    for series in dict.fromkeys(point.series for point in found.growth):
        _show_growth(found, series, console, markdown)
    console.print(_place(found), highlight=False, soft_wrap=True)


def _place(found: BenchRecord) -> str:
    return f"{found.machine}; LocalStack's {found.gateway} gateway"


def _show_growth(found: BenchRecord, series: str, console: Console, markdown: bool) -> None:
    points = [point for point in found.growth if point.series == series]
    table.show(table.growth(points), console, markdown)


def _require_alone(args: argparse.Namespace) -> None:
    """Raise BenchError for options that mean nothing with `--only query`."""
    for option in ("json", "compare", "source", "markdown", "growth"):
        if getattr(args, option):
            name = "from" if option == "source" else option
            raise BenchError(f"--{name} does not go with --only query, which prints its table only")


def _require_writable(path: Path) -> None:
    """Raise BenchError before minutes of measuring for a file that cannot be written."""
    folder = path.parent
    if path.is_dir():
        raise BenchError(f"--json {path} is a folder; name a file")
    if not folder.is_dir():
        raise BenchError(f"--json {path}: there is no folder {folder}; make it, or name another")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise BenchError(f"--json {path} cannot be written; name another file")
