"""The load engine: real batches, Locust in real subprocesses, a real LocalStack, and failures.

- A frozen server shows in the percentiles.
- One process and several give the same result.
- The record names a worker or a target that dies, a late generator, and a limit that is reached.

Not covered: the commands (test_command.py).
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipeline import lake
from pipeline.checkpoint import Checkpoint
from pipeline.commit import Position, commit
from pipeline.node import EdgeNode, run
from pipeline.ports import Unavailable
from sim.campaign.inline_executor import Inline
from sim.campaign.memory_store import MemoryStore
from sim.errors import EngineError, PlanError, TargetError, TargetGone
from sim.fleet import load_fleet
from sim.load import arrivals, calibration
from sim.load.arrivals import Mix, Nodes
from sim.load.batches import Batches, Cadence, Prepared
from sim.load.client import journal
from sim.load.client.journal import Request
from sim.load.client.request import SEEDED, Client, seed
from sim.load.engine import LocustEngine
from sim.load.phase import Arrivals, Phase, PhaseRecord
from sim.load.preflight import require_files
from sim.load.progress import PhaseProgress
from sim.load.sampler import server_at
from sim.load.settings import EngineSettings
from sim.load_schedule import REQUEST_KINDS, Entry, Limits, Load
from sim.measure.thresholds import parse
from sim.scenario.fleet_selection import fewer_turbines
from sim.store.localstack import EmbeddedLocalStack
from tests.support.pipeline_world import FixedClock

pytestmark = pytest.mark.usefixtures("forked_locust")

FLUSH: Mix = (("flush", 1.0),)
MIX: Mix = (("flush", 70), ("list_hour", 10), ("get_manifest", 15), ("scan_partition", 5))
COUNT = 32
NODES = Nodes(COUNT, 60.0)
START_US = 1_705_276_800_000_000
CADENCE = Cadence(START_US, 1_000_000, 60, 600, 300)
LIMITS = Limits(rate_per_s=2000.0, time_s=900.0, bytes=1e9)


def small(nodes: int = COUNT):  # type: ignore[no-untyped-def]
    return fewer_turbines(load_fleet("full", Path()), nodes)


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batches]:
    with Batches(tmp_path_factory.mktemp("batches"), small(), 7, CADENCE, 1e9) as made:
        yield made


def settings(
    url: str, folder: Path, mix: Mix = FLUSH, users: int = 8, processes: int = 1
) -> EngineSettings:
    return EngineSettings(url, 7, mix, users, processes, folder, LIMITS, server_pid=server_at(url))


def constant(rate: float, for_s: float, mix: Mix = FLUSH, name: str = "1-constant") -> Phase:
    return Phase(name, arrivals.constant(rate, for_s, name, mix, NODES, 7), None, for_s)


def seconds(record: PhaseRecord, to: str, since: str) -> np.ndarray:
    """Return seconds between two columns, of requests that ended, in the order of the schedule."""
    ended = record.requests.filter(pc.is_valid(record.requests["end"]))
    return (ended[to].cast("int64").to_numpy() - ended[since].cast("int64").to_numpy()) / 1e9


def outcomes(record: PhaseRecord) -> dict[str, int]:
    return {
        row["values"]: row["counts"]
        for row in pc.value_counts(record.requests["outcome"]).to_pylist()
    }


# batches


class Flusher:
    """Commits prepared batches in order, as a client does."""

    def __init__(self, prepared: Prepared) -> None:
        self.store, self._prepared = MemoryStore(), prepared

    def flush(self, batches: int) -> None:
        for node in range(len(self._prepared.configs)):
            position = Position(Checkpoint(), None)
            for number in range(batches):
                position = commit(self.store, self._prepared.commit_of(node, number), position)


def test_prepared_batches_are_what_the_nodes_would_deliver(tmp_path: Path) -> None:
    with Batches(tmp_path, small(4), 7, CADENCE, 1e9) as made:
        made.ensure(1)
        made.ensure(11)  # goes on, beyond a window
    prepared = Prepared(tmp_path)
    flusher = Flusher(prepared)
    flusher.flush(11)
    nodes = [EdgeNode(c, d) for c, d in zip(prepared.configs, prepared.databases, strict=True)]
    real = MemoryStore()
    list(run(nodes, real, FixedClock(), Inline()))
    assert flusher.store.digest() == real.digest()
    with pytest.raises(IndexError, match="11 batches"):
        prepared.commit_of(0, 11)


def test_a_flush_that_encodes_by_itself_writes_the_same(tmp_path: Path) -> None:
    with Batches(tmp_path, small(2), 7, CADENCE, 1e9) as made:
        made.ensure(11)
    prepared = Prepared(tmp_path)
    ready, inside = Flusher(prepared), MemoryStore()
    ready.flush(11)
    client = Client(inside, prepared, 0, encode_inside=True)
    done = [
        client.perform(0, node, client.work_for(0, node)) for _ in range(11) for node in range(2)
    ]
    assert {(one.outcome, one.rows) for one in done} == {(0, 60)}
    assert inside.digest() == ready.store.digest()


def test_a_flush_that_failed_comes_again_with_the_same_batch(tmp_path: Path) -> None:
    class Failing(MemoryStore):
        broken = True

        def replace(self, bucket: str, key: str, body: bytes, etag: str) -> str:
            if self.broken:
                self.broken = False
                raise Unavailable("no answer")
            return super().replace(bucket, key, body, etag)

    with Batches(tmp_path, small(1), 7, CADENCE, 1e9) as made:
        made.ensure(3)
    prepared, store = Prepared(tmp_path), Failing()
    client = Client(store, prepared, 0, encode_inside=False)
    done = [client.perform(0, 0, client.work_for(0, 0)) for _ in range(4)]
    assert [one.outcome for one in done] == [0, 1, 0, 0]
    assert "no answer" in done[1].error
    flusher = Flusher(prepared)
    flusher.flush(3)
    assert store.digest() == flusher.store.digest()


def test_reads_report_outcome_and_bytes(tmp_path: Path) -> None:
    with Batches(tmp_path, small(3), 7, CADENCE, 1e9) as made:
        made.ensure(1)
    prepared, store = Prepared(tmp_path), MemoryStore()
    seed(store, prepared, range(3))
    client = Client(store, prepared, 3, encode_inside=False)
    listed, manifest, scanned = (client.perform(kind, 4, None) for kind in (1, 2, 3))
    assert (listed.outcome, listed.objects) == (0, 3)
    assert (manifest.outcome, manifest.objects, manifest.rows) == (0, 1, 60)
    assert (scanned.outcome, scanned.objects, scanned.rows) == (0, 3, 180)
    lost = Client(MemoryStore(), prepared, 3, encode_inside=False)
    # corrupt (not in the list), missing
    assert [lost.perform(kind, 4, None).outcome for kind in (1, 2)] == [
        6,
        4,
    ]


def test_plans_beyond_the_limits_are_refused_with_the_number(tmp_path: Path) -> None:
    with (
        Batches(tmp_path, small(2), 7, CADENCE, 1e6) as made,
        pytest.raises(PlanError, match=r"limits\.bytes: 1,000"),
    ):
        made.ensure(1000)
    with pytest.raises(PlanError, match=r"batch_rows: 7 rows are 3\.5 s"):
        Batches(tmp_path / "b", small(2), 7, replace(CADENCE, rows=7, sample_us=500_000), 1e9)
    with pytest.raises(PlanError, match=r"1,000,000 users need 6,000,256 open files"):
        require_files(1_000_000)


# phases


def test_one_process_and_three_do_the_same(
    batches: Batches, clean_lake: str, tmp_path: Path
) -> None:
    phase = constant(14, 3, MIX)
    records = []
    for processes in (1, 3):
        engine = LocustEngine(
            settings(clean_lake, tmp_path / str(processes), MIX, 9, processes), batches
        )
        records.append(engine.run(phase))
        assert lake.first_object(clean_lake) is None  # its objects are gone
    one, three = records
    same = ["number", "kind", "node", "bytes", "rows", "outcome"]
    listed = pc.equal(one.requests["kind"], "list_hour")  # how much is listed depends on the moment
    assert one.requests.filter(pc.invert(listed)).select(same) == three.requests.filter(
        pc.invert(listed)
    ).select(same)
    assert outcomes(one) == {"ok": 42}
    assert set(one.requests["worker"].to_pylist()) == {"client-0"}
    assert set(three.requests["worker"].to_pylist()) == {"client-0", "client-1", "client-2"}
    puts = [
        record.operations.filter(pc.equal(record.operations["kind"], "put")) for record in records
    ]
    keys = [sorted(put["key"].to_pylist()) for put in puts]
    assert keys[0] == keys[1]
    assert puts[0].num_rows >= 5 * pc.sum(pc.equal(one.requests["kind"], "flush")).as_py()
    assert set(one.operations["attempt"].to_pylist()) == {1}
    for record in records:
        starts = (
            record.requests["intended_start"].cast("int64").to_numpy() - record.started_ns
        ) / 1e9
        assert starts == pytest.approx(
            phase.arrivals.intended_s if phase.arrivals else [], abs=1e-6
        )
        assert np.all(seconds(record, "start", "intended_start") >= 0)
        assert (record.stopped_early, record.lost_workers) == (None, 0)
    names = set(three.resources["process"].to_pylist())
    assert names == {"master", "server", "client-0", "client-1", "client-2", "idle", "others"}
    assert (
        pc.max(one.resources.filter(pc.equal(one.resources["process"], "server"))["cpu_s"]).as_py()
        > 0
    )
    assert pc.max(one.resources["connections"]).as_py() >= 1


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("guess", "per_s"), [("CLOSED_FLUSHES_PER_S", 1.0), ("USER_FLUSHES_PER_S", 0.25)]
)
def test_a_closed_phase_goes_again_when_its_batches_run_out(
    guess: str, per_s: float, clean_lake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"sim.load.engine.{guess}", per_s)
    with Batches(tmp_path / "few", small(), 7, CADENCE, 1e9) as few:
        engine = LocustEngine(settings(clean_lake, tmp_path, users=4), few)
        record = engine.run(Phase("sweep-4", None, 4, 4.0))
    assert set(outcomes(record)) == {"ok"}
    last_s = float(pc.max(record.requests["end"]).cast("int64").as_py() - record.started_ns) / 1e9
    assert last_s > 3.8  # to its end, not to the end of its batches
    assert few.ready > 2
    assert engine.records == [record]
    for node in range(COUNT):
        mine = record.requests.filter(pc.equal(record.requests["node"], node)).sort_by("start")
        starts, ends = mine["start"].cast("int64").to_numpy(), mine["end"].cast("int64").to_numpy()
        assert np.all(starts[1:] >= ends[:-1])


class Moment:
    """Progress callback of an engine that acts once, after `done` requests."""

    def __init__(self, done: int, what: Callable[[], None]) -> None:
        self._done, self._what = done, what

    def __call__(self, phase: Phase, progress: PhaseProgress) -> None:
        if progress.done >= self._done:
            self._done = 1 << 60
            self._what()


def freeze(pid: int, for_s: float, times_ns: list[int]) -> None:
    """Suspend a process and its children for `for_s`. A thread resumes them.

    `times_ns`: begin and end are appended, ns since 1970.
    """
    tree = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for process in tree:
        process.suspend()
    times_ns.append(time.time_ns())

    def thaw() -> None:
        for process in tree:
            process.resume()
        times_ns.append(time.time_ns())

    threading.Timer(for_s, thaw).start()


def expected_latency_s(
    intended: np.ndarray, service_s: float, frozen: tuple[float, float]
) -> np.ndarray:
    """Return the latency of each arrival at one server that is frozen for a while.

    First come, first served, computed by hand.
    """
    free, found = 0.0, []
    for at in intended:
        begin = max(at, free)
        begin = frozen[1] if frozen[0] <= begin < frozen[1] else begin
        free = begin + service_s
        found.append(free - at)
    return np.array(found)


@pytest.mark.parametrize(
    ("freeze_s", "for_s", "rate"),
    [(1.5, 8.0, 15.0), pytest.param(3.0, 20.0, 10.0, marks=pytest.mark.campaign)],
)
def test_a_frozen_server_shows_in_the_percentiles(
    batches: Batches, clean_lake: str, tmp_path: Path, freeze_s: float, for_s: float, rate: float
) -> None:
    pid = server_at(clean_lake)
    assert pid is not None
    times_ns: list[int] = []
    moment = Moment(round(rate * for_s / 4), lambda: freeze(pid, freeze_s, times_ns))
    phase = constant(rate, for_s)
    engine = LocustEngine(
        replace(settings(clean_lake, tmp_path, users=4), progress=moment), batches
    )
    record = engine.run(phase)
    assert outcomes(record) == {"ok": round(rate * for_s)}
    latency, service = seconds(record, "end", "intended_start"), seconds(record, "end", "start")
    assert phase.arrivals is not None
    begin, end = ((ns - record.started_ns) / 1e9 for ns in times_ns)
    wanted = expected_latency_s(phase.arrivals.intended_s, float(np.median(service)), (begin, end))
    least = np.clip(end - phase.arrivals.intended_s, 0, None)
    # a request that arrived during the freeze waited at least until its end
    least[phase.arrivals.intended_s < begin] = 0
    p95, low, high = (float(np.quantile(values, 0.95)) for values in (latency, least, wanted))
    # uniform arrivals: the longest waits of all
    assert low == pytest.approx(freeze_s - 0.05 * for_s, abs=0.15)
    assert 0.95 * low <= p95 <= 1.25 * high + 0.1
    # every arrival of the first half waited
    assert np.sum(latency > freeze_s / 2) >= 0.8 * rate * freeze_s / 2
    # a generator that waits with its users would report this figure
    assert np.quantile(service, 0.95) < p95 / 2


def test_a_broken_condition_ends_a_phase_early(
    batches: Batches, clean_lake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine's clock is set an hour ahead in between, which changes nothing."""
    pid = server_at(clean_lake)
    assert pid is not None
    times_ns: list[int] = []
    real = time.time_ns

    def set_the_clock() -> None:
        monkeypatch.setattr(time, "time_ns", lambda: real() + 3_600_000_000_000)
        freeze(pid, 2.5, times_ns)

    phase = replace(constant(20, 30), stop_when=(parse("latency.flush.p50 > 300ms"),))
    engine = LocustEngine(
        replace(settings(clean_lake, tmp_path), progress=Moment(10, set_the_clock)), batches
    )
    begun = time.monotonic()
    record = engine.run(phase)
    assert time.monotonic() - begun < 25
    assert record.stopped_early is not None
    assert record.stopped_early.startswith("latency.flush.p50 > 300ms (over the last 10 s")
    found = outcomes(record)
    assert found["not-made"] > 400
    assert found["abandoned"] >= 1
    assert sum(found.values()) == 600
    sampled_s = (record.resources["time"].cast("int64").to_numpy() - record.started_ns) / 1e9
    assert 0.5 < sampled_s.max() < 25  # the clock was set when ten were done, at 20 a second
    time.sleep(max(0.0, 2.6 - (time.time_ns() - times_ns[0]) / 1e9))
    engine.close()
    assert lake.first_object(clean_lake) is None


