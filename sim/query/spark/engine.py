"""One call of the Spark engine: a process of its own runs the pipeline, makes the views, answers.

The SQL reaches Spark as it is written. The clock and free names are Spark's own: a rule of the
extension, and session variables.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa
from sqlglot import exp

from pipeline.catalog import ddl, ledger, statements
from pipeline.catalog.tables import TABLES, Table
from pipeline.records import BUCKET_PREFIX
from sim.errors import ENVIRONMENT, QueryError, reason
from sim.query import sql
from sim.query.spark import home, messages, settings, state
from sim.query.warehouse import Warehouse
from sim.store.s3_lake import settings_of

FOLDER: Final = "spark"
_BEYOND: Final = {"reflect", "java_method", "try_reflect", "read_files"}
"""Functions that reach beyond the tables."""


@dataclass(frozen=True)
class Job:
    """The work of one call.

    options: of `read_files`. follow_s: seconds between loads, None for one load.
    """

    text: str
    now: datetime | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    follow_s: float | None = None


@dataclass(frozen=True)
class Loaded:
    """A load that is done. `objects`: new ones in the tables. added: new columns, table.column."""

    objects: int
    added: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Wider:
    """A load that met new columns. columns: (name, type) by table."""

    columns: Mapping[str, Sequence[tuple[str, str]]]


_LOADED: Final = object()


def run(warehouse: Warehouse, job: Job) -> Generator[Loaded | pa.Table, None, None]:
    """Yield each load, and after it the rows of each statement.

    Raises QueryError, check.LakeError.
    """
    for each in answers(warehouse, job):
        if isinstance(each, QueryError):
            raise each
        yield each


def answers(warehouse: Warehouse, job: Job) -> Iterator[Loaded | pa.Table | QueryError]:
    """As `run`, but the error of one statement does not end the others."""
    checked = _checked(job.text)
    found = home.find()
    _sources(warehouse, job.options, TABLES)
    s3 = settings_of(warehouse.lake)
    with (
        warehouse.owned(),
        tempfile.TemporaryDirectory(prefix="windfleet-spark-") as scratch,
    ):
        folder = state.prepared(warehouse.folder / FOLDER)
        now = job.now.astimezone(UTC).isoformat().replace("+00:00", "Z") if job.now else ""
        conf = settings.configuration(found, folder, Path(scratch), now)
        if s3 is not None:
            conf |= settings.s3a(s3)
        request = {
            "conf": conf,
            "secrets": settings.secrets(s3) if s3 else {},
            "trust": os.path.realpath(s3.ca_bundle) if s3 and s3.ca_bundle else None,
            "storage": f"file://{folder}/storage",
            "views": [statements.view(name).rstrip().rstrip(";") for name in statements.VIEWS],
            "variables": {
                name: sql.literal(text).sql("databricks") for name, text in job.variables.items()
            },
            "statements": checked,
            "out": scratch,
        }
        command = [str(found.python), "-I", str(home.DRIVER)]
        with (
            (folder / "log.txt").open("wb") as log,
            _process(command, settings.environment(found, s3), scratch, log) as child,
        ):
            yield from _load(child, warehouse, job, folder, request)
            while job.follow_s is not None:
                time.sleep(job.follow_s)
                yield from _load(child, warehouse, job, folder, {})


def _checked(text: str) -> list[str]:
    """Return the statements of a text. Raises QueryError."""
    for statement in sql.parsed(text):
        for each in statement.find_all(exp.Func):
            name = (each.name if isinstance(each, exp.Anonymous) else each.sql_name()).lower()
            if name in _BEYOND:
                raise QueryError(f"SQL: {name} is not answered here; only the tables and views are")
    return sql.texts(text)


def _load(
    child: subprocess.Popen[str],
    warehouse: Warehouse,
    job: Job,
    folder: Path,
    request: Mapping[str, Any],
) -> Iterator[Loaded | pa.Table | QueryError]:
    """Yield the events of a job. A load that meets new columns starts again with wider tables."""
    before = state.objects(folder)
    added: list[str] = []
    while True:
        tables = state.tables(folder)
        request = {
            **request,
            "tables": [_external(table, folder) for table in tables],
            "columns": {table.name: [name for name, _, _ in table.columns] for table in tables},
            "pipeline": "".join(_sources(warehouse, job.options, tables)),
        }
        wider = None
        for event in _events(child, request, folder / "log.txt"):
            if isinstance(event, _Wider):
                wider = event
            elif event is _LOADED:
                yield Loaded(state.objects(folder) - before, tuple(added))
            else:
                assert isinstance(event, pa.Table | QueryError)
                yield event
        if wider is None:
            return
        added += state.widen(folder, wider.columns)
        request = {}


def _sources(
    warehouse: Warehouse, options: Mapping[str, str], tables: Sequence[Table]
) -> list[str]:
    """Return the statements of the streaming tables. Raises QueryError where there is no lake."""
    lake = warehouse.lake
    if lake.opener is None and (odd := sorted(state.GLOB & set(os.path.realpath(lake.location)))):
        raise QueryError(
            f"{lake.location}: Spark cannot read a folder whose path holds {' '.join(odd)}; "
            "move the lake"
        )
    root = "s3://" if lake.opener is not None else f"file://{os.path.realpath(lake.location)}/"
    chosen = {**ddl.OPTIONS, "schemaEvolutionMode": ledger.EVOLUTION[0], **options}
    if "maxBytesPerTrigger" in options and "maxFilesPerTrigger" not in options:
        del chosen["maxFilesPerTrigger"]
    empty = warehouse.folder.absolute() / FOLDER / "empty"
    keys: dict[str, list[str]] = {}
    for bucket in sorted({BUCKET_PREFIX + table.bucket for table in TABLES}):
        found = lake.bucket(bucket)
        if found is None:
            raise QueryError(
                f"{lake.location}: holds no bucket {bucket}; is this a lake?", ENVIRONMENT
            )
        keys[bucket] = [ref.key for ref in found]
    made = []
    for table in tables:
        bucket = BUCKET_PREFIX + table.bucket
        there = any(key.startswith(table.prefix) for key in keys[bucket])
        source = None if there else f"file://{os.path.realpath(empty)}/{table.name}/"
        made.append(ddl.streaming_table(table, root + bucket, chosen, source))
    return made


def _external(table: Table, folder: Path) -> str:
    """Return the statement that shows Spark a table's rows of earlier calls."""
    location = ddl.literal(f"file://{folder}/tables/{table.name}")
    return f"CREATE TABLE {table.name} (\n{ddl.columns(table)}\n) USING parquet LOCATION {location}"


