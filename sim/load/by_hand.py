"""Preparation for a Locust that was started by hand: a scenario's batches, a lake, a plan.

Used only by the leading process: the master, or the single process. `windfleet load` does the same
for its own Locust. Not covered: see `sim.load.locustfile`.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

from pipeline import lake
from pipeline.lake import LakeError
from pipeline.settings import SettingsError, settings
from pipeline.store import S3ObjectStore
from sim.errors import EngineError, PlanError, ScenarioError
from sim.load import arrivals, outline
from sim.load.arrivals import Nodes
from sim.load.batches import Batches, Prepared
from sim.load.client.plan import ClientPlan
from sim.load.client.request import seed
from sim.load.client.written_keys import KeyRecorder, read_keys
from sim.load.nodes import cadence_of, fleet_of, load_of, nodes_of
from sim.load.phase import Arrivals, Phase
from sim.load.preflight import require_files, require_reachable
from sim.load.settings import EngineSettings
from sim.load_schedule import Load
from sim.scenario import load as load_scenario

CLOSED_BATCHES: Final = 4000
"""Batches prepared for all nodes together if there is no schedule. Users stop after them."""
CLOSED_S: Final = 86_400.0
SAY_EVERY_S: Final = 5.0


class Refused(Exception):
    """A start that is refused. The text has the reason and the fix."""


class ByHand:
    """The runs of one Locust that was started by hand."""

    def __init__(self, scenario: str, host: str | None, workers: int) -> None:
        """Make everything ready. Raises Refused.

        host: Locust's --host, the S3 endpoint. workers: client processes that will share the nodes.
        """
        if not scenario:
            raise Refused(
                "name a scenario with a load section: --scenario scenarios/load-ramp.yaml"
            )
        self._host = _loopback(host)
        self._workers = workers
        self._folder = Path(tempfile.mkdtemp(prefix="windfleet-locust-"))
        self._runs = 0
        self._last: Path | None = None
        try:
            self._prepare(Path(scenario))
        except (ScenarioError, PlanError, EngineError, LakeError, OSError) as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise Refused(str(error)) from error

    def _prepare(self, path: Path) -> None:
        require_reachable(self._host)
        scenario = load_scenario(path)
        self._load, self._seed = load_of(scenario), scenario.seed
        require_files(self._load.users)
        fleet = fleet_of(scenario, self._load)
        self._nodes = nodes_of(scenario, fleet)
        self._arrivals, self._duration_s = _schedule(self._load, self._nodes, self._seed)
        lake.ensure(self._host)
        if (first := lake.first_object(self._host)) is not None:
            raise EngineError(
                f"the lake at {self._host} already has objects ({first}); a load test needs it "
                "empty: `windfleet store empty` with its endpoint removes them"
            )
        folder, cadence = self._folder / "batches", cadence_of(scenario, self._load)
        with Batches(folder, fleet, self._seed, cadence, self._load.limits.bytes) as batches:
            self._make(batches)

    @property
    def users(self) -> int:
        """Requests that the scenario allows under way."""
        return self._load.users

    @property
    def schedule(self) -> str:
        """The work of a start in words."""
        return outline.by_hand(self._load)

    def _make(self, batches: Batches) -> None:
        nodes = self._nodes.count
        most = CLOSED_BATCHES // nodes
        if self._arrivals is not None:
            most = int(self._arrivals.flushes(nodes).max(initial=0))
        _print(
            f"preparing {most:,} batches for each of {nodes:,} nodes: wait for the line 'ready', "
            "Locust's web page does not answer before"
        )
        if self._load.encode_inside:
            batches.ensure(1)
            batches.simulate(most + 1)
        else:
            batches.ensure(most + 1, _Progress((most + 1) * nodes))

    def next_run(self, users: int) -> Path:
        """Return the folder of another run, after removing the last run's objects from the lake.

        Raises LakeError, StoreError.
        """
        self._clean()
        self._runs += 1
        folder = self._folder / f"run-{self._runs}"
        phase = Phase(folder.name, self._arrivals, None, self._duration_s)
        plan = ClientPlan.of(
            phase, self._settings(users), self._workers, self._folder / "batches", self._nodes.count
        )
        plan.write(folder)
        store = KeyRecorder(S3ObjectStore(self._host), folder, "seed")
        seed(store, Prepared(plan.batches), range(plan.seeded))
        self._last = folder
        return folder

    def _settings(self, users: int) -> EngineSettings:
        return EngineSettings(
            endpoint_url=self._host,
            seed=self._seed,
            mix=self._load.mix,
            users=max(users, self._load.users),
            processes=self._workers,
            folder=self._folder,
            limits=self._load.limits,
            encode_inside=self._load.encode_inside,
        )

    def _clean(self) -> None:
        if self._last is not None:
            lake.remove(self._host, read_keys(self._last))
            self._last = None

    def close(self) -> None:
        """Remove the objects from the lake and the files from the disk."""
        with contextlib.suppress(LakeError):
            self._clean()
        shutil.rmtree(self._folder, ignore_errors=True)


def ready(headless: bool, host: str, port: int, path: str, tls: bool) -> str:
    """Return the line for the end of the preparation. The others: where the web page listens."""
    if headless:
        return "ready: the load starts"
    place = "127.0.0.1" if host in ("", "*", "0.0.0.0") else host
    return f"ready: open http{'s' * tls}://{place}:{port}{path} and press START"


class _Progress:
    """Lines while batches are made, SAY_EVERY_S apart."""

    def __init__(self, batches: int) -> None:
        self._all, self._made, self._said_s = batches, 0, time.monotonic()

    def __call__(self, made: int) -> None:
        self._made += made
        if time.monotonic() - self._said_s >= SAY_EVERY_S:
            self._said_s = time.monotonic()
            _print(f"prepared {self._made:,} of {self._all:,} batches")


def _print(text: str) -> None:
    print(f"windfleet: {text}", flush=True)


def _loopback(host: str | None) -> str:
    """Return the endpoint of a store on this machine. Raises Refused."""
    if not host:
        raise Refused(
            "name the store: --host http://127.0.0.1:4566 (start one with: windfleet store up)"
        )
    try:
        endpoint = settings(host).place
    except SettingsError as error:
        raise Refused(f"--host: {error}") from error
    if not lake.is_loopback(endpoint):
        raise Refused(f"{endpoint} is not on this machine; by hand, load goes to loopback only")
    return endpoint


def _schedule(load: Load, nodes: Nodes, seed: int) -> tuple[Arrivals | None, float]:
    """Return all entries of the schedule, one after the other, and their length in seconds."""
    if not load.schedule:
        return None, CLOSED_S
    parts = [
        (arrivals.of(entry, f"{number}-{entry.kind}", load.mix, nodes, seed), entry.for_s)
        for number, entry in enumerate(load.schedule, 1)
    ]
    return arrivals.joined(parts), sum(length_s for _, length_s in parts)
