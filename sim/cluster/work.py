"""One command in parts: what `run`, `demo`, `campaign` and `verify` do differently on a cluster.

The path is the same for all (`sim.cluster.command`). A command names the words of a part's command
line, the files of its record, where the records are gathered, and what must be there before.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from sim.cluster.task import Source
from sim.merge.command import MergeOptions
from sim.run.needs import Needs
from sim.run.part_index import PartIndex
from sim.scenario import Scenario

Places = dict[int, tuple[Source, tuple[str, ...]]]
"""Number of a part -> a file that it needs, and the machines that have it."""


class Work(ABC):
    """One command in parts.

    record: files of a part that come back; the last one shows that it is complete.
    keeps: a part's files stay on its worker. unit: of the progress. endpoint_url: of the store of
    all parts. without_store: what to do where workers do not reach it.
    """

    record: ClassVar[tuple[str, ...]]
    keeps: ClassVar[bool] = False
    unit: ClassVar[str] = "rows"
    needs_localstack = False
    endpoint_url: str | None = None
    without_store = "leave it out for an embedded one each"

    def __init__(self, scenario: Scenario) -> None:
        """Take the scenario of the whole."""
        self.scenario = scenario

    @property
    def name(self) -> str:
        """Name of the work, for folders and topics."""
        return f"{self.scenario.name}-{self.scenario.seed}"

    @property
    def scenario_text(self) -> str:
        """Text of the scenario's file on a worker; empty if a part's command reads none."""
        return self.scenario.text

    @property
    @abstractmethod
    def total(self) -> int | None:
        """Amount of work of all parts, in `unit`; None if it is not known."""

    @abstractmethod
    def parts(self, asked: int | None, most: int) -> int:
        """Return the number of parts. most: by default. Raises PartError for one that cannot be."""

    @abstractmethod
    def command(self, part: PartIndex) -> tuple[str, ...]:
        """Return the words of a part's command line."""

    @abstractmethod
    def records(self, run: str) -> Any:
        """Return a context with the folder that the parts' records are gathered in."""

    @abstractmethod
    def outcome(self, folder: Path) -> tuple[str, int]:
        """Return the outcome of a part in words, and its amount of work."""

    @abstractmethod
    def merge_options(self, folders: list[Path]) -> MergeOptions:
        """Return what `windfleet merge` makes of the parts."""

    def completed_by(self, count: int) -> str | None:
        """Return how to add the parts that are missing; None if the records are not kept."""
        return f"run the others with --shard I/{count}, then windfleet merge"

    def folder(self, given: str | None) -> str:
        """Return the folder of the parts' files on a worker. given: by the user."""
        return given or f"runs/{self.name}.parts"

    def needs(self, count: int, workers: int) -> Needs | None:
        """Return the needs of one of `count` parts; None if they are small."""
        return None

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Prepare the store of all parts, for the block."""
        yield

    def places(self, client: Any, count: int) -> Places:
        """Return the files that parts need, where they are. Raises ClusterError."""
        return {}
