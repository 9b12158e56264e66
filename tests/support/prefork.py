"""Processes that begin with the program imported: a template, forked for each command.

A fresh Python takes two seconds of CPU time to import windfleet, numpy, pyarrow, pydantic,
matplotlib and botocore, and the tests start more than a hundred commands. So one process imports
them and waits. For each command it forks itself; the child leads its own
session, with its own environment, streams and exit code, and runs its lines as `python -c` does.
It also has the weather of the tiny scenario (`warm`).
The fork server of its worker processes (`multiprocessing`) is a fork, too: another second saved.
The module is the template's program: `python -m tests.support.prefork SOCKET MODULE...`.

Locust's processes have a template of their own: gevent must be imported before boto3.

Not the same as in a fresh process: the seed of hashes (all children share one),
`/proc/PID/environ`, the environment at the time of import, and the time that imports take. Tests
about these start the installed program (`runs.command`).
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing import util
from pathlib import Path
from types import ModuleType

OF_WINDFLEET = (
    *("adbc_driver_sqlite", "boto3", "botocore.session", "faker.config", "h11", "jinja2"),
    *("matplotlib.backends.backend_svg", "matplotlib.figure", "multiprocessing.pool", "numpy"),
    *("psutil", "pyarrow.compute", "pyarrow.parquet", "pydantic", "rich.console", "rich.table"),
    *("simpy", "sqlite3", "yaml"),
    *(
        "sim.campaign.command",
        "sim.cli",
        "sim.cluster.command",
        "sim.load.command",
        "sim.run.command",
    ),
    *("sim.run.shard", "sim.verify.command", "tests.support.warm"),
)
OF_LOCUST = ("locust.main", "sim.load.client.session")
FORK_SERVER = "forkserver"
"""Name of the process that workers are forked from, and theirs (`/proc/PID/comm`)."""
LONGEST = 1 << 16
"""Bytes of a request: lines to run, arguments and environment."""
_fork, _select, _signal, _waitpid = os.fork, select.select, signal.signal, os.waitpid
"""Those of the standard library: gevent replaces them."""
LIMITS = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]


class Forked:
    """A child of the template, with the parts of `subprocess.Popen` that the tests use."""

    def __init__(self, pid: int, status: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._status = status

    def poll(self) -> int | None:
        """Return the exit code (negative: the number of the signal), None while the child runs."""
        return self._read(0)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code. Raise `subprocess.TimeoutExpired` after `timeout` seconds."""
        code = self._read(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("windfleet", timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _read(self, timeout_s: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout_s)[0]:
            text = os.read(self._status, 16)
            os.close(self._status)
            self.returncode = int(text) if text else -signal.SIGKILL  # the template died
        return self.returncode


def fork(
    lines: str,
    arguments: Sequence[str],
    env: Mapping[str, str],
    out: int,
    err: int,
    imports: tuple[str, ...] = OF_WINDFLEET,
) -> Forked:
    """Run `lines` in a child of this process's template.

    out, err: descriptors of its streams. imports: the modules of the template.
    """
    ours, theirs = os.pipe()
    request = json.dumps([lines, list(arguments), dict(env), str(Path.cwd())]).encode()
    assert len(request) < LONGEST
    template = _template(imports)
    socket.send_fds(template, [request], [out, err, theirs])
    os.close(theirs)
    return Forked(int(template.recv(16)), ours)


@functools.cache
def _template(imports: tuple[str, ...]) -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * LONGEST)
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(theirs.fileno()), *imports],
        pass_fds=[theirs.fileno()],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.DEVNULL,
    )
    theirs.close()
    atexit.register(process.wait)
    atexit.register(ours.close)  # runs first, and ends the template
    return ours


def _serve(requests: socket.socket) -> tuple[str, list[str]]:
    """Fork for each request. Return in each child, with its lines and arguments."""
    running: dict[int, int] = {}
    awake, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(awake, False)
    _signal(signal.SIGCHLD, lambda *_: None)
    _signal(signal.SIGINT, signal.SIG_IGN)  # pytest decides
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    while True:
        ready, _, _ = _select([requests, awake], [], [])
        if awake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(awake, 4096)
            _reap(running)
        if requests not in ready:
            continue
        request, descriptors, _, _ = socket.recv_fds(requests, LONGEST, 3)
        if not request:
            raise SystemExit(0)
        out, err, status = descriptors
        if pid := _fork():
            running[pid] = status
            for descriptor in (out, err):
                os.close(descriptor)
            requests.send(str(pid).encode())
            continue
        signal.set_wakeup_fd(-1)
        _signal(signal.SIGCHLD, signal.SIG_DFL)
        _signal(signal.SIGINT, signal.default_int_handler)
        os.setsid()
        os.dup2(out, 1)
        os.dup2(err, 2)
        for descriptor in (out, err, status, awake, wake, *running.values()):
            os.close(descriptor)
        requests.close()
        lines, arguments, env, folder = json.loads(request)
        os.environ.clear()
        os.environ.update(env)
        os.chdir(folder)
        return lines, arguments


def _reap(running: dict[int, int]) -> None:
    """Report the exit code of every child that has ended."""
    while running:
        pid, status = _waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        descriptor = running.pop(pid)
        with contextlib.suppress(BrokenPipeError):
            os.write(descriptor, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(descriptor)


def _prepare_fork_server() -> None:
    """Fork a process that becomes the fork server when `multiprocessing` starts one.

    It must be forked now, while this process has one thread. It gets what a fresh process would
    inherit later: environment, folder, limits, and whether SIGINT is ignored.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        ours.close()
        try:
            _become_fork_server(theirs)
        finally:
            os._exit(0)
    theirs.close()
    fresh = util.spawnv_passfds  # type: ignore[attr-defined]

    def spawn(path: str, arguments: Sequence[str], descriptors: Sequence[int]) -> int:
        lines = arguments[-1]
        if FORK_SERVER not in lines:  # the resource tracker
            return int(fresh(path, arguments, descriptors))
        for kind in LIMITS:
            resource.prlimit(pid, kind, resource.getrlimit(kind))
        ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        request = [lines, list(descriptors), dict(os.environ), str(Path.cwd()), ignored]
        socket.send_fds(ours, [json.dumps(request).encode()], descriptors)
        ours.close()
        util.spawnv_passfds = fresh  # type: ignore[attr-defined]
        return pid

    util.spawnv_passfds = spawn  # type: ignore[attr-defined]


def _become_fork_server(requests: socket.socket) -> None:
    """Wait until one is needed, or the command ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Path("/proc/self/comm").write_text(FORK_SERVER)
    request, descriptors, _, _ = socket.recv_fds(requests, LONGEST, 2)
    requests.close()
    if not request:
        return
    lines, numbers, env, folder, ignored = json.loads(request)
    theirs, here = (f"main({one}, {two}," for one, two in (numbers, descriptors))
    assert theirs in lines
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    if not ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    exec(lines.replace(theirs, here), {})


def main() -> None:
    """Import the program and serve; in a child, run its lines."""
    requests, *imports = sys.argv[1:]
    served = socket.socket(fileno=int(requests))
    for name in imports:
        importlib.import_module(name)
    lines, arguments = _serve(served)
    sys.argv = ["-c", *arguments]
    tempfile.tempdir = None  # the child's own TMPDIR
    if imports[0] != OF_LOCUST[0]:
        _prepare_fork_server()
    program = sys.modules["__main__"] = ModuleType("__main__")
    exec(compile(lines, "<string>", "exec"), program.__dict__)


if __name__ == "__main__":
    main()
