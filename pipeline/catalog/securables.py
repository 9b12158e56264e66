"""Statements for what an administrator installs once: locations, catalogue, schema and grants.

Databricks SQL has no statement that creates a storage credential, so `credential` is the body of
the REST call (`databricks credentials create-credential --json`).
"""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.catalog.ddl import literal, quoted
from pipeline.catalog.locations import Parameters, locations
from pipeline.catalog.tables import TABLES

_READ = ("SELECT",)
_BUILD = ("CREATE TABLE", "SELECT")


def credential(parameters: Parameters) -> dict[str, object]:
    """Return the request that creates the storage credential."""
    return {
        "name": parameters.credential,
        "purpose": "STORAGE",
        "aws_iam_role": {"role_arn": parameters.role_arn},
        "comment": "role that reads the buckets of the wind fleet's lake",
    }


def external_locations(parameters: Parameters) -> Iterator[str]:
    """Yield the statement of each external location."""
    for location in locations(parameters):
        yield (
            f"CREATE EXTERNAL LOCATION IF NOT EXISTS {quoted(location.name)}\n"
            f"URL {literal(location.url)}\n"
            f"WITH (STORAGE CREDENTIAL {quoted(parameters.credential)})\n"
            f"COMMENT {literal(f'bucket {location.bucket} of the wind fleet lake')};\n"
        )


def catalog(parameters: Parameters) -> str:
    """Return the statement of the catalogue."""
    storage = parameters.managed_location
    managed = f"MANAGED LOCATION {literal(storage)}\n" if storage else ""
    return (
        f"CREATE CATALOG IF NOT EXISTS {quoted(parameters.catalog)}\n"
        f"{managed}COMMENT {literal('wind fleet')};\n"
    )


def schema(parameters: Parameters) -> str:
    """Return the statement of the schema."""
    return (
        f"CREATE SCHEMA IF NOT EXISTS {schema_name(parameters)}\n"
        f"COMMENT {literal('sensor readings and windows of wind turbines')};\n"
    )


def grants(parameters: Parameters) -> Iterator[str]:
    """Yield the grants: readers query the tables; engineers also read the buckets and build."""
    for principal, on_schema in ((parameters.readers, _READ), (parameters.engineers, _BUILD)):
        if not principal:
            continue
        to = f"TO {quoted(principal)};\n"
        privileges = ", ".join(("USE SCHEMA", *on_schema))
        yield f"GRANT USE CATALOG ON CATALOG {quoted(parameters.catalog)} {to}"
        yield f"GRANT {privileges} ON SCHEMA {schema_name(parameters)} {to}"
    if parameters.engineers:
        read = {table.bucket for table in TABLES}
        for location in locations(parameters):
            if location.bucket in read:
                yield (
                    f"GRANT READ FILES ON EXTERNAL LOCATION {quoted(location.name)} "
                    f"TO {quoted(parameters.engineers)};\n"
                )


def schema_name(parameters: Parameters) -> str:
    """Return the schema's full name, quoted."""
    return f"{quoted(parameters.catalog)}.{quoted(parameters.schema)}"
