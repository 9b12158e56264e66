"""`windfleet campaign --cluster`: parts of a campaign. Each leaves its sums, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sim import run_directory
from sim.campaign import campaign_part
from sim.campaign.options import CampaignOptions
from sim.cluster.task import OUT, SCENARIO
from sim.cluster.work import Work
from sim.merge.command import MergeOptions
from sim.run.part_index import PartIndex
from sim.run_directory import CAMPAIGN_PART_FILE, PARTS
from sim.scenario import Scenario


class CampaignWork(Work):
    """A campaign in parts. Its scenario is the resolved one, under the name that the user gave."""

    record = (CAMPAIGN_PART_FILE,)
    unit = "runs"

    def __init__(
        self, scenario: Scenario, options: CampaignOptions, named: str, replay: str
    ) -> None:
        """named: the scenario and its settings, as words of a command line. replay: all of it."""
        super().__init__(scenario)
        self._options, self._named, self._replay = options, named, replay
        self.needs_localstack = options.live > 0

    @property
    def total(self) -> None:
        return None

    def parts(self, asked: int | None, most: int) -> int:
        return asked or most

    def command(self, part: PartIndex) -> tuple[str, ...]:
        options = self._options
        more = ("--seed", str(options.seed), "--gateway", options.gateway, "--named", self._named)
        place = ("--shard", str(part), "--out", OUT, "--overwrite")
        return ("campaign", SCENARIO, *options.words, *more, *place)

    @contextmanager
    def records(self, run: str) -> Iterator[Path]:
        options = self._options
        with run_directory.made(options.out, options.overwrite, self.scenario.text, 0):
            yield options.out / PARTS

    def outcome(self, folder: Path) -> tuple[str, int]:
        summary = campaign_part.read(folder).summary
        runs = summary.runs + summary.live + summary.loads.runs
        failed = summary.failed + summary.live_failed + summary.loads.failed
        return f"{runs:,} runs, {failed:,} failed", runs

    def merge_options(self, folders: list[Path]) -> MergeOptions:
        return MergeOptions(folders, self._options.out, replay=self._replay, within=True)
