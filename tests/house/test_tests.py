"""Rules for the tests themselves: each asserts something, and none imports another."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.prose import nodes
from tests.support.paths import ROOT

TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
SUPPORT = sorted((ROOT / "tests" / "support").rglob("*.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    """Yield functions and methods, the nested ones too."""
    yield from (node for node in nodes(path) if isinstance(node, Function))


def calls(function: Function) -> set[str]:
    """Return the last names of what a function calls: `c` of `a.b.c(...)`."""
    called = (node.func for node in ast.walk(function) if isinstance(node, ast.Call))
    return {ast.unparse(each).rpartition(".")[2] for each in called}


def asserts(function: Function) -> bool:
    """Return True for an assert or a `pytest.raises` in the function itself."""
    return "raises" in calls(function) or any(
        isinstance(node, ast.Assert) for node in ast.walk(function)
    )


@functools.cache
def asserting_helpers() -> frozenset[str]:
    return frozenset(each.name for path in SUPPORT for each in functions(path) if asserts(each))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_test_asserts_something(path: Path) -> None:
    """In itself, or in a helper that it calls."""
    helpers = {each.name for each in functions(path) if asserts(each)} | asserting_helpers()
    silent = [
        f"{each.lineno}: {each.name}"
        for each in functions(path)
        if each.name.startswith("test_") and not asserts(each) and not calls(each) & helpers
    ]
    assert silent == [], f"{path}: these tests assert nothing"


def imported(path: Path) -> Iterator[str]:
    """Yield the modules of the tests that a file imports."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(
    "path", [*TESTS, *SUPPORT], ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_no_test_is_imported(path: Path) -> None:
    """Shared things live in tests/support; tests of a tool in tests/ import the tool."""
    ours = [name for name in imported(path) if name.split(".")[0] == "tests"]
    assert [name for name in ours if any(p.startswith("test_") for p in name.split("."))] == []
    wrong = [name for name in imported(path) if name.split(".")[0] in ("support", "conftest")]
    assert wrong == [], "write: from tests.support import x, or from tests.support.x import y"
