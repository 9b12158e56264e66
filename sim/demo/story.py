"""The story of a data set: that of its theme, about the farms that the set has.

A theme's text is a Jinja template. `places` and `ids` take the farms of the whole story and keep
those of the set.
"""

from __future__ import annotations

from jinja2 import Environment, StrictUndefined

from sim.demo.themes import Theme
from sim.fleet import Fleet


def story_of(theme: Theme, fleet: Fleet) -> str:
    """Return a theme's story, which names no farm that the fleet lacks. Markdown."""
    names = {farm.farm_id: farm.name for farm in fleet.farms}

    def ids(*wanted: str) -> list[str]:
        return [farm for farm in wanted if farm in names]

    def places(*wanted: str) -> str:
        here = [f"**{farm}** ({names[farm]})" for farm in ids(*wanted)]
        return f"farm{'s' * (len(here) != 1)} {' and '.join(here)}"

    environment = Environment(undefined=StrictUndefined, autoescape=False)
    return environment.from_string(theme.story).render(ids=ids, places=places, farms=list(names))
