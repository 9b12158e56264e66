"""The gateway of an embedded LocalStack: its own (stock), or a short way for plain objects.

The short way answers plain PUT, GET and HEAD of objects from LocalStack's own S3 provider, and
leaves the rest to the stock gateway. It also keeps bodies in files beyond a bound of memory. See
`localstack/short_way.py` and `localstack/bodies.py`.
"""

from __future__ import annotations

import os
from typing import Final, Literal

from sim.errors import StoreOptionError

Gateway = Literal["short", "stock"]
GATEWAYS: Final[tuple[Gateway, ...]] = ("short", "stock")
VARIABLE: Final = "WINDFLEET_GATEWAY"
BODIES_IN_MEMORY_BYTES: Final = 512 << 20
"""Of the short gateway. Bodies beyond it go to files in the server's directory.

Several processes of a server share it evenly.
"""


def chosen(named: Gateway | None, default: Gateway = "short") -> Gateway:
    """Return the gateway of the command line, else of the environment, else the default.

    Raises StoreOptionError for another value in the environment.
    """
    if named is not None:
        return named
    value = os.environ.get(VARIABLE) or default
    for gateway in GATEWAYS:
        if value == gateway:
            return gateway
    raise StoreOptionError(f"{VARIABLE}={value} is no gateway: set it to {' or '.join(GATEWAYS)}")
