"""The texts that the charts of a page write on their canvases, and where.

`record` must come before the page opens.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from tests.support.browser import Page

_SPY = """
(() => {
  if (window.written) return;
  window.written = new Map();
  const [clear, write] = [CanvasRenderingContext2D.prototype.clearRect,
    CanvasRenderingContext2D.prototype.fillText];
  CanvasRenderingContext2D.prototype.clearRect = function (...place) {
    window.written.set(this.canvas, []);
    return clear.apply(this, place);
  };
  CanvasRenderingContext2D.prototype.fillText = function (text, x, y, ...rest) {
    const { a, b, e, f } = this.getTransform();
    const width = this.measureText(text).width;
    const shares = { left: 0, start: 0, center: 0.5, right: 1, end: 1 };
    const before = width * shares[this.textAlign];
    const list = window.written.get(this.canvas) || [];
    window.written.set(this.canvas, list);
    if (text && !b)
      list.push({ text, left: a * x + e - before, top: a * y + f, width, room: this.canvas.width });
    return write.call(this, text, x, y, ...rest);
  };
})();
"""


@dataclass(frozen=True)
class Written:
    """One level text: its place on the canvas, its width, and that of the canvas."""

    text: str
    left: float
    top: float
    width: float
    room: float

    @property
    def right(self) -> float:
        return self.left + self.width


def record(tab: Page) -> None:
    """Record the texts of the pages that the tab opens from now on."""
    tab.call("Page.addScriptToEvaluateOnNewDocument", source=_SPY)


def written(tab: Page, chart: str = "") -> list[list[Written]]:
    """Return the texts of each canvas in the document, or in the elements of a selector."""
    found = tab.value(
        f"Array.from(document.querySelectorAll('{chart} canvas'),"
        " (each) => window.written.get(each) || [])"
    )
    return [[Written(**text) for text in texts] for texts in found]


def cut(texts: list[Written]) -> list[str]:
    """Return the texts that stand out of their canvas."""
    return [each.text for each in texts if each.left < -0.5 or each.right > each.room + 0.5]


def touching(texts: list[Written]) -> list[tuple[str, str]]:
    """Return the pairs of neighbours on one line that touch."""
    rows = sorted(texts, key=lambda each: (round(each.top), each.left))
    return [
        (one.text, other.text)
        for one, other in itertools.pairwise(rows)
        if round(one.top) == round(other.top) and one.right + 2 > other.left
    ]
