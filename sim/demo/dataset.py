"""A finished data set: its parts and their place, for its README, pictures and realism page."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from pipeline.records import BUCKET_PREFIX, QUARANTINE
from sim.check.verdict import Verdict
from sim.demo.story import story_of
from sim.demo.themes import Theme
from sim.run.record import Record
from sim.scenario import Scenario

Layout = Literal["turbine", "farm"]
_WRONG: Final = ("lost", "duplicated", "misplaced", "altered", "unexpected")


@dataclass
class Dataset:
    """A data set in a folder.

    `record`: the run's record. `seconds`: wall time of the whole command. `pictures`: captions by
    file name; `dashboard`: its file name. `endpoint_url`: S3 that got a copy of the lake, of
    `uploaded` objects.
    """

    scenario: Scenario
    theme: Theme
    folder: Path
    layout: Layout
    record: Record
    command: str = ""
    seconds: float = 0.0
    pictures: dict[str, str] = field(default_factory=dict)
    dashboard: str = ""
    endpoint_url: str = ""
    uploaded: int = 0

    @property
    def verdict(self) -> Verdict:
        """The oracle's verdict."""
        assert self.record.verdict is not None
        return self.record.verdict

    @property
    def story(self) -> str:
        """The theme's story at the farms of this set. Markdown."""
        return story_of(self.theme, self.scenario.fleet)

    @property
    def counts(self) -> str:
        """The oracle's counts, in words."""
        found = self.verdict
        names = {"rows": "rows.generated", "windows": "windows.expected"}
        whole = [f"{found.figures[name]:,.0f} {word}" for word, name in names.items()]
        wrong = [f"{found.figures[f'rows.{name}']:,.0f} {name}" for name in _WRONG]
        return f"{', '.join(whole)}, {found.objects:,} objects; {', '.join(wrong)} rows"

    @property
    def judged(self) -> str:
        """The verdict with its counts, in words."""
        return f"{self.verdict.status}: {self.counts}"

    @property
    def has_quarantine(self) -> bool:
        """True if the lake has rows that broke a rule."""
        return (self.folder / "lake" / f"{BUCKET_PREFIX}validated" / QUARANTINE).is_dir()

    @property
    def fleet(self) -> str:
        """Numbers of turbines and farms, in words."""
        turbines, farms = self.scenario.fleet.turbines, len(self.scenario.fleet.farms)
        return f"{turbines:,} turbine{'s' * (turbines != 1)} of {farms:,} farm{'s' * (farms != 1)}"

    @property
    def rows(self) -> int:
        return sum(shard.rows for shard in self.record.shards)
