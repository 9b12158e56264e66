"""`windfleet query`: new objects of a lake into tables, then SQL over tables and views."""

from __future__ import annotations

import difflib
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
from rich.console import Console

from pipeline.catalog import ledger
from pipeline.settings import settings
from pipeline.terminal import one_line
from sim.check.read.lake import BUCKETS, LakeReader
from sim.errors import ENVIRONMENT, PASS, QueryError, reason
from sim.output_file import require_replaceable
from sim.query.engine import Engine
from sim.query.loader import BATCH_BYTES, BATCH_OBJECTS, Loaded, LoadOptions, load
from sim.query.output import write
from sim.query.sql import parsed
from sim.query.warehouse import Warehouse
from sim.special_file import open_to_read
from sim.store import localstack, target
from sim.store.s3_lake import s3_lake

FOLLOW_S: Final = 2.0
MOST_SQL_BYTES: Final = 1024**2
_CLOCK: Final = re.compile(r"\b(current_date|current_timestamp|now|curdate)\b", re.IGNORECASE)
_NO_ROW: Final = (
    "no row: the SQL asks for the date, which is today's; for data of another time set the clock, "
    "such as --now 2024-01-15T06:00:00Z"
)


@dataclass(frozen=True)
class QueryOptions:
    """The arguments of `windfleet query`.

    sql: a statement, or the path of a file of them. engine: one of `ledger.ENGINES`.
    """

    sql: str
    run: Path | None = None
    lake: Path | None = None
    endpoint_url: str | None = None
    warehouse: Path | None = None
    now: datetime | None = None
    variables: Sequence[str] = ()
    options: Sequence[str] = ()
    form: str = "table"
    out: Path | None = None
    overwrite: bool = False
    follow: bool = False
    engine: str = ledger.EMBEDDED
    allow_remote: bool = False


def run(options: QueryOptions, console: Console, notes: Console) -> int:
    """Load, answer, print; the exit code. Notes go to standard error. Raises QueryError."""
    text = _sql(options.sql)
    _require_one_place(options, len(parsed(text)))
    warehouse = warehouse_of(options)
    _require_own_place(options.out, warehouse)
    variables = _variables(options.variables)
    if options.engine == ledger.SPARK:
        return _on_spark(options, text, warehouse, variables, console, notes)
    how = _load_options(options.options)
    answered = False
    while True:
        loaded = load(warehouse, how)
        _report(loaded, notes)
        if loaded.objects or not answered:
            answered = True
            for rows in Engine(warehouse, options.now, variables).run(text):
                _write(rows, options, console)
                if not rows.num_rows and options.now is None and _CLOCK.search(text):
                    notes.print(_NO_ROW, highlight=False, soft_wrap=True)
        if not options.follow:
            return PASS
        time.sleep(FOLLOW_S)


def _on_spark(
    options: QueryOptions,
    text: str,
    warehouse: Warehouse,
    variables: Mapping[str, str],
    console: Console,
    notes: Console,
) -> int:
    from sim.query.spark import engine as spark

    job = spark.Job(
        text,
        options.now,
        variables,
        _accepted(options.options, ledger.SPARK),
        FOLLOW_S if options.follow else None,
    )
    for each in spark.run(warehouse, job):
        if isinstance(each, spark.Loaded):
            _report(Loaded(each.objects, added=list(each.added)), notes)
        else:
            _write(each, options, console)
    return PASS


def _write(rows: pa.Table, options: QueryOptions, console: Console) -> None:
    try:
        write(rows, options.form, options.out, console)
    except OSError as error:
        if options.out is None:
            raise
        raise QueryError(f"{options.out}: {reason(error)}", ENVIRONMENT) from error


def _require_one_place(options: QueryOptions, statements: int) -> None:
    """Raises QueryError if the rows of all statements have no place to go."""
    out = options.out
    if out is not None and out.is_dir():
        raise QueryError(f"--out {out}: is a folder; name a file")
    if out is not None and not out.parent.is_dir():
        raise QueryError(f"--out {out}: no folder {out.parent}")
    if out is not None:
        require_replaceable(out, None, "--out FILE", options.overwrite)
    if statements > 1 and (out is not None or options.form == "parquet"):
        place = "a file" if out is not None else "Parquet"
        raise QueryError(f"{place} takes the rows of one statement; the SQL has {statements}")
    if options.form == "parquet" and out is None and sys.stdout.isatty():
        raise QueryError("Parquet is not for a terminal; write it to a file with --out FILE")


def _require_own_place(out: Path | None, warehouse: Warehouse) -> None:
    """Raises QueryError if the rows would lie among the objects of the lake or its tables."""
    if out is None:
        return
    places = [warehouse.folder]
    if warehouse.lake.opener is None:
        places += [Path(warehouse.lake.location) / bucket for bucket in BUCKETS]
    for folder in places:
        if out.resolve().is_relative_to(folder.resolve()):
            raise QueryError(f"--out {out}: lies in {folder}, which is windfleet's; name another")


