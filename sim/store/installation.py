"""The installation of LocalStack: by `make` in a checkout, elsewhere by the first run."""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha256
from typing import Final

from sim.errors import TargetError
from sim.store.home import HOME, IS_CHECKOUT, REPOSITORY

PYTHON = HOME / "venv" / "bin" / "python"
INSTALLER: Final = REPOSITORY / "localstack" / "install.py"
COMMAND: Final = "make localstack" if IS_CHECKOUT else "windfleet store install"
"""The command that installs LocalStack."""


def require() -> None:
    """Install LocalStack unless this one is there. Raises TargetError, in a checkout at once."""
    if not is_installed():
        if IS_CHECKOUT:
            raise TargetError(f"The LocalStack environment is not installed. Run: {COMMAND}")
        install()


def is_installed() -> bool:
    """Return True if LocalStack's environment is there, whole, and of a lock of this windfleet.

    In a checkout `make` compares the locks, with stamps of its own.
    """
    venv = HOME / "venv"
    if not PYTHON.exists():
        return False
    try:
        installed = (venv / ".installed").read_text(encoding="utf-8")
    except FileNotFoundError:
        installed = ""
    if IS_CHECKOUT:
        return bool(installed) or any(venv.glob(".stamp-*"))
    locks = (INSTALLER.parent / "locks").glob("*.txt")
    return installed.partition(" ")[0] in {sha256(lock.read_bytes()).hexdigest() for lock in locks}


def install() -> None:
    """Install LocalStack's environment into HOME, from the package index. Raises TargetError.

    Installers wait for each other, and the second one has nothing left to do.
    """
    done = subprocess.run([sys.executable, "-I", str(INSTALLER), str(HOME)], check=False)
    if done.returncode:
        fix = f"name another store with --endpoint-url URL, or try again: {COMMAND}"
        raise TargetError(f"{HOME}: LocalStack could not be installed, see above; {fix}")
