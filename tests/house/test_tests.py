"""Rules for the tests themselves: each asserts something, and none imports another."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

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


def test_every_test_asserts_something() -> None:
    """In itself, or in a helper that it calls."""
    assert len(TESTS) > 200
    silent = [each for path in TESTS for each in silent_tests(path)]
    assert not silent, "these tests assert nothing"


def silent_tests(path: Path) -> Iterator[str]:
    helpers = {each.name for each in functions(path) if asserts(each)} | asserting_helpers()
    for each in functions(path):
        if each.name.startswith("test_") and not asserts(each) and not calls(each) & helpers:
            yield f"{path}:{each.lineno}: {each.name}"


def imported(path: Path) -> Iterator[str]:
    """Yield the modules of the tests that a file imports."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_test_is_imported() -> None:
    """Shared things live in tests/support; tests of a tool in tests/ import the tool."""
    names = [(path, name.split(".")) for path in (*TESTS, *SUPPORT) for name in imported(path)]
    tests = [
        f"{path} imports {'.'.join(parts)}"
        for path, parts in names
        if parts[0] == "tests" and any(part.startswith("test_") for part in parts)
    ]
    assert not tests
    wrong = [str(path) for path, parts in names if parts[0] in ("support", "conftest")]
    assert not wrong, "write: from tests.support import x, or from tests.support.x import y"
