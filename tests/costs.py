"""CPU time of every test, its fixtures and its processes. Asserts nothing.

    python -m tests.costs [-n 2 --dist worksteal -m 'not campaign and not slow' tests/check ...]

The arguments are pytest's. Readings stay in the folder that
WINDFLEET_TEST_COSTS names.
The first user of a shared fixture pays for it. A test's CPU time is that of the test worker, of its
living descendants and of those that it waited for. Not covered: a process that its parent left
behind, and one that ends between two readings under a parent that lives on and ignores its
children.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Generator
from pathlib import Path

import pytest

FOLDER = "WINDFLEET_TEST_COSTS"
"""Environment variable: the folder into which each pytest process writes its costs."""
TICKS = os.sysconf("SC_CLK_TCK")
LONGEST = 60


def cpu_s() -> float:
    """CPU time so far of this process, its descendants and those that it waited for."""
    total = 0.0
    for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        used = resource.getrusage(whose)
        total += used.ru_utime + used.ru_stime
    todo = _children(os.getpid())
    while todo:
        pid = todo.pop()
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15])) / TICKS
        todo += _children(pid)
    return total


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    except OSError:
        pass
    return found


class _Costs:
    """The plugin: writes a line for each phase of each test."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / f"{os.getpid()}.jsonl").open("a", buffering=1)
        self._last = 0.0

    def _write(self, name: str, phase: str) -> None:
        now = cpu_s()
        self._file.write(json.dumps([name, phase, now - self._last]) + "\n")
        self._last = now

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None]:
        self._last = cpu_s()
        yield
        self._write(item.nodeid, "setup")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        yield
        self._write(item.nodeid, "call")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None]:
        yield
        self._write(item.nodeid, "teardown")

    def pytest_collection_finish(self) -> None:
        self._write("collection", "call")


def pytest_configure(config: pytest.Config) -> None:
    if FOLDER in os.environ:
        config.pluginmanager.register(_Costs(Path(os.environ[FOLDER])))


def main() -> int:
    """Run pytest with the plugin, then print the totals and the dearest files and tests."""
    with tempfile.TemporaryDirectory(prefix="wf-costs-") as new:
        folder = os.environ.get(FOLDER, new)
        began = time.monotonic()
        code = subprocess.call(
            [sys.executable, "-m", "pytest", "-p", "tests.costs", *sys.argv[1:]],
            env=os.environ | {FOLDER: folder},
        )
        wall_s = time.monotonic() - began
        lines = [
            json.loads(line)
            for path in Path(folder).iterdir()
            for line in path.read_text().splitlines()
        ]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = used.ru_utime + used.ru_stime
    print(f"\n{wall_s:.0f} s, {total:.0f} CPU-s in all processes that were waited for")
    tests: defaultdict[str, Counter[str]] = defaultdict(Counter)
    files: Counter[str] = Counter()
    for name, phase, cost in lines:
        tests[name][phase] += cost
        files[name.partition("::")[0]] += cost
    for name, cost in files.most_common():
        print(f"{cost:8.1f} CPU-s  {name}")
    print("\n   setup    call teardown")
    for name in sorted(tests, key=lambda name: -tests[name].total())[:LONGEST]:
        phases = "".join(f"{tests[name][each]:8.2f}" for each in ("setup", "call", "teardown"))
        print(f"{phases}  {name}")
    return code


if __name__ == "__main__":
    sys.exit(main())
