"""The README of the folder: order of installation, and each file with its checks."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.catalog.locations import NO_ACCOUNT, NO_EXTERNAL_ID, Parameters
from pipeline.records import BUCKET_PREFIX
from sim.catalog.checks import Proof

MARK: Final = "# A wind fleet's lake in Databricks and AWS, written by `windfleet catalog`\n"
"""First line. It shows that a folder is ours."""


def text(parameters: Parameters, files: Sequence[tuple[str, str, Proof]]) -> str:
    """Return the README. files: path, title and proof of each."""
    environment = Environment(
        loader=PackageLoader("sim.catalog", "templates"),
        autoescape=False,  # Markdown; the names have no characters of it but those of a code span
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("README.md.j2").render(
        mark=MARK,
        command=command(parameters),
        names=parameters,
        files=files,
        no_account=NO_ACCOUNT,
        no_external_id=NO_EXTERNAL_ID,
        nodes_prefix=BUCKET_PREFIX,
    )


def command(parameters: Parameters) -> str:
    """Return the command that writes these bytes again."""
    words = ["windfleet", "catalog", "DIR"]
    usual = Parameters()
    for name in Parameters.__dataclass_fields__:
        if (value := getattr(parameters, name)) != getattr(usual, name):
            words.append(f"--{name.replace('_', '-')}={value}")
    return shlex.join(words)
