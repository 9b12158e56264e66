"""One call of the Spark engine: a process of its own runs the pipeline, makes the views, answers.

    <warehouse>/spark/state.json     the place and versions that the folder is of
    <warehouse>/spark/tables/        rows, and Spark's log of them
    <warehouse>/spark/storage/       checkpoints: which objects are in which micro-batch
    <warehouse>/spark/log.txt        the last call's log

Spark commits a micro-batch in its log of rows and then in its checkpoint. A kill between leaves a
batch that the next call makes again under the same number, and the log of rows takes a number once:
no row is lost or doubled. The catalogue of tables lives in memory, so that no kill can spoil it.

The SQL reaches Spark as it is written. The clock and free names are Spark's own: a rule of the
extension, and session variables.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa
from sqlglot import exp

from pipeline.catalog import ddl, statements
from pipeline.catalog.tables import TABLES, Table
from pipeline.records import BUCKET_PREFIX
from pipeline.terminal import one_line
from sim.errors import ENVIRONMENT, LAKE_WRONG, QueryError, reason
from sim.query import sql
from sim.query.spark import home, settings
from sim.query.warehouse import Warehouse
from sim.store.s3_lake import settings_of

VERSION: Final = 1
FOLDER: Final = "spark"
_GLOB: Final = set("{}[]*?\\\"'`\n")
_BEYOND: Final = {"reflect", "java_method", "try_reflect", "read_files"}
"""Functions that reach beyond the tables."""
_LOG_LINES: Final = 3


@dataclass(frozen=True)
class Job:
    """The work of one call. options: of `read_files`. follow_s: seconds between loads, None for one load."""

    text: str
    now: datetime | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    follow_s: float | None = None


@dataclass(frozen=True)
class Loaded:
    """A load that is done. `objects`: new ones in the tables."""

    objects: int


def run(warehouse: Warehouse, job: Job) -> Iterator[Loaded | pa.Table]:
    """Yield each load, and after it the rows of each statement. Raises QueryError, check.LakeError."""
    for each in answers(warehouse, job):
        if isinstance(each, QueryError):
            raise each
        yield each


def answers(warehouse: Warehouse, job: Job) -> Iterator[Loaded | pa.Table | QueryError]:
    """As `run`, but the error of one statement does not end the others."""
    checked = _checked(job.text)
    found = home.find()
    sources = _sources(warehouse, job.options)
    s3 = settings_of(warehouse.lake)
    with (
        warehouse.owned(),
        _state(warehouse.folder / FOLDER) as folder,
        tempfile.TemporaryDirectory(prefix="windfleet-spark-") as scratch,
    ):
        now = job.now.astimezone(UTC).isoformat().replace("+00:00", "Z") if job.now else ""
        conf = settings.configuration(found, folder, Path(scratch), now)
        if s3 is not None:
            conf |= settings.s3a(s3)
        request = {
            "conf": conf,
            "tables": [_external(table, folder) for table in TABLES],
            "pipeline": "".join(sources),
            "storage": f"file://{folder}/storage",
            "views": [statements.view(name).rstrip().rstrip(";") for name in statements.VIEWS],
            "variables": {
                name: sql.literal(text).sql("databricks") for name, text in job.variables.items()
            },
            "statements": checked,
            "out": scratch,
            "follow_s": job.follow_s,
        }
        command = [str(found.python), "-I", str(home.DRIVER)]
        with (
            (folder / "log.txt").open("wb") as log,
            _process(command, settings.environment(found, s3), log) as child,
        ):
            yield from _events(child, request, folder)


def _checked(text: str) -> list[str]:
    """Return the statements of a text. Raises QueryError."""
    for statement in sql.parsed(text):
        for each in statement.find_all(exp.Func):
            name = (each.name if isinstance(each, exp.Anonymous) else each.sql_name()).lower()
            if name in _BEYOND:
                raise QueryError(f"SQL: {name} is not answered here; only the tables and views are")
    return sql.texts(text)


def _sources(warehouse: Warehouse, options: Mapping[str, str]) -> list[str]:
    """Return the statements of the streaming tables. Raises QueryError where there is no lake."""
    lake = warehouse.lake
    if lake.opener is None and (odd := sorted(_GLOB & set(os.path.realpath(lake.location)))):
        raise QueryError(
            f"{lake.location}: Spark cannot read a folder whose path holds {' '.join(odd)}; move the lake"
        )
    root = "s3://" if lake.opener is not None else f"file://{os.path.realpath(lake.location)}/"
    chosen = {**ddl.OPTIONS, **options}
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
    for table in TABLES:
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
def _state(folder: Path) -> Iterator[Path]:
    """Make the folder of a warehouse's Spark state, or check that it is one of this place. Raises QueryError."""
    folder = Path(os.path.realpath(folder))
    if odd := sorted(_GLOB & set(str(folder))):
        raise QueryError(f"{folder}: Spark cannot write to a path that holds {' '.join(odd)}")
    file = folder / "state.json"
    mine = {"version": VERSION, "place": str(folder)}
    if file.exists():
        try:
            there = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise QueryError(f"{file}: cannot be read ({error}); remove {folder}") from error
        if there != mine:
            raise QueryError(
                f"{folder}: was made elsewhere or by another version (Spark's log names whole paths); remove it"
            )
    for table in TABLES:
        (folder / "tables" / table.name).mkdir(parents=True, exist_ok=True)
        (folder / "empty" / table.name).mkdir(parents=True, exist_ok=True)
    if not file.exists():
        part = file.with_suffix(".part")
        part.write_text(json.dumps(mine) + "\n", encoding="utf-8")
        part.replace(file)
    yield folder


