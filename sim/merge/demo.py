"""Parts of a data set as one: `lake`, `truth` and `nodes` in one folder, then what `demo` adds.

Objects of the lake are copied, since a hard link would change with the part that it leads to. Only
of parts that are removed afterwards (`--cluster`) they are links. Nothing of a part changes.
Databases of nodes are copied if they are kept, else they are read where they are.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import get_args

from rich.console import Console

from sim import run_directory
from sim.demo import part_files, themes
from sim.demo.dataset import Dataset, Layout
from sim.demo.finish import Finish, as_demo_errors, finish, remove_earlier, require_pass
from sim.demo.themes import Theme
from sim.errors import PartError
from sim.report.progress import RunProgress
from sim.run import truth
from sim.run.part import part_of
from sim.run.part_file import PartFile
from sim.run.part_index import PartIndex
from sim.run.record import Record
from sim.scenario import Scenario
from sim.verify.judge import verdict

Put = Callable[[Path, Path], object]


def merge_demo(
    scenario: Scenario,
    parts: Mapping[Path, PartFile],
    out: Path,
    overwrite: bool,
    console: Console,
    own: bool = False,
) -> Dataset:
    """Make the data set of all parts. Raises PartError, DemoError, DirectoryError.

    own: the parts are this process's own, and are removed afterwards; `out` is made already.
    """
    parts = dict(sorted(parts.items(), key=lambda item: item[1].index))
    first = next(iter(parts.values()))
    theme, layout = _theme_and_layout(scenario, first)
    record = Record(
        shards=[shard for part in parts.values() for shard in part.shards],
        verdict=verdict([part.judgement for part in parts.values()]),
    )
    made = Dataset(scenario, theme, out, layout, record, first.replay)
    require_pass(made)
    pieces = _pieces(scenario, parts, layout)
    for folder, part in parts.items():
        part_files.require_unchanged(folder, part.files, f"{part.index}/{part.count}")
    options, begun = Finish.of(first.common), time.perf_counter()
    need_bytes, compacted = _new_bytes(parts, options.nodes), layout == "farm"
    with (
        nullcontext()
        if own
        else run_directory.made(out, overwrite, scenario.text, need_bytes, compacted=compacted),
        as_demo_errors(out),
        RunProgress(console) as progress,
    ):
        remove_earlier(out)
        progress.phase("gathering the parts", None, "")
        for folder in parts:
            _gather(folder / "lake", out / "lake", _link if own else _copy)
            put = shutil.copy2 if options.nodes else _point
            _gather(folder / "nodes", out / "nodes", put)
        for farm, places in pieces.items():
            truth.join(out / "truth", farm, places)
        finish(made, options, progress, begun)
    return made


def _theme_and_layout(scenario: Scenario, part: PartFile) -> tuple[Theme, Layout]:
    """Return theme and layout of a part. Raises PartError for a record without them."""
    try:
        theme = themes.theme(part.common["theme"])
        (layout,) = (name for name in get_args(Layout) if name == part.common["layout"])
        with_story = part.common["story"] == themes.TOLD
    except (KeyError, ValueError) as error:
        raise PartError(
            f"part {part.index}/{part.count}: its record names no theme and layout; make it again"
        ) from error
    return theme if with_story else themes.without_story(theme, bool(scenario.events)), layout


def _pieces(
    scenario: Scenario, parts: Mapping[Path, PartFile], layout: Layout
) -> dict[str, list[tuple[Path, str]]]:
    """Return the truth of each farm: (folder, name in its files) of each part with some of it."""
    found: dict[str, list[tuple[Path, str]]] = {}
    for folder, part in parts.items():
        place = PartIndex(part.index, part.count)
        for each in part_of(scenario.fleet, place, whole_farms=layout == "farm").farms:
            found.setdefault(each.farm.farm_id, []).append((folder / "truth", each.name))
    return found


def _new_bytes(parts: Mapping[Path, PartFile], nodes: bool) -> int:
    """Return the bytes of all files that are copied."""
    copied = [folder / top for folder in parts for top in ("lake", "nodes")[: 1 + nodes]]
    return sum(path.stat().st_size for top in copied for path in top.rglob("*") if path.is_file())


def _gather(source: Path, target: Path, put: Put) -> None:
    """Put each file of a folder under `target`. Raises PartError for one that is there, OSError."""
    for top, _, names in os.walk(source):
        folder = target / Path(top).relative_to(source)
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            if (folder / name).exists():
                again = "is in several parts; make the parts again"
                raise PartError(f"{Path(top) / name}: {again}")
            put(Path(top) / name, folder / name)


def _link(file: Path, to: Path) -> None:
    """Make a hard link to a file, or a copy where that cannot be."""
    try:
        os.link(file, to)
    except OSError:
        shutil.copy2(file, to)


def _copy(file: Path, to: Path) -> None:
    """Copy a file. Disks that can (Btrfs, XFS) share its blocks until one of both changes."""
    try:
        with file.open("rb") as source, to.open("wb") as target:
            left = os.fstat(source.fileno()).st_size
            while left:
                done = os.copy_file_range(source.fileno(), target.fileno(), left)
                if not done:
                    raise OSError(f"{file}: became shorter")
                left -= done
        shutil.copystat(file, to)
    except (OSError, AttributeError):  # AttributeError: not Linux
        shutil.copy2(file, to)


def _point(file: Path, to: Path) -> None:
    """Make a symbolic link to a file: a hard link of a database would be another database."""
    to.symlink_to(file.resolve())
