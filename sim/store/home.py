"""The folder of the embedded LocalStack: its environment, the record of a server, past runs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[2]
HOME: Final = REPOSITORY / ".localstack"
