"""The command line that repeats one run of several."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping


def of_one(replay: str, options: Mapping[str, str], dropped: Collection[str] = ()) -> str:
    """Return a command line with other values of options, as `{"--out": "runs/2"}`.

    dropped: options that the one run does not have.
    """
    names = {*options, *dropped}
    words = shlex.split(replay)
    kept = [
        word
        for before, word in zip(["", *words], words, strict=False)
        if before not in names and word.partition("=")[0] not in names
    ]
    given = [word for option in options.items() for word in option]
    return shlex.join([*kept, *given])