@contextmanager
def _process(
    command: Sequence[str], environment: Mapping[str, str], folder: str, log: IO[bytes]
) -> Iterator[subprocess.Popen[str]]:
    """Run the driver in a group of its own, with Spark's JVM. The group ends with the block."""
    try:
        child = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
    except OSError as error:
        raise QueryError(f"{command[0]}: {reason(error)}; make spark", ENVIRONMENT) from error
    try:
        yield child
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _events(
    child: subprocess.Popen[str], request: Mapping[str, Any], log: Path
) -> Iterator[object]:
    """Yield the driver's answers to one request. Raises QueryError."""
    assert child.stdin is not None
    assert child.stdout is not None
    with suppress(BrokenPipeError):
        child.stdin.write(json.dumps(request) + "\n")
        child.stdin.flush()
    for line in child.stdout:
        event = json.loads(line)
        if event["event"] == "done":
            return
        if event["event"] == "loaded":
            yield _LOADED
        elif event["event"] == "wider":
            yield _Wider(event["columns"])
            return
        elif event["event"] == "rows":
            with pa.ipc.open_stream(event["file"]) as stream:
                yield stream.read_all()
        elif event["stage"] == "sql":
            yield messages.sql_error(event["text"])
        else:
            raise messages.error(event["stage"], event["text"], log)
    raise QueryError(f"Spark ended early{messages.last_lines(log)}", ENVIRONMENT)
