"""The HTML: template, styles, scripts and contents in one file that opens offline.

The contents are one base64 text, so no name of a turbine or farm stands in the page's HTML or
scripts. Scripts put names into the page as text, never as markup. The Content-Security-Policy
allows the page's own scripts by their hash and nothing from elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Final

from jinja2 import ChoiceLoader, PackageLoader

from sim.dashboard.columns import block
from sim.dashboard.data import Contents
from sim.report.jinja_environment import environment

SCRIPTS: Final = (
    "text", "block", "figures", "filters", "charts", "summary", "map", "production", "curve",
    "freshness", "anomalies", "ranking", "performance", "main",
)  # fmt: skip
"""Files of `static/`, in the order in which they run."""


def render(contents: Contents) -> str:
    """Return the page."""
    made = environment()
    assert made.loader is not None
    made.loader = ChoiceLoader([PackageLoader("sim.dashboard"), made.loader])
    library = _text("sim.report", "uplot/uPlot.iife.min.js")
    own = "\n".join(_text("sim.dashboard", f"static/{name}.js") for name in SCRIPTS)
    script = f'"use strict";\n(() => {{\n{own}\n}})();\n'
    return made.get_template("dashboard.html.j2").render(
        title=contents.facts["title"],
        library=library,
        library_style=_text("sim.report", "uplot/uPlot.min.css"),
        style=_text("sim.dashboard", "static/dashboard.css"),
        script=script,
        hashes=[_hash(library), _hash(script)],
        block=block(contents.columns, contents.facts),
    )


def _text(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"
