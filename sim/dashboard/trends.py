"""Daily deviations behind a rank: a turbine's readings against its farm's, day by day.

They come from the maintenance view's own SQL: its common table expression `daily`, from which the
view makes scores and slopes. So the page shows the numbers that the ranking is made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlglot
from sqlglot import exp

from pipeline.catalog import statements
from sim.dashboard.views import Views

DAILY: Final = "daily"
SIGNS: Final = ("gearbox", "generator", "nacelle", "vibration", "output")
"""Columns of `daily`. The view's rows have `<sign>_per_week` for each."""


def trends(views: Views, turbines: Sequence[str]) -> dict[str, dict[str, list[Any]]]:
    """Return `date` and the deviation of each sign by turbine, days in order."""
    if not turbines:
        return {}
    found: dict[str, dict[str, list[Any]]] = {}
    for row in views.answer(_statement(turbines)).to_pylist():
        of_turbine = found.setdefault(row["turbine_id"], {name: [] for name in ("date", *SIGNS)})
        of_turbine["date"].append(row["date"].isoformat())
        for sign in SIGNS:
            of_turbine[sign].append(None if row[sign] is None else float(f"{row[sign]:.4g}"))
    return found


def _statement(turbines: Sequence[str]) -> str:
    """Return a query of `daily` for some turbines, with the view's expressions before it."""
    made = sqlglot.parse_one(statements.view(statements.VIEWS[2]), read="databricks")
    chosen = exp.select("turbine_id", "date", *SIGNS).from_(DAILY)
    for each in made.expression.ctes:
        chosen = chosen.with_(each.alias, as_=each.this)
        if each.alias == DAILY:
            names = [exp.Literal.string(name) for name in turbines]
            wanted = exp.column("turbine_id").isin(*names)
            return chosen.where(wanted).order_by("turbine_id", "date").sql("databricks")
    raise LookupError(f"{statements.VIEWS[2]} has no expression {DAILY}")
