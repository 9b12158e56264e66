"""The record of one part of a campaign: `campaign-part.json`, beside its campaign.json.

It holds the sums over the part's runs, which `windfleet merge` adds up. A part that ended early has
no such record.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from sim.campaign.summary import Summary
from sim.run.part_head import PartHead, read_json, readable
from sim.run_directory import CAMPAIGN_PART_FILE
from sim.whole_file import write_text

_BY_POINT: Final = (
    *((matrix, name) for matrix in ("matrix", "live_matrix") for name in ("fired", "failed")),
    *(("matrix", "never"), ("live_matrix", "never"), ("loads", "fired"), ("loads", "failed_at")),
)
"""Mappings with a fault and its point as key. JSON holds them as lists of [fault, point, value]."""


@dataclass
class CampaignPart(PartHead):
    """One part of a campaign.

    replay: the command that makes the whole campaign. oracle: status of the verdict on the run
    without faults.
    """

    replay: str
    summary: Summary
    oracle: str
    digest: str


_ADAPTER: Final = TypeAdapter(CampaignPart)


def write(folder: Path, part: CampaignPart) -> None:
    """Write the record of a part. Raises OSError."""
    plain: dict[str, Any] = _ADAPTER.dump_python(part)
    for where, name in _BY_POINT:
        by_point = plain["summary"][where][name]
        plain["summary"][where][name] = [[*point, value] for point, value in by_point.items()]
    text = json.dumps(plain, sort_keys=True, default=sorted)  # sets have no place in JSON
    write_text(folder / CAMPAIGN_PART_FILE, text + "\n")


def read(folder: Path) -> CampaignPart:
    """Read the record of a part. Raises PartError for a directory that has none."""
    path = folder / CAMPAIGN_PART_FILE
    with readable(path):
        raw = read_json(path)
        for where, name in _BY_POINT:
            rows = raw["summary"][where][name]
            raw["summary"][where][name] = {(fault, point): value for fault, point, value in rows}
        return _ADAPTER.validate_python(raw)
