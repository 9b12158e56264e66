"""Arithmetic of a closed sweep: the scalability law with its intervals, and the steady state."""

from __future__ import annotations

import numpy as np
import pytest

from sim.measure import steady, usl
from sim.seeds import rng

USERS = np.array([1, 2, 3, 4, 8, 16, 32], dtype=np.float64)


def law(rate: float, alpha: float, beta: float, users: np.ndarray = USERS) -> np.ndarray:
    return np.asarray(rate * users / (1 + alpha * (users - 1) + beta * users * (users - 1)))


def noisy(curve: np.ndarray, noise: float, seed: int) -> np.ndarray:
    return np.asarray(curve * (1 + noise * rng(seed, "test-usl").standard_normal(len(curve))))


def test_without_noise_the_law_is_found_again() -> None:
    fit = usl.fit(USERS, law(100, 0.05, 0.002), np.zeros(len(USERS)), 7)
    assert fit.lambda_.value == pytest.approx(100, rel=1e-6)
    assert fit.alpha.value == pytest.approx(0.05, rel=1e-5)
    assert fit.beta.value == pytest.approx(0.002, rel=1e-5)
    assert fit.r2 == pytest.approx(1)
    assert fit.peak_users is not None
    assert fit.peak_users.value == pytest.approx(np.sqrt(0.95 / 0.002), rel=1e-4)
    assert fit.peak_per_s is not None
    assert fit.peak_per_s.value == pytest.approx(
        law(100, 0.05, 0.002, np.array([fit.peak_users.value]))[0], rel=1e-6
    )
    assert fit.throughput(USERS) == pytest.approx(law(100, 0.05, 0.002), rel=1e-5)


@pytest.mark.parametrize(("alpha", "beta"), [(0.05, 0.002), (0.3, 0.005), (0.1, 0.0)])
def test_the_intervals_contain_the_true_value_as_often_as_stated(alpha: float, beta: float) -> None:
    held = {"lambda_": 0, "alpha": 0}
    for seed in range(60):
        x = noisy(law(50, alpha, beta), 0.02, seed)
        fit = usl.fit(USERS, x, 0.02 * x, seed)
        held["lambda_"] += fit.lambda_.low <= 50 <= fit.lambda_.high
        held["alpha"] += fit.alpha.low <= alpha <= fit.alpha.high
    # 95 %, with room for chance: 57 are expected
    assert all(count >= 51 for count in held.values()), held


def test_without_coherency_there_is_no_peak_but_an_asymptote() -> None:
    claimed = 0
    for seed in range(40):
        x = noisy(law(40, 0.25, 0.0), 0.02, seed)
        fit = usl.fit(USERS, x, 0.02 * x, seed)
        claimed += fit.peak_users is not None
        if fit.asymptote_per_s is not None:
            assert 0.8 * 160 < fit.asymptote_per_s.value < 1.2 * 160
        assert fit.beta.low >= 0
        assert fit.beta.value < 0.01
    assert claimed <= 4


def test_a_straight_line_has_no_limit() -> None:
    x = noisy(law(20, 0.0, 0.0), 0.02, 3)
    fit = usl.fit(USERS, x, 0.02 * x, 3)
    assert fit.peak_users is None
    assert fit.asymptote_per_s is None


def test_the_sharp_bend_of_a_single_server_claims_no_peak() -> None:
    """One server with a queue is level from three users on: the law must not predict a fall."""
    for seed in range(15):
        x = noisy(np.minimum(10 * USERS, 30), 0.01, seed)
        fit = usl.fit(USERS, x, 0.01 * x, seed)
        assert fit.peak_users is None, seed
        assert usl.saturation(USERS, x) == 3


def test_a_law_that_fits_badly_claims_no_peak() -> None:
    """Little noise makes coherency look certain, only because the law cannot bend as sharply."""
    x = np.array([8.5, 16.2, 22.5, 25.6, 25.2, 25.0])
    fit = usl.fit(np.array([1, 2, 3, 4, 8, 16]), x, 0.002 * x, 7)
    assert fit.beta.low > 0
    assert not fit.sound
    assert fit.peak_users is None
    assert fit.asymptote_per_s is None


def test_a_measured_fall_is_a_peak() -> None:
    x = noisy(law(30, 0.1, 0.02), 0.02, 1)
    fit = usl.fit(USERS, x, 0.02 * x, 1)
    assert fit.peak_users is not None
    assert fit.peak_users.low < np.sqrt(0.9 / 0.02) < fit.peak_users.high


def test_the_same_seed_gives_the_same_intervals() -> None:
    x = noisy(law(30, 0.1, 0.01), 0.03, 1)
    assert usl.fit(USERS, x, 0.03 * x, 5) == usl.fit(USERS, x, 0.03 * x, 5)
    assert usl.fit(USERS, x, 0.03 * x, 5) != usl.fit(USERS, x, 0.03 * x, 6)


@pytest.mark.parametrize(
    ("users", "throughput"),
    [([1, 2, 3], [1, 2, 3]), ([1, 2, 3, 3], [1, 2, 3, 3]), ([1, 2, 3, 4], [1, 2, 0, 4])],
)
def test_too_little_for_a_fit_is_refused(users: list[float], throughput: list[float]) -> None:
    with pytest.raises(ValueError, match=r"levels|throughput"):
        usl.fit(users, throughput, np.zeros(len(users)), 7)


def test_saturation_is_the_fewest_users_near_the_best_level() -> None:
    assert usl.saturation([1, 2, 4, 8], [10, 19, 29, 30]) == 4
    assert usl.saturation([1, 2, 4, 8], [10, 20, 40, 80]) == 8


def test_steady_noise_is_steady_and_its_mean_known() -> None:
    wrong = near = 0
    for seed in range(200):
        state = steady.detect(rng(seed, "steady").poisson(20, 100))
        wrong += not state.steady
        near += abs(state.mean - 20) <= 2.3 * state.error
    assert wrong <= 8
    assert near >= 170  # 95 % with nine degrees of freedom, less the cost of choosing the beginning


def test_a_slow_start_is_left_out() -> None:
    random = rng(1, "start")
    series = np.concatenate(
        (np.linspace(0, 20, 25), np.full(75, 20.0))
    ) + 0.5 * random.standard_normal(100)
    state = steady.detect(series)
    assert state.steady
    assert 20 <= state.begin <= 50
    assert state.mean == pytest.approx(20, abs=0.3)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_trend_is_no_steady_state(sign: int) -> None:
    series = 20 + sign * np.linspace(0, 10, 100) + rng(2, "trend").standard_normal(100)
    assert not steady.detect(series).steady


def test_correlated_neighbours_widen_the_error() -> None:
    random = rng(3, "together")
    apart = random.standard_normal(400)
    together = np.convolve(random.standard_normal(430), np.ones(30) / np.sqrt(30), "valid")[:400]
    assert steady.detect(together + 50).error > 2 * steady.detect(apart + 50).error


def test_a_short_series_is_refused() -> None:
    with pytest.raises(ValueError, match="20 windows or more, got 19"):
        steady.detect(np.ones(19))
