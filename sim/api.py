"""windfleet from Python: `run`, `resume`, `verify`, `demo` and `query`, with typed results.

    from windfleet import run, verify        # in a checkout: from sim.api import run, verify

    made = run("small", set={"seed": 8})
    made.result.verdict                      # "pass"
    made.result.figures["rows.lost"].value   # 0
    made.operations().num_rows               # store operations, a pyarrow.Table
    made.lake("enriched")                    # rows of a stage, a pyarrow.Table
    verify(made.folder).findings             # defects of its lake, judged again

Each function runs the command of its name in a process of its own, without the terminal's text, and
reads what that wrote. So notebooks and scripts need no `if __name__ == "__main__"`, and a stopped
run leaves nothing. A verdict of fail or unknown is a result; a command that could not do its work
raises CommandFailed.

Importing this module is cheap: tables and results are imported when they are read.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from sim.report.result import Result

__all__ = ["CommandFailed", "DataSet", "Run", "demo", "query", "resume", "run", "verify"]

Settings = Mapping[str, object]
"""Overrides of a scenario: path -> value, as for `--set`."""
_VERDICTS = (0, 4, 5, 6, 7)
"""Exit codes of commands that did their work (`sim.errors`)."""


class CommandFailed(Exception):
    """A command that could not do its work. `exit_code`: see `sim.errors`; `str()`: its message."""

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Run:
    """A run directory."""

    folder: Path

    @property
    def result(self) -> Result:
        """The verdict with all figures, from result.json. Raises ResultError."""
        from sim.report.result import read_result

        return read_result(self.folder)

    def operations(self) -> pa.Table:
        """Return the store operations, one row per attempt (`sim.measure.operations.SCHEMA`)."""
        from pyarrow import parquet

        from sim.measure.operations import OPERATIONS_FILE

        return parquet.read_table(self.folder / OPERATIONS_FILE)

    def lake(self, stage: str = "enriched") -> pa.Table:
        """Return the rows of a stage: ingestion, validated, enriched or aggregated.

        Raises FileNotFoundError if the run did not save its lake.
        """
        return _stage(self.folder / "lake", stage)


@dataclass(frozen=True)
class DataSet:
    """A labelled data set in a folder, with a README.md that tells its story."""

    folder: Path

    @property
    def story(self) -> str:
        """The text of README.md."""
        return (self.folder / "README.md").read_text(encoding="utf-8")

    def readings(self, stage: str = "enriched") -> pa.Table:
        """Return the rows of a stage: ingestion, validated, enriched or aggregated."""
        return _stage(self.folder / "lake", stage)

    def truth(self, name: str) -> pa.Table:
        """Return a table of the ground truth, such as `faults`, of all farms.

        Raises FileNotFoundError.
        """
        import pyarrow as pa
        from pyarrow import parquet

        found = sorted((self.folder / "truth").glob(f"{name}-*.parquet"))
        if not found:
            raise FileNotFoundError(f"{self.folder / 'truth'}: there is no table {name!r}")
        return pa.concat_tables([parquet.read_table(path) for path in found])


def run(
    scenario: str | Path,
    *,
    out: str | Path | None = None,
    set: Settings | None = None,
    overwrite: bool = False,
    save_lake: bool = True,
    workers: int | None = None,
    endpoint_url: str | None = None,
    allow_remote: bool = False,
    empty_lake: bool = False,
) -> Run:
    """Simulate, drive the pipeline, judge, report, as `windfleet run`.

    scenario: YAML file, or the name of a shipped scenario. out: run directory, by default
    runs/NAME-SEED. save_lake: keep a copy of the buckets, for `Run.lake`. Raises CommandFailed.
    """
    options = ["--json", *_options(out=out, workers=workers, endpoint_url=endpoint_url)]
    options += _options(allow_remote=allow_remote, empty_lake=empty_lake)
    options += ["--overwrite"] * overwrite + ["--save-lake"] * save_lake + _settings(set)
    if out is None:
        found = json.loads(_command("check", str(scenario), "--json", *_settings(set)))
        seed = found["seed"]
        out = Path("runs") / f"{found['name']}-{seed}"
    _command("run", str(scenario), *options, codes=_VERDICTS)
    return Run(Path(out))


def resume(folder: str | Path, *, workers: int | None = None, allow_remote: bool = False) -> Run:
    """Go on with the interrupted run in a folder, as `windfleet run --resume`.

    Raises CommandFailed.
    """
    options = _options(workers=workers, allow_remote=allow_remote)
    _command("run", "--resume", str(folder), "--json", *options, codes=_VERDICTS)
    return Run(Path(folder))


def verify(
    folder: str | Path,
    *,
    lake: str | Path | None = None,
    endpoint_url: str | None = None,
    report: str | Path | None = None,
    workers: int | None = None,
    allow_remote: bool = False,
) -> Result:
    """Judge a run's lake against its node files again, as `windfleet verify`.

    report: directory for verify.json, verify.html and verify-junit.xml, where the run must not
    change. Return the verdict with figures, findings and `recheck`, the comparison with the run's
    own result. Raises CommandFailed.
    """
    from sim.report.result import read_result
    from sim.report.write import VERIFY_JSON

    options = _options(lake=lake, endpoint_url=endpoint_url, report=report, workers=workers)
    options += _options(allow_remote=allow_remote)
    _command("verify", str(folder), "--quiet", *options, codes=_VERDICTS)
    return read_result(Path(folder if report is None else report) / VERIFY_JSON)


def demo(
    theme: str = "storm",
    *,
    to: str | Path | None = None,
    set: Settings | None = None,
    overwrite: bool = False,
    **options: object,
) -> DataSet:
    """Make a labelled data set, as `windfleet demo`.

    to: folder, by default demo/THEME. options: those of the command, such as farms="E",
    turbines=20, days=3, layout="farm". Raises CommandFailed.
    """
    words = [*_options(to=to, **options), *["--overwrite"] * overwrite, *_settings(set)]
    _command("demo", "--theme", theme, *words)
    return DataSet(Path(to) if to is not None else Path("demo") / theme)


def query(folder: str | Path, sql: str, *, now: str | None = None) -> pa.Table:
    """Answer Databricks SQL over the tables and views of a run or data set, as `windfleet query`.

    Raises CommandFailed.
    """
    from pyarrow import parquet

    with tempfile.TemporaryDirectory(prefix="windfleet-") as temporary:
        answer = Path(temporary) / "answer.parquet"
        options = ["--format", "parquet", "--out", str(answer), *_options(now=now)]
        _command("query", sql, str(folder), *options)
        return parquet.read_table(answer)


def _stage(lake: Path, stage: str) -> pa.Table:
    """Return the rows of a stage of a lake in a folder. Partition columns come from the path."""
    from pyarrow import dataset

    from pipeline.records import BUCKET_PREFIX

    folder = lake / f"{BUCKET_PREFIX}{stage}" / stage
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no stage {stage!r} in this lake")
    return dataset.dataset(folder, format="parquet", partitioning="hive").to_table()


def _options(**values: object) -> list[str]:
    """Return options as words: `sample_every="1m"` is `--sample-every 1m`, True a flag."""
    words = []
    for name, value in values.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif value is not None and value is not False:
            words += [option, str(value)]
    return words


def _settings(values: Settings | None) -> list[str]:
    words = []
    for path, value in (values or {}).items():
        text = value if isinstance(value, str) else json.dumps(value)
        words += ["--set", f"{path}={text}"]
    return words


def _command(*words: str, codes: Sequence[int] = (0,)) -> str:
    """Run a command to its end and return its standard output.

    codes: exit codes of a command that did its work. Raises CommandFailed for any other. Ctrl-C
    ends the command in its orderly way before it is raised here.
    """
    package = __name__.rpartition(".")[0]
    root = Path(__file__).resolve().parents[__name__.count(".")]
    environment = dict(os.environ)
    if root.name != "site-packages":  # a checkout, or a tree that is not installed
        known = os.environ.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join([str(root), known] if known else [str(root)])
    with subprocess.Popen(
        [sys.executable, "-P", "-m", package, *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            out, err = process.communicate()
        except BaseException:
            process.terminate()
            process.communicate()
            raise
    if process.returncode not in codes:
        raise CommandFailed(process.returncode, _last_words(err))
    return out


def _last_words(text: str) -> str:
    """Return a command's message: its last lines on stderr, without progress and usage."""
    lines: Sequence[Any] = [line for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-20:])
