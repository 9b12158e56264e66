"""Names of `tests.support.levels`. Not among the rules of `make check`: it imports the program."""

from __future__ import annotations

import pkgutil

import pytest

from tests.support import levels


@pytest.mark.parametrize("name", [*levels.ROOTS, *levels.LIGHT])
def test_a_name_that_makes_a_test_slow_exists(name: str) -> None:
    assert pkgutil.resolve_name(name) is not None
