"""The plan of a scenario on the terminal, before anything runs.

Light: nothing of the HTML report is imported.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from sim.chaos.faults import KILL, KINDS, Fault
from sim.measure.lifecycle import Outlook
from sim.measure.storage import PRICES_AS_OF
from sim.report import numbers, policies
from sim.report.plain_table import plain_table
from sim.scenario.plan import NOT_COUNTED, REQUESTS_PER_S, Plan
from sim.units import format_duration


def print_plan(
    console: Console,
    plan: Plan,
    data_odds: Sequence[tuple[str, str]],
    delivery_odds: Sequence[str],
) -> None:
    """Print the plan of a scenario: objects, bytes and PUTs per bucket, then the totals.

    data_odds: kind and odds of each data fault. delivery_odds: odds of each fault of delivery.
    """
    table = plain_table("bucket", ">objects", ">size, about", ">PUT requests")
    for stage, objects in plan.objects.items():
        table.add_row(
            stage, f"{objects:,}", numbers.size(plan.lake_bytes[stage]), f"{plan.writes[stage]:,}"
        )
    totals = (plan.objects, plan.lake_bytes, plan.writes)
    objects, size, writes = (sum(by_stage.values()) for by_stage in totals)
    table.add_section()
    table.add_row("all", f"{objects:,}", numbers.size(size), f"{writes:,}")
    console.print(table)
    if plan.faults or plan.delivery:
        console.print(Text(NOT_COUNTED, "dim"), soft_wrap=True)
    lines = {
        "fleet": f"{_many(plan.turbines, 'turbine')} in {_many(plan.farms, 'farm')}",
        "rows": f"{plan.rows:,} in {plan.batches:,} batches, {plan.windows:,} windows",
        "node databases": f"{numbers.size(plan.node_bytes)} (about)",
        "other requests": f"{plan.reads:,} of the pipeline, "
        f"{plan.verify_requests:,} of the verdict",
        "store time": f"{numbers.duration(plan.store_s)} at {REQUESTS_PER_S:,.0f} requests/s",
        "S3 cost": f"{numbers.figure(plan.cost_per_day, 'USD')} a day at list prices of "
        f"{PRICES_AS_OF} (modelled)",
    }
    data = [
        ("data faults" * (i == 0), f"{kind}: {odds}") for i, (kind, odds) in enumerate(data_odds)
    ]
    faults = zip(plan.delivery, delivery_odds, strict=True)
    delivery = [
        ("faults" * (i == 0), f"{_planned_fault(fault)}: {odds}")
        for i, (fault, odds) in enumerate(faults)
    ]
    for name, text in [*lines.items(), *data, *delivery]:
        console.print(Text(f"{name:<15}", "dim") + Text(text, "default"), soft_wrap=True)
    _print_policies(console, plan.outlook)


def _print_policies(console: Console, outlook: Outlook) -> None:
    """Print the effect of the lifecycle policies on a day of the load."""
    table = plain_table("bucket", ">objects a day", ">mean size", "moved by lifecycle policies")
    table.columns[-1].no_wrap = False
    for row in policies.summary(outlook):
        table.add_row(*row)
    console.print(table)
    lines = [("expiry" * (i == 0), text) for i, text in enumerate(policies.removals(outlook))]
    lines += [("S3 storage" * (i == 0), text) for i, text in enumerate(policies.prices(outlook))]
    for name, text in lines:
        console.print(Text(f"{name:<15}", "dim") + Text(text, "default"), soft_wrap=True)


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _planned_fault(fault: Fault) -> str:
    """Return a fault of delivery in words: its kind, its share or number, its time and place."""
    begin, end = (
        format_duration(round(s * 1e6)) for s in (fault.from_s, fault.from_s + fault.for_s)
    )
    kind = KINDS[fault.kind]
    parts = (
        fault.kind,
        f"{100 * fault.share:.3g} % of {'calls' if kind.points else 'nodes'}"
        if fault.share < 1
        else "",
        f"{fault.count} {'times' if fault.kind == KILL else 'at most'}"
        if fault.count is not None
        else "",
        f"{begin} to {end}" if kind.windowed else "",
        f"at {' '.join(fault.at)}" if fault.at else "",
        f"of {' '.join(fault.calls)}" if fault.calls else "",
        f"bucket {' '.join(fault.buckets)}" if fault.buckets else "",
        f"key {' '.join(fault.keys)}" if fault.keys else "",
        f"farm {' '.join(fault.farms)}" if fault.farms else "",
    )
    return ", ".join(part for part in parts if part)
