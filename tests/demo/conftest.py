"""The data set of the tests of `windfleet demo`, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.cli import main
from tests.support.data_sets import command


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same small data set in both layouts."""
    folder = tmp_path_factory.mktemp("demo")
    out = {}
    for layout in ("turbine", "farm"):
        out[layout] = folder / layout
        assert main(command(layout, out[layout])) == 0
    return out
