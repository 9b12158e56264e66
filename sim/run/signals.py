"""Ctrl-C and SIGTERM, delayed until a block is done."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def delayed() -> Iterator[list[int]]:
    """Delay Ctrl-C and SIGTERM until the block is done. The value has the numbers of those caught.

    A signal mask is not enough, since threads of libraries take the signal.
    """
    caught: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda taken, _: caught.append(taken)) for number in numbers]
    try:
        yield caught
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
    if caught:
        signal.raise_signal(caught[0])
