"""The limit of a run while it simulated and delivered, from the time line of its processes.

In the order in which they are tried; the bounds are those of `sim.measure.bottleneck`:

- Store: its server is one Python process under one lock, and at BUSY of a core it is the limit.
- Other programs: no core is idle, and those of the run use less than OWN of them.
- Cores: at BUSY of the machine's cores nothing can go faster without more of them.
- Answers: idle cores, and workers that mostly wait for the store.
- Anything else is unknown, and reported so.

Not covered: stores on other machines, whose processes cannot be sampled; disks and the network.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sim.measure.bottleneck import BUSY, ONE_CORE
from sim.measure.timeline import Phase, Timeline

DELIVERY: Final = "simulate and deliver"
OWN: Final = 0.7
"""Share of the cores below which a run without idle cores was held up by other programs."""
WAITING: Final = 0.4
"""Share of their time for which workers must wait to be called held up by the store."""


def main_phase(line: Timeline) -> Phase | None:
    """Return the phase in which the run simulates and delivers; of another run its longest."""
    named = [phase for phase in line.phases if phase.name == DELIVERY]
    return max(named or line.phases, key=lambda phase: phase.to_s - phase.from_s, default=None)


def sentence(line: Timeline, objects_per_s: float | None, ceiling_per_s: float | None) -> str:
    """Return what limited the run, in one sentence.

    objects_per_s: PUTs per second of the run. ceiling_per_s: those that the store takes alone.
    """
    phase = main_phase(line)
    if phase is None:
        return ""
    length_s = max(phase.to_s - phase.from_s, 1e-6)
    server, workers = phase.server_s / length_s, phase.workers_s / length_s
    used = workers + server + phase.harness_s / length_s
    bounds = [round(at / line.bucket_s) for at in (max(phase.from_s, 0.0), phase.to_s)]
    inside = slice(bounds[0], max(bounds[1], bounds[0] + 1))
    waited, active = (
        sum(float(np.sum(getattr(line, name)[inside])) for name in names)
        for names in (("wait",), ("simulate", "deliver", "judge", "wait"))
    )
    use = f"the workers used {_cores(workers)}, the store {_cores(server)}"
    share = (
        f", at {100 * objects_per_s / ceiling_per_s:.0f} % of the store's PUT ceiling"
        if objects_per_s and ceiling_per_s
        else ""
    )
    if BUSY <= server <= ONE_CORE:
        text = f"The store: its one core was {100 * min(server, 1.0):.0f} % busy"
    elif phase.busy >= BUSY and used < OWN * line.cores:
        text = (
            f"Other programs: the run had {_cores(used)} of {line.cores} and waited for the others"
        )
    elif phase.busy >= BUSY:
        text = f"The machine's {line.cores} cores: they were {100 * phase.busy:.0f} % busy"
    elif active and waited / active >= WAITING:
        text = f"The store's answers: workers waited for {100 * waited / active:.0f} % of the time"
    else:
        text = f"Nothing clear: the {line.cores} cores were {100 * phase.busy:.0f} % busy"
    return f"{text}; {use}{share}."


def _cores(used: float) -> str:
    text = f"{used:.1f}" if used >= 0.95 else f"{used:.2g}"
    return f"{text} core{'s' * (text not in ('1', '1.0'))}"
