"""A command of windfleet in a process of its own, which ends when its parent does.

    python -P -m sim.cluster.child run SCENARIO --shard 3/16 ...

A Dask worker runs each part so: with signal handlers, memory and worker processes of its own. The
child's standard input is a pipe from its parent. When the parent dies, also by SIGKILL, the pipe
ends and the child kills itself at once. On Linux the kernel does so too (PR_SET_PDEATHSIG), also
while the child does not run Python. Its own workers and its LocalStack follow by themselves.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

STOP_WITHIN_S: Final = 25.0
"""Longer than a run takes to end its own workers in an orderly way."""
_POLL_S: Final = 0.05
_PR_SET_PDEATHSIG: Final = 1


def safe_path() -> dict[str, str]:
    """Return the variable by which another Python imports this windfleet, and none from elsewhere.

    With `python -P` the working directory is not searched.
    """
    root = str(Path(__file__).resolve().parents[__name__.count(".")])
    known = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([root, known] if known else [root])}


def start(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    output: IO[bytes] | int,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a command of windfleet. Its pipe from this process is its standard input.

    output: for its stdout and stderr. pass_fds: open files that it inherits.
    """
    return subprocess.Popen(
        [sys.executable, "-P", "-m", __name__, *arguments],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
        pass_fds=pass_fds,
    )


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Return True for a command that has ended.

    It stays a zombie, so that its number, and that of its process group, go to no other process.
    """
    if process.returncode is not None:
        return True
    if not hasattr(os, "waitid"):  # macOS before Python 3.13
        return process.poll() is not None
    found = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return found is not None


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a command: in an orderly way, or after STOP_WITHIN_S with all its processes."""
    if not has_ended(process):
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
        give_up = time.monotonic() + STOP_WITHIN_S
        while not has_ended(process) and time.monotonic() < give_up:
            time.sleep(_POLL_S)
    if process.returncode is None:  # not reaped: the group is still its own
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _follow_parent() -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # of Linux only

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    _follow_parent()
    runpy.run_module("sim.__main__", run_name="__main__", alter_sys=True)
