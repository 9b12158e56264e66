"""`windfleet verify --cluster`: the node files of a run, judged where they are.

    a run in parts     each part on a machine that has its node files; DIR/parts names them
    any other run      on machines that see DIR, in as many parts as asked for

A machine has the node files if the part's record, or result.json, is the same file there.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.check import LakeReader
from sim.cluster import place
from sim.cluster.address import host_of
from sim.cluster.parts import start_there
from sim.cluster.shared_files import digest, seen_by
from sim.cluster.task import OUT, Source
from sim.cluster.work import Places, Work
from sim.errors import ClusterError, DirectoryError, PartError, TargetError
from sim.merge.command import MergeOptions, read_parts
from sim.report.result import RESULT_FILE
from sim.run import part_file
from sim.run.part import part_of
from sim.run.part_index import PartIndex
from sim.run_directory import OBJECTS_FILE, PART_FILE, PARTS, SCENARIO_FILE
from sim.scenario import Scenario, load
from sim.store import localstack, target
from sim.store.s3_lake import s3_lake
from sim.verify.judge import verdict
from sim.verify.lake_layout import is_compacted


@dataclass(frozen=True)
class _Files:
    """The node files of a part. where: in words."""

    folder: Path
    source: Source
    where: str


class VerifyWork(Work):
    """A verdict in parts."""

    record = (OBJECTS_FILE, PART_FILE)
    without_store = "verify here, without --cluster"

    def __init__(
        self,
        scenario: Scenario,
        run_dir: Path,
        store: tuple[str | None, bool],
        report: Path | None,
        replay: str,
    ) -> None:
        """store: see `verify_work`. Raises PartError, TargetError."""
        super().__init__(scenario)
        self._report, self._replay = report, replay
        self._run_dir = run_dir.absolute()
        self._parts = None if (run_dir / "nodes").is_dir() else _parts(self._run_dir)
        self._remote = ("--allow-remote",) if store[1] else ()
        self._lake = _lake(self._run_dir, *store)
        self.endpoint_url = self._lake

    @property
    def name(self) -> str:
        return f"verify-{super().name}"

    @property
    def scenario_text(self) -> str:
        return ""

    @property
    def total(self) -> None:
        return None

    def parts(self, asked: int | None, most: int) -> int:
        if self._parts is None:
            folder = LakeReader.folder(self._run_dir / "lake")
            whole = is_compacted(self._run_dir, s3_lake(self._lake) if self._lake else folder)
            fleet = self.scenario.fleet
            count = asked or min(most, len(fleet.farms) if whole else fleet.turbines)
            part_of(fleet, PartIndex(1, count), whole)
            return count
        if asked not in (None, len(self._parts)):
            there = f"its node files are in {len(self._parts)} parts"
            raise PartError(f"{self._run_dir}: {there}; leave out --parts {asked}")
        return len(self._parts)

    def command(self, part: PartIndex) -> tuple[str, ...]:
        lake = () if self._lake is None else ("--endpoint-url", self._lake, *self._remote)
        folder = str(self._files(part.index).folder)
        return ("verify", folder, "--shard", str(part), "--out", OUT, *lake)

    @contextmanager
    def records(self, run: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="windfleet-") as folder:
            yield Path(folder)

    def places(self, client: Any, count: int) -> Places:
        files = {index: self._files(index) for index in range(1, count + 1)}
        seen = seen_by(client, [each.source.path for each in files.values()])
        found: Places = {}
        for at, (index, each) in enumerate(files.items()):
            hosts = {
                host_of(name) for name, those in seen.items() if those[at] == each.source.sha256
            }
            if not hosts:
                start = start_there(client.scheduler.address)
                raise ClusterError(
                    f"part {index}: its node files are in {each.where}, and no worker has them; "
                    f"{start}"
                )
            found[index] = (each.source, tuple(sorted(hosts)))
        return found

    def outcome(self, folder: Path) -> tuple[str, int]:
        found = verdict([part_file.read(folder).judgement])
        rows = int(found.figures.get("rows.generated", 0))
        return f"{found.status}, {rows:,} rows", rows

    def completed_by(self, count: int) -> None:
        return None

    def merge_options(self, folders: list[Path]) -> MergeOptions:
        return MergeOptions(
            folders,
            replay=self._replay,
            within=True,
            judged=self._run_dir,
            report=self._report,
        )

    def _files(self, index: int) -> _Files:
        if self._parts is not None:
            return self._parts[index]
        path = next(
            path
            for name in (RESULT_FILE, SCENARIO_FILE)
            if (path := self._run_dir / name).is_file()
        )
        return _Files(self._run_dir, _source(path, path), str(self._run_dir))


def verify_work(
    run_dir: Path, store: tuple[str | None, bool], report: Path | None, replay: str
) -> VerifyWork:
    """Return the verdict on a run in parts. Raises DirectoryError, ScenarioError, and as above.

    store: endpoint URL, if the user named one, and whether it may be on another machine.
    """
    if not run_dir.is_dir():
        raise DirectoryError(f"{run_dir}: is no directory; name that of a run")
    return VerifyWork(load(run_dir / SCENARIO_FILE), run_dir, store, report, replay)


def _parts(run_dir: Path) -> dict[int, _Files]:
    """Return the node files of each part of a run on a cluster. Raises PartError."""
    folders = sorted((run_dir / PARTS).glob("part-*-of-*"))
    if not folders:
        raise PartError(f"{run_dir}: has no nodes/ and no {PARTS}/; is this a run directory?")
    found = {}
    for folder, head in read_parts(folders).items():
        try:
            there = place.read(folder)
        except (OSError, ValueError) as error:
            again = "run it again with --cluster, or verify each part's own directory"
            raise PartError(f"{folder}: does not name its node files ({error}); {again}") from error
        source = _source(folder / PART_FILE, Path(there.folder) / PART_FILE)
        where = f"{there.folder} on {there.host}"
        found[head.index] = _Files(Path(there.folder), source, where)
    return found


def _source(here: Path, there: Path) -> Source:
    """Return a file that workers have at a path, and that is the one here."""
    if (sha256 := digest(str(here))) is None:
        raise PartError(f"{here}: cannot be read")
    return Source(str(there), sha256)


def _lake(run_dir: Path, endpoint_url: str | None, allow_remote: bool) -> str | None:
    """Return the endpoint of the lake; None: a copy that the run saved. Raises TargetError."""
    if endpoint_url is None and (run_dir / "lake").is_dir():
        return None
    named = target.endpoint_of(target.Options(endpoint_url, allow_remote=allow_remote))
    if named is not None:
        return named
    if (server := localstack.status()) is not None:
        return server.endpoint_url
    raise TargetError(
        f"{run_dir}: no store is named, and the parts' embedded ones ended with them; run with "
        "--endpoint-url URL, and name it here too"
    )
