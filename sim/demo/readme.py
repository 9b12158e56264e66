"""README.md of a data set: contents, story, files, command. Drawn from the data set itself."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.records import BUCKET_NAMES, BUCKET_PREFIX
from sim.demo import snippets
from sim.demo.dataset import Dataset
from sim.demo.export import FORMS
from sim.units import SECOND_US, format_duration


def write(made: Dataset) -> None:
    """Write `README.md` in the data set's folder. Raises OSError."""
    environment = Environment(
        loader=PackageLoader("sim.demo", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown, not HTML
    )
    text = environment.get_template("README.md.j2").render(**facts(made))
    (made.folder / "README.md").write_text(text, encoding="utf-8")


def facts(made: Dataset) -> dict[str, Any]:
    """Return the facts of a data set, by the names that its README and its page use."""
    scenario, lake = made.scenario, made.folder / "lake"
    buckets = {}
    for name in BUCKET_NAMES:
        sizes = [
            path.stat().st_size
            for path in (lake / (BUCKET_PREFIX + name)).rglob("*")
            if path.is_file()
        ]
        buckets[BUCKET_PREFIX + name] = (len(sizes), sum(sizes))
    clock = scenario.clock
    return {
        "theme": made.theme,
        "story": made.story,
        "scenario": scenario,
        "fleet": made.fleet,
        "start": _instant(clock.start_us),
        "end": _instant(clock.end_us),
        "every": format_duration(clock.sample_us),
        "window": format_duration(scenario.pipeline.window_s * SECOND_US),
        "rows": made.rows,
        "buckets": buckets,
        "layout": made.layout,
        "digest": made.verdict.digest,
        "judged": made.judged,
        "quarantine": made.has_quarantine,
        "views": snippets.views(made.has_quarantine),
        "endpoint_url": made.endpoint_url,
        "uploaded": made.uploaded,
        "aws": snippets.aws(made.endpoint_url),
        "duckdb_over_s3": snippets.duckdb_over_s3(made.endpoint_url),
        "exports": [form for form in FORMS if (made.folder / form).is_dir()],
        "labels": labels(made.folder / "truth"),
        "pictures": made.pictures,
        "dashboard": made.dashboard,
        "nodes": (made.folder / "nodes").is_dir(),
        "command": made.command,
    }


def labels(truth: Path) -> list[tuple[str, int, str]]:
    """(kind, count, files) of the injected faults and of the wear and ice on machines."""
    found = []
    for files in ("faults-*.parquet", "wear-*.parquet"):
        counts: Counter[str] = Counter()
        for path in truth.glob(files):
            with path.open("rb") as file:  # pyarrow may take a path for a URI
                counts.update(pq.read_table(file, columns=["kind"]).column("kind").to_pylist())
        found += [(kind, count, files) for kind, count in sorted(counts.items())]
    return found


def _instant(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%d %H:%M UTC")
