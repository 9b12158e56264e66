"""Schedules: one line of text describes one run's faults; injections follow from line and call."""

from __future__ import annotations

import pytest

from pipeline.ports import Conflict, NotFound, Refused, Unavailable
from sim.campaign.faulty_store import FaultyStore
from sim.campaign.memory_store import MemoryStore
from sim.campaign.schedule import FiredFault, Line, PlannedInjection, Schedule, expanded, parse
from sim.chaos.call import point_of
from sim.chaos.faults import KINDS, OFFLINE, Crash, Fault
from sim.errors import ScheduleError
from sim.model.clock import flush_samples

BUCKET = "expanso-databricks-"
DATA, METADATA, CHECKPOINTS = BUCKET + "ingestion", BUCKET + "metadata", BUCKET + "checkpoints"


class Now:
    s = 0.0


def faulty(text: str, farm: str = "A") -> tuple[FaultyStore, MemoryStore, Schedule, Now]:
    inner, schedule, now = MemoryStore(), Schedule(parse(text)), Now()
    return FaultyStore(inner, schedule, lambda: now.s, farm), inner, schedule, now


@pytest.mark.parametrize(
    "text",
    [
        "attempts=1 down=0 seed=0",
        "attempts=4 down=2 seed=9 node.crash/after#37 node.crash#1 node.second-writer#12",
        "attempts=1 down=0 seed=7 store.error%0.05@data,before-manifest*3 store.late-commit%1.0",
        (
            "attempts=1 down=0 seed=7 store.outage[600+300] store.outage[0+6]@data "
            "bucket.refuses[0+9.5]=data,metadata"
        ),
        "attempts=1 down=0 seed=7 farm.uplink[60+3]=A,B node.offline[0+1200]%0.5",
    ],
)
def test_parsing_inverts_printing(text: str) -> None:
    assert str(parse(text)) == text
    assert parse(str(parse(text))) == parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("node.crush#3", "node.crush#3"),
        ("node.crash", "#number or %share"),
        ("store.outage#x", "store.outage#x"),
        ("store.outage%0.5", r"\[from\+for\]"),
        ("node.offline#4", "no window"),
        ("store.error%0.1@somewhere", "somewhere"),
        ("attempts=0", "attempts"),
        ("node.crash#0", "numbered from 1"),
        ("store.error%2", "at most 1"),
        ("store.error%0", "more than 0"),
        ("store.error%e", "'e' is not a number"),
        ("store.outage[1.2.3+4]", "'1.2.3' is not a number"),
        ("store.error/after#3", "/after is for node.crash"),
        ("node.crash/after%0.5", "@after-data"),
        ("node.crash#3@data", "no window, share or place"),
        ("node.crash#3*2", "no window, share or place"),
    ],
)
def test_an_invalid_schedule_is_reported(text: str, said: str) -> None:
    with pytest.raises(ScheduleError, match=said):
        parse(text)


def test_a_numbered_fault_fires_once_at_the_first_applicable_call() -> None:
    store, inner, schedule, _ = faulty("store.ack-lost#2")
    store.create(DATA, "a", b"1")
    with pytest.raises(NotFound):
        store.get(CHECKPOINTS, "c")  # call 2, but no write
    with pytest.raises(Unavailable):
        store.create(METADATA, "m", b"1")
    store.create(DATA, "b", b"1")
    assert {key for _, key in inner.objects} == {"a", "m", "b"}
    assert schedule.fired == [FiredFault("store.ack-lost", False, 3, "manifest")]


def test_a_fault_before_a_call_prevents_its_effect_and_one_after_does_not() -> None:
    for text, there in (
        ("node.crash#1", False),
        ("node.crash/after#1", True),
        ("store.error#1", False),
        ("store.ack-lost#1", True),
        ("store.late-commit#1", False),
        ("bucket.refuses#1", False),
        ("store.conflict#1", False),
        ("store.precondition#1", False),
    ):
        store, inner, schedule, _ = faulty(text)
        with pytest.raises((Crash, Unavailable, Refused, Exception)):
            store.create(DATA, "a", b"1")
        assert bool(inner.objects) == there, text
        assert len(schedule.fired) == 1


def test_a_late_commit_arrives_later_and_yields_to_newer_data() -> None:
    store, inner, _, _ = faulty("store.late-commit#2 store.late-commit#3")
    etag = store.create(CHECKPOINTS, "c", b"1")
    with pytest.raises(Unavailable):
        store.replace(CHECKPOINTS, "c", b"2", etag)
    with pytest.raises(Unavailable):
        store.create(DATA, "a", b"old")
    store.replace(CHECKPOINTS, "c", b"3", etag)
    assert (DATA, "a") not in inner.objects
    store.settle()
    assert inner.objects == {(CHECKPOINTS, "c"): b"3", (DATA, "a"): b"old"}


