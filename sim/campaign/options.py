"""Settings of a campaign, from the command line or from its directory."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from sim.campaign.live_runs import Load
from sim.run.part_index import WHOLE, PartIndex
from sim.store.gateway import Gateway


@dataclass(frozen=True)
class CampaignOptions:
    """Settings from the command line.

    runs         number of random runs in process
    loads        number of random runs of the loader; 0 for none at all
    live         number of whole runs on a real store
    seed         seed of the random runs
    command      command line that repeats the campaign, without --out
    run_command  command line of one whole run of the scenario
    load         loads the scenario with additional settings
    replay       a schedule to run instead of the campaign
    gateway      of the LocalStack of the live runs
    shard        the one part of the campaign to make; None: the whole campaign
    resumed      go on with the campaign in `out`
    quick        a fault at the first and last call of each point only, not at every call
    """

    out: Path
    runs: int
    loads: int
    live: int
    seed: int
    workers: int
    overwrite: bool
    command: str
    run_command: str
    load: Load
    replay: str | None = None
    gateway: Gateway = "short"
    shard: PartIndex | None = None
    resumed: bool = False
    quick: bool = False

    @property
    def place(self) -> PartIndex:
        """The part, or the whole campaign as the only part of one."""
        return self.shard or WHOLE

    @property
    def sizes(self) -> dict[str, str]:
        """The numbers of runs, by their options, in which all parts agree."""
        numbers = {"--runs": self.runs, "--loads": self.loads, "--wired": self.live}
        quick = {"--quick": "yes"} if self.quick else {}
        return {**quick, **{option: str(number) for option, number in numbers.items()}}

    @property
    def words(self) -> list[str]:
        """The sizes as words of a command line."""
        pairs = self.sizes.items()
        return [word for pair in pairs for word in (pair[:1] if pair[1] == "yes" else pair)]

    @property
    def place_again(self) -> str:
        """The options that take the run directory again."""
        return place_again(self.out)

    @property
    def replay_whole(self) -> str:
        """The command line that repeats the whole campaign."""
        return " ".join([self.command, *self.words])


def place_again(out: Path) -> str:
    """Return the options that take a run directory again."""
    return f" --out {shlex.quote(str(out))} --overwrite"
