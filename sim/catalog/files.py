"""Every file of the folder, in the order in which an administrator needs them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.catalog import ddl, securables, statements
from pipeline.catalog.locations import Parameters
from sim.catalog import bundle, checks, dashboard, readme, sql, terraform
from sim.catalog.checks import Proof

_WIDTH: Final = 98
_COMMENT: Final = {"sql": "--", "tf": "#", "yml": "#"}
"""Sign of a comment by file type; a JSON file has none, so the README speaks for it."""


@dataclass(frozen=True)
class File:
    """A file of the folder: its path there, its text without the head, title and proof."""

    path: str
    title: str
    body: str
    proof: Proof

    @property
    def text(self) -> str:
        """The file as it is written."""
        sign = _COMMENT.get(self.path.rpartition(".")[2])
        return head(sign, self.title, self.proof) + self.body if sign else self.body


def files(parameters: Parameters) -> list[File]:
    """Return all files. The README, which lists the others, comes first."""
    others = [*_sql(parameters), *_bundle(parameters), *_aws(parameters)]
    title = "order of installation, and each file with its checks"
    listed = [(file.path, file.title, file.proof) for file in others]
    listed.insert(0, ("README.md", title, checks.README_PROOF))
    body = readme.text(parameters, listed)
    return [File("README.md", title, body, checks.README_PROOF), *others]


def head(sign: str, title: str, proof: Proof) -> str:
    """Return the comment at the head of a file."""
    lines = [
        f"{title[0].upper()}{title[1:]}.",
        "Written by `windfleet catalog`.",
        f"Checked in the tests of windfleet by: {proof.tools}.",
        f"Nothing offline can check: {proof.open}.",
    ]
    wrapped = [part for line in lines for part in _wrapped(line, _WIDTH - len(sign))]
    return "".join(f"{sign} {line}\n" for line in wrapped) + "\n"


def _wrapped(line: str, width: int) -> list[str]:
    return textwrap.wrap(line, width, subsequent_indent="  ", break_on_hyphens=False)


def _sql(parameters: Parameters) -> list[File]:
    def located(*bodies: str) -> str:
        return "\n".join((sql.use(parameters), *bodies))

    numbered = (
        (
            "01_external_locations",
            "external locations of the six buckets",
            "\n".join(securables.external_locations(parameters)),
            checks.SECURABLES_PROOF,
        ),
        (
            "02_catalog_and_schema",
            "catalogue and schema",
            "\n".join((securables.catalog(parameters), securables.schema(parameters))),
            checks.SCHEMA_PROOF,
        ),
        (
            "03_grants",
            "grants for readers and, where named, engineers",
            "\n".join(securables.grants(parameters)) or "-- No principal was named.\n",
            checks.SECURABLES_PROOF,
        ),
        (
            "04_streaming_tables",
            "streaming tables, one per stage and one of rejected rows",
            located(*sql.tables(parameters, ddl.CREATE)),
            checks.TABLES_PROOF,
        ),
        ("05_views", "views over the tables", located(*sql.views()), checks.SQL_PROOF),
        (
            "06_refresh",
            "load of new objects; run it on a schedule where no bundle does",
            located(sql.refresh()),
            checks.REFRESH_PROOF,
        ),
    )
    credential = File(
        "sql/00_storage_credential.json",
        "storage credential, for which SQL has no statement: body of the REST call",
        dashboard.json_text(securables.credential(parameters)),
        checks.CREDENTIAL_PROOF,
    )
    return [
        credential,
        *(File(f"sql/{name}.sql", title, body, proof) for name, title, body, proof in numbered),
        *_queries("sql/queries", sql.use(parameters)),
    ]


def _queries(folder: str, use: str) -> list[File]:
    return [
        File(
            f"{folder}/{name}.sql",
            f"query {name.replace('_', ' ')}",
            "\n".join((use, sql.query(name))),
            checks.SQL_PROOF,
        )
        for name in statements.QUERIES
    ]


def _bundle(parameters: Parameters) -> list[File]:
    resource: Sequence[tuple[str, str, str]] = (
        ("pipeline", "pipeline that fills the streaming tables", bundle.pipeline()),
        ("job", "job: load, views, queries, dashboard; every hour", bundle.job()),
        ("dashboard", "dashboard over the views", bundle.dashboard()),
    )
    return [
        File(
            "bundle/databricks.yml",
            "asset bundle: variables and targets",
            bundle.root(parameters),
            checks.BUNDLE_PROOF,
        ),
        *(
            File(f"bundle/resources/{name}.yml", title, body, checks.RESOURCE_PROOF)
            for name, title, body in resource
        ),
        File(
            f"bundle/{bundle.TABLES_FILE}",
            "streaming tables, as a pipeline of Databricks creates them",
            "\n".join(sql.tables(parameters, ddl.CREATE_IN_PIPELINE)),
            checks.PIPELINE_PROOF,
        ),
        *(
            File(
                f"bundle/{bundle.view_file(name)}",
                f"view {name}",
                "\n".join((sql.USE_PARAMETER, statements.view(name))),
                checks.SQL_PROOF,
            )
            for name in statements.VIEWS
        ),
        *_queries("bundle/src/queries", sql.USE_PARAMETER),
        File(
            f"bundle/{bundle.DASHBOARD_FILE}",
            "dashboard: energy, anomalies, maintenance",
            dashboard.text(),
            checks.DASHBOARD_PROOF,
        ),
    ]


def _aws(parameters: Parameters) -> list[File]:
    return [
        File(
            "aws/main.tf",
            "provider and variables",
            terraform.main(parameters),
            checks.TERRAFORM_PROOF,
        ),
        File(
            "aws/buckets.tf",
            "six buckets with their lifecycle policies",
            terraform.buckets(),
            checks.BUCKETS_PROOF,
        ),
        File(
            "aws/role.tf",
            "role that Unity Catalog assumes, with the rights for managed file events",
            terraform.role(),
            checks.ROLE_PROOF,
        ),
        File(
            "aws/outputs.tf",
            "values for the workspace's side",
            terraform.outputs(),
            checks.TERRAFORM_PROOF,
        ),
    ]