def test_limits_end_a_phase(batches: Batches, clean_lake: str, tmp_path: Path) -> None:
    limited = replace(settings(clean_lake, tmp_path), limits=replace(LIMITS, bytes=300_000))
    record = LocustEngine(limited, batches).run(constant(20, 10))
    assert record.stopped_early is not None
    assert record.stopped_early.startswith("load.limits.bytes: 0 MB")
    assert outcomes(record)["not-made"] > 50


def test_a_worker_that_dies_is_reported_and_its_requests_are_counted(
    batches: Batches, clean_lake: str, tmp_path: Path
) -> None:
    folder = tmp_path / "phases"

    def kill() -> None:
        pid = int((folder / "001-1-constant" / "client-1.pid").read_text())
        os.kill(pid, signal.SIGKILL)

    phase = constant(20, 6)
    engine = LocustEngine(
        replace(settings(clean_lake, folder, users=8, processes=2), progress=Moment(20, kill)),
        batches,
    )
    record = engine.run(phase)
    assert record.lost_workers == 1
    found = outcomes(record)
    assert sum(found.values()) == 120
    assert found["not-made"] >= 20
    theirs = record.requests.filter(pc.equal(record.requests["outcome"], "not-made"))
    assert set(np.asarray(theirs["node"]) % 2) == {1}  # client-1's nodes, and no other's
    kept = record.requests.filter(pc.equal(record.requests["worker"], "client-1"))
    assert kept.num_rows >= 5  # its work until then is known
    assert lake.first_object(clean_lake) is None


