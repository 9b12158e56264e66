"""The AWS side: HCL that python-hcl2 reads, references that resolve, rules and rights read back."""

from __future__ import annotations

import re
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator

from pipeline.buckets import LIFECYCLE
from pipeline.catalog.locations import Parameters
from pipeline.records import BUCKET_NAMES
from sim.catalog import hcl, terraform
from tests.support.catalog_files import BOTH, HARD, texts
from tests.support.terraform import Module, require_arguments, require_references

USUAL = texts(Parameters())
RULE_KEYS = {
    "id": "ID",
    "status": "Status",
    "filter": "Filter",
    "and": "And",
    "prefix": "Prefix",
    "object_size_greater_than": "ObjectSizeGreaterThan",
    "object_size_less_than": "ObjectSizeLessThan",
    "transition": "Transitions",
    "days": "Days",
    "storage_class": "StorageClass",
    "noncurrent_version_expiration": "NoncurrentVersionExpiration",
    "noncurrent_days": "NoncurrentDays",
    "abort_incomplete_multipart_upload": "AbortIncompleteMultipartUpload",
    "days_after_initiation": "DaysAfterInitiation",
}
"""Words of Terraform -> words of S3."""


ONE_BUCKET = USUAL["aws/buckets.tf"].partition('resource "aws_s3_bucket" "validated"')[0]
"""The first bucket: half a second of CPU to parse all six is much for a typo."""


def rules(module: Module, bucket: str) -> list[dict[str, Any]]:
    """Return the lifecycle rules of a bucket as S3 takes them."""

    def turned(thing: Any) -> Any:
        if isinstance(thing, dict):
            return {
                RULE_KEYS[key]: turned(each if key == "transition" else one(each))
                for key, each in thing.items()
            }
        return [turned(each) for each in thing] if isinstance(thing, list) else thing

    def one(thing: Any) -> Any:
        if isinstance(thing, list):
            (thing,) = thing
        return thing

    body = module.blocks[f"resource.aws_s3_bucket_lifecycle_configuration.{bucket}"]
    found = module.value(body)
    assert found["bucket"] == module.value(f"${{aws_s3_bucket.{bucket}.id}}")
    return [turned(rule) for rule in found["rule"]]


def statements(module: Module, name: str) -> dict[str, dict[str, Any]]:
    """Return the statements of a policy document by their Sid."""
    body = module.value(module.blocks[f"data.aws_iam_policy_document.{name}"])
    return {each.pop("sid"): each for each in body["statement"]}


def conditions(statement: dict[str, Any]) -> dict[str, tuple[str, list[str]]]:
    return {each["variable"]: (each["test"], each["values"]) for each in statement["condition"]}


@pytest.mark.parametrize("names", BOTH.values(), ids=BOTH)
def test_each_reference_leads_to_a_block(names: Parameters) -> None:
    module = Module(texts(names))
    assert len(list(module.references())) > 50
    require_references(module)


@pytest.mark.parametrize("names", BOTH.values(), ids=BOTH)
def test_each_argument_is_known(names: Parameters) -> None:
    module = Module(texts(names))
    assert len(module.blocks) > 20
    require_arguments(module)


@pytest.mark.parametrize("names", BOTH.values(), ids=BOTH)
def test_rules_read_back_are_those_of_the_lake(names: Parameters) -> None:
    module = Module(texts(names))
    model = boto3.session.Session()._session.get_service_model("s3")
    shape = model.operation_model("PutBucketLifecycleConfiguration").input_shape
    found = {}
    for name in BUCKET_NAMES:
        bucket = module.value(module.blocks[f"resource.aws_s3_bucket.{name}"])["bucket"]
        assert bucket == names.bucket_prefix + name
        found[name] = rules(module, name)
        call = {"Bucket": bucket, "LifecycleConfiguration": {"Rules": found[name]}}
        assert ParamValidator().validate(call, shape).generate_report() == ""
    assert found == LIFECYCLE
    assert [name for name in module.blocks if name.startswith("resource.aws_s3_bucket.")] == [
        f"resource.aws_s3_bucket.{name}" for name in BUCKET_NAMES
    ]


@pytest.mark.parametrize("names", BOTH.values(), ids=BOTH)
def test_the_role_trusts_unity_catalog_and_itself(names: Parameters) -> None:
    module = Module(texts(names))
    role = module.value(module.blocks["resource.aws_iam_role.unity_catalog"])
    assert (role["name"], role["path"]) == (names.role_name, names.role_path)
    trust = statements(module, "trust")
    assert all(each["actions"] == ["sts:AssumeRole"] for each in trust.values())
    databricks, itself = trust["UnityCatalogAssumeRole"], trust["ExplicitSelfRoleAssumption"]
    (principal,) = databricks["principals"]
    assert principal["identifiers"] == [terraform.UNITY_CATALOG_ROLE]
    external = ("StringEquals", [names.external_id])
    assert conditions(databricks) == {"sts:ExternalId": external}
    (principal,) = itself["principals"]
    assert principal["identifiers"] == [f"arn:aws:iam::{names.account}:root"]
    assert conditions(itself) == {
        "sts:ExternalId": external,
        "aws:PrincipalArn": ("ArnLike", [names.role_arn]),
    }


