"""`windfleet new FILE`: write a commented scenario, load test or fleet that passes as written."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path
from typing import Final

from rich.console import Console

from pipeline.terminal import cause
from sim import shipped
from sim.errors import ENVIRONMENT, PASS, DirectoryError, InvalidInput
from sim.output_file import require_replaceable
from sim.scenario.values import NAME
from sim.whole_file import write_text

TEMPLATES: Final = Path(__file__).parent / "templates"
_EDITORS: Final = "# yaml-language-server: $schema="
_SCHEMA: Final = shipped.FOLDER / "scenario.schema.json"
_USES: Final = {
    "scenario": "run it with: windfleet run {file}",
    "load": "run it with: windfleet load {file}",
    "fleet": "use it in a scenario beside it: `fleet: {name}`; try it with: "
    "windfleet plan small --set fleet={path}",
}
"""Kind -> the next step, on the terminal."""


def new(args: argparse.Namespace, console: Console) -> int:
    """Write the file, and print the next step.

    Raises InvalidInput for a name that no scenario can have, and DirectoryError where the file
    cannot be written.
    """
    file: Path = args.file if args.file.suffix in (".yaml", ".yml") else _with_suffix(args.file)
    if args.origin is not None and args.kind == "fleet":
        raise InvalidInput("--from copies a scenario; leave --kind fleet out")
    name = file.stem
    if args.kind != "fleet" and not re.match(NAME, name):
        raise InvalidInput(
            f"{file}: its name becomes the name of the run: letters, digits, '.', '-' and '_', 64 "
            f"at most; write for example {_plain(name)}.yaml"
        )
    require_replaceable(file, None, "", args.overwrite)
    try:
        write_text(file, _text(args, name))
    except OSError as error:
        raise DirectoryError(f"{file}: cannot be written: {cause(error)}", ENVIRONMENT) from error
    kind = "load" if args.origin is not None and args.origin.startswith("load-") else args.kind
    written = {"file": shlex.quote(str(file)), "path": file.resolve(), "name": file.name}
    next_step = _USES[kind].format(**written)
    console.print(f"{file}: written; {next_step}", highlight=False, soft_wrap=True)
    return PASS


def _with_suffix(file: Path) -> Path:
    """Return the file with `.yaml` added. Raises InvalidInput for a folder's path."""
    if not file.name:
        raise InvalidInput(f"{file}: is a folder; name the file, for example my-run.yaml")
    return file.with_name(f"{file.name}.yaml")


def _text(args: argparse.Namespace, name: str) -> str:
    """Return the content of the file. Raises InvalidInput for a scenario that is not shipped."""
    if args.origin is None:
        text = (TEMPLATES / f"{args.kind}.yaml").read_text(encoding="utf-8")
        return text.replace("NAME", name).replace("SCHEMA", str(_SCHEMA))
    if args.origin not in shipped.names():
        hint = shipped.nearest(Path(args.origin))
        raise InvalidInput(
            f"--from {args.origin}: there is no such scenario"
            f"{f'; did you mean {hint}?' if hint else ''}; `windfleet list scenarios` shows them"
        )
    text = (shipped.FOLDER / f"{args.origin}.yaml").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^# yaml-language-server: .*$", f"{_EDITORS}{_SCHEMA}", text, count=1)
    text = re.sub(r"(?m)^extends: (.*)$", rf"extends: {shipped.FOLDER}/\1", text, count=1)
    return re.sub(r"(?m)^name: .*$", f"name: {name}", text, count=1)


def _plain(name: str) -> str:
    """Return a name that a run can have, like the one given."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:64] or "my-run"
