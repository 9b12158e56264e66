"""JSON documents of the lake, read strictly: all readers must agree on the contents.

Refused:
- bytes that are not UTF-8, and a byte order mark
- a name twice in one object
- NaN, Infinity, and numbers outside the range of a 64-bit integer or float
- half a surrogate pair
- documents longer, or nested deeper, than any that the pipeline writes
"""

from __future__ import annotations

import codecs
import json
import math
import re
from typing import Any, Final

import numpy as np

MOST_BYTES: Final = 1 << 25
DEPTH: Final = 16
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_LONGEST_INTEGER: Final = 20
"""Characters of -2^63."""
_LONGEST_QUOTE: Final = 60


def parse(content: bytes | None) -> tuple[Any, str]:
    """Return (value, problem). A valid document has an empty problem, others have value None."""
    if content is None:
        return None, "listed, but could not be read"
    if len(content) > MOST_BYTES:
        return None, f"{len(content)} bytes, more than {MOST_BYTES}"
    if content.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return None, "begins with a byte order mark"
    if _depth(content) > DEPTH:
        return None, f"nested deeper than {DEPTH} levels"
    try:
        text = content.decode()
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return None, "contains half a surrogate pair"
    except UnicodeDecodeError as error:
        return None, f"not UTF-8 at byte {error.start}"
    except ValueError as error:
        return None, f"not JSON: {error}"
    return value, ""


def same(found: Any, right: Any) -> bool:
    """Return True for equal values of equal types at every level: `1` differs from `1.0`."""
    if type(found) is not type(right):
        return False
    if isinstance(right, dict):
        return found.keys() == right.keys() and all(
            same(found[name], value) for name, value in right.items()
        )
    if isinstance(right, list):
        return len(found) == len(right) and all(map(same, found, right))
    return bool(found == right)


def _depth(content: bytes) -> int:
    """Upper bound of the nesting depth of lists and objects."""
    opening = content.count(b"[") + content.count(b"{")
    if opening <= DEPTH:
        return opening
    letters = np.frombuffer(_STRING.sub(b"", content), np.uint8)
    step = np.isin(letters, (91, 123)).astype(np.int64) - np.isin(letters, (93, 125))
    return int(np.cumsum(step).max(initial=0))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise ValueError(f"the name {ascii(twice)[:_LONGEST_QUOTE]} is twice in one object")
    return out


def _integer(text: str) -> int:
    if len(text) > _LONGEST_INTEGER or not -(2**63) <= (value := int(text)) < 2**63:
        raise ValueError(f"an integer of {len(text)} characters is too large for 64 bits")
    return value


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:_LONGEST_QUOTE]} is too large for a float")
    return value


def _constant(text: str) -> Any:
    raise ValueError(f"the constant {text}")
