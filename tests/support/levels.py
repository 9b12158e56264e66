"""Find the tests that `make test-fast` leaves out: those of servers, processes, whole worlds.

Nobody marks them by hand. A test is slow if its code, or that of a fixture it uses, names one of
ROOTS, or a function or class of the tests whose code does. The search follows names through the
tests' own modules and stops at the program's. Not covered: names that are made at run time
(`getattr`, `request.getfixturevalue`).
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType

import pytest

ROOTS = (
    # servers and processes
    *("subprocess", "multiprocessing", "concurrent.futures.process"),
    *("sim.store.localstack.EmbeddedLocalStack", "sim.load.null_store"),
    *("sim.load.engine.LocustEngine", "sim.load.calibration.calibrate"),
    *("sim.run.command", "sim.run.shards", "sim.run.shard.run_shard", "tests.mutation.Copy"),
    # whole worlds, simulated, driven and judged
    *(
        "sim.cli.main",
        "sim.bench.workload",
        "sim.bench.parts.measure",
        "sim.bench.growth.point",
        "sim.campaign",
        "sim.check.shares",
        "sim.demo",
        "sim.model.farm",
        "sim.model.maintenance",
        "sim.model.wind",
    ),
)
"""Modules, and names in modules. A module stands for all that it and those below it define."""
LIGHT = ("tests.support.runs.inside",)
"""Not searched: refusals are quick, and a test of a run uses the fixture of a store."""


def is_slow(item: pytest.Item) -> bool:
    """Return True for a random search, and if a test or one of its fixtures reaches ROOTS."""
    if not isinstance(item, pytest.Function):
        return False
    if getattr(item.function, "is_hypothesis_test", False):
        return True
    fixtures = item._fixtureinfo.name2fixturedefs.values()
    functions = [item.function, *(each.func for defs in fixtures for each in defs)]
    return any(_reaches(inspect.unwrap(each)) for each in functions if _ours(each))


@functools.cache
def _reaches(function: FunctionType) -> bool:
    """Walk the names in a function, each object once."""
    todo: list[object] = [function]
    seen: set[int] = set()
    while todo:
        found = todo.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        if any(f"{_name(found)}.".startswith(f"{root}.") for root in ROOTS):
            return True
        if _ours(found) and _name(found) not in LIGHT:
            todo += _named(found)
    return False


def _name(found: object) -> str:
    if isinstance(found, ModuleType):
        return found.__name__
    return f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"


def _ours(found: object) -> bool:
    return str(getattr(found, "__module__", "")).partition(".")[0] == "tests"


def _named(found: object) -> Iterator[object]:
    """Objects that the code of a function, or of a class's methods, names."""
    found = inspect.unwrap(getattr(found, "__func__", found))  # type: ignore[arg-type]
    if isinstance(found, type):
        yield from (each for each in vars(found).values() if callable(each))
        yield from found.__mro__[1:]
    if not isinstance(found, FunctionType):
        return
    names = set(_names(found.__code__))
    modules = []
    for name in names & found.__globals__.keys():
        value = found.__globals__[name]
        yield value
        if isinstance(value, ModuleType):
            modules.append(value)
    for module in modules:
        if module.__name__.partition(".")[0] in ("tests", "sim", "pipeline"):
            yield from (getattr(module, name) for name in names if hasattr(module, name))
    yield from (sys.modules[name] for name in names & sys.modules.keys() if "." in name)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _names(each)
