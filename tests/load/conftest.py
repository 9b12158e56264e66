"""Fixtures of the load tests: Locust's processes from a template."""

from __future__ import annotations

import pytest

from sim.load import locust_processes
from tests.support import locust_template


@pytest.fixture
def forked_locust(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork Locust's processes. A fresh one imports Locust and the client for a second."""
    monkeypatch.setattr(locust_processes, "_locust", locust_template.start)
