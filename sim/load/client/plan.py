"""What a client process must know of the phase it takes part in, as files: `phase.json` and `arrivals.npz`.

Written by the parent (`sim.load.engine`) or, when Locust is started by hand, by the locustfile itself.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.settings import Settings, settings
from sim.load.arrivals import Mix
from sim.load.phase import Arrivals

_PHASE: Final = "phase.json"
_ARRIVALS: Final = "arrivals.npz"
_STARTED: Final = "started"


def pid_path(folder: Path, worker: int) -> Path:
    """Where a client process tells its process id."""
    return folder / f"client-{worker}.pid"


def over_path(folder: Path, worker: int) -> Path:
    """Made when a client process has done its part: without it, it was lost."""
    return folder / f"client-{worker}.over"


def ran_out_path(folder: Path) -> Path:
    """Made when a client process had no batch left to flush."""
    return folder / "ran-out"


@dataclass(frozen=True)
class ClientPlan:
    """One phase for `workers` client processes with `users` users in all.

    offset_ns: of the common clock (`journal.wall_offset_ns`). seeded: nodes whose first batch is in the lake. drain_s:
    how long what is under way may take behind the phase's end. again: the store forgets, and the same batches are
    flushed over and over (`sim.load.null_store`). own: the server is one that windfleet started.
    """

    name: str
    seed: int
    workers: int
    users: int
    endpoint_url: str
    batches: Path
    nodes: int
    seeded: int
    encode_inside: bool
    timeout_s: float
    duration_s: float
    drain_s: float
    offset_ns: int
    mix: Mix
    arrivals: Arrivals | None
    again: bool = False
    own: bool = False

    @property
    def store(self) -> Settings:
        """How to reach the store: credentials are never written to a plan. Raises SettingsError."""
        return settings(self.endpoint_url, self.own)

    def now_ns(self) -> int:
        """The common clock, ns since 1970."""
        return time.monotonic_ns() + self.offset_ns

    def write(self, folder: Path) -> None:
        """Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        plain: dict[str, Any] = asdict(self) | {
            "batches": str(self.batches),
            "arrivals": self.arrivals is not None,
        }
        (folder / _PHASE).write_text(json.dumps(plain), encoding="utf-8")
        if self.arrivals is not None:
            np.savez(folder / _ARRIVALS, **vars(self.arrivals))


def read(folder: Path) -> ClientPlan:
    """Raises OSError, ValueError, KeyError."""
    plain = json.loads((folder / _PHASE).read_text(encoding="utf-8"))
    plain["batches"] = Path(plain["batches"])
    plain["mix"] = tuple((kind, weight) for kind, weight in plain["mix"])
    if plain.pop("arrivals"):
        with np.load(folder / _ARRIVALS) as file:
            plain["arrivals"] = Arrivals(file["intended_s"], file["kind"], file["node"])
    return ClientPlan(**{"arrivals": None, **plain})


def write_started(folder: Path, started_ns: int) -> None:
    """Tell the parent when the schedule's 0 is; in one step, so that it is never read half."""
    part = folder / f".{_STARTED}"
    part.write_text(str(started_ns), encoding="utf-8")
    part.replace(folder / _STARTED)


def read_started(folder: Path) -> int | None:
    """ns since 1970, None before it is known."""
    path = folder / _STARTED
    return int(path.read_text(encoding="utf-8")) if path.exists() else None
