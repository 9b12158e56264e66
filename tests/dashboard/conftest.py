"""The lake of `dashboard_world` with its page, and a browser: once per test worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import browser, dashboard_world, runs


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with lake/, warehouse/ and dashboard.html."""
    folder = tmp_path_factory.mktemp("dashboard") / "world"
    dashboard_world.write(folder / "lake")
    done = runs.inside("dashboard", folder)
    assert (done.code, done.err) == (0, "")
    return folder


@pytest.fixture(scope="session")
def tab() -> Iterator[browser.Page]:
    """A tab of Chromium."""
    if browser.program() is None:
        pytest.skip(browser.MISSING)
    with browser.opened() as page:
        yield page