def test_a_late_commit_arrives_within_a_bounded_number_of_calls() -> None:
    store, inner, _, _ = faulty("store.late-commit#1")
    with pytest.raises(Unavailable):
        store.create(DATA, "a", b"old")
    for _ in range(61):
        store.list(DATA, "x/", "")
    assert inner.objects == {(DATA, "a"): b"old"}


def test_shares_depend_on_the_call_and_not_on_the_order() -> None:
    def injected(keys: list[str]) -> set[str]:
        store, _, schedule, _ = faulty("seed=5 store.error%0.3")
        out = set()
        for key in keys:
            try:
                store.create(DATA, key, b"1")
            except Unavailable:
                out.add(key)
        assert len(schedule.fired) == len(out)
        return out

    keys = [f"k{i}" for i in range(400)]
    assert injected(keys) == injected(keys[::-1])
    assert 80 < len(injected(keys)) < 160


def test_windows_buckets_farms_points_and_counts_limit_a_fault() -> None:
    store, _, schedule, now = faulty(
        "bucket.refuses[10+10]=metadata farm.uplink[30+10]=A store.outage[50+10]@manifest"
    )
    for now.s, key, bucket, error in (
        (5, "a", METADATA, None),
        (10, "b", DATA, None),
        (19, "c", METADATA, Refused),
        (20, "d", METADATA, None),
        (30, "e", DATA, Unavailable),
        (55, "f", DATA, None),
        (55, "g", METADATA, Unavailable),
        (60, "h", METADATA, None),
    ):
        if error is None:
            store.create(bucket, key, b"1")
        else:
            with pytest.raises(error):
                store.create(bucket, key, b"1")
    assert [fired.kind for fired in schedule.fired] == [
        "bucket.refuses",
        "farm.uplink",
        "store.outage",
    ]
    other, _, _, now = faulty("farm.uplink[0+10]=A", farm="B")
    other.create(DATA, "a", b"1")
    store, _, schedule, _ = faulty("store.error%1*2")
    for _ in range(2):
        with pytest.raises(Unavailable):
            store.get(DATA, "a")
    with pytest.raises(NotFound):
        store.get(DATA, "a")


def test_a_healed_schedule_injects_no_faults() -> None:
    store, _, schedule, _ = faulty("store.error%1 node.offline[0+100]")
    assert schedule.node_fault([OFFLINE], "A-001", 5.0) == OFFLINE
    schedule.faults_ended = True
    store.create(DATA, "a", b"1")
    assert schedule.node_fault([OFFLINE], "A-001", 5.0) is None


def test_conditional_writes_are_refused_as_if_the_object_existed() -> None:
    store, inner, _, _ = faulty("store.precondition#2")
    etag = store.create(CHECKPOINTS, "c", b"1")
    with pytest.raises(Conflict):
        store.replace(CHECKPOINTS, "c", b"2", etag)
    assert inner.objects[CHECKPOINTS, "c"] == b"1"


def test_an_enumerated_schedule_hits_the_same_calls() -> None:
    line = Line(
        (
            PlannedInjection("node.crash", 3, True),
            Fault("store.error", share=0.5),
            Fault("node.offline", for_s=9.0),
        ),
        3,
    )
    fired = [
        FiredFault("store.error", False, 2, "data"),
        FiredFault("node.crash", True, 3, "data"),
        FiredFault("node.offline", False, 3, ""),
    ]
    assert expanded(line, fired).items == (
        line.items[2],
        PlannedInjection("store.error", 2),
        PlannedInjection("node.crash", 3, True),
    )


def test_points_of_calls() -> None:
    assert point_of("get", "checkpoints") == "recover"
    assert point_of("create", "checkpoints") == point_of("replace", "checkpoints") == "checkpoint"
    assert point_of("get", "metadata") == point_of("create", "metadata") == "manifest"
    assert point_of("create", "enriched") == "data"
    assert point_of("list", "validated") == point_of("get", "validated") == "history"
    assert {point for kind in KINDS.values() for point in kind.points} >= {"recover", "history"}


def test_flushes_are_at_the_first_sample_after_each_boundary_except_the_last() -> None:
    minute = 60_000_000
    assert flush_samples(0, minute, 31, 10 * minute).tolist() == [
        11,
        21,
    ]  # the 31st row is at 30m: for the drain
    assert flush_samples(0, minute, 32, 10 * minute).tolist() == [11, 21, 31]
    assert flush_samples(5 * minute + 1, minute, 32, 10 * minute).tolist() == [6, 16, 26]
    assert flush_samples(0, minute, 5, 10 * minute).tolist() == []
    assert flush_samples(0, 25 * minute, 5, 10 * minute).tolist() == [
        2,
        3,
        4,
    ]  # a flush shorter than a sample
