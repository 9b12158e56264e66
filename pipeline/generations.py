"""All files of a node, the current one and those it retired, as one series of rows.

    A-001.retired-0.db   A-001.retired-1.db   A-001.db        generations 0, 1 and 2 of one node

A node's software that starts a fresh file keeps the old one beside it (`records.GENERATION_IDS` has
the convention). Ids here are those of the lake: `generation * GENERATION_IDS + id in the file`. So
the last delivered id also gives the file to read next. It is a retired file if its retired name
exists, else the current one. After a retired file's last row come the rows of the next file. It
follows:

- A read costs two file system lookups more than a read of one file.
- Retired files may be deleted once a row of a later file is in the lake.
- The rows do not depend on the time of the read.

The switch may happen during a read. So the retired name is looked up again afterwards. If it
now exists, the rows that were read, from either file, are discarded and read again from the retired
file.

If a file was replaced and the old one not kept, the node stops and reports the fix (`source`). An
operator must decide about the old file's undelivered rows.

Not covered: a retired file that was removed before any of its rows were delivered, unless a later
retired file exists.
"""

from __future__ import annotations

import errno
import glob
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import source
from pipeline.database import LOCK_WAIT_S, SourceBusy, SourceError, shown
from pipeline.records import GENERATION_IDS, RETIRED_NAME
from pipeline.source import RAW, SourceReplaced


def read(
    database: Path,
    after_id: int,
    limit: int,
    anchor_us: int | None = None,
    lock_wait_s: float = LOCK_WAIT_S,
) -> pa.Table:
    """Return rows after `after_id` in order, `limit` at most, as a RAW table of one chunk.

    after_id: an id of the lake, 0 for the start. anchor_us: recording time of row `after_id`, None
    if unknown. lock_wait_s: longest wait for a lock of one file. Raises SourceError.
    """
    generation, after = divmod(after_id, GENERATION_IDS)
    tables: list[pa.Table] = []
    rows = 0
    while rows < limit:
        retired = retired_file(database, generation)
        size = _size(retired)
        try:
            if size is None:
                table = _current(database, generation, after, limit - rows, anchor_us, lock_wait_s)
            else:  # an empty file stands in for a lost one
                table = (
                    source.read(retired, after, limit - rows, anchor_us, lock_wait_s)
                    if size
                    else RAW.empty_table()
                )
        except SourceError:
            if size is None and _size(retired) is not None:
                continue
            raise
        if size is None and _size(retired) is not None:
            continue  # retired during the read; now its retired name is known
        tables.append(_with_lake_ids(table, generation))
        rows += table.num_rows
        if size is None:
            break
        generation, after, anchor_us = generation + 1, 0, None
    return tables[0] if len(tables) == 1 else pa.concat_tables(tables).combine_chunks()


def retired_file(database: Path, generation: int) -> Path:
    """Return the path of a generation's file after it was retired."""
    return database.with_name(RETIRED_NAME.format(stem=database.stem, generation=generation))


def retired_files(database: Path) -> list[Path]:
    """List a node's retired files, in no order."""
    return list(
        database.parent.glob(
            glob.escape(database.stem) + RETIRED_NAME.format(stem="", generation="*")
        )
    )


def _current(
    database: Path,
    generation: int,
    after: int,
    limit: int,
    anchor_us: int | None,
    lock_wait_s: float,
) -> pa.Table:
    """Read rows of the file that the node writes now."""
    if after == 0:
        later = retired_file(database, generation + 1)
        if _size(later) is not None:
            missing = retired_file(database, generation)
            raise SourceError(
                f"{shown(later)} exists, but {shown(missing.name)} before it does not; "
                "put it back, or an empty file if it is lost"
            )
        if generation and not _size(database):
            raise SourceBusy(
                f"{shown(database)}: no such file yet after the node's retired ones; try again"
            )
    try:
        return source.read(database, after, limit, anchor_us, lock_wait_s)
    except SourceReplaced as error:
        name = shown(retired_file(database, generation).name)
        fix = f"put the old file, or an empty one if it is lost, beside it as {name}"
        raise SourceReplaced(f"{error}; {fix}") from None


def _size(path: Path) -> int | None:
    """Return a file's size in bytes, None if it does not exist or its name is too long."""
    try:
        return os.stat(path).st_size
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENAMETOOLONG):
            return None
        raise


def _with_lake_ids(table: pa.Table, generation: int) -> pa.Table:
    """Return the same rows with their ids in the lake."""
    if generation == 0:
        return table
    ids = pc.add(table.column("id"), generation * GENERATION_IDS)
    return table.set_column(0, RAW.field("id"), ids)
