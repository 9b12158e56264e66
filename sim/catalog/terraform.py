"""The AWS side as Terraform: six buckets, and the role that Unity Catalog assumes.

Lifecycle rules come from `pipeline/buckets.json`. The buckets do not carry its tag: a bucket with
that tag may be emptied by `windfleet run --empty-lake`.

Sources: Databricks, "Create a storage credential for connecting to AWS S3" (trust, rights, file
events); Terraform provider aws, resources `s3_bucket*`, `iam_role*`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pipeline.buckets import LIFECYCLE
from pipeline.catalog.locations import Parameters
from pipeline.records import BUCKET_NAMES
from sim.catalog.hcl import Block, Raw, block, text

UNITY_CATALOG_ROLE: Final = (
    "arn:aws:iam::414351767826:role/unity-catalog-prod-UCMasterRole-14S5ZJVKOTYTL"
)
"""Role with which Databricks assumes ours; AWS GovCloud has another."""
_READ_WRITE: Final = (
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:ListBucket",
    "s3:GetBucketLocation",
    "s3:ListBucketMultipartUploads",
    "s3:ListMultipartUploadParts",
    "s3:AbortMultipartUpload",
)
_EVENTS_SET_UP: Final = (
    *("s3:GetBucketNotification", "s3:PutBucketNotification"),
    *("sns:ListSubscriptionsByTopic", "sns:GetTopicAttributes", "sns:SetTopicAttributes"),
    *("sns:CreateTopic", "sns:TagResource", "sns:Publish", "sns:Subscribe"),
    *("sqs:CreateQueue", "sqs:DeleteMessage", "sqs:ReceiveMessage", "sqs:SendMessage"),
    *("sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:SetQueueAttributes", "sqs:TagQueue"),
    *("sqs:ChangeMessageVisibility", "sqs:PurgeQueue"),
)
_EVENTS_LIST: Final = ("sqs:ListQueues", "sqs:ListQueueTags", "sns:ListTopics")
_EVENTS_TEAR_DOWN: Final = ("sns:Unsubscribe", "sns:DeleteTopic", "sqs:DeleteQueue")
_QUEUES: Final = tuple(
    "arn:${data.aws_partition.current.partition}:" + f"{service}:*:*:csms-*"
    for service in ("sqs", "sns")
)
"""Queues and topics of managed file events: Databricks names them csms-*."""


def main(parameters: Parameters) -> str:
    """Return provider and variables; the variables' defaults are the parameters."""
    variables = (
        ("region", "AWS region of the buckets.", parameters.region),
        ("account_id", "AWS account of buckets and role.", parameters.account),
        ("bucket_prefix", "Beginning of the names of the six buckets.", parameters.bucket_prefix),
        ("role_name", "Role that Unity Catalog assumes.", parameters.role_name),
        ("role_path", "Path of that role.", parameters.role_path),
        (
            "external_id",
            "External ID that Databricks shows with the storage credential.",
            parameters.external_id,
        ),
        (
            "unity_catalog_role",
            "Role of Databricks that assumes ours; AWS GovCloud has another.",
            UNITY_CATALOG_ROLE,
        ),
    )
    source = {"source": "hashicorp/aws", "version": ">= 5.0, < 7.0"}
    return text(
        [
            block(
                "terraform",
                items=[
                    ("required_version", ">= 1.3"),
                    block("required_providers", items=[("aws", source)]),
                ],
            ),
            block(
                "provider",
                "aws",
                items=[
                    ("region", Raw("var.region")),
                    ("allowed_account_ids", [Raw("var.account_id")]),
                ],
            ),
            *(
                block(
                    "variable",
                    name,
                    items=[
                        ("description", description),
                        ("type", Raw("string")),
                        ("default", value),
                    ],
                )
                for name, description, value in variables
            ),
        ]
    )


def buckets() -> str:
    """Return the buckets, each closed to the public, with its lifecycle policy."""
    return text([each for name in BUCKET_NAMES for each in _bucket(name)])


def _bucket(name: str) -> Iterator[Block]:
    ours = ("bucket", Raw(f"aws_s3_bucket.{name}.id"))
    yield block(
        "resource",
        "aws_s3_bucket",
        name,
        items=[
            ("bucket", Raw(f'"${{var.bucket_prefix}}{name}"')),
            block("lifecycle", items=[("prevent_destroy", True)]),
        ],
    )
    closed = ("block_public_acls", "block_public_policy", "ignore_public_acls")
    yield block(
        "resource",
        "aws_s3_bucket_public_access_block",
        name,
        items=[ours, *((each, True) for each in closed), ("restrict_public_buckets", True)],
    )
    yield block(
        "resource",
        "aws_s3_bucket_lifecycle_configuration",
        name,
        items=[ours, *(_rule(rule) for rule in LIFECYCLE[name])],
    )


_ACTIONS: Final = {
    "Transitions": ("transition", {"Days": "days", "StorageClass": "storage_class"}),
    "Expiration": ("expiration", {"Days": "days"}),
    "NoncurrentVersionExpiration": (
        "noncurrent_version_expiration",
        {"NoncurrentDays": "noncurrent_days"},
    ),
    "AbortIncompleteMultipartUpload": (
        "abort_incomplete_multipart_upload",
        {"DaysAfterInitiation": "days_after_initiation"},
    ),
}
_FILTERS: Final = {
    "Prefix": "prefix",
    "ObjectSizeGreaterThan": "object_size_greater_than",
    "ObjectSizeLessThan": "object_size_less_than",
}


