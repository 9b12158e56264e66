"""Checks of a load test's plan and of its target. Each raises an error that names the fix.

The engine repeats `require_reachable` while a phase runs, and `require_files` before each phase.
"""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from sim.errors import PlanError, TargetGone
from sim.load.sampler import port_of
from sim.load_schedule import FILES_PER_USER, FILES_SPARE, Load
from sim.measure.figures import LOAD as FIGURES_OF_LOAD
from sim.measure.thresholds import Expectation

CONNECT_S: Final = 2.0
_ALWAYS: Final = ("load.workers_lost", "load.generator_per_s", "time.total")
_OF_SWEEP: Final = ("load.peak_per_s", "load.saturation_users", "load.littles_law_error")


def require_busy(load: Load) -> None:
    """Raise PlanError if there are more processes than users, so that some would be idle."""
    if load.processes > load.users:
        raise PlanError(
            f"{load.processes} processes for {load.users} users (load.users) leave some idle; "
            f"take at most {load.users} processes"
        )


def require_measurable(expectations: Iterable[Expectation], load: Load) -> None:
    """Raise PlanError if the plan never measures an expected figure: no verdict is possible."""
    wrong = [
        f"expect: '{one.text}': {reason}"
        for one in expectations
        if (reason := _never_measured(one.figure, load)) is not None
    ]
    if wrong:
        raise PlanError("\n".join(wrong))


def _never_measured(figure: str, load: Load) -> str | None:
    """Return the reason why the plan cannot measure a figure, or None.

    Follows `sim.load.analysis.figures.of_test`, which computes the figures.
    """
    group, kind, *_ = figure.split(".")
    if figure in _ALWAYS:
        return None
    if figure not in FIGURES_OF_LOAD:
        return "no load test measures it"
    if figure in _OF_SWEEP or kind == "usl":
        return None if load.sweep else "only a sweep measures it, and load has none"
    if figure == "load.sustainable_per_s":
        return None if load.search else "only a search measures it, and load has none"
    if not (load.schedule or load.search):
        return "a sweep does not measure it; add a schedule or a search"
    if group in ("latency", "service") and kind not in dict(load.mix):
        return f"load.mix makes no {kind}; it has {', '.join(made for made, _ in load.mix)}"
    if figure == "load.drift" and len(load.schedule) > 1:
        return "it is measured over a single phase, and load.schedule has several"
    return None


def require_files(users: int, processes: int = 1) -> None:
    """Raise the soft limit of open files as needed for each process's users. Raises PlanError."""
    need = -(-users // processes) * FILES_PER_USER + FILES_SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and need > hard:
        most = max(hard - FILES_SPARE, 0) // FILES_PER_USER * processes
        raise PlanError(
            f"load.users: {users:,} users need {need:,} open files, and this process may have "
            f"{hard:,} (ulimit -Hn): take at most {most:,} users, or raise the limit"
        )
    if soft != resource.RLIM_INFINITY and need > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))


def require_reachable(endpoint_url: str) -> None:
    """Raise TargetGone if the endpoint refuses connections. A slow answer is no failure."""
    address = (urlsplit(endpoint_url).hostname or "", port_of(endpoint_url))
    try:
        socket.create_connection(address, timeout=CONNECT_S).close()
    except TimeoutError:
        return
    except OSError as error:
        raise TargetGone(
            f"{endpoint_url} takes no connections ({error}): the target is not there, or has died"
        ) from error
