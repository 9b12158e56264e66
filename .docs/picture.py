"""The README's picture of a run report: `python .docs/picture.py RUN PICTURE`.

The picture carries the labels of its page (`labels`) as a text of the PNG. A test compares them
with those of a report of today, so a picture of another layout is noticed.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sim.report.write import HTML_FILE
from tests.support import browser

SIZE: Final = (1200, 1010)
"""Width and height in pixels: verdict, tiles, contents and expectations."""
COLOURS: Final = 128
LABELS: Final = "labels"
"""Key of the PNG's text."""


def labels(page: str) -> str:
    """Return the tiles and headings of a report, one a line."""
    found = re.findall(r'<div class="label"><a[^>]*>(.*?)</a>|<h2>(.*?)</h2>', page)
    return "\n".join(tile or heading for tile, heading in found)


def take(report: Path, picture: Path) -> None:
    """Photograph the top of a report. Raises SystemExit without a browser."""
    program = browser.program() or sys.exit(browser.MISSING)
    with tempfile.TemporaryDirectory(prefix="windfleet-") as folder:
        shot = Path(folder) / "shot.png"
        kept = [flag for flag in browser.FLAGS if "remote" not in flag and flag.startswith("--")]
        options = (*kept, f"--user-data-dir={folder}")
        size = f"--window-size={SIZE[0]},{SIZE[1]}"
        command = [program, *options, size, f"--screenshot={shot}", report.resolve().as_uri()]
        subprocess.run(command, check=True, capture_output=True)
        image = Image.open(shot).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    info = PngInfo()
    info.add_itxt(LABELS, labels(report.read_text(encoding="utf-8")))
    image.save(picture, optimize=True, pnginfo=info)


if __name__ == "__main__":
    take(Path(sys.argv[1]) / HTML_FILE, Path(sys.argv[2]))
