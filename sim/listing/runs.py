"""The run directories of a folder, each with its verdict.

A run whose result.json cannot be read is listed with the reason. Read as plain JSON: a list needs
no check of every field (`sim.report.result.read_result`).
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pipeline.terminal import cause
from sim.errors import INVALID, DirectoryError
from sim.resume_state import CAMPAIGN_STATE, RUN_STATE, way_on

_RESULT: Final = "result.json"
_CAMPAIGN: Final = "campaign.json"
_SCENARIO: Final = "scenario.yaml"
_VERIFY: Final = "verify.json"


@dataclass(frozen=True)
class PastRun:
    """One run directory. verdict: None where there is no result; `note` then has the reason.

    resumable: it was interrupted; `note` then has the command that goes on with it. A verdict of
    `verify` that differs is a note, too.
    """

    folder: str
    kind: str
    verdict: str | None
    scenario: str | None = None
    seed: int | None = None
    started: str | None = None
    rows: int | None = None
    seconds: float | None = None
    digest: str | None = None
    resumable: bool = False
    note: str = ""


def runs(folder: Path) -> list[PastRun]:
    """Return the runs in a folder, or the folder's own run; oldest first.

    A folder in it that is no run may hold repeated runs (`run --repeat`). Raises DirectoryError if
    there is no such folder.
    """
    if not folder.is_dir():
        raise DirectoryError(f"{folder}: there is no such folder", INVALID)
    found = []
    for each in (folder, *_below(folder)):
        if (run := _run(each)) is not None:
            found.append(run)
        elif each != folder:
            found += [run for one in _below(each) if (run := _run(one)) is not None]
    return sorted(found, key=lambda run: (run.started or "", run.folder))


def _below(folder: Path) -> list[Path]:
    try:
        return sorted(each for each in folder.iterdir() if each.is_dir())
    except OSError:
        return []


def _run(folder: Path) -> PastRun | None:
    """Return the run of a directory; None if it is no run."""
    file = next((folder / name for name in (_RESULT, _CAMPAIGN) if (folder / name).is_file()), None)
    if file is None:
        if (folder / _SCENARIO).is_file() and (folder / "nodes").is_dir():
            note = "ended without a result"
        elif (folder / RUN_STATE).is_file() or (folder / CAMPAIGN_STATE).is_file():
            note = "began"
        else:
            return None
        kind = "campaign" if (folder / CAMPAIGN_STATE).is_file() else "run"
        return _resumable(PastRun(str(folder), kind, None, note=note))
    try:
        data = json.loads(file.read_bytes())
        return _resumable(
            _campaign(folder, data) if file.name == _CAMPAIGN else _result(folder, data)
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return PastRun(str(folder), "run", None, note=f"{file.name} cannot be read: {cause(error)}")


def _resumable(run: PastRun) -> PastRun:
    """Return the run, with the command that goes on with it if it was interrupted."""
    way = way_on(Path(run.folder))
    if way is None:
        return run
    text = f"go on with `{way}`"
    return replace(run, resumable=True, note=f"{run.note}; {text}" if run.note else text)


def _result(folder: Path, data: dict[str, Any]) -> PastRun:
    lake, run, figures = data["lake"] or {}, data["run"], data["figures"]
    kind = "load test" if data.get("load") else str(run.get("part") or "run")
    return PastRun(
        folder=str(folder),
        kind=kind,
        verdict=str(data["verdict"]),
        scenario=str(data["scenario"]),
        seed=int(data["seed"]),
        started=run["started"],
        rows=figures.get("rows.generated", {}).get("value"),
        seconds=run["wall_s"],
        digest=lake.get("digest"),
        note=_later(folder, str(data["verdict"])),
    )


def _later(folder: Path, verdict: str) -> str:
    """Return a note on a verdict of `verify` that is not the run's."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        again = str(json.loads((folder / _VERIFY).read_bytes())["verdict"])
        if again != verdict:
            return f"verify: {again.upper()}"
    return ""


def _campaign(folder: Path, data: dict[str, Any]) -> PastRun:
    return PastRun(
        str(folder), "campaign", str(data["verdict"]), str(data["scenario"]), int(data["seed"])
    )
