"""Checks of the generated files: the tool, the test that runs it, and the limits of both.

The head of a file, the table of its README and the output of `windfleet catalog DIR` come from
here. `tests/catalog/test_checks.py` demands that each named test exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_TESTS: Final = "tests/catalog"


@dataclass(frozen=True)
class Check:
    """A tool that has read a file. test: runs it, `file::test`."""

    tool: str
    test: str


@dataclass(frozen=True)
class Proof:
    """Checks of a file, and the claims about it that no tool without a workspace can check."""

    by: tuple[Check, ...]
    open: str

    @property
    def tools(self) -> str:
        return "; ".join(check.tool for check in self.by)


SPARK: Final = Check(
    "Spark's own parser", f"{_TESTS}/test_on_spark.py::test_spark_parses_each_statement"
)
SQLGLOT: Final = Check(
    "sqlglot, as Databricks SQL", f"{_TESTS}/test_sql.py::test_sqlglot_knows_each_statement"
)
GRAMMAR: Final = Check(
    "the grammar of the SQL reference", f"{_TESTS}/test_unity.py::test_a_typo_in_sql_is_refused"
)
UNITY: Final = Check(
    "databricks-sdk against a stub made of Unity Catalog's OpenAPI models",
    f"{_TESTS}/test_unity.py::test_the_client_installs_and_finds_what_the_files_name",
)
BUNDLES: Final = Check(
    "the types of databricks-bundles",
    f"{_TESTS}/test_bundle.py::test_resources_have_the_types_of_a_bundle",
)
REFERENCES: Final = Check(
    "each reference and path leads to something",
    f"{_TESTS}/test_bundle.py::test_references_and_paths_resolve",
)
ENGINE: Final = Check(
    "its queries on DuckDB, their columns against its widgets",
    f"{_TESTS}/test_dashboard.py::test_each_widget_shows_columns_that_its_query_returns",
)
HCL: Final = Check(
    "python-hcl2, with each reference led to its block",
    f"{_TESTS}/test_terraform.py::test_each_reference_leads_to_a_block",
)
ARGUMENTS: Final = Check(
    "arguments against a list from the provider's documentation",
    f"{_TESTS}/test_terraform.py::test_each_argument_is_known",
)
RULES: Final = Check(
    "lifecycle rules read back, by botocore's model of S3 and equal to pipeline/buckets.json",
    f"{_TESTS}/test_terraform.py::test_rules_read_back_are_those_of_the_lake",
)
POLICY: Final = Check(
    "statements of role and trust compared with Databricks' documentation",
    f"{_TESTS}/test_terraform.py::test_the_role_trusts_unity_catalog_and_itself",
)

CREDENTIAL_PROOF: Final = Proof(
    (UNITY,), "that Databricks can assume the role (`skip_validation` is not in the OpenAPI models)"
)
SECURABLES_PROOF: Final = Proof(
    (GRAMMAR, UNITY),
    "rights of the user who runs it, and that principals exist (Spark knows no such statement)",
)
SCHEMA_PROOF: Final = Proof(
    (GRAMMAR, UNITY, SPARK),
    "that the metastore has storage for the catalogue (Spark knows CREATE SCHEMA only)",
)
TABLES_PROOF: Final = Proof(
    (SPARK, SQLGLOT, UNITY),
    "read_files and its options on Databricks (open Spark runs the same statements with our "
    "read_files: windfleet query --engine spark)",
)
SQL_PROOF: Final = Proof(
    (SPARK, SQLGLOT), "a run in a workspace (windfleet query runs the same SQL)"
)
REFRESH_PROOF: Final = Proof((GRAMMAR,), "that a refresh runs, which is Databricks only")
PIPELINE_PROOF: Final = Proof(
    (SQLGLOT, SPARK),
    "OR REFRESH, which open Spark does not know (it parsed them with IF NOT EXISTS)",
)
BUNDLE_PROOF: Final = Proof(
    (REFERENCES,), "its keys (`databricks bundle validate` needs a workspace), deployed nowhere"
)
RESOURCE_PROOF: Final = Proof(
    (BUNDLES, REFERENCES), "values that only the service knows, deployed nowhere"
)
DASHBOARD_PROOF: Final = Proof(
    (ENGINE,), "the widgets' own format, which Databricks does not publish, drawn nowhere"
)
TERRAFORM_PROOF: Final = Proof(
    (HCL, ARGUMENTS), "types of the provider (`terraform validate` downloads it), applied nowhere"
)
BUCKETS_PROOF: Final = Proof(
    (HCL, ARGUMENTS, RULES), "that the bucket names are free, applied nowhere"
)
ROLE_PROOF: Final = Proof(
    (HCL, ARGUMENTS, POLICY), "that AWS and Databricks accept role and trust, applied nowhere"
)
README_PROOF: Final = Proof((REFERENCES,), "the commands in it, which need a workspace and AWS")
