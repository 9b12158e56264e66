"""Randomness is a function of (seed, path): stable, separate, and pinned."""

import numpy as np
import pytest

from sim import seeds


def test_the_same_path_has_the_same_stream_at_any_time():
    first = seeds.rng(7, "farm", "A", 3).standard_normal(5)
    seeds.rng(7, "farm", "B", 3).standard_normal(100)
    assert np.array_equal(first, seeds.rng(7, "farm", "A", 3).standard_normal(5))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((7, "a"), (8, "a")),
        ((7, "a"), (7, "b")),
        ((7, "ab", "c"), (7, "a", "bc")),
        ((7, 1), (7, "1")),
        ((7, "a", 12), (7, "a", 1, 2)),
        ((7,), (7, "")),
    ],
)
def test_different_paths_share_nothing(one, other):
    assert not np.array_equal(seeds.rng(*one).random(4), seeds.rng(*other).random(4))
    assert seeds.uuid(*one) != seeds.uuid(*other)
    assert seeds.number(*one) != seeds.number(*other)
    assert seeds.hexkey(*one) != seeds.hexkey(*other)


def test_pinned_values_keep_old_seeds_valid():
    """A change of the derivation changes every recorded run.

    Then these values and the CHANGELOG change, too.
    """
    assert str(seeds.uuid(7, "node", "A-001")) == "80ac3476-5bd2-410d-92b4-b8e23bb019e0"
    assert seeds.number(7, "asset", "A-001") == 3562660101661801884
    assert seeds.hexkey(7, "node", "privacy") == "0df40e9fe19e6c7be13cb3f5c85252e6"
    assert seeds.rng(7, "wind", "A", 0).integers(1_000_000, size=3).tolist() == [
        851283,
        88256,
        364990,
    ]


def test_kinds_of_secrets_differ_for_one_path():
    digits = f"{seeds.number(7, 'x'):016x}"
    assert not seeds.hexkey(7, "x").startswith(digits)
    assert seeds.uuid(7, "x").version == 4
