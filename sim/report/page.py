"""Pages: one base template with style, scripts, contents list and glossary. `render` makes each.

A page is a template that extends `base.html.j2` and fills its blocks:

    {% extends "base.html.j2" %}
    {% import "macros.html.j2" as ui with context %}
    {% block title %}PASS: my page{% endblock %}
    {% block kind %}name beside the brand{% endblock %}
    {% block head %}{{ ui.banner("pass", "Pass", ["One sentence."]) }}{% endblock %}
    {% block body %}
    <section id="rates"><header><h2>Rates</h2>{{ ui.kind("measured") }}</header>
    {{ ui.chart("rates", "Description for people who do not see it.", "Rows per second") }}
    </section>
    {% endblock %}

- The contents list has the `h2` of each section. Blocks `when`, `style` and `footer` are optional.
- `term("freshness.p99", "Freshness")` marks a word: its definition, from `sim.measure.figures` or
  `terms`, shows on hover and focus, and stands in the glossary.
- `ui.chart(name)` places a `Chart` of the list given to `render`; without data it is left out.
- A table in `<div class="scroll">` scrolls by itself where it is too wide.
- `tests/report/test_pages.py` tries every page in a browser.

All of it is in one file, which opens offline: the Content-Security-Policy allows the page's own
scripts by their hash, and nothing from elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from markupsafe import Markup

from sim.report import chart
from sim.report.chart import Chart
from sim.report.glossary import Glossary

SHARED: Final = ("elements", "plot")
"""Scripts of `static/` that the dashboard uses, too."""
_OWN: Final = ("formats", "charts", "terms", "report")
_SECTION: Final = re.compile(r'<section id="([^"]+)"[^>]*>\s*<header><h2>(.*?)</h2>', re.S)


@dataclass(frozen=True)
class Assets:
    """Style and scripts of a page, and the hashes by which its policy allows the scripts."""

    library: Markup
    library_style: Markup
    script: Markup
    hashes: Markup


def assets(*scripts: tuple[str, str]) -> Assets:
    """Return uPlot and one script of all `scripts`: (package, name of a file in `static/`)."""
    library = _text("sim.report", "uplot/uPlot.iife.min.js")
    own = "\n".join(_text(package, f"static/{name}.js") for package, name in scripts)
    script = f'"use strict";\n(() => {{\n{own}\n}})();\n'
    return Assets(
        Markup(library),
        Markup(_text("sim.report", "uplot/uPlot.min.css")),
        Markup(script),
        Markup(f"{_hash(library)} {_hash(script)}"),
    )


def shared() -> list[tuple[str, str]]:
    """Return the scripts that every page begins with."""
    return [("sim.report", name) for name in SHARED]


def render(
    template: str,
    charts: Iterable[Chart | None] = (),
    package: str = "sim.report",
    **names: Any,
) -> str:
    """Return a page.

    charts: those that its template places with `ui.chart(name)`. package: that of the template.
    """
    from sim.report import (
        jinja_environment,
    )  # workers of a run import this module, and draw nothing

    glossary = Glossary()
    drawn = {each.name: each for each in charts if each is not None}
    made = jinja_environment.environment(package)
    return made.get_template(template).render(
        assets=assets(*shared(), *(("sim.report", name) for name in _OWN)),
        charts=drawn,
        chart_data=Markup(chart.as_json(drawn.values())),
        contents=_contents,
        glossary=glossary,
        term=glossary.term,
        **names,
    )


def _contents(body: str) -> list[tuple[str, Markup]]:
    """Return (id, heading) of each section of a page's body."""
    return [(id_, Markup(Markup(title).striptags())) for id_, title in _SECTION.findall(body)]


def _text(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"
