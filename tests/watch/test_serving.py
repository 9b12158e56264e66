"""`--serve`: a page in another process, as long as the run lasts."""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.error
import urllib.request
from contextlib import closing
from io import StringIO
from pathlib import Path

import psutil
import pytest

from sim.console import SafeConsole
from sim.measure.usage import Usage
from sim.watch.serving import serving
from tests.support import runs, watch_samples


def state_of(url: str) -> dict[str, object]:
    with urllib.request.urlopen(f"{url}state.json", timeout=60) as answer:
        return dict(json.load(answer))


def url_in(text: str) -> str:
    found = re.search(r"live page: (http://127\.0\.0\.1:\d+/)", text)
    assert found is not None, text
    return found[1]


def test_a_page_beside_a_run_that_is_no_part_of_it(tmp_path: Path) -> None:
    """One run: the page answers while it lasts, is not measured, and is gone afterwards."""
    folder = watch_samples.delivering(tmp_path)
    stream, seen = StringIO(), {}

    def run(console: SafeConsole) -> int:
        url = url_in(stream.getvalue())
        with Usage(every_s=0.05) as usage:
            seen.update(state_of(url), url=url)
            children = {child.pid for child in psutil.Process().children()}
            time.sleep(0.2)
        measured = {pid for sample in usage.samples for pid in sample.cpu_s}
        (page,) = [pid for pid in children if "watch" in psutil.Process(pid).cmdline()]
        assert page not in measured
        seen["page"] = page
        return 7

    assert serving(0, folder, run)(SafeConsole(stream)) == 7
    assert (seen["scenario"], seen["stage"]) == ("watched", "delivering")
    assert not psutil.pid_exists(int(str(seen["page"])))
    with pytest.raises(urllib.error.URLError):
        state_of(str(seen["url"]))


def test_without_a_port_there_is_no_page(tmp_path: Path) -> None:
    def run(console: SafeConsole) -> int:
        return 0

    assert serving(None, tmp_path, run) is run


def test_a_real_run_is_shown_and_killed_with_its_page(tmp_path: Path, localstack: str) -> None:
    """The page follows a run from its start. When the run is killed, the page ends, too."""
    path = runs.scenario(tmp_path)
    with closing(
        runs.start(
            *("run", path, "--out", tmp_path / "run", "--serve", "--workers", 1),
            *("--endpoint-url", localstack, "--empty-lake"),
        )
    ) as started:
        assert runs.wait_until(lambda: "live page" in started.text, 60)
        url = url_in(started.text)
        seen = set()

        def delivers() -> bool:
            shown = state_of(url)
            seen.add(shown["stage"])
            farms = shown.get("farms", [])
            assert isinstance(farms, list)
            return any(farm["rows"] for farm in farms)

        assert runs.wait_until(delivers, 120)
        assert seen <= {"waiting", "preparing", "delivering", "judging", "ended"}
        started.process.kill()

        def gone() -> bool:
            try:
                state_of(url)
            except (OSError, http.client.HTTPException):  # also in the middle of an answer
                return True
            return False

        assert runs.wait_until(gone, 30)
