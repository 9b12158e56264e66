"""Rules for the names of the catalogue, and what follows from the names."""

from __future__ import annotations

import pytest

from pipeline.catalog import names, securables
from pipeline.catalog.locations import ParameterError, Parameters, locations
from pipeline.records import BUCKET_NAMES

ARN = "arn:aws:iam::123456789012:role"


@pytest.mark.parametrize(
    "wrong",
    [
        {"catalog": ""},
        {"catalog": "a b"},
        {"catalog": "a.b"},
        {"catalog": "a/b"},
        {"catalog": "a\x7fb"},
        {"catalog": "a\u2028b"},
        {"catalog": "a\ud800"},
        {"catalog": "a`b"},
        {"catalog": "{{job.id}}"},
        {"catalog": "HIVE_METASTORE"},
        {"schema": "x; DROP"},
        {"schema": "y" * 256},
        {"schema": "Information_Schema"},
        {"bucket_prefix": "Upper"},
        {"bucket_prefix": "s3://x"},
        {"bucket_prefix": "a_b"},
        {"bucket_prefix": "sthree-x"},
        {"bucket_prefix": "b" * 53},
        {"role": ""},
        {"role": "a/b"},
        {"role": "arn:aws:iam::1:role/x"},
        {"role": f"{ARN}/"},
        {"role": f"{ARN}/x\n"},
        {"role": f"{ARN}/{'p' * 250}/{'p' * 250}/{'p' * 250}/x"},
        {"role": "arn:aws-cn:iam::123456789012:role/x"},
        {"account_id": "١٢٣٤٥٦٧٨٩٠١٢"},
        {"external_id": "a b"},
        {"region": "us-west-2\n"},
        {"readers": " "},
        {"engineers": "a\nb"},
        {"managed_location": "s3://a.b/c"},
        {"managed_location": "s3://expanso-databricks-metadata"},
    ],
)
def test_a_parameter_that_is_no_name_is_refused(wrong: dict[str, str]) -> None:
    (name,) = wrong
    with pytest.raises(ParameterError, match=name.replace("_", " ")) as refused:
        Parameters(**wrong)
    assert refused.value.value == wrong[name]
    assert refused.value.rule


@pytest.mark.parametrize(
    "right",
    [
        {"catalog": "a-b"},
        {"catalog": "1st_größe"},
        {"catalog": "x" * 255},
        {"schema": "system"},
        {"bucket_prefix": "b" * 52},
        {"bucket_prefix": "0"},
        {"role": "a+=,.@-_b"},
        {"role": f"{ARN}/a/b/c"},
        {"role": f"{ARN}/{'p' * 250}/{'p' * 250}/x"},
        {"region": "ap-southeast-1"},
        {"region": "us-gov-west-1"},
        {"readers": ""},
        {"readers": "it's `ours`"},
        {"managed_location": "s3://expanso-databricks-managed/x/y"},
    ],
)
def test_a_name_that_is_valid_there_is_taken(right: dict[str, str]) -> None:
    (name,) = right
    assert getattr(Parameters(**right), name) == right[name]


def test_the_longest_prefix_makes_the_longest_bucket() -> None:
    made = locations(Parameters(bucket_prefix="b" * 52))
    assert max(len(each.url.removeprefix("s3://").rstrip("/")) for each in made) == 63


@pytest.mark.parametrize(
    ("role", "account", "arn"),
    [
        ("x", "", "arn:aws:iam::000000000000:role/x"),
        ("x", "123456789012", f"{ARN}/x"),
        (f"{ARN}/x", "", f"{ARN}/x"),
        (f"{ARN}/x", "123456789012", f"{ARN}/x"),
        (f"{ARN}/a/b/x", "", f"{ARN}/a/b/x"),
    ],
)
def test_a_role_by_name_or_arn(role: str, account: str, arn: str) -> None:
    made = Parameters(role=role, account_id=account)
    assert made.role_arn == arn
    assert (made.role_name, made.role_arn.endswith(made.role_path + made.role_name)) == ("x", True)


def test_partitions() -> None:
    arn = "arn:aws-us-gov:iam::123456789012:role/x"
    assert Parameters(role=arn, region="us-gov-west-1").role_arn == arn
    with pytest.raises(ParameterError, match="partition"):
        Parameters(role=arn)


def test_two_lakes_of_a_metastore_have_locations_of_their_own() -> None:
    """With equal names `IF NOT EXISTS` would pass over the second lake in silence."""
    first, second = Parameters(), Parameters(bucket_prefix="acme-wind-")
    assert not {each.name for each in locations(first)} & {each.name for each in locations(second)}
    assert [each.name for each in locations(second)] == [
        f"acme-wind-{name}" for name in BUCKET_NAMES
    ]
    assert (first.credential, second.credential) == ("expanso_lake", "acme-wind-lake")


def test_nobody_is_granted_anything_without_a_name() -> None:
    assert list(securables.grants(Parameters(readers=""))) == []


def test_the_catalogue_may_have_storage_of_its_own() -> None:
    made = securables.catalog(Parameters(managed_location="s3://abc/x"))
    assert "\nMANAGED LOCATION 's3://abc/x'\n" in made
    assert "MANAGED" not in securables.catalog(Parameters())


def test_a_location_in_a_bucket_of_the_lake_is_named_by_bucket_not_by_prefix() -> None:
    with pytest.raises(ParameterError, match="overlap"):
        names.require_managed_location("managed location", "s3://a-enriched/x", "a-")
    names.require_managed_location("managed location", "s3://a-enriched-too/x", "a-")
