"""One Parquet file read by Spark: all rows, and how many meet each of some conditions.

Run by itself, the file is the child in Spark's environment.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def read(file: Path, conditions: Sequence[str]) -> tuple[Any, list[int]]:
    """Return the rows as a pyarrow table, and a count for each condition. Needs `make spark`."""
    import pyarrow as pa

    from sim.query.spark import home

    found, out = home.find(), file.with_suffix(".arrow")
    done = subprocess.run(
        [str(found.python), "-I", __file__, str(file), str(out)],
        input=json.dumps(conditions),
        capture_output=True,
        text=True,
        env={"PATH": f"{found.java}/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"},
        cwd=file.parent,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with pa.OSFile(str(out)) as source:
        return pa.ipc.open_file(source).read_all(), json.loads(done.stdout)


def _child(path: str, out: str) -> None:
    """Write all rows to an Arrow file, and print the counts of the conditions given as JSON."""
    import pyarrow as pa
    from pyspark.sql import SparkSession

    settings = {
        "spark.master": "local[1]",
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.session.timeZone": "UTC",
    }
    spark = SparkSession.builder.config(map=settings).getOrCreate()
    frame = spark.read.parquet(path)
    rows = frame.toArrow()
    with pa.OSFile(out, "wb") as sink, pa.ipc.new_file(sink, rows.schema) as writer:
        writer.write_table(rows)
    print(json.dumps([frame.filter(condition).count() for condition in json.load(sys.stdin)]))
    spark.stop()


if __name__ == "__main__":
    _child(*sys.argv[1:])
