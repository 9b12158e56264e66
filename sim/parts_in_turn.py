"""Several parts of a command, one after the other: `--shard 3-6/16`.

One process pays its start once. Each part has a directory of its own, and is whole: any of them can
be run again alone. The exit code is that of the worst part. A part that is interrupted, or lacks
its environment, ends the row.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from rich.text import Text

from sim.console import SafeConsole
from sim.repeat.command import ENDS, WORST_LAST
from sim.replay import of_one
from sim.run.part_index import PartIndex, PartRange
from sim.worker import give_memory_back


def in_turn(args: argparse.Namespace, command: Callable[[argparse.Namespace], int]) -> int:
    """Run a command for each part of `args.shard`. Return the exit code.

    Raises the errors of the command. A line before names the parts that are left.
    """
    if not isinstance(args.shard, PartRange):
        return command(args)
    left, codes = args.shard.parts, []
    quiet = getattr(args, "form", "text") == "quiet"
    console = SafeConsole(sys.stderr if quiet else None, quiet=quiet)
    try:
        for part in args.shard.parts:
            console.print(Text(f"part {part.index} of {part.count}", "bold"))
            codes.append(command(_of_part(args, part)))
            if codes[-1] in ENDS:
                break
            left = left[1:]
            give_memory_back()
    finally:
        if codes and left:
            rest = PartRange(left[0].index, left[-1].index, left[0].count)
            print(f"windfleet: not done: --shard {rest}", file=sys.stderr)
    return max(codes, key=WORST_LAST.index)


def _of_part(args: argparse.Namespace, part: PartIndex) -> argparse.Namespace:
    """Return the arguments of one part: its number, its directory, the command that repeats it."""
    option = "to" if args.command == "demo" else "out"
    options, place = {"--shard": str(part)}, getattr(args, option)
    one = argparse.Namespace(**vars(args))
    one.shard = part
    if place is not None and "://" not in str(place):
        folder = Path(place) / part.folder
        setattr(one, option, folder if isinstance(place, Path) else str(folder))
        options[f"--{option}"] = str(folder)
    one.replay = of_one(args.replay, options)
    return one
