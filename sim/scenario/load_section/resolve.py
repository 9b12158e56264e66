"""The resolved `load` section: `sim.load_schedule.Load`, in seconds and per second."""

from __future__ import annotations

from sim.load_schedule import Entry, Limits, Load, RequestKind, Search, Sweep
from sim.measure.request_kinds import KINDS as REQUEST_KINDS
from sim.scenario.load_section.document import EntryChoice, LoadChoice, SearchChoice
from sim.units import SECOND_US


def resolve(choice: LoadChoice | None) -> Load | None:
    """Return the resolved section; None if the scenario has none."""
    if choice is None:
        return None
    weights = (
        {kind: getattr(choice.mix, kind) or 0.0 for kind in REQUEST_KINDS} if choice.mix else {}
    )
    mix: list[tuple[RequestKind, float]] = [
        (kind, weights[kind]) for kind in REQUEST_KINDS if weights.get(kind)
    ]
    sweep = choice.sweep
    return Load(
        mix=tuple(mix) or (("flush", 1.0),),
        batch_rows=choice.batch_rows,
        encode_inside=choice.encode_inside,
        users=choice.users,
        processes=choice.processes,
        warm_up_s=choice.warm_up / SECOND_US,
        schedule=tuple(_entry(entry) for entry in choice.schedule),
        sweep=Sweep(sweep.users, sweep.length / SECOND_US) if sweep else None,
        search=_search(choice.search) if choice.search else None,
        stop_when=choice.stop_when,
        limits=Limits(choice.limits.rate, choice.limits.time / SECOND_US, choice.limits.size),
    )


def _entry(entry: EntryChoice) -> Entry:
    rates = entry.rates or ()
    length = (entry.each or 0) * len(rates) if entry.kind == "step" else entry.length
    return Entry(
        kind=entry.kind,
        for_s=(length or 0) / SECOND_US,
        rate_per_s=entry.rate or 0.0,
        from_per_s=entry.begin or 0.0,
        to_per_s=entry.to or 0.0,
        rates_per_s=rates,
        peak_per_s=entry.peak or 0.0,
        at_s=(entry.at or 0) / SECOND_US,
        lasts_s=(entry.lasts or 0) / SECOND_US,
        speed=entry.speed or 1.0,
        outage_s=(entry.outage or 0) / SECOND_US,
    )


def _search(search: SearchChoice) -> Search:
    return Search(
        slo=search.slo,
        from_per_s=search.begin,
        to_per_s=search.to,
        within=search.within,
        each_s=search.length / SECOND_US,
        hold_s=search.hold / SECOND_US,
    )
