"""Settings that hold for every phase of a load test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.settings import Settings as StoreSettings
from pipeline.settings import settings as store_settings
from pipeline.store import TIMEOUT_S
from sim.load.arrivals import Mix
from sim.load.phase import DRAIN_S, Phase
from sim.load.progress import PhaseProgress
from sim.load_schedule import Limits


@dataclass(frozen=True)
class EngineSettings:
    """The target, the clients and the callbacks of a load test.

    folder: for plans and journals of the phases.
    server_pid: process id of the store, if known.
    join_folder: folder in which joining workers look for a phase. None: workers are forked.
    require_alive: raises when the store is known to have died.
    progress: called with the phase and its progress, several times a second.
    preparing: called with the number of batches made in each round.
    repeat_batch: the target is a null store, and each node repeats one batch.
    disposable: the store ends with the test, so that its objects need not be removed.
    own: windfleet started the server. by_bucket: see `pipeline.settings`.
    """

    endpoint_url: str
    seed: int
    mix: Mix
    users: int
    processes: int
    folder: Path
    limits: Limits
    encode_inside: bool = False
    timeout_s: float = TIMEOUT_S
    drain_s: float = DRAIN_S
    server_pid: int | None = None
    join_folder: Path | None = None
    require_alive: Callable[[], None] = lambda: None
    progress: Callable[[Phase, PhaseProgress], None] = lambda phase, progress: None
    preparing: Callable[[int], None] = lambda made: None
    repeat_batch: bool = False
    disposable: bool = False
    own: bool = False
    by_bucket: bool = False

    @property
    def store(self) -> StoreSettings:
        """Settings of the S3 client. Raises SettingsError."""
        return store_settings(self.endpoint_url, self.own, self.by_bucket)
