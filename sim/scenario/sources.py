"""The sources of a scenario's values: its file, the files it extends, and `--set` overrides.

They are merged into one tree of nodes. Every node keeps the place it was written at, so an error in
an inherited value names the line of the file that holds it, and one in an override names `--set N`.
Mappings are merged key by key; everything else is replaced. An override of `null` removes its key.
"""

from __future__ import annotations

import re
from collections.abc import Sequence as Seq
from dataclasses import replace
from pathlib import Path
from typing import Final

from sim import shipped, yamlfile
from sim.yamlfile import Mapping, Node, Place, Problem, Scalar, Sequence

INSTEAD: Final = {"duration": "end", "end": "duration"}
"""Keys of `clock` that replace each other: a file that sets one does not inherit the other."""

KeyPath = tuple[str | int, ...]
PARENTS_MAX: Final = 20
NULLS: Final = ("null", "~")
"""Values of an override that remove its key: YAML's words for nothing. A quoted one is a text."""
_STEP: Final = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")


def read(path: Path, below: tuple[Path, ...] = ()) -> tuple[Mapping | None, list[Problem]]:
    """Read a scenario file and all it extends.

    The tree is None if a file cannot be read as a mapping.
    """
    tree, problems = yamlfile.parse(path)
    if tree is None:
        meant = _hint(path) if not below else ""
        return None, [replace(one, message=one.message + meant) for one in problems]
    if not isinstance(tree, Mapping):
        return None, [
            *problems,
            Problem.at(tree.place, "a scenario is a mapping of keys to values, such as 'seed: 7'"),
        ]
    parent = tree.entries.get("extends")
    if not isinstance(parent, Scalar) or not parent.text:
        return tree, problems  # absent, or malformed: the model reports that
    other = path.parent / parent.text
    files = (*below, path)
    if "\0" not in parent.text and other.resolve() in [file.resolve() for file in files]:
        circle = " -> ".join(str(file) for file in (*files, other))
        return None, [*problems, Problem.at(parent.place, f"extends: goes in a circle: {circle}")]
    if len(files) > PARENTS_MAX:
        return None, [
            *problems,
            Problem.at(parent.place, f"extends: more than {PARENTS_MAX} files extend each other"),
        ]
    if "\0" in parent.text or not other.is_file():
        names = (
            sorted(file.name for file in other.parent.glob("*.yaml"))
            if other.parent.is_dir()
            else []
        )
        hint = yamlfile.nearest(other.name, names)
        also = f"; did you mean '{hint}'?" if hint else "; the path counts from this file's folder"
        return None, [
            *problems,
            Problem.at(parent.place, f"extends: there is no file {other}{also}"),
        ]
    inherited, more = read(other, files)
    return (merge(inherited, tree) if inherited is not None else None), [*problems, *more]


def _hint(path: Path) -> str:
    """Return the scenario that the path of a missing file may stand for, as the end of an error."""
    if "\0" in str(path) or path.exists():
        return ""
    near = shipped.nearest(path)
    if near is not None:
        return f"; did you mean '{near}'?"
    bare = str(path) == path.name and not path.suffix
    return "; `windfleet list` shows the scenarios that come with windfleet" if bare else ""


def merge(under: Mapping, over: Mapping, path: str = "") -> Mapping:
    """Return `over` on top of `under`, as a new mapping in the place of `over`."""
    merged = Mapping(over.place, dict(under.entries), dict(under.keys))
    for key, node in over.entries.items():
        below = merged.entries.get(key)
        if isinstance(below, Mapping) and isinstance(node, Mapping):
            node = merge(below, node, f"{path}{key}.")
        merged.entries[key], merged.keys[key] = node, over.keys[key]
        if path == "clock." and key in INSTEAD and INSTEAD[key] not in over.entries:
            _drop(merged, INSTEAD[key])
    return merged


