"""The anomaly view against `truth/`: recall by kind of fault, precision by kind of episode.

    nice python -m tests.anomaly_truth         every theme, and scenarios/data-faults.yaml
    nice python -m tests.anomaly_truth --only data-faults icing
    nice python -m tests.anomaly_truth --turbines 24

Each scenario is simulated and delivered into a folder. An episode is true if it
is of a kind that a fault can cause (`sim.check.detection.signals`) and falls on the fault's time. A
fault is found if an episode shows it. Faults without a row in the data do not count.

- recall      faults found, of those that can show
- precision   true episodes, of all of that kind

Kinds of faults that show in no kind of episode are listed apart: the data do not tell them. A bias,
a drift, a sentinel or a spike within all limits, and below the alarms, is a miss. So is wear that
has not reached an alarm yet: the maintenance view is for that.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sim.check.detection.signals import signals
from sim.check.detection.truth import read_events
from sim.check.read.lake import LakeReader
from sim.demo import themes
from sim.query.engine import Engine
from sim.query.loader import LoadOptions, load
from sim.query.warehouse import Warehouse
from sim.run.delivery import deliver
from sim.run.record import Record
from sim.scenario import load as load_scenario
from sim.store import target
from tests.support.episodes import SQL, Row, Truth
from tests.support.paths import ROOT

SCENARIOS: Final = {
    **{name: themes.theme(name).scenario for name in themes.names()},
    "data-faults": ROOT / "scenarios" / "data-faults.yaml",
}


class Counts:
    """Faults and episodes by kind."""

    def __init__(self) -> None:
        self.faults: Counter[str] = Counter()
        self.found: Counter[str] = Counter()
        self.hidden: Counter[str] = Counter()
        self.episodes: Counter[str] = Counter()
        self.true: Counter[str] = Counter()

    def add(self, faults: Sequence[Row], episodes: Sequence[Row], sample_us: int) -> None:
        """Compare the episodes of one lake with its faults."""
        truth = Truth(faults, sample_us)
        shown: set[int] = set()
        for episode in episodes:
            causes = truth.causes(episode)
            shown |= {id(fault) for fault in causes}
            self.episodes[episode["kind"]] += 1
            self.true[episode["kind"]] += bool(causes)
        for fault in faults:
            if signals(fault["kind"], fault["channel"]) == frozenset():
                self.hidden[fault["kind"]] += 1
            elif fault["rows"]:
                self.faults[fault["kind"]] += 1
                self.found[fault["kind"]] += id(fault) in shown

    def table(self) -> str:
        lines = ["| fault | recall |", "|---|---|"]
        for kind, count in sorted(self.faults.items()):
            found = self.found[kind]
            lines.append(f"| {kind} | {found / count:.2f} ({found} of {count}) |")
        lines += ["", "| episode | precision |", "|---|---|"]
        for kind, count in sorted(self.episodes.items()):
            true = self.true[kind]
            lines.append(f"| {kind} | {true / count:.2f} ({true} of {count}) |")
        hidden = ", ".join(f"{kind} ({count})" for kind, count in sorted(self.hidden.items()))
        return "\n".join([*lines, "", f"in no kind of episode: {hidden}"])


def measure(path: Path, turbines: int | None, folder: Path, counts: Counts) -> None:
    """Simulate, deliver, load, and compare one scenario."""
    scenario = load_scenario(path, [f"fleet.turbines={turbines}"] if turbines else [])
    record = Record(workers=1)
    with target.opened(target.Options(folder=folder / "lake")) as lake:
        deliver(scenario, lake, record, lambda rows: None, run_dir=folder, workers=1)
    assert record.errors == [], f"{path}: {record.errors}"
    warehouse = Warehouse(folder / "warehouse", LakeReader.folder(folder / "lake"))
    load(warehouse, LoadOptions())
    (episodes,) = Engine(warehouse).run(SQL)
    faults = read_events(folder / "truth")
    assert faults is not None, f"{path}: no faults"
    counts.add(faults.to_pylist(), episodes.to_pylist(), scenario.clock.sample_us)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="The anomaly view against the injected faults.")
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--turbines", type=int, help="default: the scenario's own")
    args = parser.parse_args()
    counts = Counts()
    for name in args.only:
        with tempfile.TemporaryDirectory(prefix="windfleet-truth-") as folder:
            measure(SCENARIOS[name], args.turbines, Path(folder), counts)
        print(f"{name}: {counts.faults.total()} faults so far", flush=True)
    print(counts.table())


if __name__ == "__main__":
    main()
