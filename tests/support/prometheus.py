"""A real Prometheus that scrapes servers of this machine, for tests of queries.

It is the program `prometheus` of the PATH, or the one that PROMETHEUS names: Debian's package has
it. Tests are skipped where there is none.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import runs

MISSING = "no Prometheus on this machine (PATH or PROMETHEUS): no query is asked for real"
CONFIG = """
global: {{scrape_interval: 250ms, scrape_timeout: 250ms}}
scrape_configs:
  - job_name: windfleet
    static_configs: [{{targets: {targets}}}]
"""


def program() -> str | None:
    return os.environ.get("PROMETHEUS") or shutil.which("prometheus")


class Prometheus:
    """A server that runs. `ask`: the vector that a query gives."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Return the samples of an instant query. Raises AssertionError for a wrong query."""
        text = urllib.parse.urlencode({"query": query})
        try:
            with urllib.request.urlopen(f"{self._url}/api/v1/query?{text}", timeout=10) as answer:
                found = json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}") from None
        assert found["status"] == "success", found
        return list(found["data"]["result"])

    def number(self, query: str) -> float:
        """Return the only value of a query, NaN for none."""
        found = self.ask(query)
        return float(found[0]["value"][1]) if len(found) == 1 else float("nan")

    @property
    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@contextmanager
def scraping(folder: Path, targets: Sequence[int], port: int) -> Iterator[Prometheus]:
    """Scrape the servers on the ports `targets` four times a second, and answer on `port`."""
    found = program()
    assert found is not None, MISSING
    config = folder / "prometheus.yml"
    config.write_text(CONFIG.format(targets=json.dumps([f"127.0.0.1:{each}" for each in targets])))
    process = subprocess.Popen(
        [
            *(found, f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"),
            *(f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"),
        ]
    )
    try:
        made = Prometheus(port)
        assert runs.wait_until(lambda: made.ready, 60)
        yield made
    finally:
        process.kill()
        process.wait()
