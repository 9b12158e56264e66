"""Arrivals of every kind of schedule entry: correct, from the seed, for any number of workers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.load import arrivals
from sim.load.arrivals import JITTER, Nodes
from sim.load.client.dispatch import ClosedDispatch, OpenDispatch
from sim.load.phase import Arrivals
from sim.load_schedule import KINDS, REQUEST_KINDS, Entry

FLUSH = (("flush", 1.0),)
MIX = (("flush", 90.0), ("list_hour", 6.0), ("get_manifest", 3.0), ("scan_partition", 1.0))
NODES = Nodes(60, 900.0)
ENTRIES = {
    "constant": Entry("constant", 30.0, rate_per_s=20.0),
    "soak": Entry("soak", 100.0, rate_per_s=3.0),
    "poisson": Entry("poisson", 200.0, rate_per_s=20.0),
    "ramp": Entry("ramp", 40.0, from_per_s=5.0, to_per_s=45.0),
    "step": Entry("step", 30.0, rates_per_s=(10.0, 20.0, 40.0)),
    "spike": Entry("spike", 30.0, rate_per_s=4.0, peak_per_s=50.0, at_s=10.0, lasts_s=5.0),
    "fleet": Entry("fleet", 60.0, speed=60.0),
    "herd": Entry("herd", 60.0, speed=60.0, outage_s=2700.0),
}


def made(entry: Entry, mix: arrivals.Mix = FLUSH, nodes: Nodes = NODES, seed: int = 7) -> Arrivals:
    return arrivals.of(entry, f"1-{entry.kind}", mix, nodes, seed)


def per_s(found: Arrivals, low: float, high: float) -> float:
    return float(np.count_nonzero((found.intended_s >= low) & (found.intended_s < high))) / (
        high - low
    )


def test_every_kind_of_the_catalogue_is_made_here() -> None:
    assert set(ENTRIES) == set(KINDS)


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=lambda e: e.kind)
def test_in_order_within_the_entry_as_many_as_counted(entry: Entry) -> None:
    found = made(entry, MIX)
    assert np.all(np.diff(found.intended_s) >= 0)
    assert found.intended_s[0] >= 0
    assert found.intended_s[-1] < entry.for_s
    wanted = arrivals.count(entry, NODES)
    slack = (
        4 * np.sqrt(wanted)
        if entry.kind == "poisson"
        else NODES.count
        if entry.kind in ("fleet", "herd")
        else 0.5
    )
    assert abs(len(found) - wanted) <= slack
    assert len(found.kind) == len(found.node) == len(found)
    assert set(np.unique(found.node)) == set(range(NODES.count))


def test_constant_is_evenly_spaced() -> None:
    assert made(ENTRIES["constant"]).intended_s == pytest.approx((np.arange(600) + 0.5) / 20)


def test_a_ramp_reaches_each_rate_when_it_should() -> None:
    found = made(ENTRIES["ramp"])
    # the integral of the rate, by hand
    area = 5 * found.intended_s + (45 - 5) / 40 * found.intended_s**2 / 2
    assert area == pytest.approx(np.arange(len(found)) + 0.5)
    falling = made(Entry("ramp", 40.0, from_per_s=45.0, to_per_s=5.0))
    assert np.sort(40.0 - falling.intended_s) == pytest.approx(found.intended_s)
    assert len(made(Entry("ramp", 10.0, from_per_s=20.0, to_per_s=0.0))) == 100


def test_steps_and_spikes_have_their_rates() -> None:
    steps, spike = made(ENTRIES["step"]), made(ENTRIES["spike"])
    assert [per_s(steps, low, low + 10) for low in (0, 10, 20)] == pytest.approx([10, 20, 40])
    assert [per_s(spike, *span) for span in ((0, 10), (10, 15), (15, 30))] == pytest.approx(
        [4, 50, 4]
    )


@given(st.lists(st.floats(0.1, 50), min_size=1, max_size=5), st.floats(0.5, 20))
def test_no_arrival_is_lost_or_doubled_where_rates_meet(rates: list[float], each_s: float) -> None:
    entry = Entry("step", each_s * len(rates), rates_per_s=tuple(rates))
    found = made(entry).intended_s
    if len(found) > 1:
        assert np.min(np.diff(found)) >= 1 / max(rates) - 1e-6
        assert np.max(np.diff(found)) <= 1 / min(rates) + 1e-6
    assert abs(len(found) - sum(rates) * each_s) <= 0.5 + 1e-6


def test_poisson_distances_are_exponential_and_of_the_seed() -> None:
    found = made(ENTRIES["poisson"]).intended_s
    gaps = np.diff(found)
    assert np.mean(gaps) == pytest.approx(1 / 20, rel=0.05)
    # an exponential's deviation is its mean
    assert np.std(gaps) == pytest.approx(np.mean(gaps), rel=0.1)
    assert np.mean(gaps > np.mean(gaps)) == pytest.approx(np.exp(-1), abs=0.02)
    assert np.array_equal(found, made(ENTRIES["poisson"]).intended_s)
    assert not np.array_equal(found[:50], made(ENTRIES["poisson"], seed=8).intended_s[:50])


def test_a_fleet_flushes_each_node_at_its_own_phase_with_jitter() -> None:
    found = made(ENTRIES["fleet"])  # 900 s at speed 60: every 15 s
    first: dict[int, float] = {}
    for node in range(NODES.count):
        times = found.intended_s[found.node == node]
        assert 3 <= len(times) <= 5
        gaps = np.diff(times)
        assert np.all(np.abs(gaps - 15) <= JITTER * 15)
        first[node] = float(times[0])
    assert np.ptp(list(first.values())) > 10  # phases all over the interval
    # jitter moves each flush
    assert len({round(gap, 6) for gap in np.diff(found.intended_s[found.node == 0])}) > 1
    assert len(made(ENTRIES["fleet"], nodes=Nodes(1500, 900.0))) == pytest.approx(6000, abs=1500)


def test_a_herd_comes_at_once_with_its_backlog() -> None:
    found = made(ENTRIES["herd"])  # 2,700 s of outage, a flush each 900 s: three batches each
    at_once = found.node[found.intended_s == 0]
    assert np.array_equal(np.bincount(at_once), np.full(NODES.count, 3))
    # the first batch of every node, then the second
    assert np.array_equal(at_once[: NODES.count], np.arange(NODES.count))
    later = made(ENTRIES["fleet"])
    assert len(found) - len(at_once) == pytest.approx(len(later), abs=5)


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["poisson", "herd"])
def test_workers_share_all_arrivals_and_no_node(kind: str, workers: int) -> None:
    found = made(ENTRIES[kind], MIX)
    shares = [found.share(worker, workers) for worker in range(workers)]
    assert np.array_equal(np.sort(np.concatenate(shares)), np.arange(len(found)))
    nodes = [set(found.node[share]) for share in shares]
    assert sum(map(len, nodes)) == len(set().union(*nodes))
    assert all(np.all(np.diff(share) > 0) for share in shares)


def test_the_mix_has_its_shares_and_its_own_randomness() -> None:
    entry = Entry("constant", 1000.0, rate_per_s=20.0)
    found = made(entry, MIX)
    shares = np.bincount(found.kind, minlength=len(REQUEST_KINDS)) / len(found)
    assert shares == pytest.approx([0.90, 0.06, 0.03, 0.01], abs=0.01)
    assert np.array_equal(found.intended_s, made(entry).intended_s)  # reads do not shift writes
    only = made(entry, (("list_hour", 3.0),))
    assert set(only.kind) == {REQUEST_KINDS.index("list_hour")}
    assert found.flushes(NODES.count).sum() == np.count_nonzero(found.kind == 0)


def test_joined_entries_follow_each_other() -> None:
    parts = [(made(ENTRIES[kind]), ENTRIES[kind].for_s) for kind in ("constant", "ramp")]
    found = arrivals.joined(parts)
    assert len(found) == sum(len(part) for part, _ in parts)
    assert found.intended_s[600] == pytest.approx(30 + parts[1][0].intended_s[0])


@pytest.mark.parametrize(
    ("kind", "peak"),
    [
        ("constant", 20),
        ("ramp", 45),
        ("step", 40),
        ("spike", 50),
        ("fleet", 60 * 60 / 900),
        ("herd", 4 + 180),
    ],
)
def test_the_peak_is_the_highest_rate(kind: str, peak: float) -> None:
    assert arrivals.peak_per_s(ENTRIES[kind], NODES) == pytest.approx(peak)


def test_flushes_of_a_node_never_overlap_and_keep_their_order() -> None:
    found = Arrivals(
        np.arange(6.0),
        np.array([0, 0, 1, 0, 0, 0], dtype=np.int8),
        np.array([0, 0, 0, 1, 0, 1], np.int32),
    )
    dispatch = OpenDispatch(found, np.arange(6), 0, 1)
    first = dispatch.take()
    assert first is not None
    assert first.number == 0
    assert dispatch.take() is None  # the node's flush is under way
    read, other = dispatch.take(), dispatch.take()
    assert read is not None
    assert other is not None
    assert (read.number, other.number) == (2, 3)  # reads and other nodes do not wait
    assert dispatch.take() is None
    assert dispatch.done(read) is None
    second = dispatch.done(first)
    assert second is not None
    assert second.number == 1
    third = dispatch.done(second)
    assert third is not None
    assert third.number == 4
    assert dispatch.done(third) is None
    assert dispatch.done(other) is None
    last = dispatch.take()
    assert last is not None
    assert last.number == 5
    assert dispatch.done(last) is None
    assert dispatch.left == 0
    assert dispatch.peek() is None


def test_a_closed_phase_uses_the_nodes_of_each_worker_in_turn() -> None:
    dispatch = ClosedDispatch(6, FLUSH, 7, "sweep-2", 1, 2)
    jobs = [dispatch.take() for _ in range(4)]
    # its nodes are all busy
    assert [job and (job.number, job.node) for job in jobs] == [
        (1, 1),
        (3, 3),
        (5, 5),
        None,
    ]
    assert jobs[1] is not None
    dispatch.done(jobs[1])
    again = dispatch.take()
    assert again is not None
    assert (again.number, again.node) == (7, 3)
    mixed = ClosedDispatch(1000, MIX, 7, "sweep-2", 0, 1)
    kinds = [job.kind for _ in range(900) if (job := mixed.take()) is not None]
    assert np.bincount(kinds, minlength=4)[0] / len(kinds) == pytest.approx(0.9, abs=0.04)
