"""Values of the command line: from text to a value, or to an error that names the right form.

Each raises ArgumentTypeError. Every command imports this module, so helpers are imported when used.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.run.part_index import PartIndex, PartRange


def positive(text: str) -> int:
    """Return a whole number of 1 or more."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def count(text: str) -> int:
    """Return a whole number of 0 or more."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def directories(text: str) -> list[Path]:
    """Return directories that commas separate."""
    if not all(parts := text.split(",")):
        raise argparse.ArgumentTypeError(
            f"{text!r} has an empty name in it; separate run directories by single commas"
        )
    return [Path(part) for part in parts]


def share(text: str) -> float:
    """Return a share between 0 and 1, written 10%, 0.1 or 1/10."""
    from sim.units import parse_share

    try:
        return parse_share(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def size(text: str) -> int:
    """Return the bytes of a size such as 64GiB."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]i?)B", text)
    if found is None or not float(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no size; give one such as 64GiB or 512MB")
    step = 1024 if found[2].endswith("i") else 1000
    return int(float(found[1]) * step ** ("KMGT".index(found[2][0]) + 1))


def part(text: str) -> PartIndex | PartRange:
    """Return the part that I/N, `auto` or `auto/N` names, or the parts of I-J/N."""
    from sim.run.part_index import part_or_range

    try:
        return part_or_range(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def port(text: str) -> int:
    """Return a TCP port."""
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; give one from 1 to 65535")
    return int(text)


def url(text: str) -> str:
    """Return the URL of an endpoint."""
    from pipeline.endpoint import parse

    try:
        return parse(text).url
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
