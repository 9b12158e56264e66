"""Parts of a campaign as one: their sums added, and the verdict on all runs.

What all parts together must hit is judged here: each point that was certain to be hit, and the
points that were left to chance. Times are sums over the parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from sim.campaign.campaign_part import CampaignPart
from sim.campaign.command import report
from sim.campaign.options import place_again
from sim.report.campaign import CampaignResult
from sim.verify.judge import RANK


def merge_campaign(parts: Mapping[Path, CampaignPart], out: Path, console: Console) -> int:
    """Report all parts of a campaign as one. Return its exit code. Raises OSError."""
    first, *others = sorted(parts.values(), key=lambda part: part.index)
    summary = first.summary
    for part in others:
        summary.merge(part.summary)
    result = CampaignResult(
        first.scenario,
        first.seed,
        first.replay + place_again(out),
        oracle=max((part.oracle for part in parts.values()), key=RANK.index),
        digest=first.digest,
    )
    summary.sum_up(result)
    report(result, out, console)
    return result.exit_code