def override(tree: Mapping, settings: Seq[str]) -> tuple[list[Problem], dict[KeyPath, Place]]:
    """Apply `path=value` settings to the tree in place, in order.

    Values are read as YAML: `a=[1, 2]`, `a={b: c}`; `a=null` removes the key. Returns problems, and
    the paths of removed keys with the places of their settings.
    """
    problems = []
    removed: dict[KeyPath, Place] = {}
    for number, setting in enumerate(settings, 1):
        place = Place(f"--set {number}")
        path, equals, text = setting.partition("=")
        steps = _steps(path.strip())
        if not equals or steps is None:
            message = (
                f"'{setting}' is not path=value; "
                "write for example clock.duration=10m or data_faults[0].rate=..."
            )
            problems.append(Problem.at(place, message))
            continue
        if text.strip() in NULLS:
            if (obstacle := _remove(tree, steps)) is not None:
                problems.append(Problem.at(place, obstacle))
            else:
                removed[tuple(steps)] = place
            continue
        if text.strip():
            value, wrong = yamlfile.parse_text(text, place)
            problems.extend(wrong)
        else:
            value = Scalar(place, "", empty=True)
        if value is not None and (obstacle := _assign(tree, steps, value, place)) is not None:
            problems.append(Problem.at(place, obstacle))
    return problems, removed


def _steps(path: str) -> list[str | int] | None:
    """Split `a.b[0].c` into ["a", "b", 0, "c"]; None if it is not such a path."""
    found = list(_STEP.finditer(path))
    if not found or "".join(m[0] for m in found) != path or path[0] in ".[":
        return None
    return [int(m[2]) if m[2] is not None else m[1].strip() for m in found]


def _assign(tree: Mapping, steps: list[str | int], value: Node, place: Place) -> str | None:
    """Put the value at the path, adding the mappings that are missing.

    Returns a message about the first obstacle, or None.
    """
    node: Node = tree
    for i, step in enumerate(steps):
        last = i == len(steps) - 1
        here = _join(steps[:i])
        if isinstance(step, int):
            if not isinstance(node, Sequence):
                return f"{here} is not a list, so {here}[{step}] does not exist"
            if step >= len(node.items):
                size = len(node.items)
                entries = "entry" if size == 1 else "entries"
                return f"{here}[{step}] does not exist; {here} has {size} {entries}, from [0]"
            if last:
                node.items[step] = value
            else:
                node = node.items[step]
        else:
            if not isinstance(node, Mapping):
                if isinstance(node, Sequence):
                    return f"{here} is a list; name an entry, for example {here}[0].{step}=..."
                advice = f"set it as a whole, for example {here}={{{step}: ...}}"
                return f"{here} is a single value; {advice}"
            if last:
                node.entries[step], node.keys[step] = value, place
                if steps[:-1] == ["clock"] and step in INSTEAD:
                    _drop(node, INSTEAD[step])
            else:
                below = node.entries.get(step)
                if below is None:
                    below, node.keys[step] = Mapping(place), place
                elif step == "fleet" and i == 0 and isinstance(below, Scalar):
                    # `fleet: full` is short for a mapping
                    below = Mapping(below.place, {"preset": below}, {"preset": below.place})
                node.entries[step] = below
                node = below
    return None


def _remove(tree: Mapping, steps: list[str | int]) -> str | None:
    """Remove the key or entry at the path. Returns a message if it is not there, or None."""
    node: Node | None = tree
    for i, step in enumerate(steps):
        here = _join(steps[:i])
        known = list(node.entries) if isinstance(node, Mapping) else []
        if isinstance(node, Mapping) and isinstance(step, str) and step in node.entries:
            below = node.entries[step]
        elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
            below = node.items[step]
        else:
            close = yamlfile.nearest(str(step), known)
            path = f"{here}.{close}".removeprefix(".")
            hint = f"; did you mean {path}=null?" if close else ""
            return f"{_join(steps)} is not set, so there is nothing to remove{hint}"
        if i < len(steps) - 1:
            node = below
        elif isinstance(node, Mapping):
            _drop(node, str(step))
        else:
            node.items.pop(int(step))
    return None


def _drop(mapping: Mapping, key: str) -> None:
    mapping.entries.pop(key, None)
    mapping.keys.pop(key, None)


def _join(steps: list[str | int]) -> str:
    """Return the path as a user writes it."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return text.removeprefix(".")
