"""The plan of one phase for its client processes, as files: `phase.json` and `arrivals.npz`.

The parent (`sim.load.engine`) writes them, or the locustfile when Locust is started by hand.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pipeline.settings import Settings
from pipeline.settings import settings as store_settings
from sim.load.client.journal import wall_offset_ns
from sim.load.phase import Arrivals, Phase

if TYPE_CHECKING:
    # `windfleet watch` reads plans, and needs neither the clients nor the settings.
    from sim.load.arrivals import Mix
    from sim.load.settings import EngineSettings

_PHASE: Final = "phase.json"
_ARRIVALS: Final = "arrivals.npz"
_STARTED: Final = "started"


def pid_path(folder: Path, worker: int) -> Path:
    """Return the path of the file with a client's process id."""
    return folder / f"client-{worker}.pid"


def over_path(folder: Path, worker: int) -> Path:
    """Return the path of the file that marks a client's regular end. Without it, it was lost."""
    return folder / f"client-{worker}.over"


def ran_out_path(folder: Path) -> Path:
    """Return the path of the file that marks that a client had no batch left to flush."""
    return folder / "ran-out"


@dataclass(frozen=True)
class ClientPlan:
    """One phase for `workers` client processes with `users` users in all.

    nodes, seeded: the number of nodes, and of those whose first batch is in the lake.
    drain_s: longest time after the phase's end for requests under way.
    offset_ns: of the common clock (`journal.wall_offset_ns`).
    repeat_batch: each node repeats one batch, for a null store (`sim.load.null_store`).
    own: windfleet started the server. by_bucket: see `pipeline.settings`.
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
    repeat_batch: bool = False
    own: bool = False
    by_bucket: bool = False

    @classmethod
    def of(
        cls, phase: Phase, settings: EngineSettings, workers: int, batches: Path, nodes: int
    ) -> ClientPlan:
        """Return the plan of a phase. batches: folder of the prepared batches of these nodes."""
        from sim.load.client.request import seeded_nodes

        return cls(
            name=phase.name,
            seed=settings.seed,
            workers=workers,
            users=phase.users or settings.users,
            endpoint_url=settings.endpoint_url,
            batches=batches,
            nodes=nodes,
            seeded=seeded_nodes(settings.mix, nodes),
            encode_inside=settings.encode_inside,
            timeout_s=settings.timeout_s,
            duration_s=phase.duration_s,
            drain_s=settings.drain_s,
            offset_ns=wall_offset_ns(),
            mix=settings.mix,
            arrivals=phase.arrivals,
            repeat_batch=settings.repeat_batch,
            own=settings.own,
            by_bucket=settings.by_bucket,
        )

    @property
    def store(self) -> Settings:
        """Settings of the S3 client. A plan never contains credentials. Raises SettingsError."""
        return store_settings(self.endpoint_url, self.own, self.by_bucket)

    def now_ns(self) -> int:
        """Return the time of the common clock, ns since 1970."""
        return time.monotonic_ns() + self.offset_ns

    def write(self, folder: Path) -> None:
        """Write the files, and the folder if it is missing. Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        plain: dict[str, Any] = asdict(self) | {
            "batches": str(self.batches),
            "arrivals": self.arrivals is not None,
        }
        (folder / _PHASE).write_text(json.dumps(plain), encoding="utf-8")
        if self.arrivals is not None:
            np.savez(folder / _ARRIVALS, **vars(self.arrivals))


def read(folder: Path) -> ClientPlan:
    """Return the plan in a folder. Raises OSError, ValueError, KeyError."""
    plain = json.loads((folder / _PHASE).read_text(encoding="utf-8"))
    plain["batches"] = Path(plain["batches"])
    plain["mix"] = tuple((kind, weight) for kind, weight in plain["mix"])
    if plain.pop("arrivals"):
        with np.load(folder / _ARRIVALS) as file:
            plain["arrivals"] = Arrivals(file["intended_s"], file["kind"], file["node"])
    return ClientPlan(**{"arrivals": None, **plain})


def write_started(folder: Path, started_ns: int) -> None:
    """Write the time of the schedule's 0 for the parent, in one step."""
    part = folder / f".{_STARTED}"
    part.write_text(str(started_ns), encoding="utf-8")
    part.replace(folder / _STARTED)


def read_started(folder: Path) -> int | None:
    """Return the time of the schedule's 0, ns since 1970. None before it is known."""
    path = folder / _STARTED
    return int(path.read_text(encoding="utf-8")) if path.exists() else None
