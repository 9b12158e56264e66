"""The page of a watched run: one HTML document, which asks for its state each second."""

from __future__ import annotations

import functools

from sim.report.jinja_environment import environment
from sim.report.page import assets, shared
from sim.watch.server import Answer


@functools.cache
def page() -> Answer:
    """Return the page. Its policy allows its own scripts, and no other place than its server."""
    scripts = assets(*shared(), ("sim.report", "formats"), ("sim.watch", "watch"))
    text = environment("sim.watch").get_template("watch.html.j2").render(assets=scripts)
    policy = (
        f"default-src 'none'; script-src {scripts.hashes}; style-src 'unsafe-inline'; "
        "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return Answer(text.encode(), "text/html; charset=utf-8", policy)
