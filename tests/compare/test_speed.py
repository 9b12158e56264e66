"""Speed of runs: finds a planted slowdown, clears equal runs, leaves noisy ones open."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from sim import cli
from sim.compare.command import compared
from sim.load.arrivals import Nodes
from sim.load.phases import Course
from sim.load.result import Circumstances, result
from sim.measure.slowdown import BLOCKS, LIMIT, Quantity, compare, overall, t_quantile
from sim.report.result import RESULT_FILE
from sim.report.write import REQUESTS_FILE
from sim.scenario import load
from sim.scenario.scenario import Scenario
from tests.support.load_world import QueueEngine, recorded

SCENARIO = """
schema_version: 1
name: {name}
seed: 7
fleet: {{preset: full, turbines: 50}}
clock: {{start: 2024-01-15T00:00:00Z, duration: 10m}}
pipeline: {{flush_every: 1m}}
load:
  warm_up: 1s
  schedule: [{schedule}]
  sweep: {{users: [1, 2, 4, 8], for: 6s}}
"""
SEARCH = """
schema_version: 1
name: search
seed: 7
fleet: {preset: full, turbines: 50}
clock: {start: 2024-01-15T00:00:00Z, duration: 10m}
pipeline: {flush_every: 1m}
load:
  warm_up: 2s
  search:
    {slo: [latency.flush.p95 <= 500ms], from: 20/s, to: 120/s, within: 10%, for: 12s, hold: 24s}
  limits: {time: 2h}
