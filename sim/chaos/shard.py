"""Faults of delivery that strike in a shard's own process: crashes, nodes off, their files, a farm's line that is cut.

    faults = ShardFaults(seed, farm, scenario.faults, now_s, fired)
    store = faults.life(store)         the store as one life of the process sees it; after a Crash, take another

A crash strikes at a store call, before or behind its effect, and the whole process is gone with it: every later call of
that life raises Crash too, whatever thread it comes from, and all that its nodes knew is forgotten. What was on its way
in other threads may still take effect, as in reality.

Not covered: faults of the wire (`sim.chaos.proxy`) and of whole processes (`sim.run.shards`).
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
    JOURNAL,
    OF_FILES,
    OFFLINE,
    SECOND_WRITER,
    SPELLS,
    UPLINK,
    WAL,
    Cell,
    Crash,
    Fault,
    cell,
)
from sim.chaos.nodefiles import Holder, copy_with_log, disk_full, fold_in, interrupted

T = TypeVar("T")
_KEEP_OUT = ("store.outage", "bucket.refuses", UPLINK)


class ShardFaults:
    """The faults of one farm. now_s: virtual seconds since the start; fired: called with the way of each strike."""

    def __init__(
        self,
        seed: int,
        farm: str,
        faults: Sequence[Fault],
        now_s: Callable[[], float],
        fired: Callable[[Cell], None],
    ) -> None:
        self._seed, self.farm, self.now_s, self._fired = seed, farm, now_s, fired
        self._faults = [
            (n, fault) for n, fault in enumerate(faults) if not fault.farms or farm in fault.farms
        ]
        self._crashes = Chooser(
            seed, [(n, fault) for n, fault in self._faults if fault.kind == CRASH]
        )

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
            self._fired(cell(OFFLINE))
        return off

    @contextlib.contextmanager
    def files(self, originals: Sequence[Path], folder: Path) -> Iterator[NodeFiles]:
        """Nodes' files as faults have them for the length of a block: copies in `folder`, or the originals.

        On a full disk all are copies, and those of sound nodes without a log: this very process is their writer, too,
        and its -shm must be kept out of it. Raises OSError, sqlite3.Error.
        """
        spells = {path.stem: self._spell(path.stem) for path in originals}
        kinds = set(spells.values())
        paths = {path.stem: path for path in originals}
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            holder = stack.enter_context(Holder()) if BUSY in kinds else None
            for turbine, kind in spells.items():
                if kind is not None or DISK_FULL in kinds:
                    paths[turbine] = copy_with_log(paths[turbine], folder)
                if kind is None and DISK_FULL in kinds:
                    fold_in(paths[turbine])
                if kind == JOURNAL:
                    interrupted(paths[turbine])
                if holder is not None and kind == BUSY:
                    holder.hold(paths[turbine])
            if DISK_FULL in kinds:
                stack.enter_context(disk_full())
            yield NodeFiles(paths, spells, self._fired)

    def _spell(self, turbine: str) -> str | None:
        return next((kind for kind in OF_FILES if self._chosen(kind, turbine)), None)

    def second_writers(self, turbines: Sequence[str]) -> list[str]:
        """The nodes for which another process delivers, too."""
        return [turbine for turbine in turbines if self._chosen(SECOND_WRITER, turbine)]

    def cut_off(self) -> bool:
        """Whether the farm's line is down now."""
        return any(
            fault.kind == UPLINK and in_window(fault, self.now_s()) for _, fault in self._faults
        )

    def keeps_out(self) -> bool:
        """Whether nodes fail now because a fault that lasts wants it so."""
        return any(
            fault.kind in _KEEP_OUT and in_window(fault, self.now_s()) for _, fault in self._faults
        )

    def fired(self, way: Cell) -> None:
        self._fired(way)

    def _chosen(self, kind: str, turbine: str) -> bool:
        return any(
            fault.kind == kind and (kind not in SPELLS or in_window(fault, self.now_s()))
            for number, fault in self._faults
            if chosen(self._seed, number, fault, turbine)
        )


class NodeFiles:
    """Where nodes find their files in one flush, and what befell them. `paths`: by turbine."""

    def __init__(
        self, paths: dict[str, Path], spells: dict[str, str | None], fired: Callable[[Cell], None]
    ) -> None:
        self._paths, self._spells, self._fired = paths, spells, fired

    def give(self, nodes: Sequence[EdgeNode]) -> Sequence[EdgeNode]:
        """The same nodes, set to read there. With rows in a log to read them from, that fault has struck."""
        for node in nodes:
            node.database = self._paths[node.config.turbine_id]
            if (
                self._spells[node.config.turbine_id] == WAL
                and Path(f"{node.database}-wal").exists()
            ):
                self._fired(cell(WAL))
        return nodes

    def tell(self, result: Delivered | Failed) -> None:
        """A node's result: one that was held up was struck by its fault."""
        kind = self._spells[result.node.config.turbine_id]
        if (
            kind is not None
            and kind != WAL
            and isinstance(result, Failed)
            and isinstance(result.error, SourceBusy)
        ):
            self._fired(cell(kind))


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
        return self._call(
            "list", bucket, where, lambda: self._inner.list(bucket, folder, name_prefix)
        )

    def _call(self, verb: str, bucket: str, key: str, effect: Callable[[], T]) -> T:
        what = f"{verb} {bucket}/{key}"
        if self._dead:
            raise Crash(what)
        if self._faults.cut_off():
            self._faults.fired(cell(UPLINK))
            raise Unavailable(f"{what}: the farm's line is down")
        name = bucket.removeprefix(BUCKET_PREFIX)
        point = point_of(verb, name)
        if self._crashes is None or point is None:
            return effect()
        turbine = turbine_of(name, key)
        call = Call(point, verb, name, key, turbine, self._faults.farm)
        strike = self._crashes.choose(call, self._faults.now_s())
        if strike is None:
            return effect()
        after = comes_after(strike.fault, point, strike.how)
        if after:
            try:
                effect()
            except (Unavailable, Refused):
                after = False  # there was none
            except StoreError:
                pass  # whatever the answer is, nobody hears it
        self._dead = True
        self._faults.fired(cell(CRASH, point, after))
        raise Crash(what)
