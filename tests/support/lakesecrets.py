"""Search for files that name people, places or keys and that others may read."""

from __future__ import annotations

import json
from pathlib import Path

FIELDS = ("operator_contact", "technician", "latitude", "longitude")


def of_nodes(folder: Path) -> set[bytes]:
    """Return the secrets in the configurations under a folder, as written there."""
    secrets = set()
    for path in folder.rglob("*.json"):
        config = json.loads(path.read_text(encoding="utf-8"))
        values = [
            config.get("privacy_key"),
            *(config.get("asset", {}).get(field) for field in FIELDS),
        ]
        secrets |= {str(value).encode() for value in values if value not in (None, "")}
    return secrets


def open_to_others(folder: Path, secrets: set[bytes]) -> list[Path]:
    """List files below a folder that contain a secret and are readable by group or all."""
    files = [
        path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_mode & 0o077
    ]
    return [path for path in files if any(secret in path.read_bytes() for secret in secrets)]
