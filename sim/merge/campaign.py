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
from sim.console import SafeConsole
from sim.report.campaign import CampaignResult
from sim.report.headline import headline
from sim.verify.judge import RANK


def merge_campaign(
    parts: Mapping[Path, CampaignPart],
    out: Path,
    console: Console,
    is_quiet: bool = False,
    replay: str = "",
) -> int:
    """Report all parts of a campaign as one, or in one line. Return the exit code.

    replay: the command that repeats it on a cluster; empty for that of one process.
    Raises OSError.
    """
    first, *others = sorted(parts.values(), key=lambda part: part.index)
    summary = first.summary
    for part in others:
        summary.merge(part.summary)
    result = CampaignResult(
        first.scenario,
        first.seed,
        replay or first.replay + place_again(out),
        oracle=max((part.oracle for part in parts.values()), key=RANK.index),
        digest=first.digest,
    )
    summary.sum_up(result)
    report(result, out, SafeConsole(quiet=True) if is_quiet else console)
    if is_quiet:
        console.print(headline(result.verdict, result.sentence), soft_wrap=True)
    return result.exit_code
