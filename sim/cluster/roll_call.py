"""The roll call before a run: every worker answers, or is refused by name.

The scheduler answers, too, since it reads the tasks that pass through it.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sim.cluster.library import INSTALL
from sim.cluster.worker_info import WorkerInfo, worker_info
from sim.errors import ClusterError

WORKER_WITHIN_S: Final = 10.0
"""Time for a first worker to connect."""
ANSWER_WITHIN_S: Final = 60.0
"""Time for a worker to import windfleet and answer."""
_POLL_S: Final = 0.2
_NOT_IN_BYTES: Final = "python"
_IMPORT_FAILED: Final = re.compile("ModuleNotFoundError|ImportError|AttributeError")
_MISSING: Final = f"has no windfleet that can take a part; there: {INSTALL}"


@dataclass(frozen=True)
class Host:
    """A machine with workers. threads: of all of them; each runs a part at a time."""

    threads: int
    cores: int
    memory_bytes: int


@dataclass(frozen=True)
class Workers:
    """Workers that can take parts. hosts: by name."""

    hosts: Mapping[str, Host]

    @property
    def threads_on(self) -> dict[str, int]:
        """Host -> threads of its workers."""
        return {name: host.threads for name, host in self.hosts.items()}

    @property
    def threads(self) -> int:
        """Number of parts that run at the same time."""
        return sum(host.threads for host in self.hosts.values())


def call_workers(client: Any, needs_localstack: bool) -> Workers:
    """Call all workers. Raises ClusterError, with every reason, unless all can take a part."""
    workers = _connected(client)
    answers = _answers(client, workers)
    own = worker_info()
    problems = [
        f"{name}: {problem}"
        for address, worker in sorted(workers.items())
        for name in [_name(address, worker)]
        for problem in _problems(answers.get(address), own, needs_localstack)
    ]
    try:
        scheduler: Any = client.run_on_scheduler(worker_info)
    except Exception as error:  # whatever an import there raises
        scheduler = error
    problems += [
        f"scheduler {client.scheduler.address}: {problem}"
        for problem in _problems(scheduler, own, needs_localstack=False)
    ]
    if problems:
        raise ClusterError("this cluster cannot run the parts:\n" + "\n".join(problems))
    hosts: dict[str, Host] = {}
    for address, worker in workers.items():
        info = answers[address]
        before = hosts[info["host"]].threads if info["host"] in hosts else 0
        threads = before + worker["nthreads"]
        hosts[info["host"]] = Host(threads, info["cores"], info["memory_bytes"])
    return Workers(hosts)


def _answers(client: Any, addresses: Iterable[str]) -> dict[str, Any]:
    """Return address -> description or exception. Each worker has ANSWER_WITHIN_S for it."""
    silent = TimeoutError(f"no answer within {ANSWER_WITHIN_S:.0f} s; end this worker")
    found: dict[str, Any] = dict.fromkeys(addresses, silent)

    def ask(address: str) -> None:
        try:
            answer = client.run(worker_info, workers=[address], on_error="return").get(address)
        except Exception as error:  # whatever an import there raises
            answer = error
        found[address] = answer

    # Dask bounds no call of a worker. A thread that still waits ends with this process.
    threads = [threading.Thread(target=ask, args=(each,), daemon=True) for each in tuple(found)]
    for thread in threads:
        thread.start()
    give_up = time.monotonic() + ANSWER_WITHIN_S
    for thread in threads:
        thread.join(max(0.0, give_up - time.monotonic()))
    return dict(found)


def _connected(client: Any) -> dict[str, dict[str, Any]]:
    """Return address -> worker, as the scheduler describes it, when there is one."""
    give_up = time.monotonic() + WORKER_WITHIN_S
    while not (workers := client.scheduler_info(n_workers=-1)["workers"]):
        if time.monotonic() > give_up:
            start = f"dask worker {client.scheduler.address}"
            raise ClusterError(
                f"{client.scheduler.address} has no worker; start some with: {start}"
            )
        time.sleep(_POLL_S)
    return dict(workers)


def _name(address: str, worker: Mapping[str, Any]) -> str:
    name = str(worker.get("name", address))
    return f"worker {address}" if name == address else f"worker {name} at {address}"


def _problems(answer: Any, own: WorkerInfo, needs_localstack: bool) -> list[str]:
    if answer is None:
        return ["left during the roll call"]
    if not isinstance(answer, dict):
        # An exception of an import there may arrive as its text.
        text = f"{type(answer).__name__}: {answer}"
        missing = _IMPORT_FAILED.search(text) is not None
        return [_MISSING if missing else f"does not answer: {text}"]
    problems = differences(answer["versions"], own["versions"])
    if needs_localstack and not answer["localstack"]:
        problems.append("has no LocalStack; there: make localstack; or name an --endpoint-url")
    return problems


def differences(theirs: Mapping[str, str], ours: Mapping[str, str]) -> list[str]:
    """Return a line for each program whose version there is not the one here."""
    return [
        f"has {program} {theirs.get(program, 'not installed')}, this machine has {version}"
        for program, version in ours.items()
        if program != _NOT_IN_BYTES and theirs.get(program) != version
    ]
