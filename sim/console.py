"""The terminal as the commands write to it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Final, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from pipeline.terminal import discard_pending, safe, unwrapped

PIPED_WIDTH: Final = 1_000
"""Columns where stdout is no terminal, unless COLUMNS says otherwise."""


class SafeConsole(Console):
    """Console that prints texts as they are, without characters that harm a terminal.

    In a pipe or file no line is folded. If the reader of a pipe ends early, rich would end the
    program. Here a run continues to its verdict.
    """

    def __init__(self, stream: TextIO | None = None, quiet: bool = False) -> None:
        """Write to a stream, stdout by default. quiet: write nothing."""
        file = unwrapped(stream or sys.stdout)
        # A reader of a pipe or a file wants a name whole, and a sentence as one line.
        width = None if file.isatty() or "COLUMNS" in os.environ else PIPED_WIDTH
        super().__init__(file=file, markup=False, emoji=False, quiet=quiet, width=width)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=safe(segment.text))

    def on_broken_pipe(self) -> None:
        discard_pending(sys.stdout)
