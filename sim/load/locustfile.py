"""Locust's side of a load test: users that make the scenario's requests on its schedule.

`windfleet load` runs this file itself. By hand, with a store that is up (`windfleet store up`):

    locust -f sim/load/locustfile.py --host http://127.0.0.1:4566 \\
        --scenario scenarios/load-ramp.yaml
    locust -f ... --scenario ... --headless                    the same without the web interface
    locust -f ... --scenario ... --processes 4                 or --master here, --worker there

- The web interface listens on http://127.0.0.1:8089 only. Locust names it at once, but it comes up
  when the batches are made: after the line `ready: open ...`. It has the schedule under its custom
  parameters.
- A start there runs the scenario's whole open schedule once. Without an open schedule, every user
  makes one request after the other until Locust stops it.
- The number of users caps requests under way; without -u it is `load.users` of the scenario.
- The lake must be empty at first. Each start removes the objects of the last one.
- `--processes` and `--master` need all of the expected workers (`--expect-workers`): the nodes are
  divided among them.
- Response times are latencies from the intended start.

Not covered by hand: the verdict, the report, calibration, limits on rate and time. Locust must be
imported before boto3, so no other module may import this one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import gevent
import locust
from locust import User, task
from locust.runners import MasterRunner, WorkerRunner

from sim.load.client import plan
from sim.load.client.session import LEAD_NS, Session

START, DONE = "windfleet-start", "windfleet-done"
ORPHAN_POLL_S: Final = 1.0
SETTLE_S: Final = 1.0
"""Wait for requests under way before the lake is cleaned."""
events: Any = locust.events
_shown: Final = {"schedule": ""}
"""Shown on the page, below its custom parameters; known once the batches are made."""


class Node(User):
    """A user, which makes the next request of the queue. Their number caps requests under way."""

    @task
    def work(self) -> None:
        session = self.environment.windfleet.session
        if session is not None:
            session.work()
        gevent.sleep(1.0)  # until Locust ends us


class Process:
    """The role of this process: a client with a session, the master that starts them, or both."""

    def __init__(self, environment: Any, runner: Any) -> None:
        self._environment, self._runner = environment, runner
        self._options = environment.parsed_options
        self._is_client = not isinstance(runner, MasterRunner)
        self._leads = not isinstance(runner, WorkerRunner)
        self.session: Session | None = None
        self._by_hand: Any = None
        self._done: set[int] = set()
        events.test_start.add_listener(self._prepare)
        if isinstance(runner, WorkerRunner):
            runner.register_message(START, lambda msg, **_: self._begin(msg.data))
        else:
            events.spawning_complete.add_listener(self._agree_on_start)
        if isinstance(runner, MasterRunner):
            runner.register_message(DONE, lambda msg, **_: self._done.add(msg.data))
        if self._leads and not self._options.plan:
            self._prepare_by_hand()
        if self._options.plan or self._options.processes:
            gevent.spawn(self._end_with_parent, os.getppid())

    def _prepare_by_hand(self) -> None:
        from sim.load.by_hand import ByHand, Refused, ready  # brings boto3

        workers = self._options.expect_workers if self._options.master else 1
        try:
            self._by_hand = ByHand(self._options.scenario, self._environment.host, workers)
            gevent.get_hub().loop.update_now()  # so that --run-time does not count the preparation
        except Refused as error:
            print(f"windfleet: {error}", flush=True)  # os._exit flushes nothing
            os._exit(2)
        options, users = self._options, self._by_hand.users
        options.num_users = options.num_users or users
        options.spawn_rate = options.spawn_rate or options.num_users
        _shown["schedule"] = self._by_hand.schedule
        print(f"windfleet: a start makes {self._by_hand.schedule}", flush=True)
        print(
            f"windfleet: at most {options.num_users:,} requests under way: the number of users",
            flush=True,
        )
        tls = bool(options.tls_cert and options.tls_key)
        place = ready(
            options.headless, options.web_host, options.web_port, options.web_base_path, tls
        )
        print(f"windfleet: {place}", flush=True)
        events.quit.add_listener(self._close_by_hand)  # users and workers have stopped by then

    def _close_by_hand(self, **_: Any) -> None:
        gevent.sleep(SETTLE_S)
        self._by_hand.close()

    def _end_with_parent(self, parent: int) -> None:
        """End this process when its parent has died, so that it makes no more load."""
        while os.getppid() == parent:
            gevent.sleep(ORPHAN_POLL_S)
        os._exit(1)

    def _prepare(self, **_: Any) -> None:
        """Prepare a phase at Locust's event test_start.

        The master's event comes first, and its options reach the workers before their own event.
        """
        self._done.clear()
        if self._by_hand is not None:
            self._options.plan = str(self._by_hand.next_run(self._runner.target_user_count))
        if self._is_client:
            self.session = Session(Path(self._options.plan), self._index(), self._report)

    def _index(self) -> int:
        return int(self._runner.worker_index) if isinstance(self._runner, WorkerRunner) else 0

    def _agree_on_start(self, **_: Any) -> None:
        """Set the schedule's 0 at Locust's event spawning_complete: all users are there.

        Only once per phase, because more users may be added by hand later.
        """
        folder = Path(self._options.plan)
        if plan.read_started(folder) is not None:
            return
        phase = plan.read(folder)
        started_ns = phase.now_ns() + LEAD_NS
        plan.write_started(folder, started_ns)
        if self._is_client:
            self._begin(started_ns)
        else:
            self._runner.send_message(START, started_ns)
            gevent.spawn(self._end_when_all_are_done, phase)

    def _begin(self, started_ns: int) -> None:
        assert self.session is not None
        self.session.start(started_ns)
        gevent.spawn(self._end_when_done, self.session)

    def _end_when_done(self, session: Session) -> None:
        session.over.wait()
        if self._leads:
            self._end()
        else:
            self._runner.send_message(DONE, self._index())

    def _end_when_all_are_done(self, phase: plan.ClientPlan) -> None:
        """End the phase when all workers that still live are done."""
        while len(self._done) < min(phase.workers, self._runner.worker_count):
            gevent.sleep(0.05)
        self._end()

    def _end(self) -> None:
        if self._options.headless:
            gevent.spawn(self._runner.quit)
        else:
            gevent.spawn(self._runner.stop)

    def _report(self, kind: str, latency_ms: float, size: int, error: str | None) -> None:
        events.request.fire(
            request_type=kind,
            name=kind,
            response_time=latency_ms,
            response_length=size,
            exception=None if error is None else RuntimeError(error),
            context={},
        )


def _arguments(parser: Any) -> None:
    parser.add_argument(
        "--scenario", default="", help="scenario YAML with a load section", include_in_web_ui=False
    )
    parser.add_argument(
        "--plan",
        default="",
        help="set by windfleet load: a phase's folder",
        include_in_web_ui=False,
    )
    parser.add_argument(
        "--schedule",
        default=_shown["schedule"],
        choices=[_shown["schedule"]],
        help="the work of a start; set by the scenario",
    )
    parser.set_defaults(web_host="127.0.0.1", master_bind_host="127.0.0.1")


def _init(environment: Any, runner: Any, **_: Any) -> None:
    environment.windfleet = Process(environment, runner)


events.init_command_line_parser.add_listener(_arguments)
events.init.add_listener(_init)
