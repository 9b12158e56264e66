"""The administrator's files, installed by the unmodified client into a stub of Unity Catalog.

`pytest -s -k installs tests/catalog/test_unity.py` shows the calls.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlglot
from sqlglot import exp

from pipeline.catalog.locations import Parameters, locations
from pipeline.catalog.tables import TABLES
from pipeline.records import BUCKET_NAMES
from tests.support.catalog_files import BOTH, HARD, Form, forms, texts

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.errors import DatabricksError, NotFound
    from databricks.sdk.service import catalog as uc

    from tests.support import unity_stub
    from tests.support.unity_stub import UnityStub

ADMIN = ("01_external_locations", "02_catalog_and_schema", "03_grants")
TYPES = {"BIGINT": "LONG", "ARRAY<STRING>": "ARRAY"}
"""Types of SQL -> names of the models, where they differ."""


@pytest.fixture(scope="module", autouse=True)
def _libraries() -> None:
    """Import the clients, which takes two seconds: every test worker collects this file."""
    global DatabricksError, NotFound, uc, unity_stub
    from databricks.sdk.errors import DatabricksError, NotFound
    from databricks.sdk.service import catalog as uc

    from tests.support import unity_stub


@pytest.fixture
def stub() -> Iterator[UnityStub]:
    """A stub of Unity Catalog; `pytest -s` shows its log."""
    with unity_stub.serving() as running:
        yield running
    for method, path, body in running.calls:
        print(method, path, (body or {}).get("name", ""))


@pytest.fixture
def client(stub: UnityStub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> WorkspaceClient:
    return unity_stub.client(stub, monkeypatch, tmp_path)


def create_credential(client: WorkspaceClient, text: str) -> None:
    given = json.loads(text)
    client.credentials.create_credential(
        name=given.pop("name"),
        purpose=uc.CredentialPurpose(given.pop("purpose")),
        aws_iam_role=uc.AwsIamRole.from_dict(given.pop("aws_iam_role")),
        **given,
    )


def run(client: WorkspaceClient, form: Form) -> None:
    """Make the call that stands for a statement."""
    parts = dict(form.parts)
    if form.kind == "location":
        client.external_locations.create(
            name=parts["name"],
            url=parts["url"],
            credential_name=parts["credential"],
            comment=parts["comment"],
        )
    elif form.kind == "catalog":
        client.catalogs.create(
            name=parts["name"], storage_root=parts.get("storage"), comment=parts["comment"]
        )
    elif form.kind == "schema":
        client.schemas.create(
            name=parts["name"], catalog_name=parts["catalog"], comment=parts["comment"]
        )
    else:
        assert form.kind == "grant"
        grant(client, parts)


def grant(client: WorkspaceClient, parts: dict[str, str]) -> None:
    """Grant through the client's HTTP layer: the description writes `USE CATALOG`, the SDK `_`."""
    privileges = parts["privileges"].split(", ")
    assert all(uc.Privilege(each.replace(" ", "_")) for each in privileges)
    kind = parts["kind"].lower().replace(" ", "_")
    client.api_client.do(
        "PATCH",
        f"{unity_stub.BASE}/permissions/{kind}/{parts['name']}",
        body={"changes": [{"principal": parts["principal"], "add": privileges, "remove": []}]},
    )


def create_tables(client: WorkspaceClient, names: Parameters, text: str) -> None:
    """Create each streaming table as an external table, the only kind that the models create."""
    for made in sqlglot.parse(text, read="databricks"):
        if not isinstance(made, exp.Create):
            continue
        source = next(made.find_all(exp.Anonymous)).expressions[0]
        client.tables.create(
            name=made.this.this.name,
            catalog_name=names.catalog,
            schema_name=names.schema,
            table_type=uc.TableType.EXTERNAL,
            data_source_format=uc.DataSourceFormat.PARQUET,
            storage_location=source.name,
            columns=[
                column_info(position, column)
                for position, column in enumerate(made.this.expressions)
            ],
        )