@pytest.mark.parametrize("names", BOTH.values(), ids=BOTH)
def test_the_role_reaches_the_six_buckets_and_file_events_only(names: Parameters) -> None:
    lake = statements(Module(texts(names)), "lake")
    buckets = [f"arn:aws:s3:::{names.bucket_prefix}{name}" for name in BUCKET_NAMES]
    assert lake["Lake"]["resources"] == [*buckets, *(f"{arn}/*" for arn in buckets)]
    assert {"s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation"} <= set(lake["Lake"]["actions"])
    assert lake["AssumeSelf"] == {"actions": ["sts:AssumeRole"], "resources": [names.role_arn]}
    queues = ["arn:aws:sqs:*:*:csms-*", "arn:aws:sns:*:*:csms-*"]
    assert lake["ManagedFileEventsSetupStatement"]["resources"] == [*buckets, *queues]
    assert lake["ManagedFileEventsTeardownStatement"]["resources"] == queues
    everywhere = [sid for sid, each in lake.items() if each["resources"] == ["*"]]
    assert everywhere == ["ManagedFileEventsListStatement"]
    assert all("List" in action for action in lake[everywhere[0]]["actions"])


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("buckets", "prevent_destroy", "prevent_destory"),
        ("buckets", "= 1048575", '= "1048575"'),
        ("buckets", "storage_class", "storageclass"),
        ("buckets", "block_public_acls       = true", 'block_public_acls = "true"'),
        ("role", "principals {", "principal {"),
        ("role", 'resource "aws_iam_role" ', 'resource "aws_iam_rol" '),
        ("role", 'actions = ["sts:AssumeRole"]', 'actions = "sts:AssumeRole"'),
        ("main", "description", "describtion"),
    ],
)
def test_a_wrong_argument_is_found(file: str, right: str, wrong: str) -> None:
    text = ONE_BUCKET if file == "buckets" else USUAL[f"aws/{file}.tf"]
    require_arguments(Module({"x.tf": text}))
    assert right in text
    with pytest.raises(AssertionError):
        require_arguments(Module({"x.tf": text.replace(right, wrong, 1)}))


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("buckets", "aws_s3_bucket.metadata.id", "aws_s3_bucket.metadta.id"),
        ("buckets", "${var.bucket_prefix}", "${var.bucket_prefx}"),
        ("role", "local.role_arn]", "local.rolearn]"),
        ("role", "aws_s3_bucket.enriched.arn", "aws_s3_bucket.enriched.arm"),
        ("role", "aws_iam_policy_document.trust.json", "aws_iam_policy_document.trusts.json"),
        ("main", 'variable "external_id"', 'variable "externalid"'),
        ("outputs", "aws_iam_role.unity_catalog.arn", "aws_iam_role.unity_catalogue.arn"),
    ],
)
def test_a_broken_reference_is_found(file: str, right: str, wrong: str) -> None:
    path = f"aws/{file}.tf"
    assert right in USUAL[path]
    with pytest.raises(AssertionError):
        require_references(Module({**USUAL, path: USUAL[path].replace(right, wrong, 1)}))


def test_a_missing_bucket_is_found() -> None:
    text = USUAL["aws/buckets.tf"]
    first = text.index('resource "aws_s3_bucket" "enriched"')
    cut = text[:first] + text[text.index("resource", first + 1) :]
    with pytest.raises(AssertionError, match=r"aws_s3_bucket\.enriched"):
        require_references(Module({**USUAL, "aws/buckets.tf": cut}))


@pytest.mark.parametrize("wrong", ['bucket = "x', "bucket = {", 'resource "aws_s3_bucket {'])
def test_text_that_is_no_hcl_is_found(wrong: str) -> None:
    with pytest.raises(Exception, match=r"Unexpected|No terminal|Expected"):
        Module({"aws/x.tf": wrong})


def test_a_rule_that_has_no_form_is_never_left_out() -> None:
    rule = {"ID": "x", "Status": "Enabled", "Filter": {"Prefix": ""}, "Tiering": {"Days": 1}}
    with pytest.raises(KeyError, match="Tiering"):
        terraform._rule(rule)


def test_no_bucket_carries_the_tag_of_buckets_that_may_be_emptied() -> None:
    assert "created-by" not in USUAL["aws/buckets.tf"]


@pytest.mark.parametrize("text", ['"', "${var.x}", "%{if}", "\\", "\\${x}", '"${x}'])
def test_a_string_stays_text(text: str) -> None:
    module = Module({"x.tf": hcl.text([hcl.block("output", "x", items=[("value", text)])])})
    found = module.blocks["output.x"]["value"]
    assert not re.search(r"(?<!\$)\$\{|(?<!%)%\{", found)
    plain = found[1:-1].replace("$${", "${").replace("%%{", "%{")
    assert plain.replace('\\"', '"').replace("\\\\", "\\") == text


def test_the_hard_names_are_in_the_module() -> None:
    module = Module(texts(HARD))
    given = {
        name.partition(".")[2]: module.value(body["default"])
        for name, body in module.blocks.items()
        if name.startswith("variable.")
    }
    assert given["external_id"] == HARD.external_id
    assert given["account_id"] == HARD.account
    assert given["region"] == HARD.region