def _sql(text: str) -> str:
    """Return the SQL, read from a file where the text names one. Raises QueryError."""
    path = Path(text)
    if not text.strip() or "\n" in text or (path.suffix != ".sql" and " " in text.strip()):
        return text
    try:
        with open_to_read(path) as file:
            body = file.read(MOST_SQL_BYTES + 1)
        if len(body) > MOST_SQL_BYTES:
            raise QueryError(f"{path}: is larger than {MOST_SQL_BYTES // 1024**2} MiB: not SQL")
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise QueryError(f"{path}: is not UTF-8 (byte {error.start})") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise QueryError(
            f"{one_line(text)}: neither SQL nor a file of it: {reason(error)}"
        ) from error


def _variables(texts: Sequence[str]) -> dict[str, str]:
    """Return name -> value of each --set. Raises QueryError for a name that SQL cannot have."""
    found: dict[str, str] = {}
    for text in texts:
        name, value = _binding("--set", text)
        if "." in name:
            raise QueryError(f"--set {text}: a free name of SQL has no dot")
        if name.lower() in map(str.lower, found):
            raise QueryError(f"--set {text}: {name} is set twice; set it once")
        found[name] = value
    return found


def _binding(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.replace(".", "").isidentifier():
        raise QueryError(f"{option} {text}: write NAME=VALUE")
    return name, value


def _load_options(texts: Sequence[str]) -> LoadOptions:
    """Return the options of Auto Loader that were given. Raises QueryError."""
    found = _accepted(texts, ledger.EMBEDDED)
    return LoadOptions(
        schema_evolution=found.get("schemaEvolutionMode", ledger.EVOLUTION[0]),
        skip_bad=found.get("ignoreCorruptFiles") == "true",
        batch_objects=int(found.get("maxFilesPerTrigger", BATCH_OBJECTS)),
        batch_bytes=int(found.get("maxBytesPerTrigger", BATCH_BYTES)),
    )


def _accepted(texts: Sequence[str], engine: str) -> dict[str, str]:
    """Return options by their plain name. Raises QueryError."""
    try:
        return ledger.accepted(dict(_binding("--option", text) for text in texts), _nearest, engine)
    except ledger.OptionError as error:
        raise QueryError(f"--option {error}; windfleet catalog --ledger lists all") from error


def _nearest(name: str) -> str:
    names = [option.name for option in ledger.OPTIONS]
    return next(iter(difflib.get_close_matches(name, names, 1)), "")


def warehouse_of(options: QueryOptions) -> Warehouse:
    """Return the lake that was named, or found, and the folder of its tables.

    Raises QueryError, and TargetError for a store on another machine.
    """
    folder = options.lake
    if options.run is not None and folder is None and options.endpoint_url is None:
        if not options.run.is_dir():
            raise QueryError(f"{options.run}: no such folder")
        inside = options.run / "lake"
        folder = inside if inside.is_dir() else options.run
    if folder is not None:
        return _of_folder(folder, options)
    store = target.Options(options.endpoint_url, allow_remote=options.allow_remote)
    if (endpoint_url := target.endpoint_of(store)) is not None:
        lake = s3_lake(endpoint_url)
    elif (server := localstack.status()) is not None:
        lake = s3_lake(settings(server.endpoint_url, own=True))
    else:
        raise QueryError(
            "no lake: name a run directory or data set (DIR), --lake DIR or --endpoint-url URL; "
            "no LocalStack is up",
            ENVIRONMENT,
        )
    name = lake.location.partition("://")[2].replace(":", "-").replace("/", "-")
    return Warehouse(options.warehouse or Path("runs") / f"warehouse-{name}", lake)


def _of_folder(folder: Path, options: QueryOptions) -> Warehouse:
    if not folder.is_dir():
        raise QueryError(f"{folder}: no such folder")
    if not any((folder / bucket).is_dir() for bucket in BUCKETS):
        raise QueryError(
            f"{folder}: holds no lake (buckets {BUCKETS[0]}, ...); "
            "run the scenario with --save-lake, or name the lake with --lake DIR"
        )
    beside = folder.parent if folder.name == "lake" else folder
    return Warehouse(options.warehouse or beside / "warehouse", LakeReader.folder(folder))


def _report(loaded: Loaded, notes: Console) -> None:
    if loaded.objects:
        rows = f", {loaded.rows:,} rows" if loaded.rows else ""
        notes.print(
            f"loaded {loaded.objects:,} objects{rows}",
            highlight=False,
            soft_wrap=True,
        )
    for name in loaded.added:
        notes.print(f"added column {one_line(name)}", highlight=False, soft_wrap=True)
    for bad in loaded.bad[:5]:
        notes.print(f"left out {one_line(bad)}", highlight=False, soft_wrap=True)
    if len(loaded.bad) > 5:
        notes.print(f"left out {len(loaded.bad) - 5:,} more objects", highlight=False)