def test_a_target_that_dies_ends_the_test_with_one_message(
    batches: Batches, tmp_path: Path
) -> None:
    with EmbeddedLocalStack() as store:
        lake.ensure(store.endpoint_url)
        wanted = settings(store.endpoint_url, tmp_path)
        engine = LocustEngine(
            replace(wanted, progress=Moment(10, lambda: os.kill(store.pid, signal.SIGKILL))),
            batches,
        )
        with pytest.raises(TargetGone, match="takes no connections"):
            engine.run(constant(20, 30))
        assert outcomes(engine.records[0])["ok"] >= 10
        assert outcomes(engine.records[0])["unavailable"] >= 1
        with pytest.raises(TargetError, match="stopped unexpectedly"):
            store.require_alive()


def test_a_target_that_was_never_there(batches: Batches, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="takes no connections"):
        LocustEngine(settings("http://127.0.0.1:9", tmp_path), batches).run(constant(20, 30))


def test_ctrl_c_keeps_what_was_done(batches: Batches, clean_lake: str, tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    engine = LocustEngine(
        replace(settings(clean_lake, tmp_path, processes=2), progress=Moment(15, interrupt)),
        batches,
    )
    mine = {child.pid for child in psutil.Process().children(recursive=True)}
    with pytest.raises(KeyboardInterrupt):
        engine.run(constant(20, 30))
    engine.close()
    (record,) = engine.records
    assert record.stopped_early == "interrupted"
    assert outcomes(record)["ok"] >= 15
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= mine
    assert lake.first_object(clean_lake) is None


# the generator


def test_a_generator_is_calibrated_before_a_null_store(batches: Batches, tmp_path: Path) -> None:
    found = calibration.calibrate(settings("", tmp_path, MIX), batches)
    assert found.per_s > 20
    assert 0.0002 < found.cpu_s < 0.2


@pytest.mark.parametrize(
    ("rates", "cpu_s", "tries", "slow"),
    [
        ((900, 1), 0.001, 1, False),
        ((32, 300), 0.001, 2, False),
        ((32, 32, 32), 0.001, 3, True),
        ((32,), 0.1, 1, True),
    ],
)
def test_a_calibration_that_was_disturbed_comes_again(
    monkeypatch: pytest.MonkeyPatch, rates: tuple[float, ...], cpu_s: float, tries: int, slow: bool
) -> None:
    made = iter(rates)
    calls: list[float] = []

    def calibrate(settings: EngineSettings, batches: Batches) -> calibration.Generator:
        calls.append(next(made))
        return calibration.Generator(calls[-1], cpu_s)

    monkeypatch.setattr(calibration, "calibrate", calibrate)
    entry = Entry("constant", 10.0, rate_per_s=100.0)
    load = Load(FLUSH, None, False, 64, 1, 0.0, (entry,), None, None, (), LIMITS)
    found, why = calibration.check_generator(None, None, load, NODES)  # type: ignore[arg-type]
    assert (len(calls), found.per_s, why is not None) == (tries, max(calls), slow)


def requests_of(
    intended: list[float], start: list[float], end: list[float], node: list[int]
) -> pa.Table:
    rows = np.zeros(len(intended), dtype=journal.ROW)
    for name, values in (("intended", intended), ("start", start), ("end", end)):
        rows[name] = (10 + np.array(values)) * 1e9
    rows["node"], rows["number"] = node, np.arange(len(node))
    made = Arrivals(
        np.array(intended), np.zeros(len(node), dtype=np.int8), np.array(node, dtype=np.int32)
    )
    return journal.requests(Phase("1-constant", made, None, 10.0), 10_000_000_000, {0: rows})


def test_lateness_is_the_generators_own_only_while_a_user_is_free() -> None:
    busy = requests_of([0, 0.1, 0.2], [0, 1.0, 2.0], [1.0, 2.0, 3.0], [0, 1, 2])
    # one user: the others wait for the target
    assert calibration.own_late_s(busy, 1).tolist() == [0.0]
    assert calibration.own_late_s(busy, 2).tolist() == pytest.approx([0.0, 0.9])
    assert calibration.own_late_s(busy, 3).tolist() == pytest.approx([0.0, 0.9, 1.8])
    same = requests_of([0, 0.1], [0, 1.0], [1.0, 2.0], [5, 5])
    assert calibration.own_late_s(same, 8).tolist() == [0.0]  # a node's flushes wait for each other


@pytest.mark.parametrize(
    ("late_s", "service_s", "times_ns"), [(0.01, 0.02, False), (0.2, 0.02, True), (0.2, 5.0, False)]
)
def test_lateness_is_reported_when_large_and_a_large_part_of_the_latency(
    late_s: float, service_s: float, times_ns: bool
) -> None:
    due = np.arange(50.0) * 10
    table = requests_of(
        due.tolist(), (due + late_s).tolist(), (due + late_s + service_s).tolist(), list(range(50))
    )
    phase = Phase(
        "1-constant",
        Arrivals(due, np.zeros(50, np.int8), np.arange(50, dtype=np.int32)),
        None,
        500.0,
    )
    record = PhaseRecord(phase, table, pa.table({}), pa.table({}), 10_000_000_000)
    assert (calibration.late_by_itself([record], 4, 1) is not None) == times_ns


@pytest.mark.campaign
def test_a_generator_that_is_late_by_itself_is_detected(
    batches: Batches, clean_lake: str, tmp_path: Path
) -> None:
    folder, stop = tmp_path / "phases", threading.Event()

    def slow_down() -> None:
        pid = psutil.Process(int((folder / "001-1-constant" / "client-0.pid").read_text()))

        def stutter() -> None:
            with contextlib.suppress(psutil.NoSuchProcess):
                while not stop.is_set():
                    pid.suspend()
                    time.sleep(0.25)
                    pid.resume()
                    time.sleep(0.25)

        threading.Thread(target=stutter, daemon=True).start()

    slowed = replace(settings(clean_lake, folder, users=16), progress=Moment(1, slow_down))
    try:
        record = LocustEngine(slowed, batches).run(constant(15, 4))
    finally:
        stop.set()
    message = calibration.late_by_itself([record], 16, 1)
    assert message is not None
    assert "though users were free" in message
    calm = LocustEngine(settings(clean_lake, tmp_path / "calm", users=16), batches).run(
        constant(15, 4)
    )
    assert calibration.late_by_itself([calm], 16, 1) is None


# watching


def test_progress_counts_requests_that_wait() -> None:
    count = 200
    made = Arrivals(
        np.arange(count) / 20, np.zeros(count, np.int8), (np.arange(count) % 8).astype(np.int32)
    )
    phase = Phase("1-constant", made, None, 10.0, stop_when=(parse("errors.share > 5%"),))
    progress, second = PhaseProgress(phase, 0), 1_000_000_000
    rows = np.zeros(40, dtype=journal.ROW)
    rows["number"], rows["intended"] = np.arange(40), np.arange(40) * second // 20
    rows["start"], rows["end"] = rows["intended"] + 1000, rows["intended"] + second // 100
    progress.feed(rows)
    seen = progress.window(2 * second)
    assert seen["latency.flush.p95"] == pytest.approx(0.01, rel=0.1)
    assert seen["load.backlog.max"] == 1
    stalled = progress.window(4 * second)  # nothing has ended for two seconds, and 40 more are due
    assert stalled["latency.flush.p95"] > 1.5
    assert stalled["load.backlog.max"] == 41
    assert progress.stop_reason(4 * second) is None
    rows["outcome"] = 1
    rows["number"] += 40
    rows["end"] += 2 * second
    progress.feed(rows)
    assert (progress.done, progress.failed, progress.failed_in_a_row) == (80, 40, 40)
    assert (progress.stop_reason(4 * second) or "").startswith("errors.share > 5%")


@pytest.mark.parametrize("users", [None, 30])
def test_progress_shows_a_store_that_never_answers(users: int | None) -> None:
    """Nothing has ended since the first moment: all due requests are under way."""
    second = 1_000_000_000
    made = (
        None
        if users
        else Arrivals(np.arange(30) / 100, np.zeros(30, np.int8), np.arange(30, dtype=np.int32))
    )
    progress = PhaseProgress(
        Phase("1-x", made, users, 10.0, stop_when=(parse("latency.flush.p50 > 1s"),)), 0
    )
    rows = np.zeros(30, dtype=journal.ROW)
    rows["number"], rows["outcome"] = np.arange(30), journal.ABANDONED
    rows["intended"] = rows["start"] = np.arange(30) * second // 100
    progress.feed(rows)
    seen = progress.window(2 * second)
    assert seen["errors.share"] == seen["load.late.p99"] == seen["load.backlog.max"] == 0
    assert seen["latency.flush.p50"] == seen["service.flush.p50"] == pytest.approx(1.855)
    assert (progress.stop_reason(2 * second) or "").startswith("latency.flush.p50 > 1s")
    rows["outcome"], rows["end"] = 0, 3 * second
    progress.feed(rows)
    assert progress.window(4 * second)["latency.flush.p50"] == pytest.approx(2.855)


def test_journals_survive_and_the_later_row_counts(tmp_path: Path) -> None:
    append = journal.Journal(tmp_path, 0).append
    started = Request(number=4, kind=0, node=9, intended=100, start=110)
    append(started)
    append(Request(number=2, kind=0, node=7, intended=90, start=95))
    append(started._replace(end=130, outcome=0, size=5, objects=6, rows=7))
    made = Arrivals(np.arange(6) / 1e9, np.zeros(6, np.int8), np.arange(6, dtype=np.int32))
    table = journal.requests(
        Phase("1-constant", made, None, 1.0), 0, {0: journal.read(tmp_path, 0)}
    )
    by_number = {
        row["number"]: row for row in table.drop(["intended_start", "start", "end"]).to_pylist()
    }
    assert len(by_number) == table.num_rows == 6
    assert by_number[4] == {
        "phase": "1-constant",
        "kind": "flush",
        "node": 9,
        "bytes": 5,
        "objects": 6,
        "rows": 7,
    } | {
        "outcome": "ok",
        "worker": "client-0",
        "number": 4,
    }
    assert by_number[2]["outcome"] == "abandoned"
    assert {by_number[n]["outcome"] for n in (0, 1, 3, 5)} == {"not-made"}
    assert table.filter(pc.equal(table["number"], 2))["end"][0].as_py() is None
    assert len(REQUEST_KINDS) == 4
    assert SEEDED >= COUNT
