"""Code mutation: a test must fail after one small change of the oracle or the commit path.

Run by hand:

    nice python -m tests.mutation                        60 mutants drawn by seed 1
    nice python -m tests.mutation --seed 2 --count 200 sim/check/compare/rows.py
    nice python -m tests.mutation --count 9999 --minutes 30 pipeline/commit.py      all of a file

A mutant is one change of one file: an operator, a comparison, a constant, a negated condition, a
statement left out.

- It is made in a copy of the tree in a temporary folder, never here.
- The test files of the module (`tests_of`) run there, fastest first, to the first failure. A hang
  is a failure, see SLOWER. Hypothesis does not shrink its examples.
- Each test file runs in a fork of this process, which has imported the libraries below windfleet
  and pytest, and nothing of either. That saves two seconds a mutant.
- First the test files run unchanged.
- A survivor is printed with file, line and both versions. The last line counts them. Exit code 1:
  there were some.

Not covered: two changes at a time, annotations, texts of messages, the `strict` of a zip, and
tests that start a store. A survivor may be no fault: an equivalent spelling, a bound that is never
met. KNOWN has the reasons of the known ones by `function: change`; test_mutation.py fails when one
of them is out of date.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import Phase, settings

ROOT = Path(__file__).parents[1]
SLOWER = 5
"""A test file hangs after so many times its duration without a mutant, and 10 s more."""
BENEATH = (
    *(
        "adbc_driver_sqlite",
        "http.server",
        "hypothesis",
        "multiprocessing.pool",
        "numpy",
        "obstore.exceptions",
    ),
    *("obstore.store", "psutil", "pyarrow.compute", "pyarrow.parquet", "simpy", "sqlite3", "yaml"),
    *(
        "_hypothesis_pytestplugin",
        "faker.contrib.pytest.plugin",
        "xdist.looponfail",
        "xdist.plugin",
    ),
)
_COMMIT = (
    *("tests/pipeline/test_commit.py", "tests/pipeline/test_batch.py"),
    "tests/campaign/test_world.py",
)
_NODE = (*_COMMIT[:2], "tests/pipeline/test_replaced_database.py", _COMMIT[2])
_ORACLE = ("tests/check/test_mutants.py", "tests/check/test_whole_runs.py")
_PRIVACY = ("tests/check/test_privacy_forms.py", "tests/check/test_privacy.py")
_EXTENDED = ("tests/house/test_extend.py",)
"""Stages beyond the four exist only there."""
MORE = {
    "pipeline/commit.py": _COMMIT,
    "pipeline/checkpoint.py": _COMMIT,
    "pipeline/manifest.py": _COMMIT,
    "pipeline/batch.py": _NODE,
    "pipeline/node.py": _NODE,
    "pipeline/partition.py": ("tests/pipeline/test_lake_contents.py", *_COMMIT, *_EXTENDED),
    "sim/check/compare/rows.py": _EXTENDED,
    "sim/check/completeness.py": ("tests/check/test_findings.py",),
    "sim/check/expected/emission.py": (
        *("tests/check/test_windows.py", "tests/check/test_compare_windows.py"),
    ),
    "sim/check/compare/revisions.py": (
        *("tests/check/test_windows.py", "tests/check/test_compare_windows.py"),
    ),
    "sim/check/expected/rows.py": ("tests/check/test_rules.py", "tests/check/test_compare_rows.py"),
    "sim/check/detection/score.py": ("tests/check/test_detection_of_faults.py",),
    "sim/check/privacy/coordinates.py": ("tests/check/test_patterns.py", *_PRIVACY),
    "sim/check/privacy/decoding.py": _PRIVACY,
    "sim/check/privacy/patterns.py": ("tests/check/test_privacy_scan.py", *_PRIVACY),
    "sim/check/privacy/scan.py": _PRIVACY,
    "sim/check/read/databases.py": ("tests/pipeline/test_node_databases.py",),
    "sim/check/read/keys.py": _EXTENDED,
    "sim/check/read/form.py": ("tests/check/test_lender.py",),
    "sim/check/read/parquet.py": ("tests/check/test_objects.py", "tests/check/test_fuzz.py"),
    "sim/check/read/watched.py": ("tests/check/test_privacy_scan.py", *_PRIVACY),
}
"""Test files of a module beyond those that bear its name (`tests_of`)."""
_NOBODY = "-1 stands for nobody, and -2 is no number of anybody either"
_FEW = "how few shares are worth processes of their own is a choice"
_LAST = "the last part of a bucket's name is the same with one cut more"
_ROUNDED = "rounded up it is the same for the three places"
_NO_SIGNAL = "-1 stands for no signal, and so would -2"
_BATCHES = "how many bytes are searched at a time is a choice"
_OPENS = "the first turbine opens a share, of whatever size"
_FASTER = "spares a longer look, which finds the same"
_NO_BOUND = "a bound that no number meets exactly"
KNOWN = {
    "CONFIRMATIONS: 3 -> 4": "how often a race is asked again is a choice",
    "_next: 0 -> 1": "a batch has the same ends whoever made it",
    "CHUNK_ROWS: 120000 -> 120001": "bounds the memory of a flush, not its result",
    "hours: 0 -> 1": "stands for 1970's first hour, in which any moment would do",
    "FOREIGN: 2 -> 3": "any number that is no place and not ABSENT would do",
    "NAN_BITS: 9221120237041090560 -> 9221120237041090561": "any NaN would do for all of them",
    "NULL_BITS: 9221120237041147565 -> 9221120237041147566": "any other NaN would do for null",
    "_problem: cursor > last -> cursor >= last": "they differ there",
    "_chosen: copies[at] > 1 -> copies[at] >= 1": "sorts rows of one copy too, and keeps them",
    "_anomalies: 1 -> 2": _NO_SIGNAL,
    "_rejections: 0 -> 1": "signal 0 is an anomaly, no rule",
    "_rejections: 1 -> 2": _NO_SIGNAL,
    "_rejections: signal >= 0 -> signal > 0": "signal 0 is an anomaly, no rule",
    "Findings.bounded: 1 -> 2": "of a rank only the order counts",
    "KEPT: 200 -> 201": "how many are kept is a choice",
    "FETCHES: 8 -> 9": "how many are fetched or kept open at a time is a choice",
    "MOST_BYTES: 1 -> 2": "how much is unpacked is a choice",
    "MOST_BYTES: 24 -> 25": "how much is unpacked is a choice",
    "DEPTH: 3 -> 4": "how deep is looked is a choice",
    "Finder.__init__: 1 -> 2": "a table larger than it need be",
    "_base64: 3 -> 4": "the fourth place is as the first",
    "_base64: 6 -> 7": _ROUNDED,
    "_base64: 8 -> 9": _ROUNDED,
    "Finder.find: at = at[self._heads[place] == words[at]] -> left out": _FASTER,
    "_BETWEEN: 128 -> 129": "the character 128 is no letter",
    "_SPREAD: 2654435761 -> 2654435762": "how a hash spreads is a matter of speed",
    "_BETWEEN: b < 128 -> b <= 128": "the character 128 is no letter",
    "_cells: True -> False": "SQLite may be built to read addresses untold, as this one is",
    "DataObject: 0 -> 1": "a default of `rows` that reading sets",
    "is_of: return same -> return None": "numpy's `where` takes None for nowhere",
    "find_owners: 1 -> 2": _NOBODY,
    "Coordinates._decimals: 9 -> 10": "what stands before the point is at most 9 letters long",
    "Coordinates._decimals: apart < 10.0 ** (-min(decimals, 6)) * (1 - 1e-06) -> apart <= 10.0 ** "
    "(-min(decimals, 6)) * (1 - 1e-06)": _NO_BOUND,
    "Coordinates._nearest: 1 -> 2": "neighbours further off are looked at as well",
    "Coordinates._sexagesimal: apart < 1 / finest -> apart <= 1 / finest": _NO_BOUND,
    "geohash: 0 -> 1": "a bit in front of the first letter, which nobody reads",
    "CellSearch._floats: 7 -> 8": "either undoes what the cast of a decimal adds",
    "_telephone: len(digits) > 10 -> len(digits) >= 10": "what is left of 10 digits is too short",
    "CellSearch._texts: 1 -> 2": "-1 stands for no text, and so would -2",
    "Leaks.report: 1 -> 2": _LAST,
    "_stuck: ends - starts -> ends + starts": "a series too short has no tenth row to look at",
    "_place: 1 -> 2": _LAST,
    "_is_data: 1 -> 2": _LAST,
    "_run: 1 -> 2": _FEW,
    "_run: len(shares) <= 1 -> len(shares) < 1": _FEW,
    "_shares: 0 -> 1": _OPENS,
    "verdict: 1 -> 2": _LAST,
    "module: size = 0 -> left out": _OPENS,
    "_near: np.abs(found - right) <= tolerance * size -> "
    "np.abs(found - right) < tolerance * size": (
        "a tolerance is a choice, and whether it is its own end"
    ),
}
"""Reasons of known survivors."""
_EACH_OTHER: tuple[tuple[type[ast.AST], type[ast.AST]], ...] = (
    *((ast.Add, ast.Sub), (ast.Mult, ast.FloorDiv), (ast.BitAnd, ast.BitOr), (ast.And, ast.Or)),
    *(
        (ast.Lt, ast.LtE),
        (ast.Gt, ast.GtE),
        (ast.Eq, ast.NotEq),
        (ast.In, ast.NotIn),
        (ast.Is, ast.IsNot),
    ),
)
_SWAPS = {a: b for pair in _EACH_OTHER for a, b in (pair, pair[::-1])} | {ast.Div: ast.Mult}
_LEFT_OUT = (ast.Expr, ast.Assign, ast.AugAssign, ast.Raise, ast.Continue, ast.Break)


@dataclass(frozen=True)
class Mutant:
    """`source`: the whole file, changed. `owner`: function, class or constant around it."""

    path: str
    line: int
    owner: str
    before: str
    after: str
    source: str

    @property
    def name(self) -> str:
        """The key in KNOWN: without the file, so that a move changes nothing."""
        return f"{self.owner}: {self.before} -> {self.after}"


def mutants(path: str, source: str, names_only: bool = False) -> Iterator[Mutant]:
    """Yield every mutant of a file in order of its text, without `source` if names_only."""
    tree = ast.parse(source)
    fixed = {id(part) for node in ast.walk(tree) for part in _fixed(node)}
    for node, owner in _walk(tree, ""):
        for what, name, value in _changes(node) if id(node) not in fixed else ():
            before, kept = ast.unparse(what), getattr(node, name)
            setattr(node, name, value)
            after = "left out" if isinstance(what, _LEFT_OUT) else ast.unparse(node)
            yield Mutant(
                path,
                getattr(what, "lineno", 0),
                owner,
                _short(before),
                _short(after),
                "" if names_only else ast.unparse(tree),
            )
            setattr(node, name, kept)


def _walk(node: ast.AST, owner: str) -> Iterator[tuple[ast.AST, str]]:
    """Yield the nodes below one, each with its owner: function, class or constant."""
    yield node, owner or "module"
    inner = owner
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        inner = f"{owner}.{node.name}" if owner else node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign) and not owner:
        inner = ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, inner)


def _fixed(node: ast.AST) -> Iterator[ast.AST]:
    """Annotations, decorators and the `strict` of a zip."""
    parts = [
        getattr(node, "annotation", None),
        getattr(node, "returns", None),
        *getattr(node, "decorator_list", ()),
    ]
    if isinstance(node, ast.keyword) and node.arg == "strict":
        parts.append(node.value)
    for part in parts:
        if part is not None:
            yield from ast.walk(part)


def _changes(node: ast.AST) -> Iterator[tuple[ast.AST, str, object]]:
    """Yield (node that changes, attribute, its new value)."""
    if isinstance(node, ast.BinOp | ast.BoolOp) and type(node.op) in _SWAPS:
        yield node, "op", _SWAPS[type(node.op)]()
    if isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            if type(op) in _SWAPS:
                yield node, "ops", [*node.ops[:i], _SWAPS[type(op)](), *node.ops[i + 1 :]]
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        yield node, "value", not node.value if isinstance(node.value, bool) else node.value + 1
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        yield node, "test", ast.UnaryOp(ast.Not(), node.test)
    if (
        isinstance(node, ast.Return)
        and node.value is not None
        and not isinstance(node.value, ast.Constant)
    ):
        yield node, "value", ast.Constant(None)
    for name in ("body", "orelse", "finalbody") if not isinstance(node, ast.Module) else ():
        block = getattr(node, name, None)
        for i, statement in enumerate(block if isinstance(block, list) else []):
            documents = isinstance(statement, ast.Expr) and isinstance(
                statement.value, ast.Constant
            )
            if isinstance(statement, _LEFT_OUT) and not documents:
                yield statement, name, [*block[:i], ast.Pass(), *block[i + 1 :]]


def tests_of(path: str) -> tuple[str, ...]:
    """Return the test files of a module: those of its name, of MORE, of the whole oracle.

    `sim/check/read/lake.py` is tested by `tests/check/test_read_lake.py` or
    `tests/check/test_lake.py`.
    """
    package, *folders, name = Path(path).with_suffix("").parts
    first = folders[0] if package == "sim" and folders else package
    names = {f"test_{'_'.join([*folders[1:], name])}.py": None, f"test_{name}.py": None}
    mirrored = [f"tests/{first}/{each}" for each in names]
    oracle = _ORACLE if path.startswith("sim/check/") else ()
    known = [each for each in mirrored if (ROOT / each).is_file()]
    return tuple(dict.fromkeys([*known, *MORE.get(path, ()), *oracle]))


def _short(text: str) -> str:
    return " ".join(text.split())[:160]


class Copy:
    """A copy of the tree, in which one file at a time is a mutant."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._takes_s: dict[str, float] = {}
        for name in (
            "pipeline",
            "sim",
            "tests",
            "scenarios",
            "localstack",
            ".docs/pages",
            "pyproject.toml",
            "README.md",
            "Makefile",
        ):
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(source, folder / name)
        if (ROOT / ".localstack").exists():
            (folder / ".localstack").symlink_to(ROOT / ".localstack")

    def fails(self, path: str, source: str) -> bool:
        """Return True if a test fails, or hangs, with `source` in place of the file."""
        kept = (self._folder / path).read_text()
        (self._folder / path).write_text(source)
        try:
            return any(self.test_fails(test) for test in tests_of(path))
        finally:
            (self._folder / path).write_text(kept)

    def test_fails(self, test: str) -> bool:
        """Return True if a test file fails or hangs. Call it first without a mutant."""
        begun = time.monotonic()
        child = os.fork()
        if not child:
            _run(self._folder, test)
        until = begun + 10 + SLOWER * self._takes_s.get(test, 180)
        while time.monotonic() < until:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                self._takes_s.setdefault(test, time.monotonic() - begun)
                return status != 0
            time.sleep(0.01)
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return True


