"""Needs of a run, or of one of its parts, before it begins: disk, memory and time on this machine.

Disk is that of the scenario's plan. Memory is estimated from the shards that the workers hold at
once. Time is that of the last run of its kind here (`sim.run.past_runs`), scaled by rows.
"""

from __future__ import annotations

import os
import shutil
from argparse import Namespace
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from pipeline.batch import MAX_BATCH_ROWS
from sim.errors import NeedsError
from sim.measure.environment import memory_bytes
from sim.report import numbers
from sim.run.part import Part, in_shards, part_of
from sim.run.part_index import PartIndex
from sim.run.past_runs import PastRun, of_kind, past_runs
from sim.scenario import Scenario
from sim.scenario.plan import Plan, plan
from sim.store.gateway import BODIES_IN_MEMORY_BYTES, chosen
from sim.store.home import HOME

_PARENT_BYTES: Final = 300 << 20
_WORKER_BYTES: Final = 170 << 20
_ROW_BYTES: Final = 3_000
"""Of a row of one flush of a shard: its simulated block, its objects, room of the allocators."""
_JUDGED: Final = 8
"""Memory of the oracle over the bytes of the node files of a share."""
SHARE_BYTES: Final = 96 * 1024 * 1024
"""As `sim.check.shares`, which a plan does not import: it brings the whole oracle.

Of a compacted lake a farm is one share, whatever its size.
"""
_SERVER_BYTES: Final = 190 << 20
_OBJECT_BYTES: Final = 820
"""Of an object in the embedded server, without its body."""
CORES_OF_PART: Final = 2
"""A worker, and the server that takes what it sends."""


@dataclass(frozen=True)
class Needs:
    """Needs of one part. Bytes; seconds is None where no run of its kind was made here.

    like: the past run that gave the seconds. is_load: of a load test.
    """

    part: Part
    workers: int
    rows: int
    disk_bytes: int
    memory_bytes: int
    seconds: float | None
    like: PastRun | None
    is_load: bool = False

    def __str__(self) -> str:
        if self.is_load:
            time = "the time of its phases"
        elif self.seconds is None or self.like is None:
            time = "no run of its kind was made here yet"
        else:
            time = f"about {numbers.duration(self.seconds)} here ({_basis(self.like)})"
        whose = f"{self.part}: " if not self.part.is_whole else ""
        return (
            f"{whose}{self.rows:,} rows, about {numbers.size(self.disk_bytes)} of disk, "
            f"{numbers.size(self.memory_bytes)} of memory with {_workers(self.workers)}, {time}"
        )


def _workers(count: int) -> str:
    return f"{count} worker{'s' * (count != 1)}"


def _basis(like: PastRun) -> str:
    """Return the past run that an estimate of time is taken from, in words."""
    named = f" of {like.scenario}" if like.scenario else ""
    return f"scaled by rows from the run{named} of {like.started}"


def needs(
    scenario: Scenario,
    part: Part,
    workers: int,
    store: str,
    past: list[PastRun],
    compacted: bool = False,
) -> Needs:
    """Return the needs of a part. store: kind of store, as in past runs; `workers`: its own.

    compacted: an object of the lake has rows of a whole farm.
    """
    size = plan(scenario, part.turbines)
    lake_bytes = sum(size.lake_bytes.values())
    embedded = store.startswith("embedded")
    on_disk = max(0, lake_bytes - BODIES_IN_MEMORY_BYTES) if embedded else 0
    if store == "folder":
        on_disk = lake_bytes
    like = of_kind(past, store, workers, size.rows / size.batches, scenario.name)
    return Needs(
        part,
        workers,
        size.rows,
        size.node_bytes + on_disk,
        _memory_bytes(scenario, part, workers, size, compacted)
        + (_server_bytes(size) if embedded else 0),
        None if like is None else like.seconds * size.rows / like.rows,
        like,
    )


