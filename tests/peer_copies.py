"""Plain copies of node files to S3, each as the library's own guide would do it.

    .peers/venv/bin/python tests/peer_copies.py NAME FOLDER URL

`tests.peers` starts it, one process per NAME of COPIES. Each line on standard input is the name of
a folder in the bucket. The process copies all node files into it, and answers with a line of JSON:
CPU and wall seconds. Imports and connections are made before the first line, and do not count.
"""

from __future__ import annotations

import io
import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BUCKET = "peers"
TABLE = "sensor_readings"
QUERY = f"SELECT * FROM {TABLE}"
KEY, SECRET, REGION = "test", "test", "us-west-2"
Copy = Callable[[str], Any]
"""Copies all files into a folder of the bucket."""


def name_of(path: Path, folder: str) -> str:
    return f"{folder}/{path.stem}.parquet"


def with_polars(paths: list[Path], url: str) -> Copy:
    """Read by connectorx, write by the object store inside polars."""
    import polars

    options = {
        "aws_endpoint_url": url,
        "aws_access_key_id": KEY,
        "aws_secret_access_key": SECRET,
        "aws_region": REGION,
        "aws_allow_http": "true",
    }

    def copy(folder: str) -> None:
        for path in paths:
            frame = polars.read_database_uri(QUERY, f"sqlite://{path}", engine="connectorx")
            place = f"s3://{BUCKET}/{name_of(path, folder)}"
            frame.write_parquet(place, compression="snappy", storage_options=options)

    return copy


def with_duckdb(paths: list[Path], url: str) -> Copy:
    """ATTACH each file, and COPY its table through httpfs."""
    import duckdb
    from duckdb_extensions import import_extension

    for extension in ("sqlite_scanner", "httpfs"):
        import_extension(extension)
    connection = duckdb.connect()
    connection.execute("LOAD sqlite_scanner; LOAD httpfs")
    host = url.removeprefix("http://")
    connection.execute(
        f"CREATE SECRET (TYPE s3, KEY_ID '{KEY}', SECRET '{SECRET}', REGION '{REGION}', "
        f"ENDPOINT '{host}', URL_STYLE path, USE_SSL false)"
    )

    def copy(folder: str) -> None:
        for path in paths:
            connection.execute(f"ATTACH '{path}' AS node (TYPE sqlite, READ_ONLY)")
            place = f"s3://{BUCKET}/{name_of(path, folder)}"
            connection.execute(
                f"COPY (SELECT * FROM node.{TABLE}) TO '{place}' "
                "(FORMAT parquet, COMPRESSION snappy)"
            )
            connection.execute("DETACH node")

    return copy


def with_pandas(paths: list[Path], url: str) -> Copy:
    """Read by sqlite3, encode by pyarrow, PUT by boto3."""
    import boto3
    import pandas

    client = boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name=REGION,
    )

    def copy(folder: str) -> None:
        for path in paths:
            connection = sqlite3.connect(path)
            frame = pandas.read_sql_query(QUERY, connection)
            connection.close()
            body = io.BytesIO()
            frame.to_parquet(body, compression="snappy", index=False)
            client.put_object(Bucket=BUCKET, Key=name_of(path, folder), Body=body.getvalue())

    return copy


def with_dlt(paths: list[Path], url: str) -> Copy:
    """Append each file's table by dlt's SQL source to its filesystem destination."""
    import dlt
    from dlt.destinations import filesystem
    from dlt.sources.sql_database import sql_table

    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"
    state = Path(os.environ["PEERS_STATE"])
    credentials = {
        "aws_access_key_id": KEY,
        "aws_secret_access_key": SECRET,
        "endpoint_url": url,
        "region_name": REGION,
    }

    def copy(folder: str) -> None:
        destination = filesystem(f"s3://{BUCKET}/{folder}", credentials=credentials)
        pipeline = dlt.pipeline(
            "peers", destination=destination, dataset_name="copy", pipelines_dir=str(state / folder)
        )
        tables = [
            sql_table(f"sqlite:///{path}", TABLE, backend="pyarrow")
            .with_name(path.stem)
            .apply_hints(table_name=TABLE, write_disposition="append")
            for path in paths
        ]
        pipeline.run(tables, loader_file_format="parquet")

    return copy


COPIES = {"polars": with_polars, "duckdb": with_duckdb, "pandas": with_pandas, "dlt": with_dlt}


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended."""
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


def main() -> None:
    name, folder, url = sys.argv[1:]
    paths = sorted(Path(folder).glob("*.db"))
    copy = COPIES[name](paths, url)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # a library's own prints are no answers
    print(json.dumps({"files": len(paths)}), file=answers, flush=True)
    for line in sys.stdin:
        cpu, wall = cpu_seconds(), time.perf_counter()
        copy(line.strip())
        cost = {"cpu_s": cpu_seconds() - cpu, "wall_s": time.perf_counter() - wall}
        print(json.dumps(cost), file=answers, flush=True)


if __name__ == "__main__":
    main()
