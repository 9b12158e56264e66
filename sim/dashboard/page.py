"""The HTML: template, styles, scripts and contents in one file that opens offline.

The contents are one base64 text, so no name of a turbine or farm stands in the page's HTML or
scripts. Scripts put names into the page as text, never as markup. The Content-Security-Policy
allows the page's own scripts by their hash and nothing from elsewhere.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from markupsafe import Markup

from sim.dashboard.columns import block
from sim.dashboard.data import Contents
from sim.report.jinja_environment import environment
from sim.report.page import assets, shared

SCRIPTS: Final = (
    "text", "block", "figures", "filters", "charts", "summary", "map", "production", "curve",
    "freshness", "anomalies", "ranking", "performance", "main",
)  # fmt: skip
"""Files of `static/`, in the order in which they run, after those of all pages."""


def render(contents: Contents) -> str:
    """Return the page."""
    style = files("sim.dashboard").joinpath("static/dashboard.css").read_text(encoding="utf-8")
    return (
        environment("sim.dashboard")
        .get_template("dashboard.html.j2")
        .render(
            title=contents.facts["title"],
            assets=assets(*shared(), *(("sim.dashboard", name) for name in SCRIPTS)),
            style=Markup(style),
            block=block(contents.columns, contents.facts),
        )
    )
