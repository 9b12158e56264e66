"""The lake: six buckets, their region and their lifecycle, as `buckets.json` says, and nothing said twice.

`ensure` makes what is missing. It marks the buckets it makes with a tag, and only marked buckets ever have their
lifecycle replaced or their objects removed: a bucket that somebody else made is used as it is.

Not covered: the objects inside (`pipeline.store`, `pipeline.commit`), bucket policies, encryption and versioning.
"""

import contextlib
import functools
import ipaddress
import json
import os
import pathlib
import time
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

_DATA: dict[str, Any] = json.loads(pathlib.Path(__file__).with_name("buckets.json").read_text(encoding="utf-8"))

REGION: str = _DATA["region"]
TAGS: dict[str, str] = _DATA["tags"]
BUCKETS: dict[str, str] = {stage: entry["name"] for stage, entry in _DATA["buckets"].items()}
LIFECYCLE: dict[str, list[dict[str, Any]]] = {stage: entry["lifecycle"] for stage, entry in _DATA["buckets"].items()}

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 30
DELETED_AT_ONCE = 1000  # S3 takes no more
DENIED = {"AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "AllAccessDisabled"}
ABSENT = {"NoSuchBucket", "404"}
UNKNOWN = {"NotImplemented", "MethodNotAllowed", "405", "501"}


class LakeError(Exception):
    """The buckets cannot be reached, read or made; the message names the bucket or endpoint and the fix."""


def client(endpoint_url: str | None) -> Any:
    """A boto3 S3 client: given endpoint (None: AWS itself), path style, bounded waits, one attempt per call.

    Credentials come from the standard AWS variables and files; a loopback endpoint, which checks none, needs none.
    """
    import boto3  # slow to import: only when buckets are touched
    from botocore.config import Config

    loopback = endpoint_url is not None and is_loopback(endpoint_url)
    config = Config(
        region_name=REGION,
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"total_max_attempts": 1},
        s3={"addressing_style": "path"} if endpoint_url else None,
        proxies={} if loopback else None,
    )
    given = any(name in os.environ for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"))
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"} if loopback and not given else {}
    with _told_clearly(endpoint_url):
        return boto3.session.Session().client("s3", endpoint_url=endpoint_url, config=config, **keys)


def is_loopback(endpoint_url: str) -> bool:
    """Whether the endpoint is on this machine."""
    host = urlsplit(endpoint_url).hostname or ""
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def missing(endpoint_url: str | None) -> list[str]:
    """Names of the buckets that are not there. Raises LakeError."""
    s3 = client(endpoint_url)
    return [name for name in BUCKETS.values() if not _exists(s3, name, endpoint_url)]


def ensure(endpoint_url: str | None) -> list[str]:
    """Make every missing bucket, with region, tag and lifecycle; return the names of those made.

    A bucket of ours whose lifecycle is not that of the data gets it again; any other bucket stays as it is.
    Raises LakeError.
    """
    s3 = client(endpoint_url)
    created = []
    for stage, name in BUCKETS.items():
        if not _exists(s3, name, endpoint_url):
            _create(s3, name, endpoint_url)
            created.append(name)
        if _is_ours(s3, name, endpoint_url) and _lifecycle(s3, name) != LIFECYCLE[stage]:
            with _told_clearly(endpoint_url, name):
                s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": LIFECYCLE[stage]})
    return created


def empty(endpoint_url: str | None) -> int:
    """Remove every object of the buckets that windfleet made, and abort uploads; how many objects. Raises LakeError.

    Raises before anything is removed when one of the six buckets holds objects and is not ours.
    """
    s3 = client(endpoint_url)
    pages = s3.get_paginator("list_objects_v2")
    ours = []
    for name in BUCKETS.values():
        if not _exists(s3, name, endpoint_url):
            continue
        if _is_ours(s3, name, endpoint_url):
            ours.append(name)
        elif s3.list_objects_v2(Bucket=name, MaxKeys=1)["KeyCount"]:
            raise LakeError(f"Bucket {name} was not made by windfleet, so it is not emptied: empty it yourself.")
    removed = 0
    for name in ours:
        with _told_clearly(endpoint_url, name):
            for page in pages.paginate(Bucket=name):
                if keys := [item["Key"] for item in page.get("Contents", ())]:
                    _delete(s3, name, keys)
                    removed += len(keys)
            _abort_uploads(s3, name)
    return removed


def remove(endpoint_url: str | None, objects: Iterable[tuple[str, str]]) -> None:
    """Remove objects named by (bucket, key); one that is not there is no error. Raises LakeError."""
    s3 = client(endpoint_url)
    by_bucket: dict[str, list[str]] = {}
    for name, key in objects:
        by_bucket.setdefault(name, []).append(key)
    for name, keys in by_bucket.items():
        for start in range(0, len(keys), DELETED_AT_ONCE):
            with _told_clearly(endpoint_url, name):
                _delete(s3, name, keys[start : start + DELETED_AT_ONCE])


def _delete(s3: Any, name: str, keys: list[str]) -> None:
    """An answer of 200 may say of single keys that they were not removed. Raises LakeError, and what boto3 raises."""
    answer = s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True})
    if failed := answer.get("Errors"):
        first = failed[0]
        raise LakeError(
            f"{len(failed):,} of {len(keys):,} objects of bucket {name} were not removed, for example {first['Key']} "
            f"({first.get('Code')}: {first.get('Message')})"
        )


