"""The scenarios that come with windfleet, each with the comment at its head."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sim.shipped import FOLDER, names


@dataclass(frozen=True)
class Shipped:
    """One scenario. text: what it runs, and how long that takes."""

    name: str
    text: str


def scenarios() -> list[Shipped]:
    """Return the shipped scenarios, by name."""
    return [Shipped(name, _comment(FOLDER / f"{name}.yaml")) for name in names()]


def _comment(file: Path) -> str:
    """Return the comment at the head of a YAML file, without the line for editors."""
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith("# yaml-language-server"):
            lines.append(line.removeprefix("#").strip())
    return " ".join(lines)