"""
NOT_OURS: Mapping[str, str] = {"store": "http://127.0.0.1:1"}
RAMP = "{kind: ramp, from: 10/s, to: 30/s, for: 31s}"


def scenario(folder: Path, name: str = "steady", schedule: str = RAMP) -> Scenario:
    path = folder / f"{name}.yaml"
    path.write_text(SCENARIO.format(name=name, schedule=schedule))
    return load(path)


def made(
    folder: Path, of: Scenario, engine: QueueEngine, store: Mapping[str, str] = NOT_OURS
) -> Path:
    """Return a run directory as `windfleet load` leaves it, on a store of arithmetic."""
    folder.mkdir()
    assert of.load is not None
    course = Course(of.load, of.seed, Nodes(of.fleet.turbines, of.pipeline.flush_every_s))
    recorded(folder, course, engine)
    (folder / RESULT_FILE).write_text(
        result(of, course, Circumstances("windfleet load x.yaml", store)).to_json()
    )
    return folder


def quantities(
    seed: int, slower: float, runs: int = 1, spread: float = 0.0, noise: float = 0.08
) -> list[Quantity]:
    """Three quantities with noise between spans and between runs.

    The new side is `slower` times worse.
    """
    random = np.random.default_rng(seed)

    def side(times: float) -> np.ndarray:
        between = spread * random.standard_normal((runs, 1))
        return np.asarray(times * np.exp(between + noise * random.standard_normal((runs, BLOCKS))))

    return [
        Quantity("rate", "requests/s", True, side(50.0), side(50.0 / slower)),
        Quantity("p50", "s", False, side(0.1), side(0.1 * slower)),
        Quantity("p95", "s", False, side(0.3), side(0.3 * slower), counts=False),
    ]


def verdicts(slower: float, seeds: int = 400, **changed: float) -> dict[str, float]:
    found = [
        overall(compare(quantities(seed, slower, **changed)))  # type: ignore[arg-type]
        for seed in range(seeds)
    ]
    return {verdict: found.count(verdict) / seeds for verdict in ("regression", "none", "unknown")}


def test_equal_runs_are_hardly_ever_accused() -> None:
    for changed in ({}, {"noise": 0.3}, {"runs": 3, "spread": 0.05}):
        assert verdicts(1.0, **changed)["regression"] <= 0.05


def test_at_the_limit_itself_one_in_twenty_is_accused_at_most() -> None:
    assert verdicts(1 + LIMIT)["regression"] <= 0.05
    assert verdicts(1 + LIMIT, runs=3, spread=0.05)["regression"] <= 0.05


def test_equal_runs_with_little_noise_are_cleared() -> None:
    assert verdicts(1.0, noise=0.03)["none"] > 0.95


def test_a_planted_slowdown_is_found() -> None:
    assert verdicts(1.3)["regression"] > 0.9
    assert verdicts(1.3, runs=3, spread=0.03)["regression"] > 0.9


def test_noise_leaves_the_verdict_open() -> None:
    found = verdicts(1.0, noise=0.5)
    assert found["unknown"] > 0.9


def test_a_quicker_run_is_no_regression() -> None:
    assert verdicts(0.7)["none"] > 0.99


def test_repeats_count_the_spread_between_runs() -> None:
    """Runs that differ by 20 % prove nothing about a tenth, however smooth each one is."""
    found = verdicts(1.3, runs=2, spread=0.2, noise=0.01)
    assert found["regression"] < 0.15


def test_a_trend_that_both_sides_share_cancels() -> None:
    ramp = np.linspace(1, 20, BLOCKS)[None, :]
    both = Quantity("rate", "requests/s", True, ramp, ramp * 1.001)
    assert compare([both])[0].verdict == "none"


def test_the_change_is_the_ratio_of_the_two_values_shown() -> None:
    base, new = np.ones((1, BLOCKS)), np.ones((1, BLOCKS))
    new[0, 0] = 100.0  # one span that an arithmetic mean would be full of
    (one,) = compare([Quantity("p50", "s", False, base, new)])
    assert one.new / one.base == pytest.approx(one.slowdown)


def test_an_uncounted_quantity_cannot_leave_a_verdict_open() -> None:
    wild = np.exp(np.random.default_rng(1).standard_normal((1, BLOCKS)))
    calm = np.ones((1, BLOCKS))
    sides = [
        Quantity("rate", "", True, calm, calm),
        Quantity("p95", "s", False, wild, wild[:, ::-1], counts=False),
    ]
    assert overall(compare(sides)) == "none"
    assert overall([]) == "unknown"


@pytest.mark.parametrize(
    ("doubt", "freedom", "value"),
    [
        (0.05, 1, 12.7062),
        (0.05, 2, 4.30265),
        (0.05, 4, 2.77645),
        (0.01, 9, 3.24984),
        (0.05, 30, 2.04227),
    ],
)
def test_students_t_equals_published_tables(doubt: float, freedom: float, value: float) -> None:
    assert t_quantile(doubt, freedom) == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize("side", [np.zeros((1, BLOCKS)), np.ones((1, 3)), np.ones((0, BLOCKS))])
def test_values_without_logarithm_or_spans_are_refused(side: np.ndarray) -> None:
    with pytest.raises(ValueError, match="more than 0"):
        compare([Quantity("rate", "", True, np.ones((1, BLOCKS)), side)])


def test_load_runs_are_compared_from_their_records(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of = scenario(tmp_path)
    base = made(tmp_path / "a", of, QueueEngine(capacity_per_s=60, think_s=0.02, seed=1))
    same = made(tmp_path / "b", of, QueueEngine(capacity_per_s=60, think_s=0.02, seed=2))
    slow = made(
        tmp_path / "c", of, QueueEngine(capacity_per_s=60 / 1.3, think_s=0.02 * 1.3, seed=3)
    )
    assert cli.main(["compare", str(base), str(same), "--limit", "15%"]) == 0
    assert "NO REGRESSION" in capsys.readouterr().out
    assert cli.main(["compare", str(base), str(slow)]) == 4
    printed = capsys.readouterr().out
    assert "REGRESSION" in printed
    assert "sweep: rate" in printed
    assert "one side has a single run" in printed
    assert re.search(r"sweep: rate .* \d+(\.\d)? % less +1\.\d\d to 1\.\d\d ", printed)
    # the other way round it is an improvement
    assert cli.main(["compare", str(slow), str(base)]) in (
        0,
        6,
    )
    # a second base shows the spread
    assert cli.main(["compare", f"{base},{same}", str(slow)]) in (
        4,
        6,
    )


def test_a_search_that_no_longer_finds_a_rate_is_a_regression(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "search.yaml"
    path.write_text(SEARCH)
    of = load(path)
    good, broken, worse = (
        made(tmp_path / name, of, QueueEngine(capacity_per_s=capacity, think_s=0.02))
        for name, capacity in (("a", 70.0), ("b", 15.0), ("c", 12.0))
    )
    assert cli.main(["compare", str(good), str(broken)]) == 4
    printed = capsys.readouterr().out
    assert re.search(r"load\.sustainable_per_s? .*\b0  no rate any more .*†", printed)
    assert "† from the brackets of the searches, not a 95 % interval" in printed
    assert cli.main(["compare", str(broken), str(worse)]) == 6  # neither has an answer
    # one run of two has none
    assert cli.main(["compare", str(good), f"{good},{broken}", "--limit", "20%"]) == 6
    assert cli.main(["compare", str(broken), str(good)]) == 0


def test_runs_that_cannot_be_compared_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of = scenario(tmp_path)
    base = made(tmp_path / "a", of, QueueEngine())
    other = made(tmp_path / "b", scenario(tmp_path, name="other"), QueueEngine())
    faster = made(
        tmp_path / "c", scenario(tmp_path, schedule=RAMP.replace("30/s", "40/s")), QueueEngine()
    )
    assert cli.main(["compare", str(base), str(other)]) == 2
    assert "is a load test of other, and" in capsys.readouterr().err
    assert cli.main(["compare", str(base), str(faster)]) == 2
    assert "phase 1-ramp has 620 requests in one run and 775 in another" in capsys.readouterr().err
    assert cli.main(["compare", str(base), str(tmp_path / "nowhere")]) == 2
    assert "is this a run directory?" in capsys.readouterr().err
    (base / REQUESTS_FILE).write_bytes(b"no parquet")
    assert cli.main(["compare", str(base), str(faster)]) == 2
    assert "requests.parquet: cannot be read" in capsys.readouterr().err
    (base / REQUESTS_FILE).unlink()
    assert cli.main(["compare", str(base), str(faster)]) == 2
    assert "requests.parquet: is missing; the run recorded nothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["a,", "b"], "single commas"),
        (["a", "b", "--limit", "50"], "'50' is 5,000 %, more than all; did you mean 50%?"),
    ],
)
def test_bad_arguments(
    arguments: list[str], printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["compare", *arguments])
    assert left.value.code == 2
    assert printed in capsys.readouterr().err


def test_different_gateways_of_localstack_are_named(tmp_path: Path) -> None:
    of = scenario(tmp_path)
    engine = QueueEngine(capacity_per_s=30, think_s=0.03, errors=0.0)
    kinds = ("short", "stock", "none, another store")
    stores = [{"store": "a", **({} if "none" in kind else {"gateway": kind})} for kind in kinds]
    made_runs = {
        kind: made(tmp_path / kind, of, engine, store)
        for kind, store in zip(kinds, stores, strict=True)
    }
    note = "the runs used different gateways of LocalStack: "
    for base in kinds:
        for new in kinds:
            found = compared([made_runs[base]], [made_runs[new]], LIMIT).notes
            named = [line for line in found if line.startswith(note)]
            assert named == ([] if base == new else [note + ", ".join(sorted((base, new)))])


def test_different_numbers_of_store_processes_are_named(tmp_path: Path) -> None:
    of = scenario(tmp_path)
    engine = QueueEngine(capacity_per_s=30, think_s=0.03, errors=0.0)
    stores = [{"gateway": "short"}, {"gateway": "short", "store_processes": "2"}]
    one, two = (
        made(tmp_path / str(number), of, engine, {"store": "a", **store})
        for number, store in enumerate(stores)
    )
    note = "the runs' LocalStacks had different numbers of processes"
    assert note in compared([one], [two], LIMIT).notes
    assert note not in compared([two], [two], LIMIT).notes