def rows_per_flush(scenario: Scenario) -> int:
    """Return the most rows of a turbine in one flush."""
    every_us = scenario.pipeline.flush_every_s * 1_000_000
    return max(1, min(scenario.clock.samples, every_us // scenario.clock.sample_us))


def _memory_bytes(scenario: Scenario, part: Part, workers: int, size: Plan, compacted: bool) -> int:
    flush_rows = rows_per_flush(scenario)
    cut = in_shards(part, flush_rows, workers, whole_farms=compacted or bool(scenario.faults))
    largest = sorted((shard.turbines for shard in cut), reverse=True)[:workers]
    rows = sum(largest) * min(flush_rows, MAX_BATCH_ROWS)
    share = min(SHARE_BYTES, size.node_bytes)
    if compacted:
        share = size.node_bytes * max(farm.turbines for farm in part.farms) // part.turbines
    judged = _JUDGED * share
    return _PARENT_BYTES + (workers + 1) * _WORKER_BYTES + rows * _ROW_BYTES + judged


def _server_bytes(size: Plan) -> int:
    bodies = min(sum(size.lake_bytes.values()), BODIES_IN_MEMORY_BYTES)
    return _SERVER_BYTES + bodies + _OBJECT_BYTES * sum(size.objects.values())


@dataclass(frozen=True)
class Machine:
    """A machine to run parts on: cores, and bytes of memory and of free disk."""

    cores: int
    memory_bytes: int
    disk_bytes: int


def this_machine(place: Path) -> Machine:
    """Return this machine, with the free disk of a directory that may not exist yet."""
    while not place.exists():
        place = place.parent
    return Machine(os.cpu_count() or 1, memory_bytes(), shutil.disk_usage(place).free)


def parts_at_once(need: Needs, machine: Machine) -> tuple[int, str]:
    """Return the number of such parts that the machine holds at once, and its limit in words.

    0 if it holds none.
    """
    limits = (
        (max(1, machine.cores // (need.workers + CORES_OF_PART - 1)), "cores"),
        (machine.memory_bytes // need.memory_bytes, "memory"),
        (machine.disk_bytes // max(1, need.disk_bytes), "free disk"),
    )
    return min(limits, key=lambda limit: limit[0])


def require_fit(need: Needs, machine: Machine) -> None:
    """Raise NeedsError, with the fix, if the machine cannot hold the part even alone."""
    whose = str(need.part) if not need.part.is_whole else "the run"
    if need.memory_bytes > machine.memory_bytes:
        raise NeedsError(
            f"{whose} needs about {numbers.size(need.memory_bytes)} of memory, the machine has "
            f"{numbers.size(machine.memory_bytes)}; use fewer --workers, flush more often, or cut "
            "the run into more parts with --shard I/N"
        )
    if need.disk_bytes > machine.disk_bytes:
        raise NeedsError(
            f"{whose} needs about {numbers.size(need.disk_bytes)} of disk, "
            f"{numbers.size(machine.disk_bytes)} are free; free some space, name another disk with "
            "--out DIR, or cut the run into more parts with --shard I/N"
        )


def _kind_of_store(endpoint_url: str | None) -> str:
    """Return the kind of store that a run would have, as in past runs."""
    named = endpoint_url or any(name.startswith("AWS_ENDPOINT_URL") for name in os.environ)
    return "s3" if named else f"embedded {chosen(None, 'short')}"


def _asked(scenario: Scenario, args: Namespace) -> tuple[Needs, Machine]:
    """Return the needs of the part, and the machine, that `windfleet plan` was asked for."""
    part = part_of(scenario.fleet, PartIndex(1, args.parts))
    kind = _kind_of_store(args.endpoint_url)
    cores = args.cores or os.cpu_count() or 1
    workers = args.workers or max(1, cores // args.parts)
    here = this_machine(Path("."))
    machine = Machine(args.cores or here.cores, args.memory or here.memory_bytes, here.disk_bytes)
    # `run` takes such a scenario, too, but its plan is that of `load`.
    is_load = scenario.load is not None
    past = [] if is_load else past_runs(HOME)
    return replace(needs(scenario, part, workers, kind, past), is_load=is_load), machine


def needs_of_plan(scenario: Scenario, args: Namespace) -> dict[str, int | float | None]:
    """Return the needs of a part as `plan --json` has them. Raises as `print_needs` does."""
    need, machine = _asked(scenario, args)
    require_fit(need, machine)
    return {
        "workers": need.workers,
        "disk_bytes": need.disk_bytes,
        "memory_bytes": need.memory_bytes,
        "seconds": need.seconds,
        "parts_at_once": parts_at_once(need, machine)[0],
    }


def print_needs(scenario: Scenario, args: Namespace, console: Console) -> None:
    """Print the needs of a part, and the number of parts that the machine holds at once.

    Raises NeedsError if it holds none, and PartError.
    """
    need, machine = _asked(scenario, args)
    lines = {"needs": str(need)}
    if (args.parts, args.cores, args.memory) != (1, None, None):
        held, limit = parts_at_once(need, machine)
        size = f"{machine.cores} cores and {numbers.size(machine.memory_bytes)} of memory"
        many = f"{held} such part{'s' * (held != 1)} at once" if held else "no such part"
        lines["parts"] = f"{size} hold {many}: the limit is {limit}"
        if need.seconds is not None and held:
            rounds = -(-args.parts // held)
            about = f"about {numbers.duration(rounds * need.seconds)}"
            lines["parts"] += f"; {rounds} round{'s' * (rounds != 1)}, {about}"
        if args.parts > 1 and args.workers is None:
            chosen_here = f"{machine.cores} cores for {args.parts} parts"
            each = f"{_workers(need.workers)} a part"
            lines["workers"] = f"{each}, chosen from {chosen_here}; --workers N sets another number"
    for name, text in lines.items():
        console.print(Text(f"{name:<15}", "dim") + Text(text, "default"), soft_wrap=True)
    require_fit(need, machine)
