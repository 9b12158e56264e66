"""Faults of delivery that strike inside a shard's own process: crashes, nodes that are off, a farm's line that is cut.

    faults = ShardFaults(seed, farm, scenario.faults, now_s, fired)
    store = faults.life(store)         the store as one life of the process sees it; after a Crash, take another

A crash strikes at a store call, before or behind its effect, and the whole process is gone with it: every later call of
that life raises Crash too, whatever thread it comes from, and all that its nodes knew is forgotten. What was on its way
in other threads may still take effect, as in reality.

Not covered: faults of the wire (`sim.chaos.proxy`) and of whole processes (`sim.run.workers`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import TypeVar

from pipeline.ports import ObjectStore, StoreError, Unavailable
from pipeline.records import BUCKET_PREFIX
from sim.chaos.choice import Chooser, chance, in_window
from sim.chaos.faults import Fault
from sim.chaos.faulty import Crash
from sim.chaos.wire import Call, point_of, turbine_of

T = TypeVar("T")
CRASH = "node.crash"
OFFLINE = "node.offline"
UPLINK = "farm.uplink"
SECOND_WRITER = "node.second-writer"
_KEEP_OUT = ("store.outage", "bucket.refuses", UPLINK)


class ShardFaults:
    """The faults of one farm. now_s: virtual seconds since the start; fired: called with a kind at each strike."""

    def __init__(
        self, seed: int, farm: str, faults: Sequence[Fault], now_s: Callable[[], float], fired: Callable[[str], None]
    ) -> None:
        self._seed, self._farm, self.now_s, self._fired = seed, farm, now_s, fired
        self._faults = [(n, fault) for n, fault in enumerate(faults) if not fault.farms or farm in fault.farms]
        self._crashes = Chooser(seed, [(n, fault) for n, fault in self._faults if fault.kind == CRASH])

    def life(self, store: ObjectStore) -> ObjectStore:
        """`store` as a new process of the farm's nodes reaches it."""
        return _Life(store, self, self._crashes)

    def line(self, store: ObjectStore) -> ObjectStore:
        """`store` behind the farm's line alone: nobody crashes."""
        return _Life(store, self, None)

    def offline(self, turbine: str) -> bool:
        """Whether a node is off now. Each time that it is asked for in vain counts."""
        off = self._chosen(OFFLINE, turbine)
        if off:
            self._fired(OFFLINE)
        return off

    def second_writers(self, turbines: Sequence[str]) -> list[str]:
        """The nodes for which another process delivers, too."""
        return [turbine for turbine in turbines if self._chosen(SECOND_WRITER, turbine)]

    def cut_off(self) -> bool:
        """Whether the farm's line is down now."""
        return any(fault.kind == UPLINK and in_window(fault, self.now_s()) for _, fault in self._faults)

    def keeps_out(self) -> bool:
        """Whether nodes fail now because a fault that lasts wants it so."""
        return any(fault.kind in _KEEP_OUT and in_window(fault, self.now_s()) for _, fault in self._faults)

    def fired(self, kind: str) -> None:
        self._fired(kind)

    def _chosen(self, kind: str, turbine: str) -> bool:
        return any(
            fault.kind == kind and (kind == SECOND_WRITER or in_window(fault, self.now_s()))
            for number, fault in self._faults
            if chosen(self._seed, number, fault, turbine)
        )


def chosen(seed: int, number: int, fault: Fault, turbine: str) -> bool:
    """Whether a fault of nodes is this node's: a share of all nodes, the same whatever else there is."""
    return chance(seed, "chaos", number, "node", turbine) < fault.share


class _Life:
    """See `pipeline.ports.ObjectStore`. Safe to share between threads."""

    def __init__(self, inner: ObjectStore, faults: ShardFaults, crashes: Chooser | None) -> None:
        self._inner, self._faults, self._crashes = inner, faults, crashes
        self._dead = False

    def create(self, bucket: str, key: str, body: bytes) -> str:
        return self._call("put", bucket, key, lambda: self._inner.create(bucket, key, body))

    def replace(self, bucket: str, key: str, body: bytes, etag: str) -> str:
        return self._call("put", bucket, key, lambda: self._inner.replace(bucket, key, body, etag))

    def get(self, bucket: str, key: str) -> tuple[bytes, str]:
        return self._call("get", bucket, key, lambda: self._inner.get(bucket, key))

    def list(self, bucket: str, folder: str, name_prefix: str) -> list[str]:
        where = folder + name_prefix
        return self._call("list", bucket, where, lambda: self._inner.list(bucket, folder, name_prefix))

    def _call(self, verb: str, bucket: str, key: str, effect: Callable[[], T]) -> T:
        what = f"{verb} {bucket}/{key}"
        if self._dead:
            raise Crash(what)
        if self._faults.cut_off():
            self._faults.fired(UPLINK)
            raise Unavailable(f"{what}: the farm's line is down")
        name = bucket.removeprefix(BUCKET_PREFIX)
        point = point_of(verb, name)
        if self._crashes is None or point is None:
            return effect()
        turbine = turbine_of(name, key)
        call = Call(point, verb, name, key, turbine, turbine.rpartition("-")[0])
        strike = self._crashes.choose(call, self._faults.now_s())
        if strike is None:
            return effect()
        sides = {at.partition("-")[0] for at in strike.fault.at if at.partition("-")[2] == point} or {"before", "after"}
        if sides == {"after"} or (len(sides) == 2 and strike.how < 0.5):
            with contextlib.suppress(StoreError):  # whatever the answer is, nobody hears it
                effect()
        self._dead = True
        self._faults.fired(CRASH)
        raise Crash(what)
