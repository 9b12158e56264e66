"""The time line of a run, from samples made by hand, and samples of real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from sim.measure.timeline import Span, timeline
from sim.measure.usage import Sample, Usage
from sim.run.activity import Activities

S = 1_000_000_000
ME, SERVER, WORKER, SECOND = 1, 2, 3, 4


def sample(at_s: float, cpu_s: dict[int, float], queued_s: float = 0.0) -> Sample:
    return Sample(int(at_s * S), cpu_s, {WORKER: queued_s})


def test_cores_by_process_and_phase() -> None:
    samples = [
        sample(11, {ME: 0.5, SERVER: 0.5}),
        sample(13, {WORKER: 2.0, SERVER: 0.75, SECOND: 0.25}),
        sample(14, {WORKER: 0.5}, queued_s=3.0),  # more threads than cores
    ]
    phases = [("start", 10 * S), ("work", 11 * S)]
    line = timeline(samples, [], 10 * S, phases, ME, [SERVER, SECOND], cores=2)
    assert line is not None
    assert line.bucket_s == 1
    assert line.workers == (0.0, 1.0, 1.0, 0.5)
    assert line.server == (0.5, 0.5, 0.5, 0.0)
    assert line.harness == (0.5, 0.0, 0.0, 0.0)
    assert line.queued == (0.0, 0.0, 0.0, 3.0)
    assert line.busy == (1 + 3 + 2) / 8
    start, work = line.phases
    assert (start.from_s, start.to_s, start.busy) == (0, 1, 0.5)
    assert (work.from_s, work.to_s, work.busy) == (1, 4, 0.833)
    assert (work.workers_s, work.server_s, work.harness_s) == (2.5, 1.0, 0.0)


def test_activities_are_spread_over_their_spans() -> None:
    spans = [
        Span(10 * S, 12 * S, {"simulate": 2.0}),
        Span(11 * S, 14 * S, {"deliver": 1.5, "wait": 1.5}),
    ]
    line = timeline([sample(14, {ME: 1.0})], spans, 10 * S, [], ME, [], cores=2)
    assert line is not None
    assert line.simulate == (1.0, 1.0, 0.0, 0.0)
    assert line.deliver == line.wait == (0.0, 0.5, 0.5, 0.5)
    assert line.judge == (0.0, 0.0, 0.0, 0.0)


def test_a_long_run_has_few_buckets() -> None:
    line = timeline([sample(100_000, {ME: 1.0})], [], 0, [], ME, [], cores=2)
    assert line is not None
    assert len(line.workers) <= 120


def test_no_sample_no_line() -> None:
    assert timeline([], [], 0, [], ME, [], cores=2) is None


def test_usage_counts_the_descendants_and_their_memory() -> None:
    burn = "b = bytearray(80 << 20)\nimport time\nwhile time.process_time() < 60: pass"
    start = (
        f"import subprocess, sys; c = subprocess.Popen([sys.executable, '-c', {burn!r}]); "
        "print(c.pid, flush=True); c.wait()"
    )
    with (
        Usage(every_s=0.05) as usage,
        subprocess.Popen([sys.executable, "-c", start], stdout=subprocess.PIPE) as child,
    ):
        assert child.stdout is not None
        grandchild = int(child.stdout.readline())
        while not (sum(each.cpu_s.get(grandchild, 0.0) for each in usage.samples) > 0.1):
            time.sleep(0.05)
        os.kill(grandchild, signal.SIGKILL)
    assert usage.peak_bytes > 80 << 20
    assert usage.begun_ns < usage.samples[0].at_ns <= usage.samples[-1].at_ns


def test_waiting_is_taken_from_the_activity(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0]
    monkeypatch.setattr(time, "time_ns", lambda: now[0])
    spans: list[Span] = []
    activities = Activities(spans.append)
    now[0] = 5 * S  # idle before
    with activities.during("deliver"):
        now[0] += 2 * S
        activities.waited(0.5)
        with activities.during("simulate"):
            now[0] += S
        now[0] += S
    total: dict[str, float] = {}
    for span in spans:
        for name, seconds in span.seconds.items():
            total[name] = total.get(name, 0.0) + seconds
    assert total == {"deliver": 2.5, "wait": 0.5, "simulate": 1.0}
    assert (spans[0].from_ns, spans[-1].to_ns) == (5 * S, 9 * S)
