"""Ground truth of a run on disk: `truth/<table>-<name>.parquet`, sorted by turbine and time.

Each shard writes its own files. At the end the files of a farm's shards become one, whose bytes do
not depend on the shards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sim.fleet.part import FarmPart
from sim.run.record import ShardResult

TABLES = ("faults", "states", "operations", "wear")
_FIRST = ("turbine_id", "from", "failed_at")


def write(folder: Path, name: str, tables: Mapping[str, pa.Table]) -> None:
    """Write the tables of one shard, or of a farm. Raises OSError."""
    folder.mkdir(exist_ok=True)
    for kind, table in tables.items():
        # An open file, since pyarrow may take a path for a URI.
        with (folder / f"{kind}-{name}.parquet").open("wb") as file:
            pq.write_table(_sorted(table), file)


def merge(folder: Path, farms: Sequence[FarmPart], shards: Sequence[ShardResult]) -> None:
    """Make the files of each farm's shards one, under the name of the farm or of its part.

    Nothing happens to a farm of which a shard is missing, or that an earlier attempt at the run
    joined. Raises OSError.
    """
    for farm in farms:
        own = [shard for shard in shards if shard.farm == farm.farm.farm_id]
        names = [shard.name for shard in own]
        if len(own) < 2 or sum(len(shard.turbine_ids) for shard in own) != farm.turbines:
            continue
        if not any(path.exists() for name in names for path in paths(folder, name).values()):
            continue
        join(folder, farm.name, [(folder, name) for name in names])
        for name in names:
            for path in paths(folder, name).values():
                path.unlink()


def join(folder: Path, name: str, pieces: Sequence[tuple[Path, str]]) -> None:
    """Write the files of several pieces, (folder, name) each, as one. Raises OSError."""
    files = [paths(*piece) for piece in pieces]
    write(
        folder,
        name,
        {kind: pa.concat_tables([_read(each[kind]) for each in files]) for kind in TABLES},
    )


def paths(folder: Path, name: str) -> dict[str, Path]:
    """Return the files of a shard, of a part or of a farm, by table."""
    return {kind: folder / f"{kind}-{name}.parquet" for kind in TABLES}


def _read(path: Path) -> pa.Table:
    with path.open("rb") as file:
        return pq.read_table(file)


def _sorted(table: pa.Table) -> pa.Table:
    names = [name for name in _FIRST if name in table.column_names]
    names += [name for name in table.column_names if name not in names]
    order = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in names])
    return table.take(order).combine_chunks()
