"""Notes to a comparison: facts about the runs that make its verdict weaker, or empty."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sim.compare.speed import Side, disturbed
from sim.report.result import RESULT_FILE, Result


def notes(sides: Sequence[Side]) -> list[str]:
    """Return facts about the runs that a reader of the comparison must know."""
    every = [result for side in sides for _, result in side]
    found = _same(sides)
    found += [
        f"{path}: other work on the machine disturbed it; repeat it on a quiet machine"
        for side in sides
        for path, result in side
        if disturbed(result)
    ]
    if min(len(side) for side in sides) == 1:
        found.append(
            "one side has a single run, so the spread between runs is not known; "
            "repeat runs for a more certain verdict (--repeat N)"
        )
    for side in sides:
        for path, result in side:
            for phase in result.load.phases if result.load else ():
                if phase.kind in ("open", "closed") and phase.stopped_early:
                    found.append(
                        f"{path}: phase {phase.name} was stopped early: {phase.stopped_early}"
                    )
            if result.load and (lost := sum(phase.lost_workers for phase in result.load.phases)):
                found.append(
                    f"{path}: {lost} load generator{'s' * (lost > 1)} died during the test"
                )
    if len(programs := {_programs(result) for result in every}) > 1:
        found.append(f"the runs were made by different versions: {'; '.join(sorted(programs))}")
    if len({result.environment.get("machine") for result in every}) > 1:
        found.append("the runs were made on different machines")
    if len(gateways := {_gateway(result) for result in every}) > 1:
        names = ", ".join(sorted(gateways))
        found.append(f"the runs used different gateways of LocalStack: {names}")
    if len({result.environment.get("store_processes", "1") for result in every}) > 1:
        found.append("the runs' LocalStacks had different numbers of processes")
    if len({result.load.plan for result in every if result.load}) > 1:
        found.append("the plans of the load tests differ")
    found += [
        f"the verdict of one of the runs is itself {result.verdict}"
        for result in every
        if result.verdict == "unknown"
    ][:1]
    return found


def _gateway(result: Result) -> str:
    """Return the gateway of a run's LocalStack in words."""
    mixed = "parts" in result.environment and "LocalStack" in result.environment.get("store", "")
    return result.environment.get("gateway", "several" if mixed else "none, another store")


def _same(sides: Sequence[Side]) -> list[str]:
    """Return a note if a run stands on both sides: the directory itself, or a copy of it."""
    base, new = ({path.resolve(): path for path, _ in side} for side in sides)
    if shared := [path for place, path in new.items() if place in base]:
        names = ", ".join(str(path) for path in shared)
        return [f"a run that is compared with itself shows nothing: {names} is on both sides"]
    texts = {_bytes(path): path for path in base.values()}
    return [
        f"a run that is compared with itself shows nothing: {path} is a copy of {texts[text]}"
        for path in new.values()
        if (text := _bytes(path)) in texts
    ][:1]


def _bytes(path: Path) -> bytes:
    return (path / RESULT_FILE).read_bytes()


def _programs(result: Result) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(result.versions.items()))
