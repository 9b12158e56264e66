"""What Locust started by hand needs and `windfleet load` would have given it: a scenario's batches, a lake, a plan.

Lives in the process that leads (the master, or the only one). Not covered: see `sim.load.locustfile`.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Final

from pipeline import lake
from pipeline.lake import LakeError
from pipeline.settings import SettingsError, settings
from pipeline.store import TIMEOUT_S, S3ObjectStore
from sim.errors import EngineError, PlanError, ScenarioError
from sim.load import arrivals
from sim.load.arrivals import Nodes
from sim.load.batches import Batches, Prepared
from sim.load.client import journal
from sim.load.client.plan import ClientPlan
from sim.load.client.request import SEEDED, seed
from sim.load.client.written_keys import Noting, noted
from sim.load.engine import require_files, require_there
from sim.load.nodes import cadence_of, fleet_of, load_of, nodes_of
from sim.load.phase import DRAIN_S, Arrivals
from sim.scenario import load

CLOSED_BATCHES: Final = 4000
"""Of all nodes together, where the scenario has no schedule; when they are used up, users rest."""
CLOSED_S: Final = 86_400.0


class Refused(Exception):
    """The text says why, and what to do."""


class ByHand:
    """`host`: Locust's --host, the S3 endpoint. `workers`: client processes that will share the nodes."""

    def __init__(self, scenario: str, host: str | None, workers: int) -> None:
        """Make everything ready. Raises Refused."""
        if not scenario:
            raise Refused(
                "name a scenario with a load section: --scenario scenarios/load-ramp.yaml"
            )
        if not host:
            raise Refused(
                "name the store: --host http://127.0.0.1:4566 (one is started by: windfleet store up)"
            )
        try:
            self._host = settings(host).place
        except SettingsError as error:
            raise Refused(f"--host: {error}") from error
        if not lake.is_loopback(self._host):
            raise Refused(
                f"{self._host} is not on this machine; by hand, load goes to loopback only"
            )
        self._workers = workers
        self._folder = Path(tempfile.mkdtemp(prefix="windfleet-locust-"))
        self._runs = 0
        self._last: Path | None = None
        try:
            self._ready(Path(scenario))
        except (ScenarioError, PlanError, EngineError, LakeError, OSError) as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise Refused(str(error)) from error

    def _ready(self, path: Path) -> None:
        require_there(self._host)
        scenario = load(path)
        self._load = load_of(scenario)
        require_files(self._load.users)
        fleet = fleet_of(scenario, self._load)
        nodes = nodes_of(scenario, fleet)
        self._seed, self._nodes = scenario.seed, nodes.count
        self._arrivals, self._duration_s = self._schedule(nodes)
        reads = any(kind != "flush" for kind, _ in self._load.mix)
        self._seeded = min(SEEDED, nodes.count) if reads else 0
        lake.ensure(self._host)
        if (held := lake.first_object(self._host)) is not None:
            raise EngineError(
                f"the lake at {self._host} already holds objects ({held}); a load test needs it empty"
            )
        most = CLOSED_BATCHES // nodes.count
        if self._arrivals is not None:
            most = int(self._arrivals.flushes(nodes.count).max(initial=0))
        limit = self._load.limits.bytes
        with Batches(
            self._folder / "batches", fleet, scenario.seed, cadence_of(scenario, self._load), limit
        ) as made:
            print(
                f"windfleet: preparing {most:,} batches for each of {nodes.count:,} nodes",
                flush=True,
            )
            if self._load.encode_inside:
                made.ensure(1)
                made.simulate(most + 1)
            else:
                made.ensure(most + 1)

    def _schedule(self, nodes: Nodes) -> tuple[Arrivals | None, float]:
        """All entries of the schedule, one after the other."""
        parts = [
            (
                arrivals.of(entry, f"{number}-{entry.kind}", self._load.mix, nodes, self._seed),
                entry.for_s,
            )
            for number, entry in enumerate(self._load.schedule, 1)
        ]
        return (
            (arrivals.joined(parts), sum(each for _, each in parts)) if parts else (None, CLOSED_S)
        )

    def next_run(self, users: int) -> Path:
        """The folder of another run, on a lake without what the last one wrote. Raises LakeError, StoreError."""
        self._clean()
        self._runs += 1
        folder = self._folder / f"run-{self._runs}"
        plan = ClientPlan(
            name=folder.name,
            seed=self._seed,
            workers=self._workers,
            users=max(users, self._load.users),
            endpoint_url=self._host,
            batches=self._folder / "batches",
            nodes=self._nodes,
            seeded=self._seeded,
            encode_inside=self._load.encode_inside,
            timeout_s=TIMEOUT_S,
            duration_s=self._duration_s,
            drain_s=DRAIN_S,
            offset_ns=journal.wall_offset_ns(),
            mix=self._load.mix,
            arrivals=self._arrivals,
        )
        plan.write(folder)
        seed(
            Noting(S3ObjectStore(self._host), folder, "seed"),
            Prepared(plan.batches),
            range(self._seeded),
        )
        self._last = folder
        return folder

    def _clean(self) -> None:
        if self._last is not None:
            lake.remove(self._host, noted(self._last))
            self._last = None

    def close(self) -> None:
        """Remove what was written to the lake and to the disk."""
        with contextlib.suppress(LakeError):
            self._clean()
        shutil.rmtree(self._folder, ignore_errors=True)
