"""An object store that injects the faults of a schedule, in front of any other store.

Each call is one point of a node's protocol (`faults.Point`). The schedule decides whether a fault
is injected there. The fault is raised before or after the call takes effect. A late commit takes
effect some calls later, or at `settle`.

Not covered: faults that need a connection (slow answers, resets, changed bodies). A truncated body
is an error here, because `pipeline.store` compares lengths. Tests of the fault proxy prove that.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pipeline.ports import AlreadyExists, Conflict, ObjectStore, Refused, StoreError, Unavailable
from pipeline.records import BUCKET_PREFIX
from sim import seeds
from sim.campaign.schedule import FiredFault, Schedule
from sim.chaos.call import Call, point_of, turbine_of
from sim.chaos.choice import chance
from sim.chaos.faults import CRASH, FOREIGN, SECOND_WRITER, UPLINK, Crash
from sim.forwarding import Forwarding, StoreCall

T = TypeVar("T")
LATE_CALLS: Final = 60
"""Most calls of the same farm until a late commit takes effect."""

Plant = Callable[[str, str, bytes, str | None, float], bool]
"""plant(bucket, key, ours, etag, draw): see `sim.campaign.invariants.WatchedStore.plant`."""


@dataclass(frozen=True)
class Injected:
    """A call with its fault. text: for the error that the node gets."""

    call: StoreCall
    seen: Call
    fired: FiredFault
    text: str


class FaultyStore(Forwarding):
    """A store with the faults of one farm. Safe to share between threads.

    log: one line per call, with the fault that was injected.
    """

    def __init__(
        self,
        inner: ObjectStore,
        plan: Schedule,
        now_s: Callable[[], float],
        farm: str,
        second_writer: Callable[[], None] | None = None,
        plant: Plant | None = None,
    ) -> None:
        """now_s: returns virtual seconds since the start.

        second_writer: called for the fault of a second writer, before the call itself is made.
        plant: puts foreign bytes under the key that the call is about to write.
        """
        super().__init__(inner)
        self._plan, self._now_s, self._farm = plan, now_s, farm
        self._second_writer, self._in_second_writer, self._plant = second_writer, False, plant
        self._late: list[tuple[int, Callable[[], str]]] = []
        self._lock = threading.Lock()
        self._calls = 0
        self.log: list[str] = []

    def continue_after(self, log: Sequence[str]) -> None:
        """Continue the log and the count after these calls, none of which had a fault."""
        self.log, self._calls = list(log), len(log)

    def settle(self) -> None:
        """Make every late commit take effect now."""
        with self._lock:
            due, self._late = self._late, []
        for _, effect in due:
            _commit_late(effect)

    def around(self, call: StoreCall, effect: Callable[[], T]) -> T:
        """Make the call, or inject the fault that the schedule has for it."""
        self._make_late_commits()
        stage = call.bucket.removeprefix(BUCKET_PREFIX)
        point = point_of(call.kind, stage)
        assert point is not None, stage
        turbine = turbine_of(stage, call.key)
        seen = Call(point, call.kind, stage, call.key, turbine, self._farm)
        fired = self._plan.choose(seen, self._now_s(), self._in_second_writer)
        where = f"{call.verb} {call.bucket}/{call.key}"
        injected = f"{fired.kind} {fired.after}" if fired else ""
        self.log.append(f"{self._plan.calls} {where} {injected}")
        if fired is None:
            return effect()
        text = f"{where}: {fired.kind} (injected at call {fired.number})"
        answer: T = _INJECTIONS[fired.kind](self, Injected(call, seen, fired, text), effect)
        return answer

    # before the effect

    def _deliver_twice(self, this: Injected, effect: Callable[[], T]) -> T:
        """Let the second writer deliver first."""
        if self._second_writer is not None:
            self._in_second_writer = True
            try:
                self._second_writer()
            finally:
                self._in_second_writer = False
        return effect()

    def _plant_first(self, this: Injected, effect: Callable[[], T]) -> T:
        """Put foreign bytes under the key first. If that is not possible, uncount the fault."""
        if not self._planted(this.call, this.fired.number):
            self._plan.take_back(this.fired, this.seen)
        return effect()

    def _fail(self, this: Injected, effect: Callable[[], T]) -> T:
        raise Unavailable(this.text)

    def _refuse(self, this: Injected, effect: Callable[[], T]) -> T:
        raise Refused(this.text)

    def _deny(self, this: Injected, effect: Callable[[], T]) -> T:
        """Fail as if another object were there."""
        if this.call.verb == "create":
            raise AlreadyExists(this.text)
        raise Conflict(this.text)

    # before or after the effect

    def _crash(self, this: Injected, effect: Callable[[], T]) -> T:
        if this.fired.after:
            with contextlib.suppress(StoreError):  # the crash hides the answer
                effect()
        raise Crash(this.text)

    def _lose_answer(self, this: Injected, effect: Callable[[], T]) -> T:
        with contextlib.suppress(StoreError):
            effect()
        raise Unavailable(this.text)

    def _commit_later(self, this: Injected, effect: Callable[[], T]) -> T:
        self._keep_late(this.fired.number, effect)
        raise Unavailable(this.text)

    def _planted(self, call: StoreCall, number: int) -> bool:
        """Put foreign bytes under the call's key. Return False if that is not possible."""
        if self._plant is None or call.body is None:
            return False
        draw = chance(self._plan.line.seed, "foreign", number)
        return self._plant(call.bucket, call.key, call.body, call.etag, draw)

    def _keep_late(self, number: int, effect: Callable[[], T]) -> None:
        with self._lock:
            due = self._calls + 1 + seeds.number(self._plan.line.seed, "late", number) % LATE_CALLS
            self._late.append((due, effect))  # type: ignore[arg-type]

    def _make_late_commits(self) -> None:
        """Count a call, and make the late commits that are now due."""
        with self._lock:
            self._calls += 1
            due = [effect for at, effect in self._late if at <= self._calls]
            self._late = [(at, effect) for at, effect in self._late if at > self._calls]
        for effect in due:
            _commit_late(effect)


def _commit_late(effect: Callable[[], str]) -> None:
    with contextlib.suppress(StoreError):  # a newer object may be in the way
        effect()


_INJECTIONS: Final[dict[str, Callable[[FaultyStore, Injected, Callable[[], Any]], Any]]] = {
    CRASH: FaultyStore._crash,
    SECOND_WRITER: FaultyStore._deliver_twice,
    FOREIGN: FaultyStore._plant_first,
    UPLINK: FaultyStore._fail,
    "store.error": FaultyStore._fail,
    "store.outage": FaultyStore._fail,
    "store.ack-lost": FaultyStore._lose_answer,
    "store.truncated-get": FaultyStore._lose_answer,
    "store.late-commit": FaultyStore._commit_later,
    "bucket.refuses": FaultyStore._refuse,
    "store.conflict": FaultyStore._deny,
    "store.precondition": FaultyStore._deny,
}
"""The injection of each kind of the store's interface."""
