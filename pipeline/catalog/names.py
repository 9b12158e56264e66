"""Rules for names: Unity Catalog's, S3's and IAM's.

Sources: Databricks SQL reference, "Names"; Amazon S3 user guide, "General purpose buckets naming
rules"; IAM user guide, "IAM and AWS STS quotas" and "IAM identifiers". Stricter than these where a
file could not carry the name: a backtick, `$` and braces would be syntax in a bundle; Databricks
supports no bucket name with a period.
"""

from __future__ import annotations

import re
from typing import Final

from pipeline.records import BUCKET_NAMES

_LONGEST_NAME: Final = 255
_LONGEST_BUCKET: Final = 63
_NO_SUCH_NAME: Final = frozenset(" ./`${}")
_RESERVED: Final = {
    "catalog": ("hive_metastore", "samples", "spark_catalog", "system"),
    "schema": ("information_schema",),
}
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9-]*")
_BUCKET_STARTS: Final = ("xn--", "sthree-", "amzn-s3-demo-")
_ROLE_NAME: Final = r"[A-Za-z0-9+=,.@_-]{1,64}"
ROLE: Final = re.compile(
    rf"(?:arn:(?P<partition>aws|aws-us-gov):iam::(?P<account>[0-9]{{12}}):role"
    rf"(?P<path>/(?:[!-.0-~]{{1,255}}/)*))?(?P<name>{_ROLE_NAME})"
)
"""A role by its name or its ARN."""
_LONGEST_PATH: Final = 512
_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_EXTERNAL_ID: Final = re.compile(r"[A-Za-z0-9+=,.@:/_-]{2,1224}")
_URL: Final = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9-]{1,61}[a-z0-9])(/[A-Za-z0-9/_.=-]*)?")


class ParameterError(ValueError):
    """A parameter that is not a name where it is to stand. The text names it and the rule."""

    def __init__(self, parameter: str, value: str, rule: str) -> None:
        super().__init__(f"{parameter} {value!r}: {rule}")
        self.parameter, self.value, self.rule = parameter, value, rule


def require_object(parameter: str, name: str) -> None:
    """Raise ParameterError for a text that is no name of a catalogue or a schema."""
    if (
        not 1 <= len(name) <= _LONGEST_NAME
        or not name.isprintable()
        or not _NO_SUCH_NAME.isdisjoint(name)
    ):
        _refuse(
            parameter,
            name,
            f"Unity Catalog takes 1 to {_LONGEST_NAME} printable characters without space, period "
            "and slash, and a bundle none of ` $ { }",
        )
    if name.lower() in _RESERVED.get(parameter, ()):
        _refuse(parameter, name, "this name belongs to Databricks; choose another")


def require_principal(parameter: str, name: str) -> None:
    """Raise ParameterError for a text that is no name of a group, user or service principal."""
    if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable() or name != name.strip():
        rule = f"write 1 to {_LONGEST_NAME} printable characters, without a space at either end"
        _refuse(parameter, name, rule)


def require_bucket_prefix(parameter: str, prefix: str) -> None:
    """Raise ParameterError for a text with which a bucket's name cannot begin."""
    longest = max(BUCKET_NAMES, key=len)
    if not _BUCKET.fullmatch(prefix):
        _refuse(
            parameter,
            prefix,
            "S3 takes lower-case letters, digits and hyphens, and first a letter or digit "
            "(Databricks supports no periods)",
        )
    if prefix.startswith(_BUCKET_STARTS):
        _refuse(
            parameter, prefix, f"S3 reserves names that begin with {' or '.join(_BUCKET_STARTS)}"
        )
    if len(prefix) + len(longest) > _LONGEST_BUCKET:
        most = _LONGEST_BUCKET - len(longest)
        rule = f"S3 takes names of at most {_LONGEST_BUCKET} characters, and {longest!r} follows"
        _refuse(parameter, prefix, f"{rule}: at most {most}, not {len(prefix)}")


def require_role(parameter: str, role: str) -> None:
    """Raise ParameterError for a text that is neither a role's name nor its ARN."""
    found = ROLE.fullmatch(role)
    if not found or len(found["path"] or "") > _LONGEST_PATH:
        _refuse(
            parameter,
            role,
            "write an IAM role's name (1 to 64 of A-Z a-z 0-9 + = , . @ _ -) or its ARN "
            "(arn:aws:iam::<12 digits>:role/<name>, or arn:aws-us-gov: ...)",
        )


def require_region(parameter: str, region: str) -> None:
    """Raise ParameterError for a text that has not the form of an AWS region."""
    if not _REGION.fullmatch(region):
        _refuse(parameter, region, "write a region of AWS, such as us-west-2")


def require_account(parameter: str, account: str) -> None:
    """Raise ParameterError for a text that is no AWS account ID."""
    if not _ACCOUNT.fullmatch(account):
        _refuse(parameter, account, "an AWS account ID has 12 digits")


def require_external_id(parameter: str, external_id: str) -> None:
    """Raise ParameterError for a text that STS does not take as an external ID."""
    if not _EXTERNAL_ID.fullmatch(external_id):
        _refuse(parameter, external_id, "STS takes 2 to 1,224 of A-Z a-z 0-9 + = , . @ : / _ -")


def require_managed_location(parameter: str, url: str, bucket_prefix: str) -> None:
    """Raise ParameterError for a text that is no S3 URL, or one in the lake's own buckets."""
    found = _URL.fullmatch(url)
    if not found:
        _refuse(parameter, url, "write s3://<bucket>/<path>; letters, digits and / _ . = - in it")
    elif found["bucket"] in [bucket_prefix + name for name in BUCKET_NAMES]:
        _refuse(parameter, url, "must not lie in the lake's buckets: the locations would overlap")


def _refuse(parameter: str, value: str, rule: str) -> None:
    raise ParameterError(parameter, value, rule)
