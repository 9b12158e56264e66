"""Python's search for unreachable cycles, made rarer.

Tables and arrays are no part of cycles, and are freed at once. What is left are some hundred
thousand objects of modules and results. To search them at every 700 new objects, and several times
at the end, costs a run a tenth of its CPU time.
"""

from __future__ import annotations

import gc
from typing import Final

YOUNG: Final = 20_000
"""New objects that begin a search among them."""
OLDER: Final = 20
"""Searches of a generation that begin one of the next."""


def search_rarely() -> None:
    """Leave all present objects out of searches, and begin fewer."""
    gc.freeze()
    gc.set_threshold(YOUNG, OLDER, OLDER)


def end_search() -> None:
    """Leave all objects out, since the process ends and the system takes its memory back."""
    gc.disable()
    gc.freeze()
