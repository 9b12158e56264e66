"""The lake of the loader's runs, and the run without faults as the reference for all others.

The objects are a selection from the campaign's own run without faults: of each table ARRIVALS[0]
objects, and then some more that arrive in each round. All runs use the same selection. The
warehouse before each round of the run without faults is kept, so that another run can begin there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pipeline.catalog.tables import TABLES, Table
from pipeline.records import BUCKET_PREFIX
from sim.campaign.loader.calls import CallName, LoggedCall
from sim.campaign.loader.read_store import Objects
from sim.campaign.loader.tables import Expected, expected
from sim.chaos.call import Place

ARRIVALS: Final = (3, 1)
"""Objects of each table that arrive in each round: more than one batch at first."""


@dataclass
class LoaderWorld:
    """States of the lake, one per round. Can be pickled for another process.

    folder: of the kept warehouses. log: calls of the run without faults. numbers: of those calls,
    from 1.
    """

    folder: Path
    lakes: tuple[dict[Place, bytes], ...]
    tables: tuple[Table, ...] = TABLES
    log: list[LoggedCall] = field(default_factory=list)
    numbers: dict[CallName, int] = field(default_factory=dict)

    _rows: dict[int, dict[str, Expected]] = field(default_factory=dict)

    def kept(self, round_: int) -> Path:
        """Return the folder of the warehouse before a round of the run without faults."""
        return self.folder / f"before-{round_}" / "warehouse"

    def before(self, round_: int) -> Objects:
        return self.lakes[round_ - 1] if round_ else {}

    def rows(self, round_: int) -> dict[str, Expected]:
        """Return the rows of the lake of a round, decoded once."""
        if round_ not in self._rows:
            self._rows[round_] = expected(self.lakes[round_], self.tables)
        return self._rows[round_]

    def remember(self, log: list[LoggedCall]) -> None:
        """Number the calls of the run without faults from 1."""
        self.log = log
        self.numbers = {call.name: number for number, call in enumerate(log, 1)}


def select(
    folder: Path, objects: Mapping[Place, bytes], tables: tuple[Table, ...] = TABLES
) -> LoaderWorld:
    """Return a world of some objects of a lake. Objects that arrive later may sort before others.

    The selection is spread over the keys, which begin with the hour of the rows.
    """
    lakes: list[dict[Place, bytes]] = [{} for _ in ARRIVALS]
    most = sum(ARRIVALS)
    for table in tables:
        places = sorted(
            place
            for place in objects
            if place[0] == BUCKET_PREFIX + table.bucket and place[1].startswith(table.prefix)
        )
        n = min(most, len(places))
        chosen = [places[i * len(places) // n] for i in range(n)]
        chosen = [*chosen[1::2], *chosen[::2]]  # later arrivals sort between earlier ones
        for round_, lake in enumerate(lakes):
            for place in chosen[: sum(ARRIVALS[: round_ + 1])]:
                lake[place] = objects[place]
    return LoaderWorld(folder, tuple(lakes), tables)
