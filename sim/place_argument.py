"""Places of the command line. An empty one would be the working directory, so it is refused.

A shell passes an empty argument for `"$UNSET"`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

EMPTY: Final = "is empty; is a variable of the shell not set?"


def stated(text: str) -> str:
    """Return a text that is not empty. Raises ArgumentTypeError."""
    if not text:
        raise argparse.ArgumentTypeError(f"the value {EMPTY}")
    return text


def place(text: str) -> Path:
    """Return a path, of a text that is not empty. Raises ArgumentTypeError."""
    return Path(stated(text))
