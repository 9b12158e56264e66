"""The progress of a phase: counts so far, and figures over the last WINDOW_S that may end it early.

Its input is journal rows as workers write them. A request that is due and has not ended counts in
the window with the time it has waited so far. So a server that stands still shows at once, and not
only when it answers again.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sim.arrays import Floats, Ints
from sim.load.client.journal import ABANDONED, ROW, Rows, intended_ns
from sim.load.phase import WINDOW_S, Phase
from sim.load_schedule import REQUEST_KINDS
from sim.measure.thresholds import evaluate

FEWEST: Final = 20
"""Fewest requests in the window for a figure. A first slow request is no reason to end a phase."""
RATE_S: Final = 2
"""Length of the window for the rate of requests."""
_RANKS: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p999": 0.999}


class PhaseProgress:
    """Counts and figures of a phase that runs.

    done: requests that ended. failed: those of them that failed. size: their bytes.
    failed_in_a_row: failures since the last success.
    """

    def __init__(self, phase: Phase, started_ns: int) -> None:
        self._phase = phase
        self._due = None if phase.arrivals is None else intended_ns(phase.arrivals, started_ns)
        self._begun = np.zeros(len(self._due) if self._due is not None else 0, dtype=bool)
        self._under_way: Rows = np.empty(0, dtype=ROW)
        self._recent: Rows = np.empty(0, dtype=ROW)
        self.done = self.failed = self.size = self.failed_in_a_row = 0

    def feed(self, rows: Rows) -> None:
        """Add new rows of the journals."""
        ended = rows[rows["outcome"] != ABANDONED]
        bad = ended["outcome"] != 0
        self.done += len(ended)
        self.failed += int(bad.sum())
        self.size += int(ended["bytes"].sum())
        good = np.flatnonzero(~bad)
        self.failed_in_a_row = (
            len(ended) - 1 - int(good[-1]) if len(good) else self.failed_in_a_row + len(ended)
        )
        if self._due is not None:
            self._begun[rows["number"]] = True
        begun = np.concatenate((self._under_way, rows[rows["outcome"] == ABANDONED]))
        self._under_way = np.compress(~np.isin(begun["number"], ended["number"]), begun)
        self._recent = np.concatenate((self._recent, ended))

    def backlog(self, now_ns: int) -> int:
        """Return the number of requests that are due and have not started."""
        return len(self._unstarted(now_ns))

    @property
    def under_way(self) -> int:
        """Return the number of requests that have started and not ended."""
        return len(self._under_way)

    def rate_per_s(self, now_ns: int) -> float:
        """Return the rate of requests that ended in the last RATE_S seconds."""
        since_ns = now_ns - RATE_S * 1_000_000_000
        return float(np.count_nonzero(self._recent["end"] >= since_ns)) / RATE_S

    def window(self, now_ns: int) -> dict[str, float]:
        """Return figures over the last WINDOW_S, in seconds and shares.

        Empty while the window has fewer than FEWEST requests.
        """
        self._recent = self._recent[self._recent["end"] >= now_ns - round(WINDOW_S * 1e9)]
        waiting = self._waiting(now_ns)
        every = np.concatenate((self._recent, self._under_way, waiting))
        if len(every) < FEWEST:
            return {}
        end = np.where(every["end"] == 0, now_ns, every["end"])
        latency_s = (end - every["intended"]) / 1e9
        late_s = (every["start"] - every["intended"]) / 1e9
        begun, kind = every[: len(every) - len(waiting)], every["kind"]
        service_s = (end - every["start"])[: len(begun)] / 1e9
        bad = int((self._recent["outcome"] != 0).sum())
        figures = {
            "errors.share": bad / len(self._recent) if len(self._recent) else 0.0,
            "load.late.p50": float(np.quantile(late_s, 0.5)),
            "load.late.p99": float(np.quantile(late_s, 0.99)),
            "load.backlog.max": float(self.backlog(now_ns)),
        }
        for number, name in enumerate(REQUEST_KINDS):
            figures |= _ranks(f"latency.{name}", latency_s[kind == number])
            figures |= _ranks(f"service.{name}", service_s[begun["kind"] == number])
        return figures

    def stop_reason(self, now_ns: int) -> str | None:
        """Return the condition of `stop_when` that holds, with the figure's value. None if none."""
        for outcome in evaluate(self._phase.stop_when, self.window(now_ns)):
            if outcome.passed:
                return f"{outcome.text} (over the last {WINDOW_S:g} s it was {outcome.value:.3g})"
        return None

    def _waiting(self, now_ns: int) -> Rows:
        """Return rows of the requests that are due and have not started, as if they started now."""
        if self._due is None or self._phase.arrivals is None:
            return np.empty(0, dtype=ROW)
        numbers = self._unstarted(now_ns)
        rows = np.zeros(len(numbers), dtype=ROW)
        rows["intended"], rows["start"] = self._due[numbers], now_ns
        rows["kind"] = self._phase.arrivals.kind[numbers]
        return rows

    def _unstarted(self, now_ns: int) -> Ints:
        if self._due is None:
            return np.empty(0, dtype=np.int64)
        return np.flatnonzero((self._due <= now_ns) & ~self._begun)


def _ranks(name: str, values: Floats) -> dict[str, float]:
    if not len(values):
        return {}
    return {f"{name}.{rank}": float(np.quantile(values, q)) for rank, q in _RANKS.items()}
