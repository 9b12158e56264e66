"""Dask schedulers and workers as processes of their own, in directories of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.support import runs
from tests.support.paths import ROOT

DASK = str(Path(sys.executable).with_name("dask"))
CHILD = "sim.cluster.child"


def machine(folder: Path, *arguments: str, **env: str) -> subprocess.Popen[bytes]:
    """Start a scheduler or a worker as on a machine of its own: its directory, its session."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [DASK, *arguments],
            cwd=folder,
            env=os.environ | {"PYTHONWARNINGS": "ignore"} | env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


@contextmanager
def machines() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Yield a list for started machines, which end with the block."""
    started: list[subprocess.Popen[bytes]] = []
    try:
        yield started
    finally:
        for process in started:
            lose(process)


def lose(machine: subprocess.Popen[bytes]) -> None:
    """Kill a machine: its nanny, its workers, and no part of them by hand."""
    victims = psutil.Process(machine.pid).children(recursive=True) if machine.poll() is None else []
    victims = [each for each in victims if "multiprocessing" in " ".join(command_line(each))]
    if machine.poll() is None:
        machine.kill()
    for each in victims:
        if is_running(each):
            each.kill()
    machine.wait()


def scheduler_address(folder: Path) -> str:
    """Return the address that a scheduler wrote into its log, when it is there."""
    found: list[str] = []

    def there() -> bool:
        found[:] = re.findall(r"Scheduler at: +(tcp://\S+)", (folder / "log").read_text())
        return bool(found)

    assert runs.wait_until(there, 60), (folder / "log").read_text()
    return found[0]


def scheduler(folder: Path, **env: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start a scheduler on loopback. Return it and its address."""
    options = ("--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0")
    process = machine(folder, "scheduler", *options, **env)
    return process, scheduler_address(folder)


def worker(folder: Path, address: str, **env: str) -> subprocess.Popen[bytes]:
    """Start a worker with one thread, whose name is that of its directory."""
    options = ("--name", folder.name, "--nthreads", "1", "--host", "127.0.0.1")
    memory = ("--memory-limit", "0", "--dashboard-address", "127.0.0.1:0")
    return machine(folder, "worker", address, *options, *memory, **env)


def hide(folder: Path, *packages: str) -> str:
    """Write a `sitecustomize` that hides packages. Return the PYTHONPATH with it."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["import sys", *(f"sys.modules[{name!r}] = None" for name in packages)]
    (folder / "sitecustomize.py").write_text("\n".join(lines) + "\n")
    return str(folder)


def in_parts(folder: Path, module: str, line: str) -> dict[str, str]:
    """Write a `sitecustomize` that changes a module in processes of parts only."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"if {CHILD!r} in sys.orig_argv:", f"    import {module}", f"    {module}.{line}"]
    (folder / "sitecustomize.py").write_text("\n".join(["import sys", *lines]) + "\n")
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}


def another_version(folder: Path, package: str, version: str) -> str:
    """Write metadata of another version of a package. Return the PYTHONPATH with it."""
    info = folder / f"{package}-{version}.dist-info"
    info.mkdir(parents=True)
    text = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
    (info / "METADATA").write_text(text)
    return str(folder)


def parts_under_way(folder: Path) -> list[psutil.Process]:
    """Processes of parts of the workers in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            mine = CHILD in process.cmdline() and Path(process.cwd()).is_relative_to(folder)
        except psutil.Error:
            continue
        found += [process] if mine and is_running(process) else []
    return found


def kill_worker_of(part: psutil.Process) -> None:
    """Kill the Dask worker that runs a part, and nothing else."""
    parent = part.parent()
    assert parent is not None
    parent.send_signal(signal.SIGKILL)


def is_running(process: psutil.Process) -> bool:
    """Return True for a process that is there and no zombie."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def command_line(process: psutil.Process) -> list[str]:
    """Return a process's words, none if it has ended."""
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def counted(result: dict[str, Any]) -> dict[str, Any]:
    """Return all of a result that does not depend on the machines."""
    figures = {
        name: figure for name, figure in result["figures"].items() if figure["kind"] != "measured"
    }
    same = ("scenario", "seed", "verdict", "exit_code", "lake", "completeness", "findings", "truth")
    more = ("expectations", "faults", "outlook", "errors", "notes", "versions")
    return {"figures": figures, **{name: result[name] for name in (*same, *more)}}


def of_lake(counted: dict[str, Any]) -> dict[str, Any]:
    """Return what depends on the lake alone, and not on the attempts that it took."""
    figures = {
        name: figure
        for name, figure in counted["figures"].items()
        if not name.startswith(("bytes.written", "cost.", "freshness.", "objects.", "store."))
    }
    same = ("scenario", "seed", "verdict", "exit_code", "lake", "completeness", "findings", "truth")
    return {"figures": figures, **{name: counted[name] for name in same}}
