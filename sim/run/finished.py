"""Results of shards that are done: `.resume/shards/<name>.json`, for the next attempt at the run.

A shard is taken over if its node files and its ground truth are still there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from sim.fleet.part import FarmPart
from sim.record_json import fields_of
from sim.resume_state import RESUME
from sim.run import truth
from sim.run.record import ShardResult
from sim.whole_file import write_text

SHARDS: Final = f"{RESUME}/shards"


def write(run_dir: Path, result: ShardResult) -> None:
    """Keep the result of a shard, without the list of its objects. Raises OSError."""
    folder = run_dir / SHARDS
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(replace(result, written=[]), default=fields_of)
    write_text(folder / f"{result.name}.json", text + "\n")


def read(run_dir: Path, shards: Sequence[FarmPart]) -> list[ShardResult]:
    """Return the results of those shards that need not run again. Raises OSError.

    Ground truth of any other shard is removed, and its result: it is simulated again.
    """
    kept = {shard.name: one for shard in shards if (one := _read(run_dir, shard)) is not None}
    folder = run_dir / "truth"
    by_farm: dict[str, list[FarmPart]] = {}
    for shard in shards:
        by_farm.setdefault(shard.farm.farm_id, []).append(shard)
    found: list[ShardResult] = []
    wanted: set[Path] = set()
    for own in by_farm.values():
        joined = _joined(own)
        if all(shard.name in kept for shard in own) and _are_there(truth.paths(folder, joined)):
            found += [kept[shard.name] for shard in own]
            wanted |= {*truth.paths(folder, joined).values()}
            # An attempt killed while it removed the pieces may have left some.
            pieces = [p for shard in own for p in truth.paths(folder, shard.name).values()]
            wanted |= {*pieces} if all(path.exists() for path in pieces) else set()
            continue
        for shard in own:
            files = truth.paths(folder, shard.name)
            if shard.name in kept and _are_there(files):
                found.append(kept[shard.name])
                wanted |= {*files.values()}
    for path in folder.glob("*.parquet"):
        if path not in wanted:
            path.unlink()
    names = {result.name for result in found}
    for path in (run_dir / SHARDS).glob("*.json"):
        if path.stem not in names:
            path.unlink()
    return found


def only_done(run_dir: Path, results: Sequence[ShardResult]) -> list[ShardResult]:
    """Return the results of shards that came to their end; a stopped one has a result as well."""
    return [each for each in results if (run_dir / SHARDS / f"{each.name}.json").exists()]


@cache
def _adapter() -> TypeAdapter[ShardResult]:
    """Return the reader of results. It takes a while to make, and most runs read none."""
    return TypeAdapter(ShardResult)


def _read(run_dir: Path, shard: FarmPart) -> ShardResult | None:
    """Return the result of a shard; None if there is none that can be used."""
    try:
        raw = json.loads((run_dir / SHARDS / f"{shard.name}.json").read_bytes())
        found = _adapter().validate_python(raw)
    except (FileNotFoundError, ValueError, ValidationError):
        return None
    nodes = run_dir / "nodes" / found.farm
    if found.turbine_ids != shard.turbine_ids:
        return None
    return found if all((nodes / f"{each}.db").exists() for each in found.turbine_ids) else None


def _joined(shards: Sequence[FarmPart]) -> str:
    """Return the name of the files that `truth.merge` makes of these shards of a farm."""
    return FarmPart(shards[0].farm, shards[0].first, shards[-1].last).name


def _are_there(files: dict[str, Path]) -> bool:
    return all(path.exists() for path in files.values())
