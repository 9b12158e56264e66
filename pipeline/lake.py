"""The lake: six buckets, their region and their lifecycle, as `buckets.json` defines them.

`ensure` creates missing buckets and tags them. Only tagged buckets ever have their lifecycle
replaced or their objects removed. A bucket that somebody else created is used unchanged.

Not covered: the objects inside (`pipeline.store`, `pipeline.commit`), bucket policies, encryption
and versioning.
"""

import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pipeline.buckets import BUCKETS, LIFECYCLE, TAGS
from pipeline.ports import NoBucket, Refused, StoreError, Unavailable
from pipeline.settings import DEFAULT_REGION, Place, Settings, SettingsError, parsed, settings
from pipeline.store import NOT_S3, S3ObjectStore

REGION = DEFAULT_REGION
CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 30
DELETED_AT_ONCE = 1000  # S3 takes no more
DENIED = {
    "AccessDenied",
    "403",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "AllAccessDisabled",
}
TAKEN = {"PermanentRedirect", "BucketAlreadyExists"}
UNKNOWN = {"NotImplemented", "MethodNotAllowed", "405", "501"}
_CHECK_CREDENTIALS = "check the AWS credentials and their rights."


class LakeError(Exception):
    """Buckets that cannot be reached, read or created.

    The text names the bucket or endpoint, and the fix.
    """


def client(place: Place) -> Any:
    """Return a botocore S3 client of the settings: path style, bounded waits, one attempt per call.

    It uses only those values of the environment and of `~/.aws` that `pipeline.settings` has read.
    Raises LakeError.
    """
    # imports botocore, which is slow: only when buckets are used
    from pipeline.sdk import s3_client

    with _lake_errors(place):
        return s3_client(settings(place), CONNECT_TIMEOUT_S, READ_TIMEOUT_S)


def is_loopback(endpoint_url: str) -> bool:
    """Return True for an endpoint on this machine. Raise SettingsError for an invalid URL."""
    return parsed(endpoint_url).loopback


def missing(place: Place) -> list[str]:
    """List the names of missing buckets. Raise LakeError."""
    store = _store(place)
    return [name for name in BUCKETS.values() if not _exists(store, name)]


def ensure(place: Place) -> list[str]:
    """Create every missing bucket with region, tag and lifecycle; return their names.

    A tagged bucket whose lifecycle differs from `buckets.json` gets that of the file. Other buckets
    stay unchanged. Raises LakeError.
    """
    store, s3 = _store(place), client(place)
    created = []
    for stage, name in BUCKETS.items():
        if not _exists(store, name):
            _create(s3, name, place)
            created.append(name)
        if _is_ours(s3, name, place):
            with _lake_errors(place, name):
                if _lifecycle(s3, name) == LIFECYCLE[stage]:
                    continue
                s3.put_bucket_lifecycle_configuration(
                    Bucket=name, LifecycleConfiguration={"Rules": LIFECYCLE[stage]}
                )
    return created


def empty(place: Place) -> int:
    """Remove all objects and incomplete uploads of tagged buckets; return the number of objects.

    Raises LakeError. If one of the six buckets holds objects and is not tagged, nothing is removed.
    """
    store, s3 = _store(place), client(place)
    pages = s3.get_paginator("list_objects_v2")
    ours = []
    for name in BUCKETS.values():
        if not _exists(store, name):
            continue
        if _is_ours(s3, name, place):
            ours.append(name)
        elif _first(store, name) is not None:
            raise LakeError(
                f"Bucket {name} was not made by windfleet, so it is not emptied: empty it yourself."
            )
    removed = 0
    for name in ours:
        with _lake_errors(place, name):
            for page in pages.paginate(Bucket=name):
                if keys := [item["Key"] for item in page.get("Contents", ())]:
                    _delete(s3, name, keys)
                    removed += len(keys)
            _abort_uploads(s3, name)
    return removed


def remove(place: Place, objects: Iterable[tuple[str, str]]) -> None:
    """Remove objects named by (bucket, key). A missing object is no error. Raise LakeError."""
    s3 = client(place)
    by_bucket: dict[str, list[str]] = {}
    for name, key in objects:
        by_bucket.setdefault(name, []).append(key)
    for name, keys in by_bucket.items():
        for start in range(0, len(keys), DELETED_AT_ONCE):
            with _lake_errors(place, name):
                _delete(s3, name, keys[start : start + DELETED_AT_ONCE])


def _delete(s3: Any, name: str, keys: list[str]) -> None:
    """Delete at most 1,000 objects of a bucket.

    S3 may answer 200 and still list keys that it did not remove. Raises LakeError, and botocore's
    errors.
    """
    answer = s3.delete_objects(
        Bucket=name, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
    )
    if failed := answer.get("Errors"):
        first = failed[0]
        raise LakeError(
            f"{len(failed):,} of {len(keys):,} objects of bucket {name} were not removed, "
            f"for example {first['Key']} ({first.get('Code')}: {first.get('Message')})"
        )


def incomplete_uploads(place: Place) -> list[str]:
    """List `bucket/key` of every incomplete multipart upload in the lake. Raise LakeError."""
    store, found = _store(place), []
    for name in BUCKETS.values():
        with _lake_errors(place, name), contextlib.suppress(NoBucket):
            if store.has_uploads(name):  # hardly ever: the client costs more than this answer
                found += [f"{name}/{upload['Key']}" for upload in _uploads(client(place), name)]
    return sorted(found)


