"""Parts that belong together: all of one run, each of them once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sim.errors import PartError
from sim.measure.environment import program_versions
from sim.run.part_head import PartHead

_NOT_IN_BYTES = "python"


def require_whole(parts: Mapping[Path, PartHead]) -> None:
    """Raise PartError, with every reason, unless these are all the parts of one run."""
    (first, one), *_ = parts.items()
    problems: list[str] = []
    places: dict[int, list[Path]] = {}
    for path, part in parts.items():
        known = len(problems)
        places.setdefault(part.index, []).append(path)
        for name, mine, theirs in (
            ("scenario", part.scenario, one.scenario),
            ("command", part.kind, one.kind),
            ("seed", part.seed, one.seed),
            ("number of parts", part.count, one.count),
            *_common(part, one),
        ):
            if mine != theirs:
                problems.append(f"{path}: its {name} is {mine}, that of {first} is {theirs}")
        if part.scenario_sha256 != one.scenario_sha256 and len(problems) == known:
            problems.append(
                f"{path}: its scenario {part.scenario} has other settings than that of {first}"
            )
        problems += [
            f"{path}: made with {name} {part.versions.get(name)}, this machine has {version}"
            for name, version in program_versions().items()
            if name != _NOT_IN_BYTES and part.versions.get(name) != version
        ]
    problems += [
        f"part {index} of {one.count} is there {len(paths)} times: {', '.join(map(str, paths))}"
        for index, paths in sorted(places.items())
        if len(paths) > 1
    ]
    missing = [index for index in range(1, one.count + 1) if index not in places]
    if missing:
        again = f"run it with --shard {missing[0]}/{one.count}"
        problems.append(f"missing of {one.count} parts: {_ranges(missing)}; {again}")
    if problems:
        raise PartError("these parts are not one run:\n" + "\n".join(problems))


def _common(part: PartHead, one: PartHead) -> list[tuple[str, str | None, str | None]]:
    """Return name and both values of what parts of one command have in common."""
    if part.kind != one.kind:
        return []
    names = {**one.common, **part.common}
    return [(name, part.common.get(name), one.common.get(name)) for name in names]


def _ranges(numbers: list[int]) -> str:
    """Return ascending numbers as text, such as `2, 5-7`."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in found)
