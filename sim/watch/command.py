"""`windfleet watch`: follow a run, and serve its page and metrics until Ctrl-C."""

from __future__ import annotations

import argparse
import json
import socket
import threading
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from sim.errors import ENVIRONMENT, PASS, DirectoryError, reason
from sim.output_file import require_replaceable
from sim.watch import grafana
from sim.watch.document import document
from sim.watch.metrics import CONTENT_TYPE, exposition
from sim.watch.page import page
from sim.watch.server import Answer, Answers, WatchServer, listening, url_of
from sim.watch.state import RunState, Stage
from sim.whole_file import write_text

EVERY_S: Final = 1.0
_NEWS: Final[dict[Stage, str]] = {
    "waiting": "waiting for a run; start one with: windfleet run SCENARIO --out {folder}",
    "preparing": "a run prepares",
    "delivering": "a run simulates and delivers",
    "loading": "a load test runs its phases",
    "judging": "the lake is judged",
    "ended": "the run has ended: {verdict}; Ctrl-C ends the page",
    "stopped": "the run was killed and has no result; Ctrl-C ends the page",
}


def watch(args: argparse.Namespace, console: Console) -> int:
    """Serve until Ctrl-C. Return 0 if the run has ended by then.

    Raises DirectoryError, TargetError, and KeyboardInterrupt while the run is not over.
    """
    if args.grafana is not None:
        require_replaceable(args.grafana, grafana.MARK, "--grafana FILE", args.overwrite)
        _write_dashboard(args.grafana, console)
        if args.run is None:
            return PASS
    state = RunState(args.run)
    if args.socket is not None:
        listener = socket.socket(fileno=args.socket)
    else:
        listener = listening(args.port)
        console.print(Text(f"watching {args.run}: {url_of(listener)}"), soft_wrap=True)
    follower = Follower(state, console)
    try:
        follower.poll()  # the first answer knows the run
        with WatchServer(listener, follower.answers):
            follower.run()
    except KeyboardInterrupt:
        if not state.is_over:
            raise
    return PASS


def _write_dashboard(path: Path, console: Console) -> None:
    try:
        write_text(path, grafana.dashboard())
    except OSError as error:
        raise DirectoryError(f"{path}: cannot be written: {reason(error)}", ENVIRONMENT) from error
    console.print(Text(f"dashboard: {path}"), soft_wrap=True)


class Follower:
    """A loop that polls the state each second. Answers are made from it, one at a time."""

    def __init__(self, state: RunState, console: Console) -> None:
        self._state, self._console = state, console
        self._lock = threading.Lock()
        self._shown: Stage | None = None
        self.answers: Answers = {"/": page, "/state.json": self._json, "/metrics": self._metrics}

    def run(self) -> None:
        """Poll until an exception, such as KeyboardInterrupt."""
        while True:
            begun = time.monotonic()
            self.poll()
            time.sleep(max(0.05, EVERY_S - (time.monotonic() - begun)))

    def poll(self) -> None:
        """Read what is new, and print a line when the stage has changed."""
        with self._lock:
            self._state.poll()
        self._report()

    def _report(self) -> None:
        state = self._state
        if state.stage == self._shown:
            return
        self._shown = state.stage
        verdict = "" if state.ending is None else state.ending.verdict
        text = _NEWS[state.stage].format(folder=state.folder, verdict=verdict)
        self._console.print(Text(text), soft_wrap=True)

    def _json(self) -> Answer:
        with self._lock:
            body = json.dumps(document(self._state), allow_nan=False, separators=(",", ":"))
        return Answer(body.encode(), "application/json")

    def _metrics(self) -> Answer:
        with self._lock:
            return Answer(exposition(self._state), CONTENT_TYPE)
