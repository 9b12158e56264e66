"""The finishing steps of a data set, made in one process or merged from parts.

Asset register, pictures and pages, then the README, drawn from the nodes' databases and the lake.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sim.dashboard import command as dashboard
from sim.demo import (
    assets,
    dictionary,
    export,
    flat,
    index,
    notebook,
    pictures,
    readings,
    readme,
    realism,
)
from sim.demo.dataset import Dataset
from sim.errors import (
    LAKE_WRONG,
    DashboardError,
    DemoError,
    NodeFileError,
    QueryError,
    StoreGone,
    WorkerDied,
)
from sim.report.progress import RunProgress


@dataclass(frozen=True)
class Finish:
    """Options of the finishing steps.

    `nodes`: keep the edge nodes' databases. `inspect`: draw the realism page too. `dashboard`: make
    the page over the views. `exports`: forms of `sim.demo.export`.
    """

    nodes: bool = False
    inspect: bool = False
    dashboard: bool = True
    exports: tuple[str, ...] = ()

    @property
    def words(self) -> dict[str, str]:
        """The options by name, as parts of a data set have them in common."""
        given = {"--nodes": self.nodes, "--inspect": self.inspect, _WITHOUT: not self.dashboard}
        words = {name: "given" if value else "not given" for name, value in given.items()}
        return words | {"--export": ",".join(self.exports)}

    @classmethod
    def of(cls, words: dict[str, str]) -> Finish:
        """Return the options of parts of a data set."""
        nodes, inspect, without = (
            words.get(name) == "given" for name in ("--nodes", "--inspect", _WITHOUT)
        )
        exports = tuple(form for form in words.get("--export", "").split(",") if form)
        return cls(nodes, inspect, not without, exports)


_WITHOUT = "--no-dashboard"


def remove_earlier(folder: Path) -> None:
    """Remove pictures, pages, tables and exports of an earlier data set."""
    pictures.remove(folder)
    for name in (realism.FILE, index.FILE, flat.FILE, dictionary.FILE, notebook.FILE):
        (folder / name).unlink(missing_ok=True)
    for form in export.FORMS:
        shutil.rmtree(folder / form, ignore_errors=True)


def require_pass(made: Dataset) -> None:
    """Raise DemoError for a lake that the oracle does not pass."""
    if made.verdict.status != "pass":
        counts = [f"{count} x {kind}" for kind, count in made.verdict.counts.items()]
        found = "; ".join(counts + made.verdict.errors[:3])
        raise DemoError(f"{made.folder}: the oracle does not pass this lake: {found}", LAKE_WRONG)


def finish(made: Dataset, options: Finish, progress: RunProgress, begun: float) -> None:
    """Make all that belongs to a data set beside its lake and truth.

    begun: of the command, by `time.perf_counter`. Raises DemoError, OSError.
    """
    scenario, nodes = made.scenario, made.folder / "nodes"
    progress.phase("drawing", None, "")
    assets.write(scenario, made.folder)
    whole = {turbine.rpartition("-")[0] for event in scenario.events for turbine in event.turbines}
    farms = readings.read(scenario, nodes, sorted(whole))
    made.pictures = pictures.draw(made, farms)
    progress.phase("writing the readings", None, "")
    flat.write(scenario, made.folder)
    dictionary.write(made.folder)
    for form in options.exports:
        export.write(scenario, made.folder, form)
    if options.inspect:
        realism.write(made, farms)
    if not options.nodes:
        shutil.rmtree(nodes)
    if options.dashboard:
        progress.phase("loading the lake for the dashboard", None, "")
        _dashboard(made)
    notebook.write(made)
    made.seconds = time.perf_counter() - begun
    readme.write(made)
    index.write(made, readme.facts(made))


def _dashboard(made: Dataset) -> None:
    """Make the page over the views. Raises DemoError; the data set is complete without it."""
    try:
        made.dashboard = dashboard.make(dashboard.DashboardOptions(run=made.folder)).name
    except (QueryError, DashboardError) as error:
        text = f"{made.folder}: the data are complete, their dashboard is not: {error}"
        raise DemoError(text, error.exit_code) from error


@contextmanager
def as_demo_errors(out: Path) -> Iterator[None]:
    """Raise DemoError for errors of the machine in the block. out: folder of the data set."""
    try:
        yield
    except (StoreGone, WorkerDied, NodeFileError) as error:
        raise DemoError(str(error)) from error
    except OSError as error:
        raise DemoError(f"{out}: cannot be written: {error}") from error
