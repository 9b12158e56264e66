"""`readings.parquet`: all valid readings of a data set in one file, by turbine and then by time.

The lake has one object per hour; this file is for whoever wants one table. It is written as a
stream, at most MOST_ROWS rows at a time: every group of turbines is read from the lake's objects of
its farms. The same lake gives the same bytes, in both layouts.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

from pipeline.records import BUCKET_PREFIX
from pipeline.records.schemas import VALIDATED
from sim.demo import dictionary
from sim.scenario import Scenario

FILE: Final = "readings.parquet"
MOST_ROWS: Final = 1_000_000
"""Rows in memory: 130 MB, and as much again while they are sorted."""
ROW_GROUP: Final = 122_880
"""Rows of a row group: a unit of DuckDB's work, and some MB for a reader that wants few columns."""
_ORDER: Final = [("turbine_id", "ascending"), ("timestamp", "ascending"), ("id", "ascending")]


def write(scenario: Scenario, folder: Path) -> None:
    """Write the file from the lake in a data set's folder. Raises OSError."""
    schema = dictionary.READINGS
    order = pq.SortingColumn.from_ordering(schema, _ORDER)
    with (
        (folder / FILE).open("wb") as file,  # pyarrow may take a path for a URI
        pq.ParquetWriter(file, schema, compression="zstd", sorting_columns=order) as writer,
    ):
        for table in _sorted(scenario, folder / "lake"):
            writer.write_table(table.cast(schema), row_group_size=ROW_GROUP)


def _sorted(scenario: Scenario, lake: Path) -> Iterator[pa.Table]:
    """Yield the rows of the next turbines, in order."""
    root = lake / f"{BUCKET_PREFIX}validated" / "validated"
    farms = {turbine: farm.farm_id for farm in scenario.fleet.farms for turbine in farm.turbine_ids}
    each = max(1, MOST_ROWS // scenario.clock.samples)
    turbines = sorted(farms)
    for begin in range(0, len(turbines), each):
        group = turbines[begin : begin + each]
        files = [
            str(path)
            for farm in sorted({farms[turbine] for turbine in group})
            for path in sorted(root.rglob(f"{farm}-*.parquet"))
        ]
        if not files:
            continue
        data = ds.dataset(files, VALIDATED, format="parquet", filesystem=fs.LocalFileSystem())
        found = data.to_table(filter=pc.field("turbine_id").isin(group))
        yield found.sort_by(_ORDER)
