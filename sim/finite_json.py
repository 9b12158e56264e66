"""JSON whose numbers are all finite and in the range of a float.

Python reads whole numbers of any size, and NaN. Arithmetic of a report would end on them.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn

_SAFE_DIGITS: Final = 300
"""A whole number that is no longer than this is in range."""


def loads(body: str | bytes) -> Any:
    """Return the value of a JSON text. Raises ValueError, and RecursionError for deep nesting."""
    return json.loads(body, parse_int=_whole, parse_float=_real, parse_constant=_refuse)


def _whole(text: str) -> int:
    if len(text) > _SAFE_DIGITS:
        _real(text)
    return int(text)


def _real(text: str) -> float:
    if not math.isfinite(value := float(text)):
        _refuse(text)
    return value


def _refuse(text: str) -> NoReturn:
    shown = text if len(text) <= 20 else f"{text[:8]}… of {len(text):,} characters"
    raise ValueError(f"the number {shown} is out of range")
