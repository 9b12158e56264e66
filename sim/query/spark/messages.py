"""Spark's errors as one line each, with the fix. Plans and stacks of the JVM are left out."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from pipeline.records import BUCKET_PREFIX
from pipeline.terminal import one_line
from sim.errors import ENVIRONMENT, LAKE_WRONG, QueryError

_LOG_LINES: Final = 3
_PLAN: Final = r"\n\n|\n'|\n\+-|\n== |\n\s+at |JVM stacktrace|;\n"


def error(stage: str, text: str, log: Path) -> QueryError:
    """Return Spark's message as one line, with the fix."""
    if stage == "start":
        return QueryError(f"Spark did not start: {_first(text)}{last_lines(log)}", ENVIRONMENT)
    if stage == "load":
        return load_error(text, log)
    return QueryError(f"the catalogue's SQL: {_first(text)}")


def sql_error(text: str) -> QueryError:
    """Return Spark's message, which has the position, and the way to bind a free name."""
    message = f"SQL: {_first(text)}"
    if found := re.search(r"\[UNRESOLVED_COLUMN[^`]*`([^`]+)`", text):
        message += f"; to bind a free name: --set {found[1]}=VALUE"
    return QueryError(message)


def load_error(text: str, log: Path) -> QueryError:
    """Return a pipeline's error, with the object where its flows name one."""
    if unknown := re.search(r"\[UNKNOWN_COLUMNS\] (\{.*?\})(?:\s|$)", text):
        found = json.loads(unknown[1])
        place = found["object"][found["object"].index(BUCKET_PREFIX) :]
        return QueryError(
            f"{place}: unknown columns {', '.join(found['columns'])}; "
            "--option schemaEvolutionMode=addNewColumns or rescue loads them",
            LAKE_WRONG,
        )
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
    found = re.search(r"\[[A-Z][A-Z0-9_.]+\][^\n]*|\S*(?:Exception|Error): [^\n]*", text)
    cause = found[0] if found else text.splitlines()[-1]
    return QueryError(f"Spark cannot load: {_first(cause)}; log: {log}", ENVIRONMENT)


def _first(text: str) -> str:
    """Return a message without the plan and the stack that follow it."""
    head, *_ = re.split(_PLAN, text.strip(), maxsplit=1)
    return one_line(" ".join(head.split()).rstrip(";"))


def last_lines(log: Path) -> str:
    """Return the end of the log for a message."""
    with suppress(OSError):
        lines = [
            line
            for line in log.read_text(encoding="utf-8", errors="replace").splitlines()
            if line.strip()
        ]
        if lines:
            return ": " + one_line(" / ".join(lines[-_LOG_LINES:]))
    return ""
