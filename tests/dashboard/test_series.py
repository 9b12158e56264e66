"""sim.dashboard.series: the grid is as fine as the page can hold."""

from __future__ import annotations

import pytest

from sim.dashboard.series import FACTORS, MOST_CELLS, grid

MINUTE = 60_000_000


def extent(days: float, units: int, window_min: int = 10, first_us: int = 0) -> dict[str, int]:
    last = first_us + round(days * 1440 * MINUTE) - MINUTE
    window_us = window_min * MINUTE
    return {"first_us": first_us, "last_us": last, "units": units, "window_us": window_us}


@pytest.mark.parametrize(
    ("days", "units", "step_min", "steps"),
    [
        (1, 1_500, 10, 144),  # a fleet day, window by window
        (4, 72, 10, 576),
        (31, 1_500, 180, 248),  # a fleet month
        (1 / 144, 1, 10, 1),
    ],
)
def test_a_step_is_a_window_or_as_many_as_needed(
    days: float, units: int, step_min: int, steps: int
) -> None:
    made = grid(extent(days, units))
    assert (made.step_us, made.steps) == (step_min * MINUTE, steps)
    assert made.steps * units <= MOST_CELLS


def test_steps_begin_where_windows_begin_and_hold_the_last_row() -> None:
    made = grid(extent(1, 3, first_us=7 * MINUTE))
    assert made.origin_us == 0
    assert made.origin_us + made.steps * made.step_us > 7 * MINUTE + 1_439 * MINUTE


def test_years_of_a_fleet_get_the_coarsest_steps() -> None:
    assert grid(extent(365 * 30, 1_500)).step_us == FACTORS[-1] * 10 * MINUTE
