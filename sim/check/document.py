"""JSON documents of the lake, read strictly: what two readers could take for two different things is refused."""

from __future__ import annotations

import json
import math
from typing import Any, Final

MAX_BYTES: Final = 16 * 1024 * 1024
MAX_DEPTH: Final = 32


def parse(content: bytes | None) -> tuple[Any, str]:
    """The value, and why it cannot be taken: an empty text, or a problem (then the value is None)."""
    if content is None:
        return None, "it was listed but could not be read"
    if len(content) > MAX_BYTES:
        return None, f"{len(content)} bytes, more than {MAX_BYTES}"
    try:
        value = json.loads(
            content.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refused, parse_float=_finite
        )
    except RecursionError:
        return None, f"nested deeper than {MAX_DEPTH}"
    except ValueError as error:
        return None, f"not JSON: {error}"
    return (None, f"nested deeper than {MAX_DEPTH}") if _deeper(value, MAX_DEPTH) else (value, "")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return found


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refused(text)


def _deeper(value: Any, depth: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth == 0 or any(_deeper(each, depth - 1) for each in inner)
