"""`windfleet dashboard`: new objects of a lake into tables, then one page over tables and views."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from sim.dashboard import page, series
from sim.dashboard.data import contents
from sim.dashboard.views import Views, extent, instant
from sim.errors import ENVIRONMENT, PASS, DashboardError, reason
from sim.output_file import page_of, require_replaceable
from sim.query.command import QueryOptions, warehouse_of
from sim.query.loader import LoadOptions, load
from sim.query.warehouse import Warehouse
from sim.report.result import RESULT_FILE
from sim.report.write import DASHBOARD_FILE, HTML_FILE, rebuild
from sim.run_directory import locked
from sim.whole_file import write_text

MOST_BYTES: Final = 5_000_000


@dataclass(frozen=True)
class DashboardOptions:
    """The arguments of `windfleet dashboard`. `now`: None for the lake's newest row."""

    run: Path | None = None
    lake: Path | None = None
    endpoint_url: str | None = None
    warehouse: Path | None = None
    now: datetime | None = None
    out: Path | None = None
    overwrite: bool = False
    allow_remote: bool = False


def run(options: DashboardOptions, console: Console) -> int:
    """Make the page and print its path; the exit code. Raises QueryError, DashboardError."""
    made = make(options)
    console.print(f"dashboard: {made}", highlight=False, soft_wrap=True)
    return PASS


def make(options: DashboardOptions) -> Path:
    """Make the page. Return its path.

    Raises QueryError, DashboardError, TargetError, check.LakeError.
    """
    warehouse = warehouse_of(
        QueryOptions(
            "",
            options.run,
            options.lake,
            options.endpoint_url,
            options.warehouse,
            options.now,
            allow_remote=options.allow_remote,
        )
    )
    out = options.out or _folder(options, warehouse) / DASHBOARD_FILE
    if options.out is not None and out.is_dir():
        raise DashboardError(f"--out {out}: is a folder; name a file")
    if options.out is not None and not out.parent.is_dir():
        raise DashboardError(f"--out {out}: no folder {out.parent}")
    require_replaceable(out, page_of("dashboard"), "--out FILE", options.overwrite)
    load(warehouse, LoadOptions())
    html = _page(Views(warehouse), options.now, _title(options, warehouse))
    try:
        write_text(out, html)
    except OSError as error:
        raise DashboardError(f"{out}: cannot be written: {reason(error)}", ENVIRONMENT) from error
    if out.name == DASHBOARD_FILE and _is_reported(out.parent):
        with locked(out.parent):
            rebuild(out.parent)  # its report links to the page from now on
    return out


def _is_reported(folder: Path) -> bool:
    return all((folder / name).is_file() for name in (RESULT_FILE, HTML_FILE))


def _page(views: Views, now: datetime | None, title: str) -> str:
    """Return a page of at most MOST_BYTES, with the finest steps that fit."""
    found = extent(views)
    first = instant(found["first_us"])
    if now is not None and now < first:
        raise DashboardError(
            f"--now {now.isoformat()}: is before the lake's first row ({first.isoformat()}); "
            "name a later instant, or leave it out for the newest row"
        )
    views = views.at(now or instant(found["last_us"]))
    cells = series.MOST_CELLS
    while True:
        made = contents(views, found, title, cells)
        html = page.render(made)
        cells //= 2
        if len(html) <= MOST_BYTES or cells < found["units"]:
            return html


def _folder(options: DashboardOptions, warehouse: Warehouse) -> Path:
    """Return the run directory or data set, else the folder beside or around the lake."""
    if options.run is not None:
        return options.run
    if options.lake is not None:
        return options.lake.parent if options.lake.name == "lake" else options.lake
    return warehouse.folder.parent


def _title(options: DashboardOptions, warehouse: Warehouse) -> str:
    """Return the name of the lake's folder, or of its host."""
    folder = options.run or options.lake
    if folder is None:
        return warehouse.lake.location.partition("://")[2]
    named = folder.resolve()
    return named.parent.name if named.name == "lake" else named.name
