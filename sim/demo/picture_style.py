"""The look of pictures drawn by matplotlib. The colours are those of Okabe and Ito."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Final

import matplotlib as mpl

BLUE: Final = "#0072B2"
GREEN: Final = "#009E73"
VERMILLION: Final = "#D55E00"
INK: Final = "#3b4754"
STYLE: Final = {
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": "#c3ccd6",
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e8ee",
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}


def style() -> AbstractContextManager[None]:
    """Context manager: the common style of all pictures."""
    settings: Any = STYLE
    return mpl.rc_context(settings)
