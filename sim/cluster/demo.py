"""`windfleet demo --cluster`: parts of a data set, in a folder that all machines share.

A data set is its files, so they are not sent: each worker makes its parts in the shared folder, and
the client gathers them from there. A file that the client writes there first, and that each worker
must see, shows that it is one folder.
"""

from __future__ import annotations

import secrets
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from sim import run_directory
from sim.cluster.shared_files import digest, seen_by
from sim.cluster.task import OUT, Source
from sim.cluster.work import Places, Work
from sim.demo.make import DemoOptions, need_bytes_of
from sim.errors import ENVIRONMENT, ClusterError, DirectoryError, reason
from sim.merge.command import MergeOptions
from sim.report import numbers
from sim.run import part_file
from sim.run.needs import Needs, needs
from sim.run.part import part_of
from sim.run.part_index import PartIndex
from sim.run.past_runs import past_runs
from sim.run_directory import OBJECTS_FILE, PART_FILE
from sim.scenario import Scenario
from sim.scenario.plan import plan
from sim.store.home import HOME

TOKEN_FILE: Final = "shared"


class DemoWork(Work):
    """A data set in parts. `folder`: shared by all machines, for the time of the command."""

    record = (OBJECTS_FILE, PART_FILE)
    keeps = True

    def __init__(self, scenario: Scenario, options: DemoOptions, shared: str | None) -> None:
        """shared: folder that all machines share; None: beside the data set."""
        super().__init__(scenario)
        self._options = options
        beside = options.out.with_name(f"{options.out.name}.parts")
        self._shared = (Path(shared) if shared else beside).absolute()
        self._token: Source | None = None

    @property
    def scenario_text(self) -> str:
        return ""

    @property
    def total(self) -> int:
        return plan(self.scenario).rows

    @property
    def _whole_farms(self) -> bool:
        return self._options.layout == "farm"

    def parts(self, asked: int | None, most: int) -> int:
        fleet = self.scenario.fleet
        count = asked or min(most, len(fleet.farms) if self._whole_farms else fleet.turbines)
        part_of(fleet, PartIndex(1, count), self._whole_farms)
        return count

    def command(self, part: PartIndex) -> tuple[str, ...]:
        finish = self._options.finish
        given = [name for name, value in finish.words.items() if value == "given"]
        given += [f"--export={form}" for form in finish.exports]
        words = shlex.split(self._options.command)[1:]
        return (*words, *given, "--shard", str(part), "--to", OUT, "--overwrite")

    def needs(self, count: int, workers: int) -> Needs:
        part = part_of(self.scenario.fleet, PartIndex(1, count), self._whole_farms)
        past = past_runs(HOME)
        return needs(self.scenario, part, workers, "folder", past, self._whole_farms)

    def folder(self, given: str | None) -> str:
        return str(self._shared)

    @contextmanager
    def records(self, run: str) -> Iterator[Path]:
        """Make both folders. The shared one is removed when the data set is complete."""
        scenario, options = self.scenario, self._options
        need_bytes = need_bytes_of(scenario, scenario.fleet.turbines, options.layout)
        compacted = options.layout == "farm"
        made = run_directory.made(
            options.out, options.overwrite, scenario.text, need_bytes, "--to DIR", compacted
        )
        with made, self._shared_folder(run) as folder:
            yield folder

    @contextmanager
    def _shared_folder(self, run: str) -> Iterator[Path]:
        """Make a folder with a token in it. What parts are in it stays after an error."""
        folder = self._shared / run
        token = folder / TOKEN_FILE
        try:
            folder.mkdir(parents=True)
            token.write_text(secrets.token_hex(16), encoding="ascii")
        except OSError as error:
            fix = "name another folder with --worker-dir DIR"
            text = f"{folder}: cannot be made: {reason(error)}; {fix}"
            raise DirectoryError(text, ENVIRONMENT) from error
        self._token = Source(str(token), digest(str(token)) or "")
        try:
            yield folder
            shutil.rmtree(folder)
        finally:
            token.unlink(missing_ok=True)
            for empty in (folder, self._shared):
                with suppress(OSError):  # it is not empty, or gone
                    empty.rmdir()

    def places(self, client: Any, count: int) -> Places:
        token = self._token
        assert token is not None
        unseen = [
            f"worker {address}: does not see {token.path}"
            for address, (found,) in sorted(seen_by(client, [token.path]).items())
            if found != token.sha256
        ]
        if unseen:
            fix = "parts of a data set need a folder that all machines share; name one with"
            raise ClusterError("\n".join([f"{fix} --worker-dir DIR:", *unseen]))
        return dict.fromkeys(range(1, count + 1), (token, ()))

    def outcome(self, folder: Path) -> tuple[str, int]:
        part = part_file.read(folder)
        rows = sum(shard.rows for shard in part.shards)
        return f"judged, {rows:,} rows in {numbers.duration(part.total_s)}", rows

    def completed_by(self, count: int) -> str:
        return f"make the others with --shard I/{count}, then windfleet merge"

    def merge_options(self, folders: list[Path]) -> MergeOptions:
        return MergeOptions(folders, self._options.out, self._options.overwrite, within=True)
