"""The data set of the tests of `windfleet demo`, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.cli import main
from tests.support.data_sets import FAULTS, SMALL


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same small data set in both layouts. Flushes every six hours make late rows look back."""
    folder = tmp_path_factory.mktemp("demo")
    out = {}
    for layout in ("turbine", "farm"):
        out[layout] = folder / layout
        words = ["demo", "--to", str(out[layout]), "--layout", layout, "--set", FAULTS]
        exports = ["--export", "openoa", "--export", "flasc"]
        words += exports if layout == "farm" else ["--no-dashboard"]
        assert (
            main([*words, "--set", "pipeline.flush_every=6h", "--nodes", "--inspect", *SMALL]) == 0
        )
    return out
