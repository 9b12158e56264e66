"""External locations of Unity Catalog, one per bucket of the lake, and the names around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pipeline.catalog import names
from pipeline.catalog.names import ParameterError
from pipeline.records import BUCKET_NAMES, BUCKET_PREFIX

__all__ = ["Location", "ParameterError", "Parameters", "locations"]

_LOCATION_PREFIX: Final = "expanso_"
_REGIONS: Final = {"aws": "us-west-2", "aws-us-gov": "us-gov-west-1"}
"""Partition of AWS -> one of its regions."""
NO_ACCOUNT: Final = "000000000000"
NO_EXTERNAL_ID: Final = "0000"
"""Placeholders. A role takes the second before Databricks gives it an external ID."""


@dataclass(frozen=True)
class Parameters:
    """Names that differ from workspace to workspace. `names` has the rules.

    catalog, schema: of Unity Catalog.
    bucket_prefix: beginning of the six buckets' names.
    role: IAM role that Unity Catalog assumes, by name or ARN.
    account_id: AWS account of role and buckets; "" for that of the ARN.
    external_id: Databricks shows it once the storage credential exists.
    readers, engineers: principals that may read the tables and run the pipeline; "" for none.
    managed_location: S3 URL of the catalogue's own storage; "" for the metastore's.
    """

    catalog: str = "windfleet"
    schema: str = "turbines"
    bucket_prefix: str = BUCKET_PREFIX
    role: str = "windfleet-unity-catalog"
    account_id: str = ""
    region: str = _REGIONS["aws"]
    external_id: str = NO_EXTERNAL_ID
    readers: str = "account users"
    engineers: str = ""
    managed_location: str = ""

    def __post_init__(self) -> None:
        """Raises ParameterError."""
        names.require_object("catalog", self.catalog)
        names.require_object("schema", self.schema)
        names.require_bucket_prefix("bucket prefix", self.bucket_prefix)
        names.require_role("role", self.role)
        names.require_region("region", self.region)
        names.require_external_id("external id", self.external_id)
        if self.account_id:
            names.require_account("account id", self.account_id)
        if self.account_id and (self._of_role("account") or self.account_id) != self.account_id:
            text = "the role's ARN names another account; leave one of them out"
            raise ParameterError("account id", self.account_id, text)
        if self.partition != (self._of_role("partition") or self.partition):
            theirs = self._of_role("partition")
            text = f"is in partition {self.partition}, and the role's ARN in {theirs}; "
            raise ParameterError("region", self.region, f"{text}try {_REGIONS[theirs]}")
        for parameter in ("readers", "engineers"):
            if principal := getattr(self, parameter):
                names.require_principal(parameter, principal)
        if self.managed_location:
            names.require_managed_location(
                "managed location", self.managed_location, self.bucket_prefix
            )

    @property
    def account(self) -> str:
        """Account ID, or the placeholder."""
        return self.account_id or self._of_role("account") or NO_ACCOUNT

    @property
    def partition(self) -> str:
        """Part of AWS that the region belongs to."""
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    @property
    def role_name(self) -> str:
        return self._of_role("name")

    @property
    def role_path(self) -> str:
        return self._of_role("path") or "/"

    @property
    def role_arn(self) -> str:
        place = f"arn:{self.partition}:iam::{self.account}"
        return f"{place}:role{self.role_path}{self.role_name}"

    @property
    def _location_prefix(self) -> str:
        """Names of locations are unique in a metastore, which may hold several lakes."""
        usual = self.bucket_prefix == BUCKET_PREFIX
        return _LOCATION_PREFIX if usual else self.bucket_prefix

    @property
    def credential(self) -> str:
        """Name of the storage credential."""
        return f"{self._location_prefix}lake"

    def location(self, bucket: str) -> str:
        """Return the name of the external location of a bucket."""
        return f"{self._location_prefix}{bucket}"

    def _of_role(self, part: str) -> str:
        found = names.ROLE.fullmatch(self.role)
        return (found[part] or "") if found else ""


@dataclass(frozen=True)
class Location:
    """An external location: a name, the bucket's short name and the S3 URL."""

    name: str
    bucket: str
    url: str


def locations(parameters: Parameters) -> tuple[Location, ...]:
    """Return the six external locations."""
    return tuple(
        Location(parameters.location(bucket), bucket, f"s3://{parameters.bucket_prefix}{bucket}/")
        for bucket in BUCKET_NAMES
    )
