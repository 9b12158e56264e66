"""The live page in headless Chromium: numbers of the state, no error, 390 px, light and dark."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sim.console import SafeConsole
from sim.watch.command import Follower
from sim.watch.server import WatchServer, listening, url_of
from sim.watch.state import RunState
from tests.support import watch_samples
from tests.support.browser import Page
from tests.support.canvas import cut, record, written
from tests.support.watch_samples import START_S, append, batch, run_dir

NARROW, WIDE = 390, 1400
READY = "document.documentElement.dataset.ready"
Open = Callable[[Path], Follower]


@pytest.fixture
def watched(tab: Page) -> Iterator[Open]:
    """Return a function that serves the run in a folder, and opens its page in the tab."""
    with ExitStack() as stack:

        def opened(folder: Path) -> Follower:
            state = RunState(folder, lambda: START_S + 60.0)
            follower = Follower(state, SafeConsole(quiet=True))
            follower.poll()
            listener = listening(0)
            stack.enter_context(WatchServer(listener, follower.answers))
            tab.errors.clear()
            tab.size(WIDE)
            tab.call("Page.navigate", url=url_of(listener))
            tab.wait(READY)
            return follower

        yield opened
        tab.call("Page.navigate", url="about:blank")


def shown(tab: Page, section: str) -> list[str]:
    return tab.texts(f"#{section} tbody tr")


def test_a_run_and_its_progress(tab: Page, watched: Open, tmp_path: Path) -> None:
    folder = watch_samples.delivering(tmp_path)
    follower = watched(folder)
    assert tab.texts("#stage") == ["Simulating and delivering"]
    assert "watched, seed 7, 16 turbines" in tab.texts("#run")[0]
    cards = tab.texts(".card")
    assert "Rows durable 110 of 480" in cards[0]
    assert "Errors of the store 1" in cards[5]
    farms = shown(tab, "farms")
    assert farms[1].startswith("B ")
    assert " 60 " in farms[1]
    assert len(farms) == 8
    assert shown(tab, "faults") == ["node.crash 3", "store.error 12"]
    assert [row for row in shown(tab, "operations") if row.startswith("PUT metadata")] == [
        "PUT metadata 11 0 0"
    ]
    append(folder, batch("H-001", 21, 30, at_s=41), worker="H")
    follower.poll()
    tab.wait("document.querySelector('.card .value').textContent.startsWith('120')")
    assert tab.value("document.title").startswith("25 %")
    assert tab.errors == []


def test_charts_have_a_tooltip(tab: Page, watched: Open, tmp_path: Path) -> None:
    watched(watch_samples.delivering(tmp_path))
    for chart in ("rate", "flow", "latency", "backlog"):
        tab.value(
            f"(() => {{ const over = document.querySelector('#{chart} .u-over');"
            " const box = over.getBoundingClientRect();"
            " over.dispatchEvent(new MouseEvent('mousemove', {bubbles: true,"
            " clientX: box.left + 5 / 59 * box.width, clientY: box.top + 9})); })()"
        )
        tab.wait(f"!document.querySelector('#{chart} .tip').hidden")
    assert "UTC" in tab.texts("#rate .tip")[0]
    assert "PUT" in tab.texts("#rate .tip")[0]
    assert tab.errors == []


def test_a_load_test(tab: Page, watched: Open, tmp_path: Path) -> None:
    watched(watch_samples.loading(tmp_path))
    assert tab.texts("#stage") == ["Load test running"]
    assert tab.texts(".card")[3] == "Backlog 18 due and not started; 2 under way"
    assert shown(tab, "phases")[0].startswith("ramp 20 40 1")
    assert not tab.value("document.getElementById('backlog').hidden")
    assert tab.value("document.getElementById('farms').hidden")
    assert tab.errors == []


def test_the_end_shows_the_verdict(tab: Page, watched: Open, tmp_path: Path) -> None:
    watched(watch_samples.ended_load(tmp_path))
    assert tab.texts("#ending h1") == ["Pass"]
    assert tab.texts("#stage") == ["Ended"]
    assert tab.errors == []


def test_a_run_that_begins_while_the_page_waits(tab: Page, watched: Open, tmp_path: Path) -> None:
    follower = watched(tmp_path / "later")
    assert tab.texts("#stage") == ["Waiting for a run"]
    run_dir(tmp_path / "later")
    follower.poll()
    tab.wait("document.getElementById('stage').textContent === 'Preparing'")
    assert tab.errors == []


def test_names_are_text_and_never_markup(tab: Page, watched: Open, tmp_path: Path) -> None:
    folder = watch_samples.delivering(tmp_path)
    mark = "<b id=mark>"
    line = json.dumps({"at_ns": 1, "by_kind": {mark: 3}}) + "\n"
    (folder / ".operations" / "injections.jsonl").write_text(line)
    watched(folder)
    assert shown(tab, "faults") == [f"{mark} 3"]
    assert tab.value("document.getElementById('mark')") is None


@pytest.mark.parametrize("world", ["delivering", "loading"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_and_in_both_schemes(
    tab: Page, watched: Open, tmp_path: Path, world: str, scheme: str
) -> None:
    tab.call(
        "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
    )
    watched(getattr(watch_samples, world)(tmp_path))
    tab.size(NARROW)
    tab.call("Page.reload")
    tab.wait(READY)
    assert tab.value("document.documentElement.scrollWidth") == NARROW
    paint = tab.value("getComputedStyle(document.body).backgroundColor")
    assert paint == ("rgb(13, 18, 23)" if scheme == "dark" else "rgb(238, 241, 244)")
    assert tab.errors == []


def test_a_server_that_has_ended_is_named(tab: Page, tmp_path: Path) -> None:
    state = RunState(watch_samples.delivering(tmp_path), lambda: START_S + 60.0)
    follower = Follower(state, SafeConsole(quiet=True))
    follower.poll()
    listener = listening(0)
    with WatchServer(listener, follower.answers):
        tab.call("Page.navigate", url=url_of(listener))
        tab.wait(READY)
    tab.wait("!document.getElementById('problem').hidden")
    assert "it ends with its run" in tab.texts("#problem")[0]
    assert "Rows durable 110 of 480" in tab.texts(".card")[0]
    tab.call("Page.navigate", url="about:blank")


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_large_rates_have_all_their_digits(
    tab: Page, watched: Open, tmp_path: Path, width: int
) -> None:
    folder = watch_samples.delivering(tmp_path)
    append(folder, batch("H-001", 21, 2_000_000, at_s=41), worker="H")
    record(tab)
    watched(folder)
    tab.size(width)
    tab.call("Page.reload")
    tab.wait(READY)
    charts = written(tab)
    assert len(charts) == 4
    assert any("00,000 /s" in each.text for texts in charts for each in texts)
    assert [cut(texts) for texts in charts] == [[]] * 4
