"""The progress of a run on the terminal.

On a terminal, progress is a live line with rate and time left. In a pipe it is plain lines, one
every few seconds at most, without control characters, so that a log stays readable.

Not covered: input.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
)
from rich.table import Column
from rich.text import Text

from sim.report import numbers

_PIPED_EVERY_S: Final = 5.0
LEFT_FROM: Final = 5
"""Percent done from which the time left is estimated: before, the first rows say too little."""
RATE_FROM_S: Final = 1.0
"""Seconds after the first amount from which a rate is shown: before, it is noise."""
_CONTROL: Final = {c: " " for c in (*range(32), *range(127, 160)) if c != 10}


class RunProgress:
    """A context manager for the progress of a run's phases. `advance` is cheap."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare the display. `clock`: seconds, monotonic."""
        self._console = console
        self._clock = clock
        self._live = (
            _live(console, clock) if console.is_terminal and not console.is_dumb_terminal else None
        )
        self._task: TaskID | None = None
        self._name = ""
        self._unit = ""
        self._total: int | None = None
        self._done = 0
        self._started = self._printed = clock()

    def __enter__(self) -> RunProgress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(failed=kind is not None)

    def phase(self, name: str, total: int | None, unit: str) -> None:
        """Begin a phase, and end the one before.

        total: the amount of work; None if unknown.
        """
        self._end_phase()
        self._name, self._total, self._unit, self._done = printable(name), total, unit, 0
        self._started = self._printed = self._clock()
        if self._live is not None:
            self._task = self._live.add_task(self._name, total=total, unit=unit)
        else:
            self._print(f"{self._name} ...")

    def follow(self, name: str, unit: str) -> Callable[[int, int], None]:
        """Return a function of (done, total) that reports progress and, first, begins the phase."""
        before: list[int] = []

        def update(done: int, total: int) -> None:
            if not before:
                self.phase(name, total, unit)
            self.advance(done - (before[-1] if before else 0))
            before[:] = [done]

        return update

    def advance(self, amount: int) -> None:
        """Add to the work done, in the phase's unit."""
        self._done += amount
        if self._live is not None and self._task is not None:
            self._live.advance(self._task, amount)
        elif self._clock() - self._printed >= _PIPED_EVERY_S:
            self._printed = self._clock()
            self._print(f"{self._name}: {self._state()}")

    def log(self, text: str) -> None:
        """Print one line that stays."""
        self._print(printable(text))

    def close(self, failed: bool = False) -> None:
        """End the last phase and the live display. A second call does nothing."""
        self._end_phase(failed)
        if self._live is not None:
            self._live.stop()

    def _end_phase(self, failed: bool = False) -> None:
        if not self._name:
            return
        took_s = self._clock() - self._started
        ended = "stopped after" if failed else "done in"
        text = f"{self._name}: {ended} {numbers.duration(took_s)}"
        if self._done:
            text += f", {self._done:,} {self._unit}, {_rate(self._done, took_s)} {self._unit}/s"
        if self._live is not None and self._task is not None:
            self._live.remove_task(self._task)
            self._task = None
        self._print(text)
        self._name = ""

    def _state(self) -> str:
        took_s = self._clock() - self._started
        rate = f"{_rate(self._done, took_s)} {self._unit}/s"
        if not self._total:
            return f"{self._done:,} {self._unit}, {rate}"
        share = min(100, 100 * self._done // self._total)
        left = (
            f", {numbers.duration(took_s * (self._total - self._done) / self._done)} left"
            if LEFT_FROM <= share < 100
            else ""
        )
        return f"{self._done:,} of {self._total:,} {self._unit} ({share} %), {rate}{left}"

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class _Rate(ProgressColumn):
    """Amount, rate and time left of a task."""

    def __init__(self, table_column: Column) -> None:
        super().__init__(table_column)
        self._first_s: dict[TaskID, float] = {}

    def render(self, task: Task) -> Text:
        unit = task.fields["unit"]
        amount = f"{task.completed:,.0f}" + (f"/{task.total:,.0f}" if task.total else "")
        speed = task.speed or task.finished_speed
        if task.completed:
            self._first_s.setdefault(task.id, task.elapsed or 0.0)
        since_s = (task.elapsed or 0.0) - self._first_s.get(task.id, 0.0)
        known = speed and since_s >= RATE_FROM_S
        rate = f"  {speed:,.0f} {unit}/s" if known else ""
        left = (
            f"  {numbers.duration(task.time_remaining)} left"
            if known and task.time_remaining
            else ""
        )
        if task.completed:
            return Text(f"{amount} {unit}{rate}{left}", style="cyan")
        waited = numbers.duration(float(int(task.elapsed or 0)))
        return Text(f"no {unit} yet, {waited}" if task.total else "", style="dim")


def _live(console: Console, clock: Callable[[], float]) -> Progress:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        # Of all columns the bar gives way first, where the terminal is narrow.
        BarColumn(
            bar_width=None,
            style="grey37",
            complete_style="cyan",
            finished_style="green",
            table_column=Column(ratio=1, min_width=4),
        ),
        _Rate(table_column=Column(no_wrap=True)),
    )
    return Progress(
        *columns,
        console=console,
        get_time=clock,
        speed_estimate_period=20.0,
        transient=True,
        expand=True,
    )


def _rate(done: int, seconds: float) -> str:
    rate = done / max(seconds, 1e-9)
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def printable(text: str) -> str:
    """Replace control characters by spaces. Names from a lake may contain any character."""
    return text.translate(_CONTROL)
