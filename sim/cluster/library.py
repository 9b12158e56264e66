"""Dask distributed, imported without the user's settings of Dask.

`DASK_*` variables and YAML files (`~/.config/dask`, `/etc/dask`) can redirect a client, preload
code and configure loggers, some of it while `distributed` is imported. So Dask's settings are
emptied before. What a cluster elsewhere does is for those who started it.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final

from sim.errors import ClusterError

INSTALL: Final = "pip install '.[cluster]' in a checkout of windfleet"
_LOGGERS: Final = ("distributed", "tornado", "asyncio")


def distributed(settings: Mapping[str, Any] | None = None) -> ModuleType:
    """Return the module, quiet and with its own defaults. settings: over these defaults.

    Raises ClusterError where it is not installed.
    """
    try:
        import dask.config

        dask.config.refresh(paths=[], env={})
        import distributed
    except ImportError as error:
        raise ClusterError(
            f"--cluster needs the package distributed ({error}): {INSTALL}"
        ) from error
    dask.config.set(dict(settings or {}))
    for name in [*_LOGGERS, *logging.root.manager.loggerDict]:
        if name.partition(".")[0] in _LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    # Versions are judged by `roll_call`, with a message of ours.
    warnings.filterwarnings("ignore", module="distributed")
    return distributed
