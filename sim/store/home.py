"""The folder of the embedded LocalStack: its environment, the record of a server, past runs.

In a checkout it is `.localstack`, filled by `make localstack`. An installed windfleet has one in
the cache folder of the user, filled by `windfleet store install` or by the first run.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[2]
"""The checkout; or the folder of the installed package, which holds `localstack/` as well."""
IS_CHECKOUT: Final = (REPOSITORY / "Makefile").is_file()


def _home() -> Path:
    if IS_CHECKOUT:
        return REPOSITORY / ".localstack"
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if cache.startswith("/") else Path.home() / ".cache") / "windfleet"


HOME: Final = _home()
