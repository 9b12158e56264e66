"""Delivery faults inside a shard's process: crashes, nodes off, node files, a farm's uplink.

    faults = ShardFaults(seed, farm, scenario.faults, now_s, fired)
    store = faults.new_process(store)  the store as a new process reaches it; again after a Crash

A crash happens at a store call, before or after the call takes effect. It ends the whole process:

- Every later call through that store raises Crash, from any thread.
- The nodes forget all their state.
- Calls that other threads have already sent may still take effect, as in reality.

Not covered: faults on the wire (`sim.chaos.proxy`) and of whole worker processes
(`sim.run.shards`).
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from pipeline.database import SourceBusy
from pipeline.node import Delivered, EdgeNode, Failed
from pipeline.ports import ObjectStore, Refused, StoreError, Unavailable
from pipeline.records import BUCKET_PREFIX
from sim.chaos.call import Call, point_of, turbine_of
from sim.chaos.choice import Chooser, chosen, comes_after, in_window
from sim.chaos.faults import (
    BUSY,
    CRASH,
    DISK_FULL,
    FILE_FAULTS,
    JOURNAL,
    NODE_INTERVALS,
    OFFLINE,
    SECOND_WRITER,
    UPLINK,
    WAL,
    Crash,
    Fault,
    FaultPoint,
    fault_point,
)
from sim.chaos.file_faults import (
    LockHolder,
    checkpoint_wal,
    copy_with_wal,
    disk_full,
    interrupt_transaction,
)
from sim.forwarding import Forwarding, StoreCall

T = TypeVar("T")
_KEEP_OUT = ("store.outage", "bucket.refuses", UPLINK)


class ShardFaults:
    """The faults of one farm.

    now_s: returns virtual seconds since the start. fired: called with the fault and point of each
    injection.
    """

    def __init__(
        self,
        seed: int,
        farm: str,
        faults: Sequence[Fault],
        now_s: Callable[[], float],
        fired: Callable[[FaultPoint], None],
    ) -> None:
        self._seed, self.farm, self.now_s, self._fired = seed, farm, now_s, fired
        self._faults = [
            (n, fault) for n, fault in enumerate(faults) if not fault.farms or farm in fault.farms
        ]
        self._crashes = Chooser(
            seed, [(n, fault) for n, fault in self._faults if fault.kind == CRASH]
        )

    def new_process(self, store: ObjectStore) -> ObjectStore:
        """Return `store` as a new process of the farm's nodes reaches it."""
        return _Process(store, self, self._crashes)

    def uplink(self, store: ObjectStore) -> ObjectStore:
        """Return `store` with the faults of the farm's uplink only, without crashes."""
        return _Process(store, self, None)

    def offline(self, turbine: str) -> bool:
        """Return True if a node is off now. Each such answer counts as an injection."""
        off = self._chosen(OFFLINE, turbine)
        if off:
            self._fired(fault_point(OFFLINE))
        return off

    @contextlib.contextmanager
    def files(self, originals: Sequence[Path], folder: Path) -> Iterator[NodeFiles]:
        """Provide the nodes' files, with their faults, for the length of a block.

        A file with a fault is a copy in `folder`, any other is the original. While a disk is full,
        all are copies, and those without a fault are checkpointed and have no WAL. This process
        also writes the originals, and the fault must not touch their -shm files.

        Raises OSError, sqlite3.Error.
        """
        kind_of = {path.stem: self._file_fault(path.stem) for path in originals}
        kinds = set(kind_of.values())
        paths = {path.stem: path for path in originals}
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            holder = stack.enter_context(LockHolder()) if BUSY in kinds else None
            for turbine, kind in kind_of.items():
                if kind is not None or DISK_FULL in kinds:
                    paths[turbine] = copy_with_wal(paths[turbine], folder)
                if kind is None and DISK_FULL in kinds:
                    checkpoint_wal(paths[turbine])
                if kind == JOURNAL:
                    interrupt_transaction(paths[turbine])
                if holder is not None and kind == BUSY:
                    holder.lock(paths[turbine])
            if DISK_FULL in kinds:
                stack.enter_context(disk_full())
            yield NodeFiles(paths, kind_of, self._fired)

    def _file_fault(self, turbine: str) -> str | None:
        """Return the kind of fault that the node's file has now."""
        return next((kind for kind in FILE_FAULTS if self._chosen(kind, turbine)), None)

    def second_writers(self, turbines: Sequence[str]) -> list[str]:
        """Return the nodes for which a second process delivers, too."""
        return [turbine for turbine in turbines if self._chosen(SECOND_WRITER, turbine)]

    def cut_off(self) -> bool:
        """Return True if the farm's uplink is down now."""
        return any(
            fault.kind == UPLINK and in_window(fault, self.now_s()) for _, fault in self._faults
        )

    def keeps_out(self) -> bool:
        """Return True if a windowed fault keeps nodes from the store now."""
        return any(
            fault.kind in _KEEP_OUT and in_window(fault, self.now_s()) for _, fault in self._faults
        )

    def fired(self, point: FaultPoint) -> None:
        """Count an injection."""
        self._fired(point)

    def _chosen(self, kind: str, turbine: str) -> bool:
        return any(
            fault.kind == kind and (kind not in NODE_INTERVALS or in_window(fault, self.now_s()))
            for number, fault in self._faults
            if chosen(self._seed, number, fault, turbine)
        )