def unfinished(endpoint_url: str | None) -> list[str]:
    """`bucket/key` of every upload in parts that was begun in the six buckets and never ended. Raises LakeError."""
    s3 = client(endpoint_url)
    found = []
    for name in BUCKETS.values():
        if _exists(s3, name, endpoint_url):
            with _told_clearly(endpoint_url, name):
                found += [f"{name}/{upload['Key']}" for upload in _uploads(s3, name)]
    return sorted(found)


def _abort_uploads(s3: Any, name: str) -> None:
    from botocore.exceptions import ClientError

    try:
        for upload in _uploads(s3, name):
            s3.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
    except ClientError as error:
        if _code(error) not in DENIED | UNKNOWN:  # a store without them, or a user who may not list them
            raise


@contextlib.contextmanager
def scratch(endpoint_url: str) -> Iterator[str]:
    """The name of a bucket that is there for the length of a block, and then gone with all in it. Raises LakeError."""
    s3, name = client(endpoint_url), f"windfleet-scratch-{os.getpid()}-{time.time_ns()}"
    with _told_clearly(endpoint_url, name):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    try:
        yield name
    finally:
        with _told_clearly(endpoint_url, name):
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
                if keys := [item["Key"] for item in page.get("Contents", ())]:
                    _delete(s3, name, keys)
            s3.delete_bucket(Bucket=name)


def _uploads(s3: Any, name: str) -> Iterator[dict[str, Any]]:
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=name):
        yield from page.get("Uploads", ())


def first_object(endpoint_url: str | None) -> str | None:
    """`bucket/key` of some object in the six buckets, None when they are empty or missing. Raises LakeError."""
    s3 = client(endpoint_url)
    for name in BUCKETS.values():
        if _exists(s3, name, endpoint_url):
            with _told_clearly(endpoint_url, name):
                for item in s3.list_objects_v2(Bucket=name, MaxKeys=1).get("Contents", ()):
                    return f"{name}/{item['Key']}"
    return None


def _exists(s3: Any, name: str, endpoint_url: str | None) -> bool:
    from botocore.exceptions import ClientError

    with _told_clearly(endpoint_url, name):
        try:
            s3.head_bucket(Bucket=name)
        except ClientError as error:
            if _code(error) not in ABSENT:
                raise
            return False
    return True


def _create(s3: Any, name: str, endpoint_url: str | None) -> None:
    with _told_clearly(endpoint_url, name):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        tags = [{"Key": key, "Value": value} for key, value in TAGS.items()]
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})


def _is_ours(s3: Any, name: str, endpoint_url: str | None) -> bool:
    from botocore.exceptions import ClientError

    with _told_clearly(endpoint_url, name):
        try:
            tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=name)["TagSet"]}
        except ClientError as error:
            if _code(error) not in DENIED | {"NoSuchTagSet"}:
                raise
            return False  # untagged, or tags we may not read: not ours to change
    return tags.items() >= TAGS.items()


def _lifecycle(s3: Any, name: str) -> list[dict[str, Any]] | None:
    from botocore.exceptions import ClientError

    try:
        rules: list[dict[str, Any]] = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    except ClientError:
        return None  # none there, or not readable: the attempt to put it tells which
    return rules


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@functools.cache
def _handled() -> tuple[type[Exception], ...]:
    from botocore.exceptions import BotoCoreError, ClientError

    return BotoCoreError, ClientError, ValueError


@contextlib.contextmanager
def _told_clearly(endpoint_url: str | None, name: str | None = None) -> Iterator[None]:
    """Turn what boto3 raises into a LakeError that names place and fix."""
    where = endpoint_url or "AWS S3"
    what = f"bucket {name} at {where}" if name else where
    try:
        yield
    except _handled() as error:
        raise LakeError(_explain(error, where, what)) from error


def _explain(error: Exception, where: str, what: str) -> str:
    from botocore import exceptions

    match error:
        case exceptions.ClientError() if _code(error) in DENIED:
            return f"Access to {what} is denied ({_code(error)}): check the AWS credentials and their rights."
        case exceptions.ClientError() if _code(error) in {"301", "PermanentRedirect", "BucketAlreadyExists"}:
            return f"The name of {what} is taken, by another account or in another region than {REGION}."
        case exceptions.ClientError():
            return f"S3 refused an operation on {what}: {error}"
        case exceptions.NoCredentialsError() | exceptions.PartialCredentialsError() | exceptions.ProfileNotFound():
            return f"No AWS credentials for {where}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. ({error})"
        case exceptions.ConnectionError() | exceptions.HTTPClientError():
            return f"No S3 answers at {where}: is it running, and is the endpoint right? ({error})"
        case _:
            return f"S3 cannot be used at {where}: {error}"
