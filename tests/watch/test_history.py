"""Figures over time in bounded memory: nothing is lost when slots are folded."""

from __future__ import annotations

import numpy as np

from sim.watch.history import SLOTS, History

START = 1_796_000_000


def test_sums_peaks_and_latencies_survive_folding() -> None:
    history = History()
    seconds = np.arange(3 * SLOTS)
    for at in (seconds[:500], seconds[500:]):
        history.add("put", START + at + 0.5, np.full(len(at), 2.0))
        history.peak("backlog", START + at + 0.5, at.astype(float))
        history.spread("put", START + at + 0.5, np.where(at % 100 == 0, 1.0, 0.01))
    assert history.width_s == 4
    slots = history.complete(START + 3 * SLOTS)
    assert slots == 3 * SLOTS // 4
    rates = history.rates("put")
    assert np.all(rates[:slots] == 2.0)
    assert np.all(rates[slots:] == 0)
    assert history.peaks("backlog")[:3].tolist() == [3, 7, 11]
    p50, p99 = (history.quantiles("put", share)[:slots] for share in (0.5, 0.99))
    assert np.allclose(p50, 0.01, rtol=0.08)
    assert np.allclose(p99[::25], 1.0, rtol=0.08)
    assert np.allclose(p99[1::25], 0.01, rtol=0.08)


def test_quantiles_are_within_a_bin_of_the_exact_ones() -> None:
    history = History()
    seconds = np.random.default_rng(7).lognormal(-3, 1, 5000)
    history.spread("get", np.full(5000, START + 1.5), seconds)
    for share in (0.5, 0.95, 0.99):
        found = history.quantiles("get", share)
        assert abs(found[0] / np.quantile(seconds, share) - 1) < 0.06
        assert np.isnan(found[1:]).all()


def test_an_earlier_time_of_another_file_counts_in_the_first_slot() -> None:
    history = History()
    history.add("put", np.array([START + 10.0]))
    history.add("put", np.array([START + 8.0, START + 11.0]))
    assert history.rates("put")[:3].tolist() == [2, 1, 0]


def test_nothing_is_known_of_what_never_came() -> None:
    history = History()
    assert history.complete(START) == 0
    assert not history.rates("put").any()
    assert np.isnan(history.quantiles("put", 0.5)).all()
