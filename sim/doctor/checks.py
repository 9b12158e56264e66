"""The checks of `windfleet doctor`. Each returns findings: good, a warning, or a problem.

A problem ends some command on this machine; a warning makes it slower, or sends it elsewhere than
a user may think. Nothing is changed, and no request leaves the machine.
"""

from __future__ import annotations

import os
import platform
import resource
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

import psutil

from pipeline import lake
from pipeline.settings import ENDPOINTS, settings
from sim.errors import exit_code_and_message
from sim.measure.environment import PACKAGES
from sim.report import numbers
from sim.store import installation, localstack
from sim.store.target import endpoint_of_environment

Status = Literal["ok", "warning", "problem"]
DISK_BYTES: Final = 2 << 30
"""Free disk under which a warning is due: quickstart with its node files needs half of it."""
MEMORY_BYTES: Final = 3 << 30
"""Memory of the whole fleet for an hour, server included (`.docs/pages/speed.md`)."""
FILES: Final = 1024
"""Open files that 256 store calls at once and the node files of a worker need."""
BUSY: Final = 0.5
"""Load per core above which measured figures say little."""
_SUPPORTED: Final = (3, 11)
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@dataclass(frozen=True)
class Finding:
    """One line of the examination. fix: empty if nothing is wrong."""

    subject: str
    status: Status
    text: str
    fix: str = ""


def examine_machine(folder: Path) -> Iterator[Finding]:
    """Yield the findings, the cheap ones first. folder: in which runs are made."""
    yield from _python()
    yield from _cores()
    yield from _memory()
    yield from _disk(folder)
    yield from _files()
    yield from _environment()
    yield from _extras()
    yield from _server()


def _python() -> Iterator[Finding]:
    text = f"{platform.python_version()} ({sys.executable})"
    old = sys.version_info[:2] < _SUPPORTED
    fix = "windfleet needs Python 3.11 or newer" if old else ""
    yield Finding("python", "problem" if old else "ok", text, fix)
    found, missing = [], []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    yield Finding("packages", "ok", ", ".join(found))
    if missing:
        fix = "install them with: make install"
        yield Finding("packages", "problem", f"missing: {', '.join(missing)}", fix)


def _cores() -> Iterator[Finding]:
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    text = f"{cores}, load {load:.1f}"
    if load > BUSY * cores:
        fix = "other work is in the way: throughput and latency will be worse than the machine's"
        yield Finding("cores", "warning", text, fix)
    else:
        yield Finding("cores", "ok", text)


def _memory() -> Iterator[Finding]:
    free = psutil.virtual_memory().available
    low = free < MEMORY_BYTES
    fix = "`windfleet plan` says what a run needs; smaller flushes and fewer workers need less"
    text = f"{numbers.size(free)} available"
    yield Finding("memory", "warning" if low else "ok", text, fix if low else "")


def _disk(folder: Path) -> Iterator[Finding]:
    for subject, place in (("disk", folder.resolve()), ("temporary disk", _temporary())):
        free = shutil.disk_usage(place).free
        low = free < DISK_BYTES
        fix = "free some space, or name another disk with --out DIR or TMPDIR"
        text = f"{numbers.size(free)} free at {place}"
        yield Finding(subject, "warning" if low else "ok", text, fix if low else "")
    if not os.access(folder, os.W_OK):
        fix = "use --out DIR, or another working directory"
        yield Finding("disk", "problem", f"{folder.resolve()} cannot be written", fix)


def _temporary() -> Path:
    return Path(tempfile.gettempdir())


def _files() -> Iterator[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = "no limit" if hard == resource.RLIM_INFINITY else f"{hard:,}"
    low = hard != resource.RLIM_INFINITY and hard < FILES
    fix = f"raise it to {FILES:,} or more (ulimit -Hn)" if low else ""
    text = f"{soft:,}, at most {most}"
    yield Finding("open files", "warning" if low else "ok", text, fix)


def _environment() -> Iterator[Finding]:
    try:
        named = endpoint_of_environment()
        if named is not None:
            settings(named)
    except Exception as error:
        yield Finding("environment", "problem", exit_code_and_message(error)[1], _unset(ENDPOINTS))
        return
    if named is not None:
        fix = f"runs use that store, not the embedded one; {_unset(ENDPOINTS)}"
        variable = next(name for name in ENDPOINTS if os.environ.get(name))
        yield Finding("environment", "warning", f"{variable}={named}", fix)
    elif set_here := sorted(name for name in os.environ if name.startswith("WINDFLEET_")):
        texts = [f"{name}={os.environ[name]}" for name in set_here]
        yield Finding("environment", "warning", ", ".join(texts), "they change the defaults")
    else:
        yield Finding("environment", "ok", "names no store; runs use the embedded LocalStack")
    if proxies := [
        name for name in _PROXIES for name in (name, name.lower()) if name in os.environ
    ]:
        text = f"{', '.join(proxies)}: used for stores on other machines only"
        yield Finding("proxies", "ok", text)


def _unset(names: tuple[str, ...]) -> str:
    there = [name for name in names if os.environ.get(name)]
    return f"unset {' '.join(there)} to use the embedded LocalStack" if there else ""


def _extras() -> Iterator[Finding]:
    """Yield the optional parts. A missing one is no problem."""
    spark = localstack.HOME.parent / ".spark" / "venv"
    parts = {
        "run --cluster": find_spec("distributed") is not None,
        "query --engine spark": spark.is_dir(),
    }
    there = [f"{name} {'yes' if found else 'no'}" for name, found in parts.items()]
    yield Finding("extras", "ok", ", ".join(there))


def _server() -> Iterator[Finding]:
    """Start the embedded LocalStack, make its buckets, and stop it again."""
    if not installation.is_installed():
        fix = f"{installation.COMMAND} installs it; or name another store with --endpoint-url URL"
        yield Finding("LocalStack", "problem", "not installed", fix)
        return
    up = localstack.status()
    if up is not None:
        yield Finding("LocalStack", "ok", f"up at {up.endpoint_url} since {up.started}")
        return
    begun = time.perf_counter()
    try:
        with localstack.EmbeddedLocalStack() as server:
            lake.ensure(settings(server.endpoint_url, own=True))
    except Exception as error:
        fix = f"remove {localstack.HOME}, then install it again with: {installation.COMMAND}"
        yield Finding("LocalStack", "problem", exit_code_and_message(error)[1], fix)
        return
    took = numbers.duration(time.perf_counter() - begun)
    yield Finding("LocalStack", "ok", f"started, six buckets made, stopped in {took}")
    if _is_taken(localstack.DEFAULT_PORT):
        fix = "`store up` needs another one: --port N"
        yield Finding("port 4566", "warning", "another program listens on it", fix)


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
