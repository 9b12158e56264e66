"""Databricks SQL on DuckDB.

sqlglot translates each statement. Three things are put in before DuckDB runs it: the clock
(`current_date()`, `current_timestamp()` and `now()` become one instant), free names that the user
binds (`--set threshold_value=7.5`), and the Delta tables, read through Arrow.

DuckDB may neither read files nor load extensions: SQL reaches the warehouse's tables only.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import duckdb
import pyarrow as pa
import sqlglot
from deltalake import DeltaTable
from sqlglot import exp

from pipeline.catalog import statements
from pipeline.catalog.tables import BY_NAME
from pipeline.terminal import one_line
from sim.errors import QueryError
from sim.query.sql import literal, parsed
from sim.query.warehouse import Warehouse

_CLOCKS: Final = (exp.CurrentTimestamp, exp.CurrentDate, exp.CurrentDatetime, exp.CurrentTime)

_DEEP: Final = "SQL: is nested too deeply"


@functools.cache
def _view(name: str) -> exp.Expr:
    """Return the statement that creates a view. Whoever changes it changes a copy."""
    return sqlglot.parse_one(statements.view(name), read="databricks")


class Engine:
    """A DuckDB connection over a warehouse.

    now: the clock of the SQL. variables: name -> literal. threads: None for one per core. With one,
    the same tables give the same bytes: several add up floats in another order every time.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        now: datetime | None = None,
        variables: Mapping[str, str] = {},
        threads: int | None = None,
    ) -> None:
        """Raises QueryError."""
        self._now = (now or datetime.now(UTC)).astimezone(UTC)
        self._variables = {name.lower(): literal(text) for name, text in variables.items()}
        self._connection = duckdb.connect(
            config={
                "enable_external_access": "false",
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "python_enable_replacements": "false",
            }
        )
        if threads is not None:
            self._connection.execute(f"SET threads = {threads}")
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute("SET enable_progress_bar = false")  # a notebook has it on
        self._columns: dict[str, list[str]] = {}
        for name in BY_NAME:
            table = DeltaTable(str(warehouse.table(name)))
            dataset = table.to_pyarrow_dataset()
            self._columns[name] = list(dataset.schema.names)
            self._connection.register(name, dataset)
        for name in statements.VIEWS:
            self._connection.execute(self._prepared(_view(name)).sql("duckdb"))
            found = self._connection.execute(f'DESCRIBE "{name}"').fetchall()
            self._columns[name] = [row[0] for row in found]
        self._connection.execute("SET lock_configuration = true")

    def run(self, text: str) -> Iterator[pa.Table]:
        """Yield the rows of each statement. Raises QueryError."""
        for statement in parsed(text):
            try:
                yield self._answer(self._prepared(statement).sql("duckdb"))
            except RecursionError as error:
                raise QueryError(_DEEP) from error
            except duckdb.Error as error:
                raise QueryError(self._explained(str(error), statement)) from error

    def _answer(self, sql: str) -> pa.Table:
        """Return the rows of one statement. A signal ends it at once.

        DuckDB runs in a thread of its own. In the main thread it would not see a signal, or
        would turn it into an error.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="duckdb") as pool:
            rows = pool.submit(lambda: self._connection.sql(sql).to_arrow_table())
            with self._interrupted(rows):
                return rows.result()

    @contextmanager
    def _interrupted(self, rows: Future[pa.Table]) -> Iterator[None]:
        """End the statement behind `rows` if the block is left early."""
        try:
            yield
        finally:
            while not rows.done():  # DuckDB forgets an interrupt that comes before it starts
                self._connection.interrupt()
                wait([rows], timeout=0.05)

    def _prepared(self, statement: exp.Expr) -> exp.Expr:
        """Return the statement with the clock and the user's names in it."""

        named = self._names(statement)

        def put(node: exp.Expr) -> exp.Expr:
            if isinstance(node, exp.CurrentDate):
                return exp.cast(exp.Literal.string(self._now.date().isoformat()), "date")
            if isinstance(node, _CLOCKS) or (
                isinstance(node, exp.Anonymous) and node.name.lower() == "now"
            ):
                return exp.cast(exp.Literal.string(self._now.isoformat()), "timestamptz")
            if isinstance(node, exp.Column) and not node.table:
                value = self._variables.get(node.name.lower())
                if value is not None and node.name.lower() not in named:
                    whole = isinstance(node.parent, exp.Select) and node.arg_key == "expressions"
                    return exp.alias_(value.copy(), node.name) if whole else value.copy()
            return node

        return statement.transform(put)

    def _names(self, statement: exp.Expr) -> set[str]:
        """Return the columns of the tables and of the statement: names that are not free."""
        names = {name for columns in self._columns.values() for name in columns}
        for alias in statement.find_all(exp.Alias):
            if alias.this.name.lower() != alias.alias.lower():  # not `SELECT x AS x`
                names.add(alias.alias.lower())
        for table in statement.find_all(exp.TableAlias):
            names |= {column.name.lower() for column in table.columns}
        return names

    def _explained(self, text: str, statement: exp.Expr) -> str:
        """Return DuckDB's message, the nearest name, and the columns of the tables used."""
        if "max_expression_depth" in text:
            return _DEEP
        address = re.search(r'Cannot access file "([^"]+)"|Table with name (\S*/\S*)', text)
        if address is not None:
            return (
                f"SQL: {one_line(address[1] or address[2])} is not read: SQL reaches the tables "
                "and views of the warehouse only; a lake is loaded with DIR, --lake DIR or "
                "--endpoint-url URL"
            )
        first = re.sub(r"\s*(LINE \d+:|Candidate bindings|Did you mean).*", "", text, flags=re.S)
        parts = [" ".join(first.split())]
        column = re.search(r'column "([^"]+)" (?:was )?not found|column named "([^"]+)"', text)
        table = re.search(r"(?<!Function) with name (\S+)", text)
        if column is not None:
            wanted = column[1] or column[2]
            used = {each.name for each in statement.find_all(exp.Table)} & self._columns.keys()
            parts += _nearest(wanted, [c for name in used for c in self._columns[name]])
            parts += [f"{name} has {', '.join(self._columns[name])}" for name in sorted(used)]
            if column[1] and wanted.isidentifier():
                parts.append(f"to bind a free name: --set {wanted}=VALUE")
        elif table is not None:
            parts += _nearest(table[1].rpartition(".")[2], list(self._columns))
            parts.append(f"tables and views: {', '.join(self._columns)}")
        return one_line("; ".join(parts))


def _nearest(name: str, names: Sequence[str]) -> list[str]:
    return [f"nearest name: {each}" for each in difflib.get_close_matches(name, names, 1)]
