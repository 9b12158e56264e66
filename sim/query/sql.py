"""Databricks SQL as text: statements, their syntax, literals."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import zip_longest
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError, TokenError
from sqlglot.tokenizer_core import TokenType

from sim.errors import QueryError

_READS: Final = (exp.Query, exp.Describe)
_WRITES: Final = (exp.Insert, exp.Update, exp.Delete, exp.Merge)
_OTHERS: Final = {
    *("ATTACH", "CALL", "CHECKPOINT", "DETACH", "EXECUTE", "EXPLAIN", "EXPORT", "IMPORT"),
    *("INSTALL", "LOAD", "PRAGMA", "PREPARE", "VACUUM"),
}
"""First words of statements that sqlglot takes for something else."""


def parsed(text: str) -> list[exp.Expr]:
    """Return the statements of a text, reads only. Raises QueryError."""
    try:
        with _quiet():
            trees = sqlglot.parse(text, read="databricks")
    except SqlglotError as error:
        if (word := _first_word(text)) in _OTHERS:
            raise _refused(word) from error
        raise QueryError(f"SQL: {_explained(error)}") from error
    except RecursionError as error:
        raise QueryError("SQL: is nested too deeply") from error
    found = [each for each in trees if each is not None and not isinstance(each, exp.Semicolon)]
    if not found:
        raise QueryError("SQL: no statement")
    for each, statement in zip_longest(found, texts(text), fillvalue=""):
        if isinstance(each, str) or not isinstance(each, _READS):
            raise _refused(_first_word(statement))
        if (write := each.find(*_WRITES)) is not None:
            raise _refused(write.key.upper())
    return found


def _explained(error: SqlglotError) -> str:
    """Return the place of an error, its reason and the text there, in one line."""
    first = (getattr(error, "errors", None) or [{}])[0]
    where = f"line {first['line']}, column {first['col']}: " if first.get("line") else ""
    near = f" near {first['highlight']!r}" if first.get("highlight") else ""
    why = str(first.get("description") or error)
    if isinstance(error, TokenError):
        inner = error.__cause__
        why = str(inner) if isinstance(inner, TokenError) else "a comment is not closed"
    why = re.sub(r"<class '[\w.]*?(\w+)'>", r"\1", why.partition("\n")[0])
    open_at = re.fullmatch(r"Missing (\S+) from (\d+):(\d+)", why)
    if open_at is not None:
        return f"line {open_at[2]}, column {open_at[3]}: {open_at[1]} is not closed"
    return f"{where}{why}{near}"


def _refused(word: str) -> QueryError:
    return QueryError(f"SQL: {word} is not answered here; only SELECT and DESCRIBE are")


def _first_word(text: str) -> str:
    """Return the first word of a text in capitals, comments passed over."""
    with suppress(SqlglotError):
        return next((each.text.upper() for each in sqlglot.tokenize(text, read="databricks")), "")
    return ""


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep sqlglot's warnings from standard error: a refused statement has our message."""
    logger = logging.getLogger("sqlglot")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def texts(text: str) -> list[str]:
    """Cut a text that `parsed` accepts into statements. Each keeps its place in the text."""
    found = []
    first = 0
    tokens = sqlglot.tokenize(text, read="databricks")
    ends = [token.start for token in tokens if token.token_type is TokenType.SEMICOLON]
    for end in (*ends, len(text)):
        statement = text[first:end]
        if sqlglot.tokenize(statement, read="databricks"):
            found.append(re.sub(r"[^\n]", " ", text[:first]) + statement)
        first = end + 1
    return found


def literal(text: str) -> exp.Expr:
    """Return a number or text as SQL."""
    if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text):
        return sqlglot.parse_one(text, read="databricks")
    return exp.Literal.string(text)
