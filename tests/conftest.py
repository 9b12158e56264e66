"""Fixtures of all tests: a LocalStack and a browser for each test worker, the marker `slow`."""

import gc
import os
from collections.abc import Generator, Iterator, Sequence

import pytest

from pipeline import lake
from sim.store.localstack import EmbeddedLocalStack
from tests.support import browser, levels

# Tests connect to loopback only, even if the shell names another endpoint.
for variable in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[variable]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without searches for garbage: tests and modules stay, and are never searched."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    if "slow" not in config.option.markexpr:
        return
    for item in items:
        if levels.is_slow(item):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def localstack() -> Iterator[str]:
    """Endpoint URL of this worker's own server. Tests that share it never run at the same time."""
    with EmbeddedLocalStack() as store:
        yield store.endpoint_url


@pytest.fixture
def clean_lake(localstack: str) -> str:
    """Endpoint URL of a server whose six buckets exist and are empty."""
    lake.ensure(localstack)
    lake.empty(localstack)
    return localstack


@pytest.fixture(scope="session")
def tab() -> Iterator[browser.Page]:
    """A tab of Chromium."""
    if browser.program() is None:
        pytest.skip(browser.MISSING)
    with browser.opened() as page:
        yield page
