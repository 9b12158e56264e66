"""Commands for the end-to-end tests: a tiny scenario, a run of it, and its result.

Three ways to run a command, the cheapest first:

- `inside`: `main` in this process. For tests that need no process boundary: refusals,
  texts, exit codes, verdicts, and runs whose directory is looked at.
- `quick`: `main` in a process forked from a template (prefork.py), after the lines of `plant`,
  which break something in that process only. For signals, streams, limits, environments, and for
  what a run leaves in the system.
- `command`: the installed program, from nothing.

The first two measure the store's ceiling and the load generator for moments only, and remember the
detached LocalStack elsewhere, so that a developer's own is not touched. A process of its own has
its own folder for temporary files. That folder marks it: all processes of the run, workers and
LocalStack included, inherit it, so `left` finds all that have not ended.
"""

from __future__ import annotations

import atexit
import functools
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil

import sim.load.calibration
import sim.store.localstack
import sim.store.target
from sim import api
from sim.cli import main
from tests.support import prefork
from tests.support.tiny_run import CLOCK as CLOCK
from tests.support.tiny_run import SCENARIO as SCENARIO
from tests.support.tiny_run import TURBINES as TURBINES
from tests.support.tiny_run import scenario

CALIBRATE_S, WARM_UP_S = 0.8, 0.2
_QUICK = """\
import pathlib, sys
import sim.store.localstack, sim.store.target
sim.store.target.CEILING_S = 0.04
sim.store.localstack.HOME = pathlib.Path({home!r})
if sys.argv[1:2] == ["load"]:
    import sim.load.calibration
    sim.load.calibration.CALIBRATE_S, sim.load.calibration.WARM_UP_S = {calibrate_s}
{plant}
from sim.cli import main
sys.exit(main())
"""


def _preload(context: object, names: list[str]) -> None:
    """Let the server of this process's workers import `tests.support.warm` for them."""
    forkserver.set_forkserver_preload([*names, "tests.support.warm"])


ForkServerContext.set_forkserver_preload = _preload  # type: ignore[method-assign]
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


class Command:
    """A started command. `text`: both streams so far.

    `program`: words to execute, or lines of Python for a child of the template (prefork.py).
    """

    def __init__(
        self, program: Sequence[str] | str, arguments: Sequence[object], env: dict[str, str]
    ) -> None:
        self.temporary = Path(tempfile.mkdtemp(prefix="wf-"))
        self._streams = [tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")]  # noqa: SIM115
        words = [str(argument) for argument in arguments]
        env = os.environ | {"TMPDIR": str(self.temporary)} | env
        self.process: subprocess.Popen[bytes] | prefork.Forked
        if isinstance(program, str):
            out, err = (stream.fileno() for stream in self._streams)
            self.process = prefork.fork(program, words, env, out, err)
        else:
            self.process = subprocess.Popen(
                [*program, *words],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=self._streams[0],
                stderr=self._streams[1],
                start_new_session=True,
            )

    def _read(self, stream: int) -> str:
        size = os.fstat(self._streams[stream].fileno()).st_size
        return os.pread(self._streams[stream].fileno(), size, 0).decode()

    @property
    def out(self) -> str:
        return self._read(0)

    @property
    def err(self) -> str:
        return self._read(1)

    @property
    def text(self) -> str:
        return f"{self.out}\n{self.err}"

    def wait(self, within_s: float = 120.0) -> int:
        try:
            return self.process.wait(within_s)
        finally:
            if self.process.poll() is None:
                self.kill_all()

    def processes(self) -> list[psutil.Process]:
        """Living processes of this command, zombies left out."""
        found = []
        for process in psutil.process_iter():
            try:
                mine = os.getsid(process.pid) == self.process.pid or (
                    process.environ().get("TMPDIR") == str(self.temporary)
                )
                if mine and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.Error, ProcessLookupError):
                continue
        return found

    def workers(self) -> list[psutil.Process]:
        """Living worker processes of a command: children of its fork server, as which they appear.

        The template forks it; from Python 3.14 on it is started anew, by the name in its arguments.
        """
        servers = {
            p.pid: p
            for p in self.processes()
            if prefork.FORK_SERVER in f"{p.name()} {_command_line(p)}"
        }
        # the first is whom they are forked from
        return [p for p in servers.values() if p.ppid() in servers]

    def server(self) -> psutil.Process:
        """Embedded LocalStack of the command."""
        (found,) = [p for p in self.processes() if "launcher.py" in " ".join(_command_line(p))]
        return found

    def left(self) -> list[str]:
        """List processes and temporary files that should be gone."""
        files = [str(path) for path in self.temporary.iterdir()]
        return [" ".join(_command_line(p)) for p in self.processes()] + files

    def kill_all(self) -> None:
        """End all remaining processes, so that a failed test does not disturb the next."""
        for process in self.processes():
            process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        self.kill_all()
        for stream in self._streams:
            stream.close()
        shutil.rmtree(self.temporary, ignore_errors=True)


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def start(*arguments: object, plant: str = "", **env: str) -> Command:
    """Start the quick command."""
    return Command(
        _QUICK.format(home=str(_home()), calibrate_s=f"{CALIBRATE_S}, {WARM_UP_S}", plant=plant),
        arguments,
        env,
    )