def column_info(position: int, column: exp.ColumnDef) -> uc.ColumnInfo:
    kind = column.args["kind"].sql("databricks")
    comment = column.find(exp.CommentColumnConstraint)
    return uc.ColumnInfo(
        name=column.name,
        position=position,
        type_text=kind.lower(),
        type_name=uc.ColumnTypeName(TYPES.get(kind, kind)),
        comment=comment.this.name if comment else None,
    )


def install(client: WorkspaceClient, names: Parameters, files: dict[str, str]) -> None:
    """Make the calls of all administrator's files and of the tables, in their order."""
    create_credential(client, files["sql/00_storage_credential.json"])
    for name in ADMIN:
        for form in forms(files[f"sql/{name}.sql"]):
            run(client, form)
    create_tables(client, names, files["sql/04_streaming_tables.sql"])


@pytest.mark.parametrize("names", BOTH.values(), ids=BOTH)
def test_the_client_installs_and_finds_what_the_files_name(
    client: WorkspaceClient, stub: UnityStub, names: Parameters
) -> None:
    install(client, names, texts(names))
    (credential,) = client.credentials.list_credentials()
    assert credential.aws_iam_role is not None
    assert (credential.name, credential.aws_iam_role.role_arn) == (
        names.credential,
        names.role_arn,
    )
    assert [
        (each.name, each.url, each.credential_name) for each in client.external_locations.list()
    ] == [(each.name, each.url, names.credential) for each in locations(names)]
    assert len(stub.objects["external-locations"]) == len(BUCKET_NAMES) == 6
    (catalog,) = client.catalogs.list()
    assert (catalog.name, catalog.storage_root or "") == (names.catalog, names.managed_location)
    assert [each.full_name for each in client.schemas.list(names.catalog)] == [
        f"{names.catalog}.{names.schema}"
    ]
    found = list(client.tables.list(names.catalog, names.schema))
    assert [
        (each.name, [(col.name, str(col.type_text), col.comment) for col in each.columns or ()])
        for each in found
    ] == [
        (table.name, [(name, kind.lower(), unit or None) for name, kind, unit in table.columns])
        for table in TABLES
    ]
    inside = {location.url for location in locations(names)}
    assert all(str(each.storage_location).startswith(tuple(inside)) for each in found)


def test_readers_and_engineers_get_their_rights(client: WorkspaceClient, stub: UnityStub) -> None:
    install(client, HARD, texts(HARD))
    schema = f"{HARD.catalog}.{HARD.schema}"
    assert stub.grants[f"catalogs/{HARD.catalog}"] == {
        HARD.readers: ["USE CATALOG"],
        HARD.engineers: ["USE CATALOG"],
    }
    assert stub.grants[f"schemas/{schema}"] == {
        HARD.readers: ["USE SCHEMA", "SELECT"],
        HARD.engineers: ["USE SCHEMA", "CREATE TABLE", "SELECT"],
    }
    files = {name: held for name, held in stub.grants.items() if "external" in name}
    assert files == {
        f"external-locations/{HARD.location(stage)}": {HARD.engineers: ["READ FILES"]}
        for stage in ("ingestion", "validated", "enriched", "aggregated")
    }


@pytest.mark.parametrize(
    ("file", "right", "typo"),
    [
        ("01_external_locations", "STORAGE CREDENTIAL", "STORAGE CREDENTAIL"),
        ("02_catalog_and_schema", "CREATE CATALOG", "CREATE CATALOGUE"),
        ("02_catalog_and_schema", "IF NOT EXISTS", "IF NOT EXIST"),
        ("03_grants", "GRANT", "GRAND"),
        ("06_refresh", "STREAMING TABLE wind", "STREAMIN TABLE wind"),
        ("03_grants", "`;", "` ;--"),
    ],
)
def test_a_typo_in_sql_is_refused(file: str, right: str, typo: str) -> None:
    text = texts(Parameters())[f"sql/{file}.sql"]
    assert list(forms(text))
    assert right in text
    with pytest.raises(AssertionError, match=r"no form|semicolon"):
        list(forms(text.replace(right, typo, 1)))


