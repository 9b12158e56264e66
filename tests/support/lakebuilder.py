"""A small lake made by hand in plain Python: node files and the objects of six buckets.

Two farms, three turbines, two hours and a bit at one row every ten seconds. `SPOILED`
lists the bad rows one by one. A person made that list, no rule did, so that it tests the oracle's
rules.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import itertools
import json
import math
import sqlite3
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import records
from pipeline.records import schemas

START_US = 1_705_278_600_000_000  # 2024-01-15T00:30:00Z
STEP_US = 10_000_000
ROWS = 800
TURBINES = ("A-001", "A-002", "B-001")
WINDOW_US, LATENESS_US = 600_000_000, 300_000_000
FLUSH_US = {"A-001": 10_800_000_000, "A-002": 900_000_000, "B-001": 5_400_000_000}
"""Defects are planted in the objects of A-002. The others flush rarely: every object costs time."""
HOUR_US = 3_600_000_000
CURVE = [(3.0, 0.0), (8.0, 1.0), (12.0, 3.0), (25.0, 3.0)]
LATE_ID = 500  # of A-002: its event time is 40 minutes before its neighbours'
DAY_US = 86_400_000_000

Row = dict[str, Any]

SPOILED: dict[tuple[str, int], tuple[str, Row]] = {
    ("A-001", 30): ("type", {"wind_speed": "n/a", "status": b"\x00\xff"}),
    ("A-001", 31): ("type", {"timestamp": 1705278900.5}),
    ("A-001", 40): ("null", {"power_output": None}),
    ("A-001", 41): ("null", {"timestamp": None}),
    ("A-001", 42): ("null", {"recorded_at": None}),
    ("A-001", 50): ("identity", {"turbine_id": "A-002"}),
    ("A-001", 60): ("time.range", {"timestamp": 4_102_444_800_000_000}),
    ("A-001", 61): ("time.range", {"timestamp": 4_000_000_000_000_000_000}),
    ("A-001", 70): ("time.future", {"timestamp": START_US + 69 * STEP_US + 331_000_000}),
    ("A-001", 80): ("time.stale", {"timestamp": START_US - 31 * DAY_US}),
    ("A-001", 90): ("state", {"status": "dancing"}),
    ("A-001", 100): ("range", {"wind_speed": 75.5}),
    ("A-001", 101): ("range", {"temperature": math.inf}),
    ("A-001", 110): ("power.rotor", {"rotor_rpm": 0.25}),
    ("A-001", 120): ("power.rated", {"power_output": 3.8}),
    ("A-001", 130): ("power.wind", {"wind_speed": 0.5}),
    # the only row of its quarantine object: no event time
    ("A-001", 790): ("null", {"timestamp": None}),
    ("A-001", 140): ("duplicate", {"timestamp": START_US + 138 * STEP_US}),
    # the only row of its quarantine object
    ("B-001", 170): ("identity", {"turbine_id": "A-001"}),
    **{("B-001", i): ("" if i < 309 else "stuck", {"temperature": 21.5}) for i in range(300, 315)},
    **{("B-001", i): ("", {"temperature": 0.0}) for i in range(400, 420)},  # rests at 0: not stuck
    # nine rows only: not stuck
    **{("B-001", i): ("", {"temperature": 22.5}) for i in range(500, 509)},
    # a rejected row parts it: not stuck
    **{("B-001", i): ("", {"temperature": 23.5}) for i in range(600, 617)},
    ("B-001", 608): ("power.wind", {"temperature": 23.5, "wind_speed": 0.5}),
}


def node_config(turbine: str) -> dict[str, Any]:
    n = TURBINES.index(turbine)
    return {
        "turbine_id": turbine,
        "farm_id": turbine[0],
        "job_id": "j-1",
        "execution_id": f"e-{n}",
        "node_id": f"n-{n}",
        "labels": {"region": "us-east-1", "os_arch": "amd64", "version": "v1.7.0", "name": turbine},
        "asset": {
            "turbine_type": "T3",
            "rated_power": 3.0,
            "rated_rpm": 14.0,
            "hub_height": 100.0,
            "power_curve": CURVE,
            "serial_number": f"S-{n}",
            "installation_date": "2019-05-01",
            "operator_contact": f"person{n}@example.org",
            "technician": None,
            "latitude": 40.123 + n,
            "longitude": -75.987,
        },
        "privacy_key": "00ff10",
        "flush_every_s": FLUSH_US[turbine] // 1_000_000,
        "window_s": WINDOW_US // 1_000_000,
        "allowed_lateness_s": LATENESS_US // 1_000_000,
    }


def stored_rows(turbine: str) -> list[Row]:
    """Return the cells as SQLite gets them, in id order."""
    rows = []
    for i in range(1, ROWS + 1):
        time = START_US + (i - 1) * STEP_US
        late = 2_400_000_000 + 5_000_000 if (turbine, i) == ("A-002", LATE_ID) else 0
        wave = math.sin(i / 7 + TURBINES.index(turbine))
        row = {
            "id": i,
            "timestamp": time - late,
            "recorded_at": time + 30_000_000,
            "turbine_id": turbine,
            "wind_speed": 8 + 2 * wave,
            "wind_direction": 180 + 20 * wave,
            "rotor_rpm": 10 + wave,
            "blade_pitch": 1.0,
            "power_output": 1.2 + 0.4 * wave,
            "temperature": 20 + wave,
            "ambient_temperature": 10 + wave / 3,
            "generator_temperature": 90 + 45 * wave,
            "gearbox_temperature": 60 + wave,
            "vibration_level": 2 + wave,
            "status": "running",
        }
        rows.append(row | SPOILED.get((turbine, i), ("", {}))[1])
    return rows


def write_nodes(folder: Path) -> None:
    """Databases and configurations under folder/<farm>/."""
    for turbine in TURBINES:
        path = folder / turbine[0] / f"{turbine}.db"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".json").write_text(json.dumps(node_config(turbine)))
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(records.NODE_DDL)
        cells = [tuple(row.values()) for row in stored_rows(turbine)]
        connection.executemany(f"INSERT INTO {records.TABLE} VALUES ({', '.join('?' * 15)})", cells)
        connection.commit()
        connection.close()


def ingested(turbine: str) -> list[Row]:
    """The rows of the ingestion stage, with the rule each one breaks (or None) as `rule`."""
    out = []
    for row in stored_rows(turbine):
        rule, changes = SPOILED.get((turbine, row["id"]), ("", {}))
        rescued = None
        if rule == "type":
            rescued = json.dumps(
                {k: v.hex().upper() if isinstance(v, bytes) else v for k, v in changes.items()}
            )
            row = row | dict.fromkeys(changes)
        out.append({**row, "farm_id": turbine[0], records.RESCUED: rescued, "rule": rule or None})
    return out


def build() -> dict[str, bytes]:
    """Every object of the lake by `<bucket>/<key>`."""
    lake: dict[str, bytes] = {}
    for turbine in TURBINES:
        rows = ingested(turbine)
        batches = _batches(turbine, rows)
        for batch, windows in zip(batches, _windows(turbine, batches), strict=True):
            _put_batch(lake, turbine, batch, windows)
        name = f"expanso-databricks-checkpoints/checkpoints/{turbine[0]}/{turbine}.json"
        lake[name] = json.dumps(_checkpoint(turbine, rows, len(batches))).encode()
    return lake


def write_lake(folder: Path, lake: dict[str, bytes]) -> None:
    for name, content in lake.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


class Kept:
    """A lake in a folder. `changed` damages it for a while, without a rewrite of the rest."""

    def __init__(self, folder: Path, lake: dict[str, bytes]) -> None:
        self.folder, self._lake = folder, lake
        write_lake(folder, lake)

    @contextmanager
    def changed(self, changes: Mapping[str, bytes | None]) -> Iterator[Path]:
        """Write the changed objects, remove those that are None, and undo it at the end."""
        for name, content in changes.items():
            self._put(name, content)
        try:
            yield self.folder
        finally:
            for name in changes:
                self._put(name, self._lake.get(name))

    def _put(self, name: str, content: bytes | None) -> None:
        if content is not None:
            write_lake(self.folder, {name: content})
            return
        path = self.folder / name
        path.unlink(missing_ok=True)
        while not any(path.parent.iterdir()):  # an object store has no empty folders
            path = path.parent
            path.rmdir()


def parquet(rows: list[Row], schema: pa.Schema) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink)
    return sink.getvalue()


def hour_folder(hour: int) -> str:
    time = datetime(1970, 1, 1) + timedelta(hours=hour)
    return f"year={time.year:04d}/month={time.month:02d}/day={time.day:02d}/hour={time.hour:02d}"


def _hour(row: Row) -> int:
    time = row["timestamp"]
    if time is None or time >= 253_402_300_800_000_000:  # the year 10000
        time = row["recorded_at"]
    return time // HOUR_US


def _batches(turbine: str, rows: list[Row]) -> list[list[Row]]:
    batches: list[list[Row]] = []
    slot = None
    for row in rows:
        now = slot if row["recorded_at"] is None else row["recorded_at"] // FLUSH_US[turbine]
        if now != slot:
            batches.append([])
        slot = now
        batches[-1].append(row)
    return batches


def _put_batch(lake: dict[str, bytes], turbine: str, batch: list[Row], windows: list[Row]) -> None:
    config = node_config(turbine)
    asset = config["asset"]
    secret = hmac.new(
        b"\x00\xff\x10", asset["operator_contact"].encode(), hashlib.sha256
    ).hexdigest()
    enriched = {
        **{name: config[name] for name in ("job_id", "execution_id", "node_id")},
        "region": "us-east-1",
        "os_arch": "amd64",
        "node_version": "v1.7.0",
        **{name: asset[name] for name in ("turbine_type", "serial_number", "installation_date")},
        **{name: asset[name] for name in ("rated_power", "hub_height")},
        "operator_ref": "p-" + secret[:16],
        "technician_ref": None,
        "latitude_coarse": 40.1 + TURBINES.index(turbine),
        "longitude_coarse": -76.0,
    }
    good = [row for row in batch if row["rule"] is None]
    stages = {
        "ingestion": (batch, schemas.INGESTION, "timestamp"),
        "validated": (good, schemas.VALIDATED, "timestamp"),
        "quarantine": ([row for row in batch if row["rule"]], schemas.REJECTED, "timestamp"),
        "enriched": ([row | enriched for row in good], schemas.ENRICHED, "timestamp"),
        "aggregated": (windows, schemas.AGGREGATED, "window_start"),
    }
    name = f"{turbine}-{batch[0]['id']}-{batch[-1]['id']}"
    entries = []
    for stage, (rows, schema, time) in stages.items():
        by_hour = defaultdict(list)
        for row in rows:
            by_hour[row[time] // HOUR_US if stage == "aggregated" else _hour(row)].append(row)
        bucket = records.BUCKET_PREFIX + ("validated" if stage == "quarantine" else stage)
        top = "_quarantine" if stage == "quarantine" else stage
        for hour, part in sorted(by_hour.items()):
            key = f"{top}/{hour_folder(hour)}/{name}.parquet"
            content = lake[f"{bucket}/{key}"] = parquet(part, schema)
            times = [row[time] for row in part if row[time] is not None]
            ids = [row["id"] for row in part] if stage != "aggregated" else [None]
            entries.append(
                {
                    "stage": stage,
                    "bucket": bucket,
                    "key": key,
                    "rows": len(part),
                    "bytes": len(content),
                    "sha256": hashlib.sha256(content).hexdigest(),
                    "first_id": ids[0],
                    "last_id": ids[-1],
                    "min_event_us": min(times, default=None),
                    "max_event_us": max(times, default=None),
                }
            )
    times = [row["timestamp"] for row in batch if row["timestamp"] is not None]
    rejected: dict[str, int] = defaultdict(int)
    for row in batch:
        if row["rule"]:
            rejected[row["rule"]] += 1
    manifest = {
        "schema_version": 1,
        "pipeline_version": records.PIPELINE_VERSION,
        **{
            name: config[name]
            for name in ("job_id", "execution_id", "node_id", "turbine_id", "farm_id")
        },
        "pipeline_stage": "batch",
        "upload_timestamp": "2024-01-15T00:00:00.000+00:00",
        "source": {
            "database": f"{turbine}.db",
            "table": records.TABLE,
            "record_count": len(batch),
            "first_id": batch[0]["id"],
            "last_id": batch[-1]["id"],
            "time_range": {"min": min(times), "max": max(times)},
        },
        "destination": {"data_path": [entry["key"] for entry in entries]},
        "rejected": rejected,
        "objects": entries,
    }
    folder = hour_folder(batch[0]["recorded_at"] // HOUR_US)
    lake[f"{records.BUCKET_PREFIX}metadata/metadata/{folder}/{name}.json"] = json.dumps(
        manifest
    ).encode()


def _windows(turbine: str, batches: list[list[Row]]) -> list[list[Row]]:
    """Return the revisions that each batch makes.

    A window has its first revision once the newest event is `LATENESS_US` later than its end, and
    another for each later batch with a row in it. The last batch makes all remaining windows.
    """
    made: list[list[Row]] = []
    known: dict[int, list[Row]] = defaultdict(list)
    revisions: dict[int, int] = {}
    newest = 0
    for batch in batches:
        touched = set()
        for row in batch:
            if row["rule"] is None:
                start = row["timestamp"] // WINDOW_US * WINDOW_US
                known[start].append(row)
                touched.add(start)
                newest = max(newest, row["timestamp"])
        made.append([])
        for start, rows in sorted(known.items()):
            left_behind = batch is batches[-1] or newest - LATENESS_US >= start + WINDOW_US
            if left_behind and (start in touched or start not in revisions):
                revisions[start] = revisions.get(start, -1) + 1
                made[-1].append(_window(turbine, start, rows, revisions[start]))
    return made


def _checkpoint(turbine: str, rows: list[Row], batches: int) -> Row:
    """Return the state after the last row: the series that end there, no open window."""
    newest = max(row["timestamp"] for row in rows if row["rule"] is None)
    runs = {}
    for channel in records.CHANNELS:
        if channel.stuck:
            value, series = rows[-1][channel.name], ROWS - 1
            while rows[series - 1][channel.name] == value:
                series -= 1
            runs[channel.name] = [value, ROWS - series, rows[series]["timestamp"]]
    return {
        "schema_version": 1,
        "turbine_id": turbine,
        "node_id": node_config(turbine)["node_id"],
        "last_id": ROWS,
        "anchor_us": rows[-1]["recorded_at"],
        "batches": batches,
        "max_event_us": newest,
        "closed_until_us": newest // WINDOW_US * WINDOW_US + WINDOW_US,
        "runs": runs,
        "open_windows": {},
    }


def _window(turbine: str, start: int, rows: list[Row], revision: int) -> Row:
    promise = [_curve(row["wind_speed"]) for row in rows]
    hot = sum(row["generator_temperature"] > 130 for row in rows)
    judged = [(row["power_output"], p) for row, p in zip(rows, promise, strict=True) if p >= 0.3]
    slack = (
        len(judged) if sum(power for power, _ in judged) < 0.5 * sum(p for _, p in judged) else 0
    )
    window: Row = {
        "turbine_id": turbine,
        "farm_id": turbine[0],
        "date": start // DAY_US,
        "window_start": start,
        "window_end": start + WINDOW_US,
        "rows": len(rows),
        "revision": revision,
        "efficiency": sum(max(row["power_output"], 0) for row in rows) / sum(promise),
        "anomaly_count": hot + slack,
        "anomaly_kinds": ["generator_heat"] * (hot > 0) + ["underperformance"] * (slack > 0),
    }
    for name in records.MEASURES:
        values = [row[name] for row in rows]
        window |= {name: statistics.fmean(values), name + "_std": statistics.pstdev(values)}
        window |= {name + "_min": min(values), name + "_max": max(values)}
    return window


def _curve(wind: float) -> float:
    for (v0, p0), (v1, p1) in itertools.pairwise(CURVE):
        if v0 <= wind <= v1:
            return p0 + (p1 - p0) * (wind - v0) / (v1 - v0)
    return 0.0


def rows_by_stage(windows: float) -> dict[str, float]:
    """Return the rows of each stage of the undamaged lake. windows: expected ones.

    One window has a revision.
    """
    rejected, rows = sum(bool(rule) for rule, _ in SPOILED.values()), ROWS * 3
    return {
        "ingestion": rows,
        "validated": rows - rejected,
        "quarantine": rejected,
        "enriched": rows - rejected,
        "aggregated": windows + 1,
    }