def _abort_uploads(s3: Any, name: str) -> None:
    from botocore.exceptions import ClientError

    try:
        for upload in _uploads(s3, name):
            s3.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
    except ClientError as error:
        # a store without uploads, or a user who may not list them, is no error
        if _code(error) not in DENIED | UNKNOWN:
            raise


@contextlib.contextmanager
def scratch(place: Place, remove: bool = True, rename: Callable[[str], str] = str) -> Iterator[str]:
    """Yield the name of a temporary bucket, which is removed with its objects after the block.

    remove: False for a server that ends soon and takes the bucket with it; to delete thousands of
    objects takes many times as long as to write them. rename: makes the name from a unique one.
    Raises LakeError.
    """
    s3, name = client(place), rename(f"windfleet-scratch-{os.getpid()}-{time.time_ns()}")
    with _lake_errors(place, name):
        _make(s3, name)
    try:
        yield name
    finally:
        if remove:
            with _lake_errors(place, name):
                for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
                    if keys := [item["Key"] for item in page.get("Contents", ())]:
                        _delete(s3, name, keys)
                s3.delete_bucket(Bucket=name)


def _uploads(s3: Any, name: str) -> Iterator[dict[str, Any]]:
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=name):
        yield from page.get("Uploads", ())


def first_object(place: Place) -> str | None:
    """Return `bucket/key` of some object in the six buckets, None if they are empty or missing.

    Raises LakeError.
    """
    store = _store(place)
    for name in BUCKETS.values():
        if _exists(store, name) and (key := _first(store, name)) is not None:
            return f"{name}/{key}"
    return None


def _store(place: Place) -> S3ObjectStore:
    with _lake_errors(place):
        return S3ObjectStore(place, READ_TIMEOUT_S)


def _exists(store: S3ObjectStore, name: str) -> bool:
    """Return True if S3 lists the bucket. HEAD is no proof: a web page answers it with 200 too."""
    with _lake_errors(store.settings, name):
        try:
            store.first(name)
        except NoBucket:
            return False
    return True


def _first(store: S3ObjectStore, name: str) -> str | None:
    with _lake_errors(store.settings, name):
        return store.first(name)


def _create(s3: Any, name: str, place: Place) -> None:
    with _lake_errors(place, name):
        _make(s3, name)
        tags = [{"Key": key, "Value": value} for key, value in TAGS.items()]
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})


def _make(s3: Any, name: str) -> None:
    """Create a bucket in the client's region. For S3's oldest region the request must name none."""
    region = s3.meta.region_name
    where = (
        {}
        if region == "us-east-1"
        else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    )
    s3.create_bucket(Bucket=name, **where)


def _is_ours(s3: Any, name: str, place: Place) -> bool:
    from botocore.exceptions import ClientError

    with _lake_errors(place, name):
        try:
            tags = {
                tag["Key"]: tag["Value"]
                for tag in s3.get_bucket_tagging(Bucket=name).get("TagSet", ())
            }
        except ClientError as error:
            if _code(error) not in DENIED | {"NoSuchTagSet"}:
                raise
            return False  # no tags, or none that we may read: not ours to change
    return tags.items() >= TAGS.items()


def _lifecycle(s3: Any, name: str) -> list[dict[str, Any]] | None:
    from botocore.exceptions import ClientError

    try:
        rules: list[dict[str, Any]] = s3.get_bucket_lifecycle_configuration(Bucket=name).get(
            "Rules", []
        )
    except ClientError:
        return None  # none, or not readable: then the attempt to put it fails
    return rules


def _status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@functools.cache
def _handled() -> tuple[type[Exception], ...]:
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    return BotoCoreError, ClientError, ResponseParserError, ValueError, StoreError


@contextlib.contextmanager
def _lake_errors(place: Place, name: str | None = None) -> Iterator[None]:
    """Turn errors of S3's clients into a LakeError that names bucket and endpoint."""
    where = place.place if isinstance(place, Settings) else place or "AWS S3"
    subject = f"bucket {name} at {where}" if name else where
    try:
        yield
    except _handled() as error:
        raise LakeError(_explain(error, where, subject)) from error


def _explain(error: Exception, where: str, subject: str) -> str:
    from botocore import exceptions, parsers

    match error:
        case SettingsError():
            return str(error)  # `where` may contain a password, and was refused because of it
        case Refused(denied=True):
            return f"Access to {subject} is denied: {_CHECK_CREDENTIALS} ({error})"
        case Unavailable():
            return f"No S3 answers at {where}: is it running, and is the endpoint right? ({error})"
        case StoreError():
            return f"{subject[0].upper()}{subject[1:]} cannot be used: {error}"
        case exceptions.ClientError() if 300 <= _status(error) < 400 and _code(error) not in TAKEN:
            return (
                f"{where} redirects (HTTP {_status(error)}); windfleet follows no redirect: "
                "name the right endpoint, and the buckets' region with AWS_REGION."
            )
        case exceptions.ClientError() if _code(error) in DENIED:
            return f"Access to {subject} is denied ({_code(error)}): {_CHECK_CREDENTIALS}"
        case exceptions.ClientError() if _code(error) in TAKEN:
            return (
                f"The name of {subject} is taken, by another account "
                "or in another region than that of AWS_REGION."
            )
        case exceptions.ClientError():
            return f"S3 refused an operation on {subject}: {error}"
        case parsers.ResponseParserError():
            return f"{where} {NOT_S3}: is the endpoint right? ({str(error)[:200]})"
        case exceptions.ConnectionError() | exceptions.HTTPClientError():
            return f"No S3 answers at {where}: is it running, and is the endpoint right? ({error})"
        case _:
            return f"S3 cannot be used at {where}: {error}"
