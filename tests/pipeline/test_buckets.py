"""The six buckets: made once from `buckets.json`, by windfleet and by the Docker init hook.

Buckets of another owner stay unchanged.
"""

import json
import os
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError

from pipeline import lake
from sim.store.localstack import EmbeddedLocalStack
from tests.support.paths import ROOT
from tests.support.servers import Reply, served

REPOSITORY = ROOT
NAMES = [
    f"expanso-databricks-{stage}"
    for stage in ("ingestion", "validated", "enriched", "aggregated", "checkpoints", "metadata")
]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Server for this file only, because these tests remove buckets."""
    with EmbeddedLocalStack() as store:
        yield store.endpoint_url


@pytest.fixture
def no_buckets(server: str) -> Any:
    """(endpoint URL, client) of a server without any bucket."""
    s3 = lake.client(server)
    for found in s3.list_buckets()["Buckets"]:
        for item in s3.list_objects_v2(Bucket=found["Name"]).get("Contents", ()):
            s3.delete_object(Bucket=found["Name"], Key=item["Key"])
        # LocalStack 4.13.1 would give them to the next of that name
        s3.delete_bucket_tagging(Bucket=found["Name"])
        s3.delete_bucket(Bucket=found["Name"])
    return server, s3


def as_found(s3: Any, name: str) -> dict[str, Any]:
    return {
        "region": s3.get_bucket_location(Bucket=name)["LocationConstraint"],
        "tags": {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=name)["TagSet"]},
        "lifecycle": s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"],
    }


def as_wanted(stage: str) -> dict[str, Any]:
    return {
        "region": "us-west-2",
        "tags": {"created-by": "windfleet"},
        "lifecycle": lake.LIFECYCLE[stage],
    }


def test_the_six_buckets_are_made_once_as_the_data_says(no_buckets: Any) -> None:
    endpoint, s3 = no_buckets
    assert lake.missing(endpoint) == NAMES
    assert lake.ensure(endpoint) == NAMES
    assert lake.missing(endpoint) == []
    assert {stage: as_found(s3, lake.BUCKETS[stage]) for stage in lake.BUCKETS} == {
        stage: as_wanted(stage) for stage in lake.BUCKETS
    }
    assert lake.ensure(endpoint) == []


def test_only_missing_or_altered_settings_are_written_again(no_buckets: Any) -> None:
    endpoint, s3 = no_buckets
    lake.ensure(endpoint)
    s3.delete_bucket(Bucket=NAMES[2])
    s3.delete_bucket_lifecycle(Bucket=NAMES[4])
    assert lake.ensure(endpoint) == [NAMES[2]]
    assert as_found(s3, NAMES[4]) == as_wanted("checkpoints")


def test_a_bucket_of_another_owner_is_used_but_not_changed(no_buckets: Any) -> None:
    endpoint, s3 = no_buckets
    location = {"LocationConstraint": lake.REGION}
    s3.create_bucket(Bucket=NAMES[0], CreateBucketConfiguration=location)
    assert lake.ensure(endpoint) == NAMES[1:]
    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket=NAMES[0])
    s3.put_object(Bucket=NAMES[1], Key="ours", Body=b"x")
    assert lake.empty(endpoint) == 1
    s3.put_object(Bucket=NAMES[0], Key="theirs", Body=b"x")
    s3.put_object(Bucket=NAMES[5], Key="ours", Body=b"x")
    with pytest.raises(lake.LakeError, match=f"{NAMES[0]} was not made by windfleet"):
        lake.empty(endpoint)
    assert (
        s3.list_objects_v2(Bucket=NAMES[0])["KeyCount"]
        == s3.list_objects_v2(Bucket=NAMES[5])["KeyCount"]
        == 1
    )


def test_empty_removes_every_page(clean_lake: str) -> None:
    s3 = lake.client(clean_lake)
    for n in range(25):
        s3.put_object(Bucket=lake.BUCKETS["enriched"], Key=f"enriched/year=2024/{n}", Body=b"x")
    assert lake.empty(clean_lake) == 25
    assert lake.empty(clean_lake) == 0


def test_incomplete_uploads_are_reported_and_removed(clean_lake: str) -> None:
    s3, name = lake.client(clean_lake), lake.BUCKETS["enriched"]
    assert lake.incomplete_uploads(clean_lake) == []
    for key in ("enriched/b", "enriched/a"):
        s3.create_multipart_upload(Bucket=name, Key=key)
    assert lake.incomplete_uploads(clean_lake) == [f"{name}/enriched/a", f"{name}/enriched/b"]
    assert lake.empty(clean_lake) == 0
    assert lake.incomplete_uploads(clean_lake) == []


def test_objects_that_were_not_removed_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        """Client that answers 200 and lists keys that it did not delete."""

        def delete_objects(self, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:
            kept = [one["Key"] for one in Delete["Objects"] if one["Key"].startswith("kept")]
            return (
                {"Errors": [{"Key": key, "Code": "AccessDenied", "Message": "no"} for key in kept]}
                if kept
                else {}
            )

    monkeypatch.setattr(lake, "client", lambda endpoint_url: Refusing())
    lake.remove(None, [("b", "gone")])
    with pytest.raises(
        lake.LakeError, match=r"1 of 2 objects of bucket b .* kept/1 \(AccessDenied: no\)"
    ):
        lake.remove(None, [("b", "gone"), ("b", "kept/1")])


def test_every_bucket_has_a_policy_and_no_current_object_expires() -> None:
    assert list(lake.BUCKETS.values()) == NAMES
    for stage, rules in lake.LIFECYCLE.items():
        assert {rule["Status"] for rule in rules} == {"Enabled"}, stage
        assert not any("Expiration" in rule for rule in rules), stage
        assert any("Transitions" in rule for rule in rules) == (
            stage not in ("checkpoints", "metadata")
        ), stage


def test_an_unreachable_endpoint_is_reported() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(lake.LakeError, match=f"No S3 answers at {endpoint}"):
            lake.ensure(endpoint)
    with pytest.raises(lake.LakeError, match="'not an address' is not a URL"):
        lake.ensure("not an address")


def test_denied_names_the_bucket() -> None:
    denied = f"Access to bucket {NAMES[0]} at http://127.0.0.1:[0-9]+ is denied.*AccessDenied"
    with (
        served(Reply(403, b"<Error><Code>AccessDenied</Code></Error>")) as server,
        pytest.raises(lake.LakeError, match=denied),
    ):
        lake.ensure(server.url)


def test_loopback_needs_no_credentials_and_prefers_those_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def key(endpoint: str) -> str:
        return str(lake.client(endpoint)._request_signer._credentials.access_key)

    assert key("http://localhost:1") == key("http://127.0.0.1:1") == "test"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert key("http://127.0.0.1:1") == key("https://s3.example.com") == "mine"


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("http://127.0.0.1:4566", True),
        ("http://127.8.8.8", True),
        ("http://[::1]:4566", True),
        ("http://localhost:4566", True),
        ("http://localhost.example.com", False),
        ("http://10.0.0.1", False),
        ("https://s3.us-west-2.amazonaws.com", False),
    ],
)
def test_loopback(endpoint: str, expected: bool) -> None:
    assert lake.is_loopback(endpoint) is expected


def test_the_docker_init_hook_makes_the_same_lake(no_buckets: Any) -> None:
    endpoint, s3 = no_buckets
    compose = yaml.safe_load((REPOSITORY / "localstack/docker-compose.yml").read_text())[
        "services"
    ]["localstack"]
    mounts = {
        to: (REPOSITORY / "localstack" / source)
        for source, to, _ in (m.split(":") for m in compose["volumes"])
    }
    assert compose["image"] == "localstack/localstack:4.14.0"
    assert compose["ports"] == ["127.0.0.1:4566:4566"]
    hook = mounts["/etc/localstack/init/ready.d/10-buckets.py"]
    data = mounts["/etc/windfleet/buckets.json"]
    environment = os.environ | {"AWS_ENDPOINT_URL": endpoint, "BUCKETS_JSON": str(data)}
    for _ in range(2):
        subprocess.run([sys.executable, hook], env=environment, check=True, capture_output=True)
        assert {stage: as_found(s3, lake.BUCKETS[stage]) for stage in lake.BUCKETS} == {
            stage: as_wanted(stage) for stage in lake.BUCKETS
        }
    assert lake.ensure(endpoint) == []


def test_importing_the_lake_does_not_import_boto3() -> None:
    code = (
        "import sys, pipeline.lake; sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY).returncode == 0


def test_the_edge_distribution_holds_every_package_of_the_pipeline() -> None:
    root = REPOSITORY / "pipeline"
    listed = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {
        ".".join(("pipeline", *path.parent.relative_to(root).parts))
        for path in root.rglob("__init__.py")
    }
    assert set(listed) == {name for name in found if not name.startswith("pipeline.build")}
    assert json.loads((root / "buckets.json").read_text())["schema_version"] == 1
