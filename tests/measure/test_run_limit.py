"""The limit of a run in a sentence: store, other programs, cores, or the store's answers."""

from __future__ import annotations

import pytest

from sim.measure.run_limit import main_phase, sentence
from sim.measure.timeline import Phase, Timeline


def line(server: float, workers: float, busy: float, waiting: float = 0.0) -> Timeline:
    """Ten seconds of delivery on two cores after two of start; cores used, workers that wait."""
    idle, wait, rest = (0.0,) * 12, (waiting,) * 12, (2.0 - waiting,) * 12
    phases = (
        Phase("start the store", 0.0, 2.0, 0.1, 0.1, 0.1, 0.9),
        Phase("simulate and deliver", 2.0, 12.0, 10 * workers, 10 * server, 0.0, busy),
    )
    return Timeline(1.0, 2, busy, idle, idle, idle, idle, rest, idle, wait, idle, phases)


@pytest.mark.parametrize(
    ("made", "begin"),
    [
        (line(0.9, 0.8, 0.9), "The store: its one core was 90 % busy;"),
        (line(0.3, 0.4, 0.99), "Other programs: the run had 0.7 cores of 2 and waited"),
        (line(0.3, 1.5, 0.95), "The machine's 2 cores: they were 95 % busy;"),
        (line(0.3, 0.3, 0.4, 1.2), "The store's answers: workers waited for 60 % of the time;"),
        (line(0.3, 0.5, 0.4, 0.2), "Nothing clear: the 2 cores were 40 % busy;"),
        (line(1.9, 0.1, 0.4), "Nothing clear:"),  # a server of several processes
    ],
)
def test_the_limit_is_named(made: Timeline, begin: str) -> None:
    assert sentence(made, 100.0, 400.0).startswith(begin)
    assert sentence(made, 100.0, 400.0).endswith("at 25 % of the store's PUT ceiling.")
    assert "ceiling" not in sentence(made, 100.0, None)


def test_only_the_delivery_counts() -> None:
    phase = main_phase(line(0.1, 0.1, 0.1))
    assert phase is not None
    assert phase.name == "simulate and deliver"