def _rule(rule: Mapping[str, Any]) -> Block:
    """Return a rule; a part of it that has no form here is a KeyError, never left out."""
    parts = dict(rule)
    items: list[tuple[str, object] | Block] = [
        ("id", parts.pop("ID")),
        ("status", parts.pop("Status")),
        _filter(parts.pop("Filter")),
    ]
    for name, value in parts.items():
        kind, arguments = _ACTIONS[name]
        each: Sequence[Mapping[str, object]] = value if isinstance(value, list) else [value]
        items += [
            block(kind, items=[(arguments[key], given) for key, given in action.items()])
            for action in each
        ]
    return block("rule", items=items)


def _filter(value: Mapping[str, Any]) -> Block:
    if set(value) == {"And"}:
        return block("filter", items=[block("and", items=_criteria(value["And"]))])
    return block("filter", items=_criteria(value))


def _criteria(value: Mapping[str, object]) -> list[tuple[str, object]]:
    return [(_FILTERS[key], given) for key, given in value.items()]


def role() -> str:
    """Return the role, its trust policy and its rights."""
    arn = Raw("local.role_arn")
    bucket_arns = [Raw(f"aws_s3_bucket.{name}.arn") for name in BUCKET_NAMES]
    object_arns = [Raw(f'"${{aws_s3_bucket.{name}.arn}}/*"') for name in BUCKET_NAMES]
    queues = [Raw(f'"{queue}"') for queue in _QUEUES]
    return text(
        [
            block("data", "aws_partition", "current", items=[]),
            block(
                "locals",
                items=[
                    (
                        "account",
                        Raw('"arn:${data.aws_partition.current.partition}:iam::${var.account_id}"'),
                    ),
                    ("role_arn", Raw('"${local.account}:role${var.role_path}${var.role_name}"')),
                ],
            ),
            block(
                "data",
                "aws_iam_policy_document",
                "trust",
                items=[
                    _trust("UnityCatalogAssumeRole", Raw("var.unity_catalog_role")),
                    "The role must trust itself. The account stands for it, since a policy cannot",
                    "name a role that does not exist yet; the condition narrows it to the role.",
                    _trust("ExplicitSelfRoleAssumption", Raw('"${local.account}:root"'), arn),
                ],
            ),
            block(
                "resource",
                "aws_iam_role",
                "unity_catalog",
                items=[
                    ("name", Raw("var.role_name")),
                    ("path", Raw("var.role_path")),
                    (
                        "assume_role_policy",
                        Raw("data.aws_iam_policy_document.trust.json"),
                    ),
                ],
            ),
            block(
                "data",
                "aws_iam_policy_document",
                "lake",
                items=[
                    "Databricks writes and removes an object to try a new location; nothing else",
                    "may write, as long as nobody is granted WRITE FILES.",
                    _allow("Lake", _READ_WRITE, [*bucket_arns, *object_arns]),
                    _allow("AssumeSelf", ("sts:AssumeRole",), [arn]),
                    _allow(
                        "ManagedFileEventsSetupStatement", _EVENTS_SET_UP, [*bucket_arns, *queues]
                    ),
                    _allow("ManagedFileEventsListStatement", _EVENTS_LIST, ["*"]),
                    _allow("ManagedFileEventsTeardownStatement", _EVENTS_TEAR_DOWN, queues),
                ],
            ),
            block(
                "resource",
                "aws_iam_role_policy",
                "lake",
                items=[
                    ("name", "lake"),
                    ("role", Raw("aws_iam_role.unity_catalog.id")),
                    ("policy", Raw("data.aws_iam_policy_document.lake.json")),
                ],
            ),
        ]
    )


def _trust(sid: str, principal: Raw, only: Raw | None = None) -> Block:
    """Return the right to assume the role, with the external ID. only: ARN of the one who may."""
    items: list[tuple[str, object] | Block] = [
        ("sid", sid),
        ("actions", ["sts:AssumeRole"]),
        block("principals", items=[("type", "AWS"), ("identifiers", [principal])]),
        _condition("StringEquals", "sts:ExternalId", Raw("var.external_id")),
    ]
    if only:
        items.append(_condition("ArnLike", "aws:PrincipalArn", only))
    return block("statement", items=items)


def _condition(test: str, variable: str, value: Raw) -> Block:
    return block("condition", items=[("test", test), ("variable", variable), ("values", [value])])


def _allow(sid: str, actions: Sequence[str], resources: Sequence[object]) -> Block:
    return block("statement", items=[("sid", sid), ("actions", actions), ("resources", resources)])


def outputs() -> str:
    """Return the role's ARN and the buckets' names."""
    names = {name: Raw(f"aws_s3_bucket.{name}.bucket") for name in BUCKET_NAMES}
    return text(
        [
            block(
                "output",
                "role_arn",
                items=[
                    ("description", "For sql/00_storage_credential.json."),
                    ("value", Raw("aws_iam_role.unity_catalog.arn")),
                ],
            ),
            block(
                "output",
                "buckets",
                items=[("description", "Names of the buckets."), ("value", names)],
            ),
        ]
    )
