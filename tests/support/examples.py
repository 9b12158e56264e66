"""Sizes of random searches: `make test` looks at fewer examples than `make test-all`."""

import os

ALL = os.environ.get("WINDFLEET_TESTS") == "all"


def examples(number: int) -> int:
    """Return how many examples Hypothesis makes: `number` in `make test-all`, else a third of it.

    They differ from run to run, so that many short runs search as far as one long one.
    """
    return number if ALL else max(number // 3, 10)
