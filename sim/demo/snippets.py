"""Texts to paste that read a data set: in its README, its pages, its notebook and the terminal."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from pipeline.records import BUCKET_PREFIX, QUARANTINE

_HOURS: Final = "hive_types = {'year': INT, 'month': INT, 'day': INT, 'hour': INT}"
"""Without it, DuckDB reads the months and hours that begin with 0 as texts."""
_QUERY: Final = re.compile(r"`(SELECT [^`]*)`")


def views(quarantine: bool) -> str:
    """Return DuckDB's views over the stages, for a session in the data set's folder."""
    lines = [
        f"CREATE VIEW {stage} AS FROM {_files(stage, stage)};"
        for stage in ("ingestion", "validated", "enriched")
    ]
    if quarantine:
        lines.append(f"CREATE VIEW quarantine AS FROM {_files('validated', QUARANTINE)};")
    lines += [
        f"CREATE VIEW aggregated AS FROM {_files('aggregated', 'aggregated')}",
        "  -- late rows revise a window: the last revision counts",
        "  QUALIFY row_number() OVER",
        "    (PARTITION BY turbine_id, window_start ORDER BY revision DESC) = 1;",
        "CREATE VIEW readings AS FROM 'readings.parquet';",
        "CREATE VIEW labels AS FROM 'truth/faults-*.parquet';",
    ]
    return "\n".join(lines)


def queries(story: str) -> list[str]:
    """Return the queries of a story."""
    return _QUERY.findall(story)


def aws(endpoint_url: str) -> str:
    """Return a command of the AWS CLI that lists a bucket of an endpoint."""
    return (
        f"aws --endpoint-url {endpoint_url} s3 ls --recursive --human-readable "
        f"s3://{BUCKET_PREFIX}enriched/"
    )


def duckdb_over_s3(endpoint_url: str) -> str:
    """Return DuckDB's statements that count the rows of a stage in an endpoint's bucket.

    Its extension httpfs comes from DuckDB's site, the first time. Keys: those of LocalStack.
    """
    url = urlsplit(endpoint_url)
    ssl = "true" if url.scheme == "https" else "false"
    return (
        "INSTALL httpfs; LOAD httpfs;\n"
        f"CREATE SECRET (TYPE s3, ENDPOINT '{url.netloc}', URL_STYLE 'path', USE_SSL {ssl},\n"
        "  REGION 'us-west-2', KEY_ID 'test', SECRET 'test');\n"
        "SELECT farm_id, count(*), avg(power_output)\n"
        f"FROM read_parquet('s3://{BUCKET_PREFIX}validated/validated/**/*.parquet')\n"
        "GROUP BY farm_id ORDER BY farm_id;"
    )


def _files(bucket: str, top: str) -> str:
    place = f"lake/{BUCKET_PREFIX}{bucket}/{top}/year=*/**/*.parquet"
    return f"read_parquet('{place}', {_HOURS})"
