"""A hostile environment: every variable and file known to S3's libraries names a listener."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import botocore
import obstore

from tests.support.servers import Reply, Served, served

PROXIES = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "PROXY_URL",
)
ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")
USERS = (
    *(
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_REGION",
    ),
    *("AWS_DEFAULT_REGION", "AWS_CA_BUNDLE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"),
)
"""Variables that the README lets a user set, except endpoints. They have valid values here."""
SWITCHES = {
    "AWS_CSM_ENABLED": "true",
    "AWS_SKIP_SIGNATURE": "true",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
    "AWS_UNSIGNED_PAYLOAD": "true",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_USE_DUALSTACK_ENDPOINT": "true",
    "AWS_SERVER_SIDE_ENCRYPTION": "aws:kms",
    "AWS_SESSION_NAME": "hunter2",
    "AWS_SDK_UA_APP_ID": "hunter2",
    "BOTOCORE_EXPERIMENTAL__PLUGINS": "x=nonsense",
    "AWS_S3_LOCKING_PROVIDER": "dynamodb",
    "DELTA_DYNAMO_TABLE_NAME": "hunter2",
    "RUST_LOG": "debug",
    "RUST_BACKTRACE": "full",
}
"""Variables of a switch or a name, with a harmful value. All others get the listener's URL."""
LISTING = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"


def known() -> set[str]:
    """Return every AWS_ name in the text of botocore and in obstore's documentation."""
    names = {"AWS_ALLOW_HTTP", "AWS_PROXY_URL", "AWS_TOKEN", "AWS_ENDPOINT"}
    sources = [
        *Path(botocore.__file__).parent.glob("*.py"),
        *Path(obstore.__file__).parent.rglob("*.pyi"),
    ]
    for path in sources:
        names |= set(re.findall(r"\bAWS_[A-Z0-9_]*[A-Z0-9]\b", path.read_text(encoding="utf-8")))
    return names


@contextmanager
def hostile(home: Path, endpoints: bool = True) -> Iterator[tuple[Served, dict[str, str]]]:
    """Yield the listener and the environment. `endpoints`: variables of endpoints name it, too."""
    with served(Reply(200, LISTING)) as listener:
        names = (
            (known() | set(PROXIES) | set(ENDPOINTS))
            - set(USERS)
            - (set() if endpoints else set(ENDPOINTS))
        )
        (home / ".aws").mkdir(parents=True)
        config = f"[default]\nendpoint_url = {listener.url}\nservices = all\nca_bundle = /none\n"
        config += "region = nonsense\ns3 =\n  addressing_style = virtual\n"
        config += f"[services all]\ns3 =\n  endpoint_url = {listener.url}\n"
        (home / ".aws" / "config").write_text(config)
        keys = "[default]\naws_access_key_id = theirs\naws_secret_access_key = theirs\n"
        (home / ".aws" / "credentials").write_text(keys)
        (home / ".duckdbrc").write_text(f"FROM read_csv('{listener.url}/x.csv');\n")
        yield listener, dict.fromkeys(names, listener.url) | SWITCHES | {"HOME": str(home)}
