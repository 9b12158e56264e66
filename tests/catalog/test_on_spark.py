"""The SQL files on Spark's own parser. Needs `make spark`: only in `make test-all`."""

from __future__ import annotations

import pytest

from pipeline.catalog import ddl
from sim.catalog import checks
from tests.support import spark_parser
from tests.support.catalog_files import BOTH, sql_files, statements

pytestmark = pytest.mark.campaign

DATABRICKS_ONLY = (
    "CREATE CATALOG IF NOT EXISTS `x`",
    "CREATE EXTERNAL LOCATION IF NOT EXISTS `x` URL 's3://x/' WITH (STORAGE CREDENTIAL `y`)",
    "GRANT USE CATALOG ON CATALOG `x` TO `y`",
    "REFRESH STREAMING TABLE x",
    "CREATE OR REFRESH STREAMING TABLE x AS SELECT 1 AS a",
)
TYPOS = (
    ("CREATE STREAMING TABLE", "CREATE STREAMIN TABLE"),
    ("IF NOT EXISTS wind", "IF NOT EXIST wind"),
    ("FROM STREAM read_files", "FORM STREAM read_files"),
    ("CREATE OR REPLACE VIEW", "CREATE OR REPLCE VIEW"),
    ("GROUP BY", "GROUPS BY"),
    ("DECLARE OR REPLACE VARIABLE", "DECLARE OR REPLACE VARIBLE"),
    ("USE SCHEMA", "USE SCHEME"),
    ("`rows` BIGINT", "`rows BIGINT"),
)


def for_spark(name: str) -> list[tuple[str, str]]:
    """Return (path, statement) of every statement that a head says Spark has parsed."""
    return [
        (file.path, statement.replace(ddl.CREATE_IN_PIPELINE, ddl.CREATE))
        for file in sql_files(BOTH[name])
        if checks.SPARK in file.proof.by
        for statement in statements(file.text)
        if not statement.startswith("CREATE CATALOG")
    ]


def test_spark_parses_each_statement() -> None:
    found = [each for name in BOTH for each in for_spark(name)]
    assert len(found) > 60
    answers = spark_parser.problems([statement for _, statement in found])
    assert [(path, text) for (path, _), text in zip(found, answers, strict=True) if text] == []


def test_spark_refuses_a_typo_and_what_only_databricks_knows() -> None:
    """So the heads claim no more than Spark has read."""
    usual = [statement for _, statement in for_spark("usual")]
    broken = []
    for right, wrong in TYPOS:
        statement = next(each for each in usual if right in each)
        broken.append(statement.replace(right, wrong, 1))
    asked = [*broken, *DATABRICKS_ONLY]
    answers = spark_parser.problems(asked)
    accepted = [statement for statement, text in zip(asked, answers, strict=True) if not text]
    assert accepted == []