@pytest.mark.parametrize(
    ("file", "right", "wrong", "reason"),
    [
        ("00_storage_credential.json", '"purpose"', '"purpos"', "purpos"),
        ("00_storage_credential.json", '"comment": "', '"coment": "', "coment"),
        ("00_storage_credential.json", '"expanso_lake"', "7", "valid string"),
        ("01_external_locations.sql", "`expanso_lake`", "`lake`", "credentials: no lake"),
        ("01_external_locations.sql", "`expanso_metadata`", "`expanso_enriched`", "exists"),
        ("02_catalog_and_schema.sql", "`windfleet`.", "`windflet`.", "catalogs: no windflet"),
        ("03_grants.sql", "SELECT", "SELECTS", "SELECTS"),
        ("03_grants.sql", "`windfleet`.`turbines`", "`windfleet`.`turbine`", "schemas: no"),
        ("04_streaming_tables.sql", "`id` BIGINT", "`id` DECIMAL(3, 1)", "DECIMAL"),
    ],
)
def test_a_defect_in_a_file_is_found(
    client: WorkspaceClient, file: str, right: str, wrong: str, reason: str
) -> None:
    files = texts(Parameters())
    assert right in files[f"sql/{file}"]
    files[f"sql/{file}"] = files[f"sql/{file}"].replace(right, wrong, 1)
    with pytest.raises((DatabricksError, KeyError, TypeError, ValueError), match=reason):
        install(client, Parameters(), files)


def test_a_missing_bucket_is_found(client: WorkspaceClient) -> None:
    """The grants of the engineers name a location that is gone."""
    files = texts(HARD)
    name = "sql/01_external_locations.sql"
    kept, _, rest = files[name].partition("CREATE EXTERNAL LOCATION IF NOT EXISTS `0-a-enriched`")
    files[name] = kept + rest.partition(";\n")[2]
    with pytest.raises(NotFound, match="0-a-enriched"):
        install(client, HARD, files)


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/catalogs", {"name": "x", "colour": "red"}, "colour"),
        ("/catalogs", {"name": 7}, "valid string"),
        ("/catalogs", {"comment": "x"}, "name"),
        ("/catalogues", {"name": "x"}, "no POST /catalogues"),
        ("/storage-credentials", {"name": "x"}, "no POST /storage-credentials"),
    ],
)
def test_the_stub_refuses_what_the_description_does_not_have(
    client: WorkspaceClient, path: str, body: dict[str, object], reason: str
) -> None:
    with pytest.raises(DatabricksError, match=reason):
        client.api_client.do("POST", f"{unity_stub.BASE}{path}", body=body)


def test_fields_that_only_databricks_has(client: WorkspaceClient) -> None:
    """The files do without them, or an administrator sets them: file events, skipped validation."""
    role = uc.AwsIamRole(role_arn=Parameters().role_arn)
    with pytest.raises(DatabricksError, match="skip_validation"):
        client.credentials.create_credential(
            "lake", aws_iam_role=role, purpose=uc.CredentialPurpose.STORAGE, skip_validation=True
        )
    create_credential(client, texts(Parameters())["sql/00_storage_credential.json"])
    for extra in ("enable_file_events", "read_only"):
        with pytest.raises(DatabricksError, match=extra):
            client.external_locations.create("x", "s3://x/", "expanso_lake", **{extra: True})
    client.catalogs.create("x")
    change = uc.PermissionsChange(add=[uc.Privilege.USE_CATALOG], principal="y")
    with pytest.raises(DatabricksError, match="USE CATALOG"):
        client.grants.update("catalog", "x", changes=[change])


def test_the_client_reads_no_profile_and_no_variable(
    stub: UnityStub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    profile = tmp_path / ".databrickscfg"
    profile.write_text("[DEFAULT]\nhost = http://127.0.0.1:9\ntoken = of-a-user\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DATABRICKS_HOST", "http://127.0.0.1:9")
    monkeypatch.setenv("DATABRICKS_TOKEN", "of-a-user")
    monkeypatch.setenv("DATABRICKS_CLIENT_ID", "of-a-user")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    empty = tmp_path / "empty"
    empty.mkdir()
    client = unity_stub.client(stub, monkeypatch, empty)
    client.catalogs.create("x")
    assert client.config.token == "of-a-test"
    assert ("POST", f"{unity_stub.BASE}/catalogs", {"name": "x"}) in stub.calls
