"""What tests share: a real LocalStack, one for each test worker, started when first asked for, stopped at the end."""

import os
from collections.abc import Iterator

import pytest

from pipeline import lake
from sim.store.localstack import EmbeddedLocalStack

# Tests talk to loopback alone, whatever the shell they are started from is set up for.
for variable in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[variable]


@pytest.fixture(scope="session")
def localstack() -> Iterator[str]:
    """Endpoint URL of this worker's own server: tests that share it never run at the same time."""
    with EmbeddedLocalStack() as store:
        yield store.endpoint_url


@pytest.fixture
def clean_lake(localstack: str) -> str:
    """Endpoint URL of a server whose six buckets are there, and empty."""
    lake.ensure(localstack)
    lake.empty(localstack)
    return localstack
