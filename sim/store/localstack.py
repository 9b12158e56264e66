"""The embedded LocalStack: a real S3 server on loopback, started for a run and stopped after it.

Its Python environment is `.localstack/venv`, made by `make localstack`. `localstack/launcher.py`
starts it. It is ready when our own process listens, its health report shows S3 as running, and a
PUT was read back. Two ways to use one:

- `with EmbeddedLocalStack() as store: store.endpoint_url` serves until the block ends, or until
  this process dies.
- `up()`, `status()`, `down()`: one detached server per checkout, recorded in
  `.localstack/server.json`.

A server may be several processes behind one endpoint (`localstack/processes.py`). The one that
listens has started the others, and none outlives another.

A server that stops loses its buckets. LocalStack keeps bodies in memory. With the short gateway,
bodies beyond BODIES_IN_MEMORY_BYTES go to files without a name, which end with the server.

Not covered: Docker (see `localstack/docker-compose.yml`) and any S3 elsewhere.
"""

import contextlib
import datetime
import http.client
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from types import TracebackType
from typing import Self

import psutil

from pipeline.buckets import BUCKETS
from sim.errors import TargetError
from sim.folder_lock import owned
from sim.store import home, installation
from sim.store.gateway import BODIES_IN_MEMORY_BYTES, Gateway
from sim.store.readiness import listens, s3_works
from sim.store.server_record import Server, is_alive, read_state, remove_state, write_state

HOME = home.HOME
LAUNCHER = home.REPOSITORY / "localstack" / "launcher.py"
DEFAULT_PORT = 4566
READY_WITHIN_S = 60.0
STOP_WITHIN_S = 5.0
PORT_ATTEMPTS = 5
EXIT_PORT_TAKEN = 98  # as in localstack/launcher.py
LOG_TAIL_LINES = 15
DIRECTORY_PREFIX = "windfleet-localstack-"


class _PortTakenError(TargetError):
    """A port that another program listens on."""


