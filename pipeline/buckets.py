"""The lake's six buckets as data, from `buckets.json`: names, tags and lifecycle rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

_DATA: Final[dict[str, Any]] = json.loads(
    Path(__file__).with_name("buckets.json").read_text(encoding="utf-8")
)
TAGS: Final[dict[str, str]] = _DATA["tags"]
BUCKETS: Final[dict[str, str]] = {stage: entry["name"] for stage, entry in _DATA["buckets"].items()}
LIFECYCLE: Final[dict[str, list[dict[str, Any]]]] = {
    stage: entry["lifecycle"] for stage, entry in _DATA["buckets"].items()
}
