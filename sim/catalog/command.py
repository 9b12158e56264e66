"""`windfleet catalog DIR`: write the folder, then list each file with its checks."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from pipeline.catalog.locations import NO_ACCOUNT, NO_EXTERNAL_ID, ParameterError, Parameters
from sim.catalog.arguments import OPTIONS
from sim.catalog.files import File, files
from sim.catalog.folder import write
from sim.errors import PASS, CatalogError


def run(args: argparse.Namespace, console: Console) -> int:
    """Write the files; the exit code. Raises CatalogError and DirectoryError."""
    parameters = _parameters(args)
    made = files(parameters)
    write(args.dir, made, args.overwrite)
    _print(made, args.dir, console)
    _print_placeholders(parameters, console)
    return PASS


def _parameters(args: argparse.Namespace) -> Parameters:
    names = [name.replace("-", "_") for name, _, _ in OPTIONS]
    given = {name: value for name in names if (value := getattr(args, name)) is not None}
    try:
        return Parameters(**given)
    except ParameterError as error:
        option = f"--{error.parameter.replace(' ', '-')}"
        raise CatalogError(f"{option} {error.value!r}: {error.rule}") from error


def _print(made: list[File], folder: Path, console: Console) -> None:
    for file in made:
        for line in (
            file.path,
            f"  checked by: {file.proof.tools}",
            f"  nothing offline can check: {file.proof.open}",
        ):
            console.print(line, highlight=False, soft_wrap=True)
    console.print(
        f"{len(made)} files in {folder}, installed nowhere. {folder}/README.md has the order",
        highlight=False,
        soft_wrap=True,
    )


def _print_placeholders(parameters: Parameters, console: Console) -> None:
    left = []
    if parameters.account == NO_ACCOUNT:
        left.append(f"--account-id ({NO_ACCOUNT})")
    if parameters.external_id == NO_EXTERNAL_ID:
        left.append(f"--external-id ({NO_EXTERNAL_ID})")
    if left:
        console.print(f"placeholders: {', '.join(left)}", highlight=False, soft_wrap=True)