@functools.cache
def _home() -> Path:
    """Folder in which these tests remember the detached LocalStack."""
    return _until_exit("wf-home-")


def _until_exit(prefix: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class Ended:
    """The end of a command: exit code, both streams, and leftovers."""

    def __init__(self, code: int, out: str, err: str, left: Sequence[str] = ()) -> None:
        self.code, self.out, self.err, self.left = code, out, err, list(left)

    @property
    def text(self) -> str:
        return f"{self.out}\n{self.err}"

    def said_once(self, *words: str) -> bool:
        """Return True for one message on stderr, or one line per place; nothing is left."""
        lines = self.err.splitlines()
        placed = all(re.match(r"\S+:\d+:\d+: \S|--set \d+: \S", line) for line in lines)
        clear = (
            bool(lines)
            and (self.err.startswith("windfleet: ") or placed)
            and "Traceback" not in self.err
        )
        return clear and all(word in self.err for word in words) and not self.left

    def verdict(self) -> dict[str, Any]:
        """Return the verify.json of a `verify` that printed the place of its report."""
        (page,) = re.findall(r"^report: (.*verify\.html)$", self.out, re.MULTILINE)
        found: dict[str, Any] = json.loads(Path(page).with_suffix(".json").read_text())
        return found

    def figures(self) -> dict[str, int]:
        """Return the counted figures of `verify`."""
        figures = self.verdict()["figures"].items()
        return {name: entry["value"] for name, entry in figures if entry["kind"] == "counted"}

    def found(self) -> dict[str, int]:
        """Return the number of findings that `verify` prints of each kind."""
        return {
            kind: int(n.replace(",", ""))
            for kind, n in re.findall(r"^([\w.]+): ([\d,]+) findings?\b", self.out, re.MULTILINE)
        }


class Done(Ended):
    """The end of a process."""

    def __init__(self, command: Command, leaves_nothing: bool = True) -> None:
        self.command = command
        code = command.wait()
        if leaves_nothing:
            wait_until(lambda: not command.left(), 5)
        super().__init__(code, command.out, command.err, command.left())


def inside(*arguments: object, program: str = "-c", **env: str) -> Ended:
    """Run `main` in this process to its end, with more environment variables."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    out, err = io.StringIO(), io.StringIO()
    try:
        with (
            redirect_stdout(out),
            redirect_stderr(err),
            patch.dict(os.environ, env),
            patch.object(sys, "argv", [program]),
            patch.object(sim.store.target, "CEILING_S", 0.04),
            patch.object(sim.store.localstack, "HOME", _home()),
            patch.object(sim.load.calibration, "CALIBRATE_S", CALIBRATE_S),
            patch.object(sim.load.calibration, "WARM_UP_S", WARM_UP_S),
        ):
            code = main([str(argument) for argument in arguments])
    except SystemExit as end:  # argparse
        code = int(end.code or 0)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return Ended(code, out.getvalue(), err.getvalue())


def command(*arguments: object, **env: str) -> Done:
    """Run the installed program to its end."""
    with closing(
        Command([str(Path(sys.executable).with_name("windfleet"))], arguments, env)
    ) as started:
        return Done(started)


def quick(*arguments: object, plant: str = "", **env: str) -> Done:
    """Run the quick command to its end."""
    with closing(start(*arguments, plant=plant, **env)) as started:
        return Done(started)


def answer(*words: str, codes: Sequence[int] = (0,)) -> str:
    """Run the quick command in place of the program that `sim.api` starts."""
    done = quick(*words)
    if done.code not in codes:
        raise api.CommandFailed(done.code, done.err)
    return done.out


@contextmanager
def kept(*arguments: object, **env: str) -> Iterator[Done]:
    """Run the quick command to its end. Leftovers stay until the block ends."""
    with closing(start(*arguments, **env)) as started:
        yield Done(started, leaves_nothing=False)


@functools.cache
def saved(endpoint_url: str) -> tuple[Path, Path]:
    """Return (run directory, scenario) of one good run with a saved lake: read it, or `copy` it."""
    folder = _until_exit("wf-saved-")
    path = scenario(folder)
    done = inside(
        *("run", path, "--out", folder / "run", "--workers", 2),
        *("--endpoint-url", endpoint_url, "--empty-lake", "--save-lake"),
    )
    assert done.code == 0, done.text
    return folder / "run", path


def copy(run: Path, to: Path) -> Path:
    """Copy a run, so that a test may change it."""
    shutil.copytree(run, to)
    return to


def result(run: Path) -> dict[str, Any]:
    """A run's result.json."""
    document: dict[str, Any] = json.loads((run / "result.json").read_text())
    return document


def control_characters(text: str) -> list[str]:
    """List characters that a log should not have: control characters except the newline."""
    return _CONTROL.findall(text)


def wait_until(condition: Callable[[], object], within_s: float) -> bool:
    """Return True as soon as the condition is true, False if it is not in time."""
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
