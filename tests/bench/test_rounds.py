"""Rounds: the order of parts, the least of them, and the part of the time that counts."""

from __future__ import annotations

import time

import pytest

from sim.bench.rounds import Cost, Part, Rounds, fixed_work, interleaved, run_once
from tests.support.bench_samples import rounds


class FakeServer:
    """A server whose CPU time is as long as a test wants."""

    def __init__(self) -> None:
        self.used = 0.0

    def cpu_seconds(self) -> float:
        return self.used


def test_product_and_floor_run_in_turn_in_each_round() -> None:
    calls: list[str] = []
    parts = [
        Part("read", lambda: calls.append("read"), lambda: calls.append("read floor")),
        Part("PUT", lambda: calls.append("PUT"), before=lambda: calls.append("empty")),
    ]
    fixed_s, found = interleaved(parts, 2, None)
    assert calls == ["read", "read floor", "empty", "PUT"] * 2
    assert len(fixed_s) == 2
    assert {name: (len(a.cpu_s), b and len(b.cpu_s)) for name, (a, b) in found.items()} == {
        "read": (2, 2),
        "PUT": (2, None),
    }


def test_the_store_s_time_counts_apart_and_preparation_not_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, now = FakeServer(), [0.0]
    monkeypatch.setattr(time, "process_time", lambda: now[0])

    def spend(own: float, served: float) -> None:
        now[0] += own
        server.used += served

    part = Part("PUT", lambda: spend(2.0, 3.0), lambda: spend(0.5, 3.0), lambda: spend(7.0, 9.0))
    _, found = interleaved([part], 1, server)
    product, floor = found["PUT"]
    assert floor is not None
    assert (product.cpu_s, product.server_s) == ([2.0], [3.0])
    assert (floor.cpu_s, floor.server_s) == ([0.5], [3.0])


def test_the_least_of_each_counts() -> None:
    found = Rounds([3.0, 1.0, 2.0], [0.5, 0.9, 0.4], [9.0, 8.0, 10.0])
    assert found.least == Cost(1.0, 0.4, 8.0)
    assert found.middle_s == pytest.approx(2.4)
    assert found.least.both_s == pytest.approx(1.4)


def test_costs_add_up() -> None:
    assert Cost(1.0, 2.0, 3.0) + Cost(0.5, 0.25, 1.0) == Cost(1.5, 2.25, 4.0)
    assert rounds(2.0, 1.0, served=0.5).least == Cost(1.0, 0.5, 2.0)


def test_cpu_time_is_that_of_the_work() -> None:
    assert run_once(lambda: sum(range(200_000))).cpu_s > 0
    assert run_once(lambda: time.sleep(0.05)).wall_s >= 0.05
    assert fixed_work() > 0
