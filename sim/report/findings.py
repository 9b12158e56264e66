"""Findings of a result in groups: by kind, farm and node, with counts.

The common prefix `expanso-databricks-<stage>/<stage>/` is cut from keys: the stage stands beside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sim.report.result import Finding

_PREFIX: Final = re.compile(r"^expanso-databricks-(\w+)/(?:\1/)?")
_NODES_SHOWN: Final = 60
_KEYS_SHOWN: Final = 40


@dataclass(frozen=True)
class Node:
    """Findings of one kind at one node. cause: the run's own error about this node."""

    name: str
    findings: tuple[Finding, ...]
    cause: str
    hidden: int = 0

    @property
    def rows(self) -> int | None:
        return _rows(self.findings)


@dataclass(frozen=True)
class Group:
    """Findings of one kind. nodes: the first of them; hidden: the others."""

    kind: str
    findings: tuple[Finding, ...]
    farms: str
    stages: str
    nodes: tuple[Node, ...]
    hidden: int

    @property
    def rows(self) -> int | None:
        return _rows(self.findings)


def groups(findings: Iterable[Finding], errors: Sequence[str]) -> list[Group]:
    """Return a group per kind, the one with most findings first. errors: those of the run."""
    by_kind = _by(findings, lambda each: each.kind)
    made = [_group(kind, each, errors) for kind, each in by_kind.items()]
    return sorted(made, key=lambda group: (-len(group.findings), group.kind))


def of_farm(findings: Iterable[Finding], farm: str, errors: Sequence[str]) -> list[Node]:
    """Return the nodes of a farm with all of their findings."""
    return _nodes([each for each in findings if each.farm == farm], errors)


def short_key(finding: Finding) -> str:
    """Return the key of a finding without bucket and stage."""
    return _PREFIX.sub("", finding.key or "")


def _group(kind: str, findings: list[Finding], errors: Sequence[str]) -> Group:
    nodes = _nodes(findings, errors)
    return Group(
        kind,
        tuple(findings),
        ", ".join(sorted({each.farm for each in findings if each.farm})),
        ", ".join(dict.fromkeys(each.stage for each in findings if each.stage)),
        tuple(nodes[:_NODES_SHOWN]),
        max(len(nodes) - _NODES_SHOWN, 0),
    )


def _nodes(findings: Iterable[Finding], errors: Sequence[str]) -> list[Node]:
    by_node = _by(
        findings, lambda each: each.turbine or (f"farm {each.farm}" if each.farm else "no node")
    )
    return [
        Node(
            name,
            tuple(each[:_KEYS_SHOWN]),
            next((text for text in errors if re.search(rf"\b{re.escape(name)}\b", text)), ""),
            max(len(each) - _KEYS_SHOWN, 0),
        )
        for name, each in sorted(by_node.items())
    ]


def _by(findings: Iterable[Finding], name: Callable[[Finding], str]) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for each in findings:
        found.setdefault(name(each), []).append(each)
    return found


def _rows(findings: Iterable[Finding]) -> int | None:
    known = [each.rows for each in findings if each.rows is not None]
    return sum(known) if known else None
