"""The fault-injecting store: any ObjectStore, with a schedule of bad luck at the seam in front of it.

Each call is one point of a node's protocol (`faults.Point`); the schedule says whether it is struck, and the fault is
raised before or after the effect. A late commit is kept and takes effect some calls later, or at `settle`.

Not covered: what only a wire can do (slow answers, torn connections, changed bodies). At this seam a truncated body is
already an error, because `pipeline.store` compares lengths; that it does is shown on the wire.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from pipeline.ports import AlreadyExists, Conflict, ObjectStore, Refused, StoreError, Unavailable
from pipeline.records import BUCKET_PREFIX
from sim import seeds
from sim.campaign.schedule import Schedule
from sim.chaos.call import READS, Call, point_of, turbine_of
from sim.chaos.choice import chance
from sim.chaos.faults import CRASH, FOREIGN, SECOND_WRITER, Crash

T = TypeVar("T")
LATE_CALLS: Final = 60
"""A late commit takes effect within so many calls of the same farm."""
_BEFORE: Final = ("store.error", "store.outage", "farm.uplink")
_AFTER: Final = ("store.ack-lost", "store.truncated-get")


Plant = Callable[[str, str, bytes, str | None, float], bool]
"""plant(bucket, key, ours, etag, how): see `sim.campaign.invariants.WatchedStore.plant`."""
Ours = tuple[bytes, str | None]
"""What a node writes, and the ETag of what it replaces, None for a new object."""


class FaultyStore:
    """See `pipeline.ports.ObjectStore`. `intrude` is called when a second writer strikes, before the call goes on;
    `plant` puts foreign bytes in its way."""

    def __init__(
        self,
        inner: ObjectStore,
        plan: Schedule,
        now_s: Callable[[], float],
        farm: str,
        intrude: Callable[[], None] | None = None,
        plant: Plant | None = None,
    ) -> None:
        self._inner, self._plan, self._now_s, self._farm = inner, plan, now_s, farm
        self._intrude, self._intruding, self._plant = intrude, False, plant
        self._late: list[tuple[int, Callable[[], str]]] = []
        self._lock = threading.Lock()
        self._calls = 0
        self.log: list[str] = []

    def create(self, bucket: str, key: str, body: bytes) -> str:
        effect = self._inner.create
        return self._call(
            "create", bucket, key, lambda: effect(bucket, key, body), AlreadyExists, (body, None)
        )

    def replace(self, bucket: str, key: str, body: bytes, etag: str) -> str:
        effect = self._inner.replace
        return self._call(
            "replace", bucket, key, lambda: effect(bucket, key, body, etag), Conflict, (body, etag)
        )

    def get(self, bucket: str, key: str) -> tuple[bytes, str]:
        return self._call("get", bucket, key, lambda: self._inner.get(bucket, key), Conflict)

    def list(self, bucket: str, folder: str, name_prefix: str) -> list[str]:
        effect = self._inner.list
        return self._call(
            "list",
            bucket,
            folder + name_prefix,
            lambda: effect(bucket, folder, name_prefix),
            Conflict,
        )

    def go_on(self, log: Sequence[str]) -> None:
        """Count from behind these calls, none of which was struck."""
        self.log, self._calls = list(log), len(log)

    def settle(self) -> None:
        """Whatever was to be committed late is committed now."""
        with self._lock:
            due, self._late = self._late, []
        for _, effect in due:
            _commit_late(effect)

    def _call(
        self,
        verb: str,
        bucket: str,
        key: str,
        effect: Callable[[], T],
        standing: type[StoreError],
        ours: Ours | None = None,
    ) -> T:
        self._land()
        stage = bucket.removeprefix(BUCKET_PREFIX)
        point = point_of(verb, stage)
        assert point is not None, stage
        call = Call(
            point, verb if verb in READS else "put", stage, key, turbine_of(stage, key), self._farm
        )
        fired = self._plan.choose(call, self._now_s(), self._intruding)
        self.log.append(
            f"{self._plan.calls} {verb} {bucket}/{key} {f'{fired.kind} {fired.after}' if fired else ''}"
        )
        if fired is None:
            return effect()
        what = f"{verb} {bucket}/{key}: {fired.kind} (injected at call {fired.number})"
        if fired.kind == SECOND_WRITER:
            self._bring_second_writer()
            return effect()
        if fired.kind == FOREIGN:
            how = chance(self._plan.line.seed, "foreign", fired.number)
            if self._plant is None or ours is None or not self._plant(bucket, key, *ours, how):
                self._plan.take_back(fired, call)
            return effect()
        if fired.after or fired.kind in _AFTER:
            with contextlib.suppress(StoreError):  # whatever the answer was, nobody hears it
                effect()
        if fired.kind == CRASH:
            raise Crash(what)
        if fired.kind in _BEFORE or fired.kind in _AFTER:
            raise Unavailable(what)
        if fired.kind == "store.late-commit":
            self._keep_late(fired.number, effect)
            raise Unavailable(what)
        if fired.kind == "bucket.refuses":
            raise Refused(what)
        if fired.kind in ("store.conflict", "store.precondition"):
            raise standing(what)
        raise AssertionError(f"{fired.kind} is not a fault of the store's seam")

    def _bring_second_writer(self) -> None:
        if self._intrude is None:
            return
        self._intruding = True
        try:
            self._intrude()
        finally:
            self._intruding = False

    def _keep_late(self, number: int, effect: Callable[[], T]) -> None:
        with self._lock:
            due = self._calls + 1 + seeds.number(self._plan.line.seed, "late", number) % LATE_CALLS
            self._late.append((due, effect))  # type: ignore[arg-type]

    def _land(self) -> None:
        with self._lock:
            self._calls += 1
            due = [effect for at, effect in self._late if at <= self._calls]
            self._late = [(at, effect) for at, effect in self._late if at > self._calls]
        for effect in due:
            _commit_late(effect)


def _commit_late(effect: Callable[[], str]) -> None:
    with contextlib.suppress(StoreError):  # a newer object may stand in its way
        effect()