class _NoStore:
    """Leave out the tests that start a LocalStack."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if "localstack" not in getattr(item, "fixturenames", ())]


def _run(folder: Path, test: str) -> NoReturn:
    """End this forked process, with 0 if the test file passes. Silent, in its own group."""
    code = 1
    try:
        os.setpgid(0, 0)
        os.chdir(folder)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        os.environ |= {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        sys.dont_write_bytecode = True
        settings.register_profile("mutant", phases=[Phase.explicit, Phase.generate], database=None)
        settings.load_profile("mutant")
        sys.path[:] = [
            str(folder),
            *(path for path in sys.path if Path(path or ".").resolve() != ROOT),
        ]
        sys.modules.pop("tests", None)  # the package that this file is in: that of the copy counts
        code = int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", test], [_NoStore()]))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def default_files() -> list[str]:
    """List the commit path and all of sim/check."""
    checks = sorted((ROOT / "sim" / "check").rglob("*.py"))
    names = [str(file.relative_to(ROOT)) for file in checks if file.name != "__init__.py"]
    return [*(name for name in MORE if name.startswith("pipeline/")), *names]


def main() -> int:
    """Run the tool; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "files", nargs="*", help="of the tree; default: the commit path and all of sim/check"
    )
    parser.add_argument("--count", type=int, default=60, help="how many mutants (default: 60)")
    parser.add_argument("--seed", type=int, default=1, help="draws them (default: 1)")
    parser.add_argument(
        "--only", default="", help="those with this in their name, which begins with the function"
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=1e9,
        help="stop after the mutant during which they are over",
    )
    args = parser.parse_args()
    files = args.files or default_files()
    everything = [mutant for file in files for mutant in mutants(file, (ROOT / file).read_text())]
    everything = [mutant for mutant in everything if args.only in mutant.name]
    drawn = (
        random.Random(args.seed).sample(everything, args.count)
        if args.count < len(everything)
        else everything
    )
    survivors = asked = 0
    until = time.monotonic() + 60 * args.minutes
    for name in BENEATH:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory(prefix="wf-mutants-") as folder:
        tree = Copy(Path(folder))
        for test in dict.fromkeys(test for file in files for test in tests_of(file)):
            if tree.test_fails(test):
                print(f"{test} fails without any mutant")
                return 2
        for asked, mutant in enumerate(drawn, 1):
            begun = time.perf_counter()
            if not tree.fails(mutant.path, mutant.source):
                known = KNOWN.get(mutant.name)
                survivors += known is None
                why = f" ({known})" if known else ""
                print(f"SURVIVED {mutant.path}:{mutant.line} {mutant.name}{why}", flush=True)
            print(
                f"  {asked} of {len(drawn)}, {time.perf_counter() - begun:.0f} s",
                file=sys.stderr,
                flush=True,
            )
            if time.monotonic() > until:
                break
    print(f"{asked} of {len(everything)} mutants, {survivors} survived without a known reason")
    return int(survivors > 0)


if __name__ == "__main__":
    sys.exit(main())
