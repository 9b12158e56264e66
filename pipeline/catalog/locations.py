"""External locations of Unity Catalog: one per bucket of the lake."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pipeline.records import BUCKET_NAMES, BUCKET_PREFIX

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_PREFIX: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,40}")
_ROLE: Final = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]{1,512}")


class ParameterError(ValueError):
    """A parameter that is not a name where it is to stand. The text names it and the form."""


@dataclass(frozen=True)
class Parameters:
    """Names that differ from workspace to workspace.

    catalog, schema: of Unity Catalog, [A-Za-z_][A-Za-z0-9_]*.
    bucket_prefix: of all six buckets, as S3 allows it.
    role: ARN of the IAM role that Unity Catalog assumes.
    """

    catalog: str = "windfleet"
    schema: str = "turbines"
    bucket_prefix: str = BUCKET_PREFIX
    role: str = "arn:aws:iam::000000000000:role/windfleet-unity-catalog"

    def __post_init__(self) -> None:
        """Raises ParameterError."""
        for name, value, form in (
            ("catalog", self.catalog, _NAME),
            ("schema", self.schema, _NAME),
            ("bucket prefix", self.bucket_prefix, _PREFIX),
            ("role", self.role, _ROLE),
        ):
            if not form.fullmatch(value):
                raise ParameterError(f"{name} {value!r} must match {form.pattern}")


@dataclass(frozen=True)
class Location:
    """An external location: a name and the S3 URL behind it."""

    name: str
    url: str


def locations(parameters: Parameters) -> tuple[Location, ...]:
    """Return the six external locations."""
    return tuple(
        Location(f"expanso_{bucket}", f"s3://{parameters.bucket_prefix}{bucket}/")
        for bucket in BUCKET_NAMES
    )
