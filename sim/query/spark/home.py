"""The environment of the Spark engine: the folder `.spark`, and the machine's Java."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sim.errors import ENVIRONMENT, QueryError

HOME: Final = Path(__file__).resolve().parents[3] / ".spark"
DRIVER: Final = Path(__file__).with_name("driver.py")
_FIX: Final = "make spark installs Spark here"


@dataclass(frozen=True)
class SparkHome:
    """Paths. classpath: the S3A jars and our extension. java: the folder that JAVA_HOME names."""

    python: Path
    classpath: str
    java: Path


def find() -> SparkHome:
    """Raises QueryError where something is missing, with the command that installs it."""
    python = HOME / "venv" / "bin" / "python"
    classes = HOME / "classes"
    jars = sorted((HOME / "jars").glob("*.jar"))
    ours = [classes / f"{source.stem}.class" for source in DRIVER.parent.glob("*.java")]
    if not python.exists() or not jars or not all(each.exists() for each in ours):
        raise QueryError(f"{HOME}: Spark is not installed; {_FIX}", ENVIRONMENT)
    classpath = os.pathsep.join(str(path) for path in (classes, *jars))
    return SparkHome(python, classpath, _java())


def _java() -> Path:
    named = os.environ.get("JAVA_HOME")
    found = f"{named}/bin/java" if named else shutil.which("java")
    if not found or not os.access(found, os.X_OK):
        where = f"JAVA_HOME is {named}, where there is none" if named else "none is on the PATH"
        raise QueryError(f"no Java: Spark needs Java 17 or later, and {where}", ENVIRONMENT)
    return Path(os.path.realpath(found)).parent.parent
