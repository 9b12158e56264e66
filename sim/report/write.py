"""The report files of a run: result.json, junit.xml, report.html.

`write_all` writes them, and `rebuild` makes the last two again from the raw records: result.json
and operations.parquet; for a load test (a result with a `load` part) also requests.parquet and
resources.parquet. `windfleet verify` has the same three as verify.json, verify-junit.xml and
verify.html. Each file appears whole or not at all (temporary file, then rename). result.json
is written first, because the other two can be rebuilt from it.

Not covered: operations.parquet itself, which `sim.run.operations` writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from sim.errors import ResultError
from sim.measure.operations import OPERATIONS_FILE
from sim.output_file import page_of
from sim.report import junit
from sim.report.result import RESULT_FILE, Result, read_result
from sim.whole_file import write_text

JUNIT_FILE: Final = "junit.xml"
HTML_FILE: Final = "report.html"
DASHBOARD_FILE: Final = "dashboard.html"
"""Made by `sim.dashboard`; a report links to it where it is there."""
REQUESTS_FILE: Final = "requests.parquet"
RESOURCES_FILE: Final = "resources.parquet"
VERIFY_JSON: Final = "verify.json"
VERIFY_HTML: Final = "verify.html"
VERIFY_JUNIT: Final = "verify-junit.xml"
VERIFY_MARKS: Final = {
    VERIFY_JSON: '"completeness": [',
    VERIFY_HTML: page_of("verify"),
    VERIFY_JUNIT: '<testsuites name="windfleet',
}
"""Text near the beginning of the files of a verdict, by which windfleet knows them again."""


def write_all(
    result: Result, run_dir: Path, operations: pa.Table | None, page: bool = True
) -> None:
    """Write the three files of a run into an existing directory.

    operations: rows of operations.parquet. page: write report.html, too, which `rebuild` can add.
    """
    write_text(run_dir / RESULT_FILE, result.to_json())
    if page:
        _derive(result, run_dir, operations)
    else:
        write_text(run_dir / JUNIT_FILE, junit.render(result))


def write_load(
    result: Result,
    run_dir: Path,
    requests: pa.Table,
    resources: pa.Table,
    operations: pa.Table | None,
) -> None:
    """Write the three files of a load test into an existing directory.

    Tables: rows of requests.parquet, resources.parquet and operations.parquet.
    """
    write_text(run_dir / RESULT_FILE, result.to_json())
    _derive_load(result, run_dir, requests, resources, operations)


def write_verify(result: Result, folder: Path) -> None:
    """Write the three files of a verdict of `windfleet verify` into an existing directory."""
    write_text(folder / VERIFY_JSON, result.to_json())
    _derive_verify(result, folder)


def rebuild_all(folder: Path) -> list[Path]:
    """Rebuild the pages of a run and of a later verdict on it. Return their paths.

    Raises ResultError.
    """
    made = []
    if (folder / VERIFY_JSON).exists():
        _derive_verify(read_result(folder / VERIFY_JSON), folder)
        made.append(folder / VERIFY_HTML)
    if not made or (folder / RESULT_FILE).exists():
        made.insert(0, rebuild(folder))
    return made


def rebuild(run_dir: Path) -> Path:
    """Rebuild junit.xml and report.html. Return the path of the latter. Raises ResultError."""
    result = read_result(run_dir)
    operations = (
        _read(run_dir / OPERATIONS_FILE, _TIMES | _TEXTS)
        if (run_dir / OPERATIONS_FILE).exists()
        else None
    )
    if result.load is None:
        _derive(result, run_dir, operations)
    else:
        requests = _read(
            run_dir / REQUESTS_FILE,
            {"intended_start": _TIME, "kind": _TEXT, "outcome": _TEXT, "phase": _TEXT},
        )
        resources = _read(run_dir / RESOURCES_FILE, {"time": _TIME, "process": _TEXT})
        _derive_load(result, run_dir, requests, resources, operations)
    return run_dir / HTML_FILE


_Kinds = tuple[Callable[[pa.DataType], bool], ...]
_TEXT: Final[_Kinds] = (pa.types.is_string, pa.types.is_large_string)
_TIME: Final[_Kinds] = (pa.types.is_timestamp,)
_TEXTS: Final = {"kind": _TEXT, "outcome": _TEXT}
_TIMES: Final = {"intended_start": _TIME, "start": _TIME, "end": _TIME}


def _read(path: Path, wanted: Mapping[str, _Kinds]) -> pa.Table:
    """Read a raw record.

    Raises ResultError if a wanted column is missing, has another type, or has empty values.
    """
    try:
        with path.open("rb") as file:  # pyarrow may take a path for a URI
            table = pq.read_table(file)
        for name, kinds in wanted.items():
            if name not in table.column_names:
                raise ValueError(f"no column '{name}'")
            column = table.column(name)
            if column.null_count or not any(kind(column.type) for kind in kinds):
                raise ValueError(
                    f"column '{name}' is {column.type} with {column.null_count} empty values"
                )
        return table
    except FileNotFoundError as error:  # pyarrow's message would be only the path
        raise ResultError(
            f"{path}: is missing; the run recorded nothing, or the file was removed"
        ) from error
    except (OSError, ValueError) as error:  # pyarrow's errors included
        hint = "; remove it to report without latencies" if path.name == OPERATIONS_FILE else ""
        raise ResultError(f"{path}: {error}{hint}") from error


def _derive(result: Result, run_dir: Path, operations: pa.Table | None) -> None:
    from sim.report import html  # not every command draws

    write_text(run_dir / JUNIT_FILE, junit.render(result))
    dashboard = DASHBOARD_FILE if (run_dir / DASHBOARD_FILE).exists() else None
    write_text(run_dir / HTML_FILE, html.render(result, operations, dashboard))


def _derive_verify(result: Result, folder: Path) -> None:
    from sim.report import verify_page

    write_text(folder / VERIFY_JUNIT, junit.render(result))
    write_text(folder / VERIFY_HTML, verify_page.render(result))


def _derive_load(
    result: Result,
    run_dir: Path,
    requests: pa.Table,
    resources: pa.Table,
    operations: pa.Table | None,
) -> None:
    from sim.report.load.page import render_load  # it draws

    write_text(run_dir / JUNIT_FILE, junit.render(result))
    write_text(run_dir / HTML_FILE, render_load(result, requests, resources, operations))
