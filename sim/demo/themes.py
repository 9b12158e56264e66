"""Themes: scenarios that tell a story, each with a text of its events and how to find them.

A theme is two files of `stories/`: `<name>.yaml`, an ordinary scenario, and `<name>.md`, whose
first line is the title. To add a theme, add the two files.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "stories"
DEFAULT: Final = "storm"
TOLD: Final = "that of the theme"
"""The story of a data set with the theme's own events, in words."""


@dataclass(frozen=True)
class Theme:
    """A theme. `title`: one line; `story`: the template of its Markdown (`sim.demo.story`)."""

    name: str
    title: str
    story: str

    @property
    def scenario(self) -> Path:
        return FOLDER / f"{self.name}.yaml"


def names() -> list[str]:
    """Names of all themes, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


@dataclass(frozen=True)
class Description:
    """A theme in one line: its name, and the comment at the head of its scenario."""

    name: str
    text: str


def descriptions() -> list[Description]:
    """Return a line for each theme, by name."""
    return [
        Description(name, first.removeprefix("#").strip())
        for name in names()
        if (first := (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").partition("\n")[0])
    ]


def without_story(theme: Theme, events: bool) -> Theme:
    """A theme without its story.

    `events`: True if the user's own events replace those of the story.
    """
    happens = "its events are in `scenario.yaml`, under `events`" if events else "it has no events"
    return replace(
        theme,
        title="Wind farms and their weather",
        story=f"Theme {theme.name} without its story: {happens}.",
    )


def theme(name: str) -> Theme:
    """Return the theme called `name`. Raises KeyError for a name that is not in `names()`."""
    if name not in names():
        raise KeyError(name)
    title, _, story = (FOLDER / f"{name}.md").read_text(encoding="utf-8").partition("\n")
    return Theme(name, title.removeprefix("# ").strip(), story.strip())
