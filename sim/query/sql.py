"""Databricks SQL as text: statements, their syntax, literals."""

from __future__ import annotations

import re
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import TokenType

from sim.errors import QueryError

_READS: Final = (exp.Query, exp.Describe, exp.Show)


def parsed(text: str) -> list[exp.Expr]:
    """Return the statements of a text, reads only. Raises QueryError."""
    try:
        found = [each for each in sqlglot.parse(text, read="databricks") if each is not None]
    except SqlglotError as error:
        details = getattr(error, "errors", None) or [{}]
        first = details[0]
        where = f"line {first['line']}, column {first['col']}: " if first.get("line") else ""
        near = f" near {first['highlight']!r}" if first.get("highlight") else ""
        raise QueryError(f"SQL: {where}{first.get('description', error)}{near}") from error
    if not found:
        raise QueryError("SQL: no statement")
    for each in found:
        if not isinstance(each, _READS):
            raise QueryError(
                f"SQL: {each.key.upper()} is not answered here; only SELECT, DESCRIBE and SHOW are"
            )
    return found


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
