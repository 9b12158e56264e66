"""Make a run several times: OUT/1 to OUT/N, the same seed, one exit code.

The exit code is that of the worst run. Runs whose lakes differ are a failure of determinism, exit
code 5: one scenario and seed must give the same bytes. A run that is interrupted, or that lacks its
environment, ends the series.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from sim.console import SafeConsole
from sim.errors import (
    ENVIRONMENT,
    GENERATOR,
    INTERNAL,
    INTERRUPTED,
    INVALID,
    LAKE_WRONG,
    PASS,
    THRESHOLD,
    UNKNOWN,
    DirectoryError,
    PartError,
    WindfleetError,
)
from sim.repeat.run_series import Series
from sim.report.forms import Form
from sim.report.result import RESULT_FILE, read_result
from sim.run_directory import is_run
from sim.store import target

WORST_LAST: Final = (
    *(PASS, UNKNOWN, GENERATOR, THRESHOLD, LAKE_WRONG),
    *(INVALID, ENVIRONMENT, INTERNAL, INTERRUPTED),
)
ENDS: Final = (INVALID, ENVIRONMENT, INTERNAL, INTERRUPTED)
"""Exit codes after which no further run is made."""


def repeat(
    times: int, out: Path, overwrite: bool, form: Form, one: Callable[[Path, Console], int]
) -> int:
    """Make `times` runs, print the spread of their figures, return the exit code.

    one: makes a run in a directory and returns its exit code. Raises DirectoryError, and the errors
    of a run.
    """
    _require_free(out, times, overwrite)
    console = SafeConsole() if form == "text" else SafeConsole(sys.stderr, quiet=form == "quiet")
    series = Series(out)
    try:
        for number in range(1, times + 1):
            folder = out / str(number)
            console.print(Text(f"run {number} of {times}: {folder}", "bold"), soft_wrap=True)
            code = one(folder, console)
            series.add(folder, read_result(folder))
            if code in ENDS:
                break
    except WindfleetError:
        if series.results:
            _print(series, PASS, form)
        raise
    code = exit_code(series)
    _print(series, code, form)
    return code


def require_lakes_of_their_own(store: target.Options) -> None:
    """Raise PartError for a store that would still hold the lake of the run before."""
    named = store.endpoint_url or target.endpoint_of_environment()
    if named is not None and not store.empty_lake:
        fix = "add --empty-lake, which empties the six buckets before each run"
        raise PartError(f"--repeat on {named}: each run needs an empty lake; {fix}")


def exit_code(series: Series) -> int:
    """Return the exit code of the worst run, or of lakes that differ."""
    codes = [result.exit_code for result in series.results.values()]
    return max([*codes, LAKE_WRONG if series.differing else PASS], key=WORST_LAST.index)


def _print(series: Series, code: int, form: Form) -> None:
    if form == "json":
        print(json.dumps(series.as_json(code), indent=1, ensure_ascii=False))
    elif form == "markdown":
        print(series.markdown(code), end="")
    else:
        series.print(SafeConsole(), brief=form == "quiet")


def _require_free(out: Path, times: int, overwrite: bool) -> None:
    """Raise DirectoryError where runs of an earlier series would be mixed with these."""
    if is_run(out) or (out / RESULT_FILE).exists():
        raise DirectoryError(f"{out}: is itself a run; name another directory with --out DIR")
    there = [path for path in out.iterdir() if path.name.isdecimal()] if out.is_dir() else []
    numbers = sorted(int(path.name) for path in there)
    if numbers and not overwrite:
        fix = "replace it with --overwrite, or choose another --out DIR"
        raise DirectoryError(f"{out}: holds runs of an earlier series; {fix}")
    if numbers and numbers[-1] > times:
        fix = f"remove those above {times}, or choose another --out DIR"
        raise DirectoryError(f"{out}: holds an earlier series of {numbers[-1]} runs; {fix}")