@contextmanager
def _process(
    command: Sequence[str], environment: Mapping[str, str], log: IO[bytes]
) -> Iterator[subprocess.Popen[str]]:
    """Run the driver in a group of its own, with Spark's JVM; at the end of the block all of it is gone."""
    try:
        child = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
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
    child: subprocess.Popen[str], request: Mapping[str, Any], folder: Path
) -> Iterator[Loaded | pa.Table | QueryError]:
    assert child.stdin is not None
    assert child.stdout is not None
    before = _objects(folder)
    with suppress(BrokenPipeError):
        child.stdin.write(json.dumps(request) + "\n")
        child.stdin.flush()
    for line in child.stdout:
        event = json.loads(line)
        if event["event"] == "done":
            return
        if event["event"] == "loaded":
            now = _objects(folder)
            yield Loaded(now - before)
            before = now
        elif event["event"] == "rows":
            with pa.ipc.open_stream(event["file"]) as stream:
                yield stream.read_all()
        elif event["stage"] == "sql":
            yield _sql_error(event["text"])
        else:
            raise _error(event["stage"], event["text"], folder)
    raise QueryError(f"Spark ended early{_last_lines(folder / 'log.txt')}", ENVIRONMENT)


def _objects(folder: Path) -> int:
    """Return the number of objects in Spark's checkpoints."""
    found = set()
    for path in (folder / "storage").glob("_checkpoints/**/sources/0/*"):
        if path.name[0].isdigit():
            lines = path.read_text(encoding="utf-8").splitlines()[1:]
            found |= {json.loads(line)["path"] for line in lines if line}
    return len(found)


def _error(stage: str, text: str, folder: Path) -> QueryError:
    """Return Spark's message as one line, with the fix."""
    if stage == "start":
        return QueryError(
            f"Spark did not start: {_first(text)}{_last_lines(folder / 'log.txt')}", ENVIRONMENT
        )
    if stage == "load":
        return _load_error(text, folder)
    return QueryError(f"the catalogue's SQL: {_first(text)}")


def _sql_error(text: str) -> QueryError:
    """Return Spark's message, which has the position, and the way to bind a free name."""
    message = f"SQL: {_first(text)}"
    if found := re.search(r"\[UNRESOLVED_COLUMN[^`]*`([^`]+)`", text):
        message += f"; to bind a free name: --set {found[1]}=VALUE"
    return QueryError(message)


def _load_error(text: str, folder: Path) -> QueryError:
    named = re.search(r"(?:s3|file):[^\s,;]*?\.?(?:" + BUCKET_PREFIX + r"[^\s,;]+)", text)
    condition = re.search(r"\[(?:FAILED_READ_FILE|CANNOT_READ_FILE|PARQUET)[^\n]*", text)
    if named and condition:
        place = named[0][named[0].index(BUCKET_PREFIX) :].rstrip(".:'\"")
        return QueryError(
            f"{place}: cannot be loaded: {_first(condition[0])}; "
            "--option ignoreCorruptFiles=true leaves such objects out",
            LAKE_WRONG,
        )
    refused = re.search(r"read_files: [^\n]*", text)
    if refused:
        return QueryError(_first(refused[0]))
    return QueryError(f"Spark cannot load: {_first(text)}; log: {folder / 'log.txt'}", ENVIRONMENT)


def _first(text: str) -> str:
    """Return a message without the plan and the stack that follow it."""
    head = re.split(r"\n\n|\n'|\n\+-|\n== |\n\s+at |JVM stacktrace|;\n", text.strip(), maxsplit=1)[
        0
    ]
    return one_line(" ".join(head.split()).rstrip(";"))


def _last_lines(log: Path) -> str:
    """Return the end of the log for a message."""
    with suppress(OSError):
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        if lines:
            return ": " + one_line(" / ".join(lines[-_LOG_LINES:]))
    return ""