class EmbeddedLocalStack:
    """One LocalStack and its directory. Not thread-safe; use one instance per server.

    gateway, processes: see `sim.store.gateway`.
    """

    def __init__(self, gateway: Gateway = "short", processes: int = 1) -> None:
        self.gateway = gateway
        self.processes = processes
        self._process: subprocess.Popen[bytes] | None = None
        self._others: list[psutil.Process] = []
        self._directory: pathlib.Path | None = None
        self._port = 0
        self._detached = False

    @property
    def endpoint_url(self) -> str:
        """URL of the server, `http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Id of the process that listens. Raises TargetError when it was not started."""
        return self._running().pid

    @property
    def pids(self) -> list[int]:
        """Ids of all processes of the server. Raises TargetError when it was not started."""
        return [self.pid, *(other.pid for other in self._others)]

    def require_alive(self) -> None:
        """Raise TargetError, with the end of the server's log, when the server has died.

        The process that listens ends when another one does.
        """
        if (code := self._running().poll()) is not None:
            stopped = f"LocalStack (pid {self.pid}) stopped unexpectedly (exit code {code})."
            raise TargetError(stopped + self._log_tail())

    def cpu_seconds(self) -> float:
        """Return the server's CPU time so far (user and system, s).

        Raises TargetError when it has died.
        """
        self.require_alive()
        times = [psutil.Process(pid).cpu_times() for pid in self.pids]
        return float(sum(each.user + each.system for each in times))

    def start(self, port: int | None = None, detach: bool = False) -> str:
        """Start, wait until S3 works, and return the endpoint URL.

        port: None takes a free one.
        detach: the server outlives this process; `down()` ends it.

        Raises TargetError: not installed, port taken, not ready in 60 s, died while starting.
        """
        with _exclusively() if detach else contextlib.nullcontext():
            return self._started(port, detach)

    def _started(self, port: int | None, detach: bool) -> str:
        if self._process is not None:
            raise TargetError("This EmbeddedLocalStack has already been started.")
        installation.require()
        if detach and (other := status()):
            running = f"A LocalStack is already running at {other.endpoint_url}."
            raise TargetError(f"{running} Stop it with: windfleet store down")
        self._detached = detach
        for attempt in range(1, PORT_ATTEMPTS + 1):
            try:
                self._start_on(_free_port() if port is None else _checked_port(port))
                break
            except _PortTakenError:
                if port is not None or attempt == PORT_ATTEMPTS:
                    raise
        if detach:
            self._remember()
        return self.endpoint_url

    def stop(self) -> None:
        """End the server and remove its directory. A server that does not run is no error."""
        process, directory = self._process, self._directory
        self._process = self._directory = None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin is not None:
                process.stdin.close()
            _end(self._others)
            self._others = []
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)
        if self._detached and process is not None:
            remove_state(HOME, process.pid)

    def __enter__(self) -> Self:
        if self._process is None:
            self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start_on(self, port: int) -> None:
        self._port = port
        self._directory = pathlib.Path(tempfile.mkdtemp(prefix=DIRECTORY_PREFIX))
        lease = [] if self._detached else ["--with-parent", str(self._directory)]
        try:
            with (self._directory / "server.log").open("wb") as log:
                # -W ignore: its dependencies warn about each other. start_new_session: Ctrl-C must
                # reach only this process, which stops the server after it has saved the record.
                program = [str(installation.PYTHON), "-I", "-W", "ignore", str(LAUNCHER)]
                self._process = subprocess.Popen(
                    [*program, *lease, *self._arguments()],
                    env=_environment(port, self._directory),
                    cwd=self._directory,
                    stdin=subprocess.DEVNULL if self._detached else subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def _arguments(self) -> list[str]:
        found = ["--gateway", self.gateway]
        if self.gateway == "short":
            found += ["--bodies-in-memory", str(BODIES_IN_MEMORY_BYTES // self.processes)]
        if self.processes > 1:
            buckets = ",".join(BUCKETS.values())
            found += ["--processes", str(self.processes), "--buckets", buckets]
        return found

    def _wait_until_ready(self) -> None:
        process = self._running()
        give_up = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < give_up:
            if (code := process.poll()) is not None:
                if code == EXIT_PORT_TAKEN:
                    raise _PortTakenError(_taken(self._port))
                raise TargetError(
                    f"LocalStack exited while starting (exit code {code}).{self._log_tail()}"
                )
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError, KeyError):
                if listens(process.pid, self._port) and all(
                    s3_works(self._port, each) for each in range(self.processes)
                ):
                    self._others = psutil.Process(process.pid).children()
                    return
            time.sleep(0.03)
        raise TargetError(
            f"LocalStack was not ready within {READY_WITHIN_S:.0f} s.{self._log_tail()}"
        )

    def _remember(self) -> None:
        assert self._directory is not None
        process = psutil.Process(self.pid)
        started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        server = Server(
            self.endpoint_url,
            self._port,
            self.pid,
            process.create_time(),
            started,
            str(self._directory),
            self.gateway,
            self.processes,
        )
        write_state(HOME, server)

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise TargetError("This EmbeddedLocalStack is not started.")
        return self._process

    def _log_tail(self) -> str:
        if self._directory is None:
            return ""
        with contextlib.suppress(OSError):
            log = self._directory / "server.log"
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            if lines:
                tail = "\n".join(f"  {line}" for line in lines[-LOG_TAIL_LINES:])
                return f"\nThe end of its log:\n{tail}"
        return ""


def up(port: int = DEFAULT_PORT, gateway: Gateway = "short", processes: int = 1) -> Server:
    """Start the detached server, or return the one that is up.

    Raises TargetError (see `EmbeddedLocalStack.start`).
    """
    with _exclusively():
        if server := status():
            for name, asked, there in (
                ("on port", port, server.port),
                ("with the gateway", gateway, server.gateway),
                ("with a number of processes of", processes, server.processes),
            ):
                if asked != there:
                    running = f"A LocalStack is already running {name} {there}."
                    raise TargetError(f"{running} Stop it with: windfleet store down")
            return server
        EmbeddedLocalStack(gateway, processes)._started(port, detach=True)
        server = status()
    if server is None:
        raise TargetError(
            "LocalStack stopped right after it was ready. Try again: windfleet store up"
        )
    return server


def status() -> Server | None:
    """Return the detached server of this checkout, or None. Remove the record of a dead one."""
    server = read_state(HOME)
    if server is not None and not is_alive(server):
        _forget(server)
        return None
    return server


def down() -> Server | None:
    """End the detached server and return it, or None when there was none. End no other process."""
    with _exclusively():
        server = status()
        if server is None:
            return None
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(server.pid)
            others = process.children()
            process.terminate()
            try:
                process.wait(STOP_WITHIN_S)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait(STOP_WITHIN_S)
            _end(others)
        _forget(server)
        return server


def _exclusively() -> contextlib.AbstractContextManager[None]:
    """Lock against other processes: of two servers started at once, only one would be recorded."""
    return owned(HOME, wait=True) if HOME.is_dir() else contextlib.nullcontext()


def _end(processes: list[psutil.Process]) -> None:
    """Wait for the other processes of a server, which end with it; end those that do not."""
    _, alive = psutil.wait_procs(processes, STOP_WITHIN_S)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, STOP_WITHIN_S)


def _forget(server: Server) -> None:
    # The record may have been edited by hand: remove only folders with our prefix.
    if pathlib.Path(server.directory).name.startswith(DIRECTORY_PREFIX):
        shutil.rmtree(server.directory, ignore_errors=True)
    remove_state(HOME, server.pid)


def _environment(port: int, directory: pathlib.Path) -> dict[str, str]:
    """Return the server's environment. LocalStack reads dozens of variables; few are passed on."""
    kept = {
        name: os.environ[name]
        for name in ("PATH", "LANG", "LC_ALL", "TMPDIR")
        if name in os.environ
    }
    return kept | {
        "HOME": str(directory),
        "SERVICES": "s3",
        "EAGER_SERVICE_LOADING": "1",
        "STRICT_SERVICE_LOADING": "1",
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "DNS_ADDRESS": "0",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DISABLE_EVENTS": "1",
        "LS_LOG": "warning",
        "OVERRIDE_IN_DOCKER": "0",
        "FILESYSTEM_ROOT": str(directory),
        "PYTHONUNBUFFERED": "1",
    }


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _checked_port(port: int) -> int:
    if not 0 < port < 65536:
        raise TargetError(f"{port} is not a port: give one from 1 to 65535.")
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except PermissionError as error:
            raise TargetError(
                f"Port {port} is reserved for the system: give one from 1024 up."
            ) from error
        except OSError as error:
            raise _PortTakenError(_taken(port)) from error
    return port


def _taken(port: int) -> str:
    return f"Port {port} on 127.0.0.1 is taken by another program: stop it, or give another port."
