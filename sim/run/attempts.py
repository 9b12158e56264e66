"""The attempts at one run, in its directory, so that `--resume` can go on behind the last one.

    .resume/run.json         settings of the first attempt, and the start of each
    .resume/fired.jsonl      faults of delivery that fired so far (`sim.run.fired_log`)
    .resume/shards/          results of shards that are done (`sim.run.finished`)
    .resume/operations/      store operations so far (`sim.run.operations`)

A run that comes to its verdict removes them. What an attempt takes over:

- Shards that are done, if the lake has their nodes' checkpoints.
- What the lake has of the other shards. They are simulated again, with the same bytes, and
  delivered from there on (`sim.run.earlier_attempt`).
- Nothing, if the lake is gone, as that of an embedded store is. Then everything is made again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from pipeline import lake, partition
from pipeline.ports import NotFound, StoreError
from pipeline.retry import Retrying
from pipeline.store import S3ObjectStore
from sim.errors import DirectoryError, ResumeError, StoreGone, TargetError
from sim.measure.environment import program_versions
from sim.record_json import fields_of
from sim.resume_state import RESUME, RUN_STATE
from sim.run import finished, fired_log, operations
from sim.run.injection_log import PARTS
from sim.run.record import ShardResult
from sim.run.shard_plan import ShardPlan
from sim.run_directory import SCENARIO_FILE, require_resumable
from sim.store.gateway import Gateway
from sim.store.target import Target
from sim.whole_file import write_text

_NOT_IN_BYTES: Final = "python"
COMPARED: Final = 24
"""Objects of the record that are looked for in the lake of a run that goes on."""


@dataclass(frozen=True)
class Origin:
    """The program and the scenario of a run or a campaign; all attempts must have the same.

    scenario_sha256: of scenario.yaml in the directory.
    """

    scenario_sha256: str
    versions: dict[str, str]

    @classmethod
    def of(cls, out: Path) -> Origin:
        """Return the origin of a run that begins here and now. Raises OSError."""
        text = (out / SCENARIO_FILE).read_bytes()
        return cls(hashlib.sha256(text).hexdigest(), program_versions())

    def require_same(self, out: Path) -> None:
        """Raise ResumeError, with every reason, unless an attempt here would go on with the same.

        Raises OSError.
        """
        here = Origin.of(out)
        problems = [
            f"made with {name} {self.versions.get(name)}, this machine has {version}"
            for name, version in here.versions.items()
            if name != _NOT_IN_BYTES and self.versions.get(name) != version
        ]
        if self.scenario_sha256 != here.scenario_sha256:
            problems.append(f"{SCENARIO_FILE} was changed since it began")
        if problems:
            fix = "run it again with --overwrite"
            raise ResumeError(f"{out}: cannot go on: {'; '.join(problems)}; {fix}")


@dataclass
class Attempts:
    """Settings of a run, and its attempts so far.

    shard: the part, such as `2/4`. gateway, store_processes, keep: of the embedded store.
    endpoint_url: of the lake, if it outlives an attempt. named: the user named it. opened: the lake
    was found usable, so all that it holds is the run's.
    began: start of each attempt, ns since 1970.
    """

    origin: Origin
    replay: str
    workers: int
    save_lake: bool = False
    shard: str | None = None
    gateway: Gateway = "short"
    store_processes: int = 1
    keep: bool = False
    endpoint_url: str | None = None
    named: bool = False
    opened: bool = False
    began: list[int] = field(default_factory=list)
    takes_over: bool = field(default=False, init=False)
    """True if this attempt goes on in the lake of the one before."""

    def begin(self, out: Path) -> None:
        """Note the start of an attempt. Raises OSError."""
        self.began.append(time.time_ns())
        self.write(out)

    def write(self, out: Path) -> None:
        """Write the settings. Raises OSError."""
        (out / RESUME).mkdir(exist_ok=True)
        write_text(out / RUN_STATE, json.dumps(self, default=fields_of) + "\n")

    def enter(self, out: Path, store: Target) -> None:
        """Note the store of this attempt, and look whether it has the lake of the one before.

        If not, everything that was made is removed. Raises TargetError, LakeError, StoreGone,
        OSError.
        """
        ended, self.opened = self.opened, True
        same = store.endpoint_url == self.endpoint_url
        outlives = store.server is None or store.kept
        self.endpoint_url = store.endpoint_url if outlives else None
        self.write(out)
        self.takes_over = ended and same and lake.first_object(store.store) is not None
        if self.takes_over:
            operations.keep(out)
            _require_own_lake(out, store)
        elif ended:
            for name in ("nodes", "truth", finished.SHARDS, PARTS, operations.KEPT):
                shutil.rmtree(out / name, ignore_errors=True)
            fired_log.forget(out)

    def done(self, out: Path, plans: Sequence[ShardPlan], store: Target) -> list[ShardResult]:
        """Return the results of shards that need not run again.

        Raises TargetError if the lake lacks what they delivered, StoreGone, OSError.
        """
        if not self.takes_over:
            return []
        found = finished.read(out, [plan.part for plan in plans])
        reader = Retrying(S3ObjectStore(store.store))
        bucket = partition.bucket("checkpoints")
        for farm in sorted({result.farm for result in found}):
            folder = partition.checkpoint_key(farm, "").rpartition("/")[0] + "/"
            try:
                there = set(reader.list(bucket, folder, ""))
            except StoreError as error:
                raise StoreGone(str(error)) from error
            for result in found:
                keys = [partition.checkpoint_key(farm, each) for each in result.turbine_ids]
                gone = [key for key in keys if key not in there] if result.farm == farm else []
                if gone and result.commits:
                    raise TargetError(
                        f"{store.endpoint_url}: the lake has lost what this run delivered "
                        f"({bucket}/{gone[0]}); empty it with `windfleet store empty`, then "
                        "--resume makes everything again"
                    )
        return found

    @property
    def note(self) -> str:
        """The sentence on the figures of a run that was resumed; empty for any other."""
        if len(self.began) < 2:
            return ""
        attempt = f"resumed: this was attempt {len(self.began)}"
        if not self.takes_over:
            return f"{attempt}; the store of the one before was gone, so everything was made again"
        return (
            f"{attempt}. Counted and modelled figures cover all attempts, throughput and latency "
            "the last one that wrote objects, and time.total, memory.peak and cpu.busy this one"
        )


def _require_own_lake(out: Path, store: Target) -> None:
    """Raise TargetError if the lake has other objects than the run made, by some of its record.

    Another run may have emptied and filled it meanwhile.
    """
    reader = Retrying(S3ObjectStore(store.store))
    for bucket, key, size in operations.some_objects(out, COMPARED):
        try:
            body, _ = reader.get(bucket, key)
        except NotFound:
            body = b""
        except StoreError as error:
            raise StoreGone(str(error)) from error
        if len(body) != size:
            raise TargetError(
                f"{store.endpoint_url}: the lake is not the one of this run ({bucket}/{key} is "
                "missing or another); empty it with `windfleet store empty`, then --resume makes "
                "everything again"
            )


def read(out: Path) -> Attempts:
    """Read the attempts of an interrupted run. Raises DirectoryError, ResumeError."""
    return read_state(out, RUN_STATE, Attempts)


class _Begun(Protocol):
    @property
    def origin(self) -> Origin:
        """Program and scenario of the first attempt."""


S = TypeVar("S", bound=_Begun)


def read_state(out: Path, name: str, kind: type[S]) -> S:
    """Read the state of an interrupted run or campaign, of the same origin as it would have now.

    Raises DirectoryError, ResumeError.
    """
    require_resumable(out, name)
    try:
        found = TypeAdapter(kind).validate_python(json.loads((out / name).read_bytes()))
        found.origin.require_same(out)
    except (OSError, ValidationError, json.JSONDecodeError) as error:
        fix = "run it again with --overwrite"
        raise DirectoryError(f"{out / name}: cannot be read: {error}; {fix}") from error
    return found
