"""Deliver one real node by hand.

    python -m pipeline --db A-001.db --endpoint-url http://127.0.0.1:4566 --until TIME

Delivers every row that the node recorded before TIME (such as 2024-01-15T01:00:00Z), closes its
windows, and exits. The next run continues from the checkpoint. Files that the node's software
retired lie beside A-001.db (`generations`), and their rows come first.

The last batch ends at TIME, so the lake's content depends on TIME. Repeat an interrupted run with
the same command. Without --until, only batches that a later row has closed are delivered. Their
content depends on the rows only.

Exit codes:

    0    done
    2    bad arguments, database or configuration
    3    the store does not answer or refuses
    5    the lake holds other content under this node's keys
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline import database, generations, lake, source, terminal
from pipeline.buckets import BUCKETS
from pipeline.checkpoint import CheckpointError
from pipeline.commit import ContentConflict
from pipeline.config import ConfigError, NodeConfig
from pipeline.database import SourceError
from pipeline.endpoint import parse
from pipeline.history import HistoryError
from pipeline.node import Delivered, EdgeNode, run
from pipeline.ports import NoBucket, StoreError, SystemClock, Unavailable
from pipeline.records import TABLE
from pipeline.retry import Retrying
from pipeline.settings import SettingsError, endpoint_of_environment
from pipeline.store import S3ObjectStore


def main(argv: Sequence[str] | None = None) -> int:
    return terminal.guarded("error", lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    args = _arguments(argv)
    try:
        source.check(args.db)
        config = _config(args.db, args.config)
        if args.create_buckets:
            lake.ensure(args.endpoint_url)
        return _deliver(EdgeNode(config, args.db), args.endpoint_url, args.until)
    except (SourceError, ConfigError) as error:
        return _report_error(2, error)
    except (StoreError, lake.LakeError) as error:
        return _report_error(3, error)
    except BrokenPipeError:
        raise
    except OSError as error:
        return _report_error(3, f"{error.filename or args.db}: {terminal.cause(error)}")


def _deliver(node: EdgeNode, endpoint_url: str | None, until_us: int | None) -> int:
    store = S3ObjectStore(endpoint_url)
    try:
        store.first(BUCKETS["checkpoints"])  # raises for a web page, which may answer 200 too
    except NoBucket as error:
        return _report_error(3, f"{error}; create it with --create-buckets")
    except Unavailable:
        pass  # the first operation below retries, and reports the error
    rows = batches = objects = 0
    rejected: Counter[str] = Counter()
    with ThreadPoolExecutor(1) as pool:
        results = run([node], Retrying(store), SystemClock(), pool, until_us)
        for result in results:
            if isinstance(result, Delivered):
                rows, batches, objects = (
                    rows + len(result.event_us),
                    batches + 1,
                    objects + result.objects,
                )
                rejected.update(result.rejected)
            elif isinstance(result.error, ContentConflict | CheckpointError | HistoryError):
                return _report_error(5, result.error)
            elif isinstance(result.error, NoBucket):
                return _report_error(3, f"{result.error}; create it with --create-buckets")
            else:
                raise result.error
    assert node.position is not None
    print(
        f"{node.config.turbine_id}: {rows:,} rows in {batches} batches, {objects} data objects; "
        f"last id {node.position.state.last_id:,}{_quarantine_summary(rejected)}"
    )
    return 0


def _quarantine_summary(rejected: Counter[str]) -> str:
    if not rejected:
        return ""
    by_rule = ", ".join(f"{rule} {rows:,}" for rule, rows in rejected.items())
    return f"; {rejected.total():,} rows in quarantine ({by_rule})"


def _config(db: Path, path: Path | None) -> NodeConfig:
    """Return the node's configuration: the named file, the file beside the database, or defaults.

    Defaults are made from the turbine that the rows name, else from the database's file name.
    """
    beside = db.with_suffix(".json")
    if path is not None or os.path.exists(beside):
        return NodeConfig.load(path or beside)
    named = (_turbine(file) for file in (db, *generations.retired_files(db)))
    return NodeConfig.for_turbine(next((name for name in named if name is not None), db.stem))


def _turbine(db: Path) -> str | None:
    """Return the turbine that a file's first rows name, None if no row names one."""
    if not db.stat().st_size:
        return None  # an empty file stands in for a lost one
    with database.opened(db) as connection:
        connection.text_factory = lambda raw: raw.decode(errors="replace")
        row = connection.execute(
            f"SELECT turbine_id FROM {TABLE} WHERE typeof(turbine_id) = 'text' LIMIT 1"
        ).fetchone()
    return str(row[0]) if row else None


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline", description="Deliver one edge node's rows to the lake."
    )
    parser.add_argument(
        "--db", type=Path, required=True, metavar="FILE", help="the node's SQLite database"
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="node configuration (default: FILE.json beside it)",
    )
    parser.add_argument(
        "--endpoint-url",
        type=_url,
        metavar="URL",
        help="S3 endpoint (default: AWS_ENDPOINT_URL_S3, else AWS_ENDPOINT_URL, else AWS)",
    )
    parser.add_argument(
        "--until",
        type=_time_us,
        metavar="TIME",
        help="deliver rows recorded before this time "
        "(ISO 8601 with zone; default: every batch that a later row has closed)",
    )
    parser.add_argument(
        "--create-buckets",
        action="store_true",
        help="create those of the six buckets that are missing",
    )
    args = parser.parse_args(argv)
    try:
        args.endpoint_url = args.endpoint_url or endpoint_of_environment()
    except SettingsError as error:
        parser.error(str(error))
    return args


def _url(text: str) -> str:
    try:
        return parse(text).url
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _time_us(text: str) -> int:
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is not an ISO 8601 time; write for example 2024-01-15T01:00:00Z"
        raise argparse.ArgumentTypeError(message) from None
    if value.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} has no time zone; write {text}Z for UTC")
    return (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _report_error(code: int, error: object) -> int:
    """Print an error and return `code`. Unprintable characters are escaped."""
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(error))
    print(f"error: {text}", file=sys.stderr)
    return code


if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        # for a turbine's name with letters that the locale lacks
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(main())
