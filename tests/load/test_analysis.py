"""Figures from raw records: percentiles after a stall, sweeps, searches, and the limit.

The store is arithmetic (`load_world`), so the correct result is known.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sim.load import arrivals
from sim.load.analysis import figures, sweep
from sim.load.analysis.search import HOLDS, STEPS_MAX, Searcher, judge
from sim.load.arrivals import Nodes
from sim.load.outline import plan_lines
from sim.load.phase import RESOURCES, Phase, PhaseRecord
from sim.load.phases import Course
from sim.load.result import decide
from sim.load_schedule import Entry, Limits, Load, RequestKind, Search, Sweep
from sim.measure import bottleneck, requests
from sim.measure.loadtest import LoadTest, PhaseSummary, SearchFound
from sim.measure.thresholds import Outcome, parse
from sim.report.load import charts
from tests.support.load_world import QueueEngine

NODES = Nodes(200, 60.0)
FLUSH: tuple[tuple[RequestKind, float], ...] = (("flush", 1.0),)
P95 = "latency.flush.p95"


def constant(rate: float, seconds: float, name: str = "1-constant") -> Phase:
    return Phase(name, arrivals.constant(rate, seconds, name, FLUSH, NODES, 7), None, seconds)


def test_a_frozen_server_shows_in_the_true_percentile() -> None:
    """3 s of 20 s frozen at 20 requests/s: 60 requests wait 3, 2.95, ... s.

    The p95 of 400 requests is the 20th longest wait.
    """
    engine = QueueEngine(capacity_per_s=1000, noise=0.01, frozen=(8.0, 3.0))
    found = figures.of([engine.run(constant(20, 20))])
    waits = np.sort(11.0 - (np.arange(160, 220) + 0.5) / 20)[::-1]
    assert found[P95] == pytest.approx(waits[19], rel=0.03)
    assert found["latency.flush.p50"] < 0.01
    assert found["load.requests"] == 400


def test_closed_users_hide_the_same_stall() -> None:
    """Reason for an open schedule: a closed one hides the stall.

    Four users wait through it with one request each, and the percentile does not change.
    """
    engine = QueueEngine(capacity_per_s=1000, noise=0.01, think_s=0.2, frozen=(8.0, 3.0))
    found = figures.of([engine.run(Phase("sweep-4", None, 4, 20.0))])
    assert found[P95] < 0.25


def test_latency_counts_from_the_intended_start_and_service_does_not() -> None:
    record = QueueEngine(capacity_per_s=10, noise=0.01, users=1).run(constant(20, 10))
    found = figures.of([record])
    assert found["service.flush.p95"] < 0.2
    assert found[P95] > 3
    assert found["load.late.p99"] > 3
    assert found["load.backlog.max"] == pytest.approx(100, abs=4)
    assert found["load.backlog.end"] == pytest.approx(100, abs=4)


def test_backlog_is_the_requests_due_and_not_started() -> None:
    record = QueueEngine(capacity_per_s=10, noise=0.01, users=1).run(constant(20, 10))
    made = figures.part(record).requests
    assert requests.backlog(
        made, np.array([-1.0, 5.0, 10.0, 15.0, 25.0])
    ).tolist() == pytest.approx([0, 50, 100, 50, 0], abs=3)


def test_requests_that_still_wait_at_an_early_stop_count_with_their_wait() -> None:
    """A server that takes a second each, 20/s for 20 s: most requests never get an answer."""
    record = QueueEngine(capacity_per_s=1, noise=0.01, users=8).run(constant(20, 20))
    outcomes = pc.unique(record.requests["outcome"]).to_pylist()
    assert {"ok", "abandoned", "not-made"} <= set(outcomes)
    found = figures.of([record])
    assert found["latency.flush.p50"] > 25
    assert found["load.not_made"] > 300
    assert found["load.requests"] < 60


def given_up() -> PhaseRecord:
    """Phase frozen from 5 s and stopped at 9 s: no request started or ended in between."""
    done = QueueEngine(capacity_per_s=100, users=4).run(constant(10.0, 20.0))
    table = done.requests
    rows = np.arange(table.num_rows)
    for name, kept in (("start", 54), ("end", 50)):
        at = table.column_names.index(name)
        column = pc.if_else(pa.array(rows < kept), table[name], pa.scalar(None, table[name].type))
        table = table.set_column(at, table.schema.field(name), column)
    outcome = np.where(rows < 50, "ok", np.where(rows < 54, "abandoned", "not-made"))
    table = table.set_column(table.column_names.index("outcome"), "outcome", pa.array(outcome))
    limit_ns = done.started_ns + 9_000_000_000
    sampled = done.resources.filter(
        pc.less_equal(done.resources["time"].cast(pa.int64()), limit_ns)
    )
    return replace(done, requests=table, resources=sampled, stopped_early="p95 > 3s")


def test_a_stall_that_stopped_a_phase_shows_in_its_figures() -> None:
    found = figures.of([given_up()])
    assert found["load.offered_per_s"] == pytest.approx(10, rel=0.05)
    assert found["latency.flush.p95"] == pytest.approx(3.5, abs=0.3)
    assert found["load.backlog.max"] == pytest.approx(36, abs=3)


def test_reports_count_a_stopped_phase_as_its_figures_do() -> None:
    record = given_up()
    stopped = figures.summary(record, "open")
    (lane,) = charts.lanes((stopped,), record.requests, record.resources)
    shown = requests.figures([lane.part])
    assert shown == {name: stopped.figures[name] for name in shown}
    assert (stopped.to_s, stopped.duration_s) == (pytest.approx(9.0, abs=1.0), 20.0)


def test_warm_up_is_left_out() -> None:
    engine = QueueEngine(capacity_per_s=1000, noise=0.01, frozen=(1.0, 3.0))
    record = engine.run(replace(constant(20, 20), warm_up_s=5.0))
    found = figures.of([record])
    assert found["latency.flush.p999"] < 0.05
    assert found["load.requests"] == 300
    assert found["load.offered_per_s"] == pytest.approx(20)


def test_errors_are_counted_and_not_achieved() -> None:
    found = figures.of([QueueEngine(capacity_per_s=200, errors=0.1).run(constant(50, 20))])
    assert found["errors.share"] == pytest.approx(0.1, abs=0.03)
    assert found["load.achieved_per_s"] == pytest.approx(50 * (1 - found["errors.share"]), rel=0.02)


def test_figures_of_phases_are_merged_exactly() -> None:
    """The p95 of two phases is that of one table of both, not a mean of two percentiles."""
    engine = QueueEngine(capacity_per_s=30, noise=0.2)
    records = [
        engine.run(constant(10, 10, "1-constant")),
        engine.run(constant(28, 10, "2-constant")),
    ]
    latency = np.concatenate([figures.part(record).requests.latency_s for record in records])
    found = figures.of(records)
    assert found[P95] == pytest.approx(np.quantile(latency, 0.95, method="inverted_cdf"), rel=1e-3)
    assert found["load.requests"] == 380


def test_drift_of_a_soak() -> None:
    level = QueueEngine(capacity_per_s=100, noise=0.2).run(constant(20, 40))
    rising = QueueEngine(capacity_per_s=18, noise=0.05).run(constant(20, 40))
    assert figures.of([level])["load.drift"] == pytest.approx(1.0, abs=0.15)
    assert figures.of([rising])["load.drift"] > 3


def levels(engine: QueueEngine, users: tuple[int, ...] = (1, 2, 3, 4, 8, 16)) -> list[PhaseRecord]:
    records: list[PhaseRecord] = []
    sweep.run(engine, Sweep(users, 10.0), 2.0, (), lambda: 1e9, records.append)
    return records


def test_a_sweep_finds_where_one_server_is_full() -> None:
    found = sweep.analyse(levels(QueueEngine(capacity_per_s=50, noise=0.1, think_s=0.04)), 7)
    assert [level.users for level in found.levels] == [1, 2, 3, 4, 8, 16]
    assert found.levels[-1].throughput == pytest.approx(50, rel=0.05)
    assert found.levels[0].throughput == pytest.approx(1 / 0.06, rel=0.05)
    assert found.saturation_users in (3, 4)
    assert "saturates at about" in found.said
    assert all(level.steady and level.littles_law_error < 0.05 for level in found.levels)
    assert found.fit is not None
    assert found.fit.peak_users is None


def test_littles_law_is_missed_by_an_incomplete_record() -> None:
    """Half of the requests are missing: throughput halves, response times stay."""
    records = levels(QueueEngine(capacity_per_s=50))
    thinned = [
        replace(r, requests=r.requests.filter(pa.array(np.arange(len(r.requests)) % 2 == 0)))
        for r in records
    ]
    found = sweep.analyse(thinned, 7)
    assert min(level.littles_law_error for level in found.levels) > 0.3
    assert "Little's law is missed" in found.said


def test_a_level_that_slows_down_is_not_steady() -> None:
    record = levels(QueueEngine(capacity_per_s=200, noise=0.1), (4,))[0]
    seconds = figures.part(record).requests.start_s
    kept = record.requests.filter(
        pa.array(np.random.default_rng(1).random(len(seconds)) > seconds / 14)
    )
    found = sweep.analyse([replace(record, requests=kept)], 7)
    assert not found.levels[0].steady
    assert "Not steady" in found.said


def test_a_sweep_ends_when_time_is_up_or_a_level_was_stopped() -> None:
    records: list[PhaseRecord] = []
    left = iter((25.0, 15.0, 5.0))
    sweep.run(QueueEngine(), Sweep((1, 2, 3, 4), 10.0), 2.0, (), lambda: next(left), records.append)
    assert [record.phase.users for record in records] == [1, 2]

    class Stopping(QueueEngine):
        def run(self, phase: Phase) -> PhaseRecord:
            return replace(super().run(phase), stopped_early="errors.share > 5%")

    records.clear()
    sweep.run(Stopping(), Sweep((1, 2, 3, 4), 10.0), 2.0, (), lambda: 1e9, records.append)
    assert len(records) == 1


SEARCH = Search((parse("latency.flush.p95 <= 500ms"),), 5.0, 400.0, 0.05, 10.0, 30.0)


def searcher(
    engine: QueueEngine, search: Search = SEARCH, left_s: float = 1e9, late: str | None = None
) -> Searcher:
    def schedule(rate: float, seconds: float, name: str) -> arrivals.Arrivals:
        return arrivals.constant(rate, seconds, name, FLUSH, NODES, 7)

    return Searcher(
        engine,
        search,
        2.0,
        64,
        (),
        schedule,
        lambda: left_s,
        lambda record: late,
        lambda record, hold: None,
    )


def test_two_searches_agree_within_a_tenth() -> None:
    found = [
        searcher(QueueEngine(capacity_per_s=40, think_s=0.05, wobble=0.015, seed=seed))
        .run()
        .sustainable
        for seed in range(10)
    ]
    assert None not in found
    rates = [rate for rate in found if rate is not None]
    assert max(rates) <= 1.1 * min(rates)
    # 40/s, less the cost of a queue near its limit
    assert np.mean(rates) == pytest.approx(39, rel=0.06)


def test_the_rate_found_is_confirmed_and_the_next_one_failed() -> None:
    engine = QueueEngine(capacity_per_s=40, think_s=0.05)
    one = searcher(engine)
    found = one.run(guess=20.0)
    assert found.steps[0].rate == 20.0
    hold = found.steps[-1]
    assert hold.hold
    assert hold.verdict == "pass"
    assert hold.rate == found.sustainable
    assert one.hold_record is not None
    assert one.hold_record.phase.duration_s == 30.0
    assert found.failed_at is not None
    assert found.failed_at <= 1.12 * hold.rate
    assert "held for 30 s" in found.said


def test_a_store_that_is_too_slow_at_any_rate() -> None:
    found = searcher(QueueEngine(capacity_per_s=3)).run()
    assert found.sustainable is None
    assert found.said == "Not even 5 requests/s keep the SLO."


def test_a_store_that_takes_the_highest_rate() -> None:
    found = searcher(QueueEngine(capacity_per_s=500), replace(SEARCH, to_per_s=60.0)).run()
    assert found.sustainable == 60.0
    assert found.failed_at is None
    assert "the store may take more" in found.said


def test_a_hold_that_fails_steps_down_a_bounded_number_of_times() -> None:
    class Tired(QueueEngine):
        """Store that serves a short try well, and a hold three times slower."""

        def run(self, phase: Phase) -> PhaseRecord:
            self.capacity_per_s = 13.0 if phase.duration_s >= 30 else 40.0
            return super().run(phase)

    found = searcher(Tired(think_s=0.05)).run()
    holds = [step for step in found.steps if step.hold]
    assert len(holds) == HOLDS
    assert [step.rate for step in holds] == sorted((step.rate for step in holds), reverse=True)
    assert found.sustainable is None
    assert "no rate held" in found.said


def test_a_search_out_of_time_confirms_nothing() -> None:
    found = searcher(QueueEngine(), left_s=9.0).run()
    assert found.sustainable is None
    assert "ran out of time" in found.said
    assert found.steps == ()


def test_a_late_generator_gives_no_verdict() -> None:
    found = searcher(
        QueueEngine(capacity_per_s=40, think_s=0.05), late="the generator was late"
    ).run()
    assert not [step for step in found.steps if step.verdict == "fail"]
    assert [step for step in found.steps if step.why == "the generator was late"]
    assert len(found.steps) <= STEPS_MAX


@pytest.mark.parametrize(
    ("engine", "rate", "verdict", "why"),
    [
        (QueueEngine(capacity_per_s=100), 20.0, "pass", "every SLO met"),
        (QueueEngine(capacity_per_s=15), 20.0, "fail", "not met: latency.flush.p95 <= 500ms"),
        (QueueEngine(capacity_per_s=100, errors=0.2), 20.0, "fail", "achieved"),
        (QueueEngine(capacity_per_s=100), 2.0, "unknown", "are too few for latency.flush.p95"),
    ],
)
def test_the_verdict_of_one_rate(engine: QueueEngine, rate: float, verdict: str, why: str) -> None:
    step = judge(engine.run(constant(rate, 20)), rate, SEARCH.slo, 64)
    assert (step.verdict, why in step.why) == (verdict, True), step


def test_a_lost_worker_is_no_verdict() -> None:
    record = replace(QueueEngine(capacity_per_s=100).run(constant(20, 20)), lost_workers=1)
    assert judge(record, 20.0, SEARCH.slo, 64).verdict == "unknown"


BUSY = {
    "load.achieved_per_s": 30.0,
    "load.late.p99": 0.5,
    "connections.max": 64.0,
    "cpu.server": 0.3,
    "cpu.client": 0.2,
}


@pytest.mark.parametrize(
    ("changed", "kept_up", "generator", "what"),
    [
        ({"cpu.server": 0.98, "cpu.client": 0.31}, False, 300.0, "server"),
        # a server of many threads: one core is no limit
        (
            {"cpu.server": 2.4},
            False,
            300.0,
            "concurrency",
        ),
        ({"cpu.client": 0.95}, False, 300.0, "generator"),
        ({}, False, 33.0, "generator"),
        ({}, True, 300.0, "nothing"),
        ({"cpu.idle": 0.02, "cpu.others": 1.2}, False, 300.0, "machine"),
        # a store that waits
        (
            {"cpu.idle": 0.02, "cpu.others": 1.9, "cpu.server": 0.01},
            False,
            300.0,
            "concurrency",
        ),
        # all cores at work for the test itself
        (
            {"cpu.idle": 0.02, "cpu.others": 0.1},
            False,
            300.0,
            "concurrency",
        ),
        ({"cpu.idle": 0.9, "cpu.others": 1.2}, False, 300.0, "concurrency"),
        ({}, False, 300.0, "concurrency"),
        ({"load.late.p99": 0.0}, False, 300.0, "unknown"),
        ({"connections.max": 12.0}, False, None, "unknown"),
    ],
)
def test_the_limit_is_named(
    changed: dict[str, float], kept_up: bool, generator: float | None, what: str
) -> None:
    assert bottleneck.find_limit(BUSY | changed, kept_up, 64, generator).what == what


def test_the_stores_core_is_reported_with_the_clients() -> None:
    found = bottleneck.find_limit(BUSY | {"cpu.server": 0.98, "cpu.client": 0.31}, False, 64, None)
    assert found.text == "The store: its one core is 98 % busy; the busiest client is at 31 %."


LOAD = Load(
    mix=FLUSH,
    batch_rows=None,
    encode_inside=False,
    users=64,
    processes=1,
    warm_up_s=2.0,
    schedule=(
        Entry("ramp", 20.0, from_per_s=5.0, to_per_s=60.0),
        Entry("constant", 10.0, rate_per_s=10.0),
    ),
    sweep=Sweep((1, 2, 3, 4), 8.0),
    search=replace(SEARCH, to_per_s=60.0),
    stop_when=(),
    limits=Limits(2000.0, 900.0, 4e9),
)


def test_a_course_runs_the_plan_in_order_and_knows_its_figures() -> None:
    course = Course(LOAD, 7, NODES, generator_per_s=400.0)
    course.run(QueueEngine(capacity_per_s=40, think_s=0.02), lambda: 1e9)
    names = [record.phase.name for record, _ in course.records]
    assert names[:6] == ["1-ramp", "2-constant", "sweep-1", "sweep-2", "sweep-3", "sweep-4"]
    assert names[6].startswith("search-")
    found = course.figures()
    assert found["load.peak_per_s"] == pytest.approx(40, rel=0.1)
    assert found["load.sustainable_per_s"] == pytest.approx(38, rel=0.1)
    # of the schedule, without its warm-up
    assert found["load.requests"] == pytest.approx(650 + 100, abs=70)
    assert found["cpu.server_per_operation"] == pytest.approx(1 / 40, rel=0.1)
    limit = course.limit()
    assert limit is not None
    assert limit.what == "server"


def test_one_request_at_the_edge_of_a_short_phase_is_no_sign_of_falling_behind() -> None:
    one_short = {"load.offered_per_s": 8.33, "load.achieved_per_s": 8.0, "load.errors": 0.0}
    assert bottleneck.kept_up(one_short, 3.0)
    assert not bottleneck.kept_up(one_short, 30.0)
    assert not bottleneck.kept_up(one_short | {"load.achieved_per_s": 7.0}, 3.0)
    # it failed, and is not under way
    assert not bottleneck.kept_up(one_short | {"load.errors": 1.0}, 3.0)


def test_a_short_phase_is_judged_by_its_samples() -> None:
    short = replace(
        LOAD, schedule=(Entry("constant", 4.0, rate_per_s=20.0),), sweep=None, search=None
    )
    course = Course(short, 7, NODES)
    course.run(QueueEngine(capacity_per_s=100), lambda: 1e9)
    limit = course.limit()
    assert limit is not None
    assert "the store's process is at" in limit.text


def test_a_standstill_is_named_and_a_slow_store_is_not_one() -> None:
    schedule = replace(
        LOAD, schedule=(Entry("constant", 20.0, rate_per_s=10.0),), sweep=None, search=None
    )
    course = Course(replace(schedule, users=4), 7, NODES)
    course.run(QueueEngine(capacity_per_s=50, users=4, frozen=(9.0, 3.0)), lambda: 1e9)
    limit = course.limit()
    assert limit is not None
    assert limit.text.startswith(
        "The store, or the connection to it, stood still: for 3.0 s no request ended"
    )
    assert course.figures()["load.standstill"] == pytest.approx(3.0, abs=0.15)
    slow = bottleneck.standstill(
        {"load.standstill": 1.6, "service.flush.p50": 1.5, "service.flush.p95": 0.1}
    )
    assert (slow, bottleneck.standstill({"load.standstill": 1.6, "service.flush.p50": 0.1})) == (
        0.0,
        1.6,
    )


@pytest.mark.parametrize(
    ("start", "end", "span", "stood"),
    [
        ([0.0, 0.1, 5.0], [1.0, 3.0, 5.5], (0.0, 10.0), 2.0),
        ([0.0, 6.0], [1.0, 6.5], (0.0, 10.0), 1.0),  # no request from 1 to 6
        ([0.0, 0.5], [1.0, np.nan], (0.0, 10.0), 7.0),  # stopped at 8
        ([0.0, 0.1], [1.0, 3.0], (0.0, 2.5), 1.5),
        ([np.nan], [np.nan], (0.0, 10.0), 0.0),
    ],
)
def test_a_standstill_needs_requests_under_way(
    start: list[float], end: list[float], span: tuple[float, float], stood: float
) -> None:
    m = len(start)
    kind, ok = np.full(m, "flush"), np.ones(m, dtype=bool)
    made = requests.Requests(
        kind, np.zeros(m), np.array(start), np.array(end), ok, np.zeros(m, np.int64), 8.0
    )
    assert requests.standstill_s(requests.Part(made, *span)) == pytest.approx(stood)


def test_a_store_is_not_blamed_for_a_generator_that_died() -> None:
    class Dying(QueueEngine):
        def run(self, phase: Phase) -> PhaseRecord:
            return replace(super().run(phase), lost_workers=1)

    course = Course(
        replace(
            LOAD, schedule=(Entry("constant", 10.0, rate_per_s=60.0),), sweep=None, search=None
        ),
        7,
        NODES,
    )
    course.run(Dying(), lambda: 1e9)
    limit = course.limit()
    assert limit is not None
    assert limit.text.startswith("Not known: 1 of the load generator's processes died")


def test_the_plan_lists_a_warm_up_only_if_there_is_one() -> None:
    ramp, herd = (
        Entry("ramp", 20.0, from_per_s=5.0, to_per_s=60.0),
        Entry("herd", 60.0, outage_s=900.0),
    )
    only = replace(LOAD, sweep=None, search=None)
    assert "2s of warm-up left out" in plan_lines(replace(only, schedule=(ramp,)))
    assert "2s of warm-up left out, except of a herd" in plan_lines(
        replace(only, schedule=(ramp, herd))
    )
    assert not any("warm-up" in line for line in plan_lines(replace(only, schedule=(herd,))))


def test_a_test_without_a_request_has_no_limit() -> None:
    empty = replace(
        LOAD,
        schedule=(Entry("constant", 0.4, rate_per_s=1.0),),
        sweep=None,
        search=None,
        warm_up_s=0.0,
    )
    course = Course(empty, 7, NODES)
    course.run(QueueEngine(), lambda: 1e9)
    assert course.limit() is None
    assert decide(course.test(), ()) == ("unknown", 6)


def test_a_backlog_that_drains_again_is_not_keeping_up() -> None:
    """A herd: all requests succeed in the end, and most wait for most of the time."""

    class Unseen(QueueEngine):
        """Store on another machine, whose process is not sampled."""

        def run(self, phase: Phase) -> PhaseRecord:
            return replace(super().run(phase), resources=RESOURCES.empty_table())

    nodes = Nodes(600, 900.0)
    herd = replace(
        LOAD,
        schedule=(Entry("herd", 60.0, outage_s=900.0),),
        sweep=None,
        search=None,
        warm_up_s=0.0,
    )
    course = Course(herd, 7, nodes)
    course.run(Unseen(capacity_per_s=30), lambda: 1e9)
    found, limit = course.figures(), course.limit()
    assert found["load.achieved_per_s"] >= 0.97 * found["load.offered_per_s"]
    assert found["load.backlog.end"] == 0
    assert limit is not None
    assert limit.what == "unknown"


def test_a_schedule_ends_with_a_phase_that_was_stopped() -> None:
    class Stopping(QueueEngine):
        def run(self, phase: Phase) -> PhaseRecord:
            return replace(super().run(phase), stopped_early="errors.share > 5%")

    course = Course(replace(LOAD, sweep=None, search=None), 7, NODES)
    course.run(Stopping(), lambda: 1e9)
    assert [record.phase.name for record, _ in course.records] == ["1-ramp"]
    assert course.test().notes == ("1 more phase of the schedule was not run.",)


def summary(**changed: object) -> PhaseSummary:
    made = PhaseSummary(
        "1-ramp", "open", 0, 20.0, 2.0, 20.0, 20.0, None, {"load.achieved_per_s": 20.0}
    )
    return replace(made, **changed)  # type: ignore[arg-type]


PASSED = Outcome("errors.share <= 1%", True, 0.0)
UNSUSTAINED = SearchFound(("latency.flush.p95 <= 500ms",), (), None, None, "ran out of time")


@pytest.mark.parametrize(
    ("test", "outcomes", "stopped_by", "verdict"),
    [
        (LoadTest((), (summary(),)), [PASSED], None, ("pass", 0)),
        (LoadTest(()), [PASSED], None, ("unknown", 6)),
        (LoadTest((), (summary(),)), [Outcome("x", False, 1.0)], None, ("fail", 4)),
        (LoadTest((), (summary(),)), [Outcome("x", None, None)], None, ("unknown", 6)),
        (LoadTest((), (summary(stopped_early="errors"),)), [PASSED], None, ("fail", 4)),
        (
            LoadTest((), (summary(kind="step", stopped_early="errors"),)),
            [PASSED],
            None,
            ("pass", 0),
        ),
        (LoadTest((), (summary(lost_workers=1),)), [PASSED], None, ("unknown", 6)),
        (LoadTest((), (summary(),), complete=False), [PASSED], None, ("unknown", 6)),
        (LoadTest((), (summary(),), search=UNSUSTAINED), [PASSED], None, ("unknown", 6)),
        (
            LoadTest((), (summary(),), limit=bottleneck.Limit("generator", "")),
            [Outcome("x", False, 1.0)],
            None,
            ("unknown", 7),
        ),
        (LoadTest((), (summary(),)), [PASSED], 130, ("unknown", 130)),
    ],
)
def test_the_verdict_of_a_test(
    test: LoadTest, outcomes: list[Outcome], stopped_by: int | None, verdict: tuple[str, int]
) -> None:
    assert decide(test, outcomes, stopped_by) == verdict
