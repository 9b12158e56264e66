"""An object store in a folder `<bucket>/<key>`: what the pipeline needs of S3, for tests that need no server."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pipeline.ports import AlreadyExists, Conflict, NotFound


class FolderStore:
    """Create if absent and compare-and-set by content hash. For one writer at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(self, bucket: str, key: str, body: bytes) -> str:
        path = self.folder / bucket / key
        if path.exists():
            raise AlreadyExists(f"create {bucket}/{key}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        return _etag(body)

    def replace(self, bucket: str, key: str, body: bytes, etag: str) -> str:
        if self.get(bucket, key)[1] != etag:
            raise Conflict(f"replace {bucket}/{key}")
        (self.folder / bucket / key).write_bytes(body)
        return _etag(body)

    def get(self, bucket: str, key: str) -> tuple[bytes, str]:
        try:
            body = (self.folder / bucket / key).read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"get {bucket}/{key}") from error
        return body, _etag(body)

    def list(self, bucket: str, folder: str, name_prefix: str) -> list[str]:
        found = (self.folder / bucket / folder).glob(f"{name_prefix}*")
        return sorted(path.relative_to(self.folder / bucket).as_posix() for path in found)


def _etag(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
