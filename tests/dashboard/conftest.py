"""The lake of `dashboard_world` with its page: once per test worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import dashboard_world, runs


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with lake/, warehouse/ and dashboard.html."""
    folder = tmp_path_factory.mktemp("dashboard") / "world"
    dashboard_world.write(folder / "lake")
    done = runs.inside("dashboard", folder)
    assert (done.code, done.err) == (0, "")
    return folder
