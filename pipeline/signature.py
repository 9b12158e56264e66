"""AWS Signature Version 4 in the headers of a request to S3.

Path and query are signed in the form in which they are sent: encoded once, the query sorted by
name.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from functools import lru_cache

from pipeline.settings import Credentials

_SERVICE = "s3"
_END = "aws4_request"


def signed(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body_sha256: str,
    region: str,
    credentials: Credentials,
    now_s: float | None = None,
) -> dict[str, str]:
    """Return the headers to send: the given ones, date, hash, token and signature.

    headers: names in lower case, `host` among them.
    """
    stamp = _stamp(int(time.time() if now_s is None else now_s))
    sent = {**headers, "x-amz-content-sha256": body_sha256, "x-amz-date": stamp}
    if credentials.token is not None:
        sent["x-amz-security-token"] = credentials.token
    names = sorted(sent)
    lines = "".join([f"{name}:{sent[name].strip()}\n" for name in names])
    signed_names = ";".join(names)
    canonical = f"{method}\n{path}\n{query}\n{lines}\n{signed_names}\n{body_sha256}"
    scope = f"{stamp[:8]}/{region}/{_SERVICE}/{_END}"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = _key(credentials.secret, stamp[:8], region)
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    sent["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.key}/{scope}, "
        f"SignedHeaders={signed_names}, Signature={signature}"
    )
    return sent


@lru_cache(maxsize=8)
def _key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, _SERVICE, _END):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


@lru_cache(maxsize=8)
def _stamp(now_s: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s))
