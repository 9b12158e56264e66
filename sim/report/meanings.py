"""What an exit code means (all are in the README), in a few words for a report's heading; 0 and 2 need none."""

from __future__ import annotations

from typing import Final

EXIT: Final = {
    1: "windfleet itself failed",
    3: "the environment failed",
    4: "an expectation failed",
    5: "the lake is wrong",
    6: "nothing was confirmed",
    7: "the load generator was the limit",
    130: "the run was interrupted",
}
