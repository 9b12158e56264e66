"""The SQL files: known to sqlglot statement by statement, in an order that can be run."""

from __future__ import annotations

import re

import pytest
import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError

from pipeline.catalog import ddl, statements
from pipeline.catalog.locations import Parameters
from pipeline.catalog.tables import BY_NAME, TABLES
from sim.catalog import checks
from tests.support import catalog_files
from tests.support.catalog_files import BOTH, HARD, forms, texts

USUAL = texts(Parameters())
READ = [file for file in catalog_files.sql_files(Parameters()) if checks.SQLGLOT in file.proof.by]


def parsed(text: str) -> list[exp.Expression]:
    """Return the statements of a file. A statement that sqlglot only carries along is an error."""
    found = []
    for statement in catalog_files.statements(text):
        (made,) = sqlglot.parse(statement, read="databricks")
        assert made is not None
        assert not list(made.find_all(exp.Command)), f"not known to sqlglot: {statement[:60]}"
        found.append(made)
    assert found
    return found


@pytest.mark.parametrize("file", READ, ids=lambda file: file.path)
def test_sqlglot_knows_each_statement(file: catalog_files.File) -> None:
    assert parsed(file.text)


@pytest.mark.parametrize("file", catalog_files.sql_files(Parameters()), ids=lambda file: file.path)
def test_each_sql_file_is_read_by_a_parser_or_by_the_grammar(file: catalog_files.File) -> None:
    """A file that sqlglot does not know in full is one of the grammar's."""
    if checks.GRAMMAR in file.proof.by:
        assert list(forms(file.text))
        return
    assert checks.SQLGLOT in file.proof.by


@pytest.mark.parametrize(
    ("file", "right", "typo"),
    [
        ("sql/04_streaming_tables.sql", "CREATE STREAMING", "CREATE STREAMIN"),
        ("sql/04_streaming_tables.sql", "IF NOT EXISTS wind", "IF NOT EXIST wind"),
        ("sql/04_streaming_tables.sql", "AS SELECT", "AS SELEC"),
        ("sql/05_views.sql", "CREATE OR REPLACE", "CREATE OR REPLCE"),
        ("sql/queries/anomaly_detection.sql", "DECLARE OR", "DECLAR OR"),
        ("sql/queries/turbine_performance.sql", "GROUP BY", "GROUPS BY"),
        ("bundle/src/pipeline/streaming_tables.sql", "CREATE OR REFRESH", "CREATE OR REFERSH"),
    ],
)
def test_a_typo_is_found(file: str, right: str, typo: str) -> None:
    assert right in USUAL[file]
    with pytest.raises((ParseError, AssertionError)):
        parsed(USUAL[file].replace(right, typo, 1))


def test_the_numbers_are_an_order() -> None:
    """Each object that a file names was created by a file before it, or by itself."""
    made = {"expanso_lake"}
    for path in sorted(path for path in USUAL if re.match(r"sql/\d\d_\w+\.sql", path)):
        if path[4:6] in ("04", "05"):
            for statement in parsed(USUAL[path]):
                if isinstance(statement, exp.Use):
                    assert f"{statement.this.db}.{statement.this.name}" in made
                    continue
                ctes = {cte.alias for cte in statement.find_all(exp.CTE)}
                read = {table.name for table in statement.expression.find_all(exp.Table)} - ctes
                assert read - {""} <= made, path
                made.add(statement.find(exp.Table).name)
            continue
        for form in forms(USUAL[path]):
            parts = form.parts
            if form.kind in ("grant", "use", "refresh"):
                full = f"{parts['catalog']}." if form.kind == "use" else ""
                assert full + parts["name"] in made, path
                continue
            assert made >= {parts[key] for key in ("credential", "catalog") if key in parts}
            full = f"{parts['catalog']}." if form.kind == "schema" else ""
            made.add(full + parts["name"])
    assert set(BY_NAME) | set(statements.VIEWS) <= made


def test_the_tables_have_their_columns_types_and_units() -> None:
    found = {}
    for statement in parsed(USUAL["sql/04_streaming_tables.sql"])[1:]:
        name = statement.this.this.name
        found[name] = [
            (
                column.name,
                column.args["kind"].sql("databricks"),
                comment.this.name if (comment := column.find(exp.CommentColumnConstraint)) else "",
            )
            for column in statement.this.expressions
        ]
    assert found == {table.name: list(table.columns) for table in TABLES}


def test_a_pipeline_differs_by_its_verb_only() -> None:
    """So what Spark says of the one holds for the other."""
    alone = "\n\n".join(
        f"{text};" for text in catalog_files.statements(USUAL["sql/04_streaming_tables.sql"])[1:]
    )
    inside = "\n\n".join(
        f"{text};"
        for text in catalog_files.statements(USUAL["bundle/src/pipeline/streaming_tables.sql"])
    )
    assert inside.count(ddl.CREATE_IN_PIPELINE) == len(TABLES)
    assert inside.replace(ddl.CREATE_IN_PIPELINE, ddl.CREATE) == alone


def test_a_bundle_differs_by_its_schema_only() -> None:
    for name in statements.QUERIES:
        first, *rest = catalog_files.statements(USUAL[f"bundle/src/queries/{name}.sql"])
        assert first == "USE IDENTIFIER(:schema)"
        assert rest == catalog_files.statements(USUAL[f"sql/queries/{name}.sql"])[1:]
    views = [
        catalog_files.statements(USUAL[f"bundle/src/views/{name}.sql"])[1]
        for name in statements.VIEWS
    ]
    assert views == catalog_files.statements(USUAL["sql/05_views.sql"])[1:]


@pytest.mark.parametrize("names", BOTH.values(), ids=BOTH)
def test_no_name_leaves_its_quotes(names: Parameters) -> None:
    """Read back by sqlglot, the names are those that were given; nothing else is a statement."""
    files = texts(names)
    for path, text in files.items():
        if not re.match(r"sql/(04|05|06|queries)", path):
            continue
        use, *rest = catalog_files.statements(text)
        (made,) = sqlglot.parse(use, read="databricks")
        assert isinstance(made, exp.Use)
        assert (made.this.db, made.this.name) == (names.catalog, names.schema)
        usual = catalog_files.statements(USUAL[path])[1:]
        assert [text.replace(names.bucket_prefix, "") for text in rest] == [
            text.replace(Parameters().bucket_prefix, "") for text in usual
        ]


def test_the_hard_names_are_hard() -> None:
    """Without quotes each of them breaks its statement."""
    with pytest.raises((ParseError, sqlglot.errors.TokenError)):
        sqlglot.parse(f"USE SCHEMA {HARD.catalog}.{HARD.schema}", read="databricks")
