"""The run directories of a folder, each with its verdict.

A run whose result.json cannot be read is listed with the reason. Only the fields that a list shows
are checked: it need not wait for a check of all (`sim.report.result.read_result`).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pipeline.terminal import cause
from sim import finite_json
from sim.errors import INVALID, DirectoryError
from sim.resume_state import CAMPAIGN_STATE, RUN_STATE, way_on

_RESULT: Final = "result.json"
_CAMPAIGN: Final = "campaign.json"
_SCENARIO: Final = "scenario.yaml"
_VERIFY: Final = "verify.json"
SCHEMA_VERSION: Final = 1
"""As `sim.report.result` and `sim.report.campaign`, which a list does not import."""
_SHOWN: Final = 40
VERDICTS: Final = ("pass", "fail", "unknown")
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "an object": (dict,),
    "a text": (str,),
    "a number": (int, float),
    "a whole number": (int,),
}


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
        data = _checked(finite_json.loads(file.read_bytes()))
        return _resumable(
            _campaign(folder, data) if file.name == _CAMPAIGN else _result(folder, data)
        )
    except (OSError, ValueError, RecursionError) as error:
        return PastRun(str(folder), "run", None, note=f"{file.name} cannot be read: {cause(error)}")


def _resumable(run: PastRun) -> PastRun:
    """Return the run, with the command that goes on with it if it was interrupted."""
    way = way_on(Path(run.folder))
    if way is None:
        return run
    text = f"go on with `{way}`"
    return replace(run, resumable=True, note=f"{run.note}; {text}" if run.note else text)


def _checked(data: object) -> dict[str, Any]:
    """Return the document of a result. Raises ValueError for another version or verdict."""
    if not isinstance(data, dict):
        raise ValueError("it is no JSON object")
    if (version := data.get("schema_version")) != SCHEMA_VERSION:
        raise ValueError(
            f"schema_version is {_shown(version)}, this windfleet reads {SCHEMA_VERSION}"
        )
    if (verdict := data.get("verdict")) not in VERDICTS:
        raise ValueError(f"verdict is {_shown(verdict)}, not one of {', '.join(VERDICTS)}")
    return data


def _shown(value: object) -> str:
    return repr(value)[:_SHOWN]


def _field(data: dict[str, Any], name: str, kind: str, optional: bool = False) -> Any:
    """Return a field, of a kind of `_TYPES`. optional: it may be null or absent."""
    value = data.get(name)
    if value is None and optional:
        return None
    if not isinstance(value, _TYPES[kind]) or isinstance(value, bool):
        raise ValueError(f"{name} is {'not there' if name not in data else f'not {kind}'}")
    return value


def _result(folder: Path, data: dict[str, Any]) -> PastRun:
    lake = _field(data, "lake", "an object", optional=True) or {}
    run, figures = (_field(data, name, "an object") for name in ("run", "figures"))
    rows = _field(figures, "rows.generated", "an object", optional=True) or {}
    part = _field(run, "part", "a text", optional=True)
    return PastRun(
        folder=str(folder),
        kind="load test" if data.get("load") else part or "run",
        verdict=data["verdict"],
        scenario=_field(data, "scenario", "a text"),
        seed=_field(data, "seed", "a whole number"),
        started=_field(run, "started", "a text", optional=True),
        rows=_field(rows, "value", "a number", optional=True),
        seconds=_field(run, "wall_s", "a number", optional=True),
        digest=_field(lake, "digest", "a text", optional=True),
        note=_later(folder, data["verdict"]),
    )


def _later(folder: Path, verdict: str) -> str:
    """Return a note on a verdict of `verify` that is not the run's."""
    with suppress(OSError, ValueError, RecursionError):
        again = _checked(finite_json.loads((folder / _VERIFY).read_bytes()))["verdict"]
        if again != verdict:
            return f"verify: {again.upper()}"
    return ""


def _campaign(folder: Path, data: dict[str, Any]) -> PastRun:
    scenario, seed = _field(data, "scenario", "a text"), _field(data, "seed", "a whole number")
    return PastRun(str(folder), "campaign", data["verdict"], scenario, seed)
