"""S3's answers to listings, parsed strictly: no other answer passes for an empty bucket.

Each of these raises ValueError:

- a web page,
- an error inside a 200,
- the listing of another bucket,
- a truncated page,
- a page that promises a next one without naming it.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote_plus
from xml.etree import ElementTree

_ROOT = "ListBucketResult"
_UPLOADS = "ListMultipartUploadsResult"


@dataclass(frozen=True)
class Page:
    """One page. `token`: of the next page, None on the last.

    objects: key, size in bytes and ETag without its quotes, empty if there is none.
    """

    objects: list[tuple[str, int, str]]
    token: str | None


def page(body: bytes, bucket: str) -> Page:
    """Parse the answer to ListObjectsV2 of a bucket. Raise ValueError, which names the defect."""
    root, namespace = _root(body, _ROOT)

    def text(name: str, parent: ElementTree.Element = root) -> str | None:
        return parent.findtext(namespace + name)

    if (name := text("Name")) is not None and name != bucket:
        raise ValueError(f"the listing of another bucket, {name[:63]!r}")
    more = text("IsTruncated")
    if more not in ("true", "false"):
        raise ValueError(f"a listing without a valid IsTruncated: {more!r}")
    encoded = text("EncodingType") == "url"
    objects = []
    for item in root.iterfind(namespace + "Contents"):
        key, size = text("Key", item), text("Size", item)
        if not key or size is None or not (size.isascii() and size.isdigit()):
            raise ValueError("a listing with an object without key or size")
        etag = (text("ETag", item) or "").strip('"')
        objects.append((unquote_plus(key) if encoded else key, int(size), etag))
    count = text("KeyCount")
    if count is not None and count.strip() != str(len(objects)):
        raise ValueError(f"a listing of {len(objects)} objects with KeyCount {count[:20]!r}")
    token = text("NextContinuationToken")
    if more == "true" and not token:
        raise ValueError("a truncated listing without a next page")
    return Page(objects, token if more == "true" else None)


def has_uploads(body: bytes) -> bool:
    """Return True if an answer to ListMultipartUploads names an upload. Raise ValueError."""
    root, namespace = _root(body, _UPLOADS)
    return root.find(f"{namespace}Upload") is not None


def _root(body: bytes, wanted: str) -> tuple[ElementTree.Element, str]:
    """Return the root of an answer, and the namespace. Raise ValueError, which names the defect."""
    try:
        root = ElementTree.fromstring(body)
    # LookupError: an unknown encoding
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise ValueError(f"a listing that is not XML ({_beginning(body)}: {error})") from None
    namespace = root.tag[: root.tag.find("}") + 1]
    if root.tag != namespace + wanted:
        raise ValueError(f"<{root.tag.rpartition('}')[2][:40]}> instead of <{wanted}>")
    return root, namespace


def _beginning(body: bytes) -> str:
    return f"{len(body)} bytes, beginning {body[:40]!r}" if body else "an empty body"
