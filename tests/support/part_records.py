"""Planted changes of a part's record, for the refusals of `merge`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Change = Callable[[Path], None]
"""Changes something in the folder that holds the directories of the parts."""


def edited(change: Callable[[dict[str, Any]], object], record: str = "part.json") -> Change:
    """Return a change of the second part's record."""

    def edit(folder: Path) -> None:
        path = folder / "part-2" / record
        raw = json.loads(path.read_text())
        change(raw)
        path.write_text(json.dumps(raw))

    return edit


def common(name: str, value: str, record: str = "part.json") -> Change:
    """Return a change of one setting that all parts have in common."""
    return edited(lambda raw: raw["common"].update({name: value}), record)
