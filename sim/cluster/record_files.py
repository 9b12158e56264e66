"""The record of a part on its way to the client: a few small files as bytes.

Not covered: node files, ground truth, the part's own report. They stay on the worker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pipeline.terminal import cause
from sim.errors import ClusterError
from sim.run_directory import MARK, SCENARIO_FILE
from sim.whole_file import write_text

RecordFiles = Mapping[str, bytes]
MOST_BYTES: Final = 256 << 20
"""Most bytes of one part's record. A million objects take about 150 MB."""


def read(run_dir: Path, names: Sequence[str]) -> RecordFiles:
    """Read a part's record. Raises ClusterError if it is too large to be sent."""
    try:
        size = sum((run_dir / name).stat().st_size for name in names)
        if size > MOST_BYTES:
            most = f"its record takes {size / 1e6:,.0f} MB, {MOST_BYTES / 1e6:,.0f} MB at most"
            raise ClusterError(f"{run_dir}: {most}; ask for more parts with --parts N")
        return {name: (run_dir / name).read_bytes() for name in names}
    except OSError as error:
        raise ClusterError(f"{run_dir}: cannot be read: {cause(error)}") from error


def write(run_dir: Path, scenario_text: str, files: RecordFiles) -> None:
    """Write a part's record into a directory, the file that shows it complete last.

    Raises OSError.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    write_text(run_dir / SCENARIO_FILE, MARK + scenario_text)
    for name, data in files.items():
        (run_dir / name).write_bytes(data)