class NodeFiles:
    """The nodes' files in one flush, and the kind of fault of each. Both by turbine."""

    def __init__(
        self,
        paths: dict[str, Path],
        kind_of: dict[str, str | None],
        fired: Callable[[FaultPoint], None],
    ) -> None:
        self._paths, self._kind_of, self._fired = paths, kind_of, fired

    def assign(self, nodes: Sequence[EdgeNode]) -> Sequence[EdgeNode]:
        """Set the nodes to read these files, and return them. A WAL counts as an injection."""
        for node in nodes:
            turbine = node.config.turbine_id
            node.database = self._paths[turbine]
            if self._kind_of[turbine] == WAL and Path(f"{node.database}-wal").exists():
                self._fired(fault_point(WAL))
        return nodes

    def count(self, result: Delivered | Failed) -> None:
        """Count the injection if the fault of a node's file made its flush fail."""
        kind = self._kind_of[result.node.config.turbine_id]
        if kind is None or kind == WAL or not isinstance(result, Failed):
            return
        if isinstance(result.error, SourceBusy):
            self._fired(fault_point(kind))


class _Process(Forwarding):
    """The store as one process of the farm reaches it, until the process crashes."""

    def __init__(self, inner: ObjectStore, faults: ShardFaults, crashes: Chooser | None) -> None:
        """crashes: chooses the call that crashes the process. None: it never crashes."""
        super().__init__(inner)
        self._faults, self._crashes = faults, crashes
        self._dead = False

    def around(self, call: StoreCall, effect: Callable[[], T]) -> T:
        """Make the call, or raise the fault. Raises Crash, Unavailable."""
        text = f"{call.kind} {call.bucket}/{call.key}"
        if self._dead:
            raise Crash(text)
        if self._faults.cut_off():
            self._faults.fired(fault_point(UPLINK))
            raise Unavailable(f"{text}: the farm's uplink is down")
        name = call.bucket.removeprefix(BUCKET_PREFIX)
        point = point_of(call.kind, name)
        if self._crashes is None or point is None:
            return effect()
        turbine = turbine_of(name, call.key)
        seen = Call(point, call.kind, name, call.key, turbine, self._faults.farm)
        injection = self._crashes.choose(seen, self._faults.now_s())
        if injection is None:
            return effect()
        after = comes_after(injection.fault, point, injection.draw)
        if after:
            try:
                effect()
            except (Unavailable, Refused):
                after = False  # the call had no effect
            except StoreError:
                pass  # the answer is lost with the process
        self._dead = True
        self._faults.fired(fault_point(CRASH, point, after))
        raise Crash(text)
