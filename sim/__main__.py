"""The entry point of `windfleet` and of `python -m sim`."""

from __future__ import annotations

import os
import sys

from sim import garbage
from sim.errors import INTERRUPTED


def main() -> int:
    """Import the program and run it. Return its exit code.

    Ctrl-C before the program handles it itself, which is while it is imported, is no traceback.
    """
    garbage.search_rarely()
    # Of the BLAS of numpy: its products are small here, and its idle threads spin.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from sim import cli

        return cli.main()
    except KeyboardInterrupt:
        print("windfleet: interrupted", file=sys.stderr)
        return INTERRUPTED
    finally:
        garbage.end_search()


if __name__ == "__main__":
    sys.exit(main())
