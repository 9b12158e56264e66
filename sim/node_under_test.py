"""The node that runs and campaigns drive: `pipeline.node.run`, or another one in its place.

`.docs/pages/extend.md` tells what another one must do.
"""

from __future__ import annotations

from pipeline.node import run

__all__ = ["run"]
