"""The path of a run, as `sim.run` draws it: names that exist, and imports that only go down."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

import sim.run

PACKAGE = Path(sim.run.__file__).parent
LINES = re.findall(r"^ {4}(?:\w+ +| +)([\w.]+\.\w+)  ", sim.run.__doc__ or "", re.MULTILINE)
DATA = {
    "record",
    "part",
    "part_head",
    "part_index",
    "planned_faults",
    "shard_plan",
    "uplink",
}
"""Modules of data that passes through. Any step may import them; they import no step."""


OFF_THE_PATH = ["part_head", "part_index", "record"]
"""Modules of data without a step of their own."""


def full_name(drawn: str) -> tuple[str, str]:
    """Return module and attributes of a name in the drawing."""
    if drawn.startswith("sim."):
        module, _, name = drawn.rpartition(".")
        return module, name
    module, _, name = drawn.partition(".")
    return f"sim.run.{module}", name


MODULES = [
    module.removeprefix("sim.run.")
    for module, _ in map(full_name, LINES)
    if module.startswith("sim.run.")
]


@pytest.mark.parametrize("drawn", LINES)
def test_every_name_of_the_drawing_exists(drawn: str) -> None:
    module, names = full_name(drawn)
    found: object = importlib.import_module(module)
    for name in names.split("."):
        found = getattr(found, name)
    assert callable(found)


def test_every_module_is_on_the_path_once() -> None:
    files = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert sorted([*MODULES, *OFF_THE_PATH]) == sorted(files)


@pytest.mark.parametrize("module", [*MODULES, *OFF_THE_PATH])
def test_a_module_imports_only_modules_below(module: str) -> None:
    above = MODULES if module in DATA else MODULES[: MODULES.index(module) + 1]
    tree = ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))
    imported = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sim.run")
        for name in [(node.module or "").removeprefix("sim.run").removeprefix(".")]
        + [alias.name for alias in node.names]
    }
    assert (imported & set(above)) - DATA == set()
