"""JSON of records, which are dataclasses of plain values."""

from __future__ import annotations

from dataclasses import fields
from typing import Any


def fields_of(record: Any) -> dict[str, Any]:
    """Return a record's fields by name, as `default` of `json.dumps`.

    Raises TypeError for what is no dataclass.
    """
    return {field.name: getattr(record, field.name) for field in fields(record)}
