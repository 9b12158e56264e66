"""Code mutation: does a test fail when the oracle or the commit path is changed by one small step? Run by hand.

    nice python -m tests.mutation                        60 mutants drawn by seed 1
    nice python -m tests.mutation --seed 2 --count 200 sim/check/compare/rows.py
    nice python -m tests.mutation --count 9999 --minutes 30 pipeline/commit.py      all of a file, or as far as it gets

A mutant is one change of one file: an operator, a comparison, a constant, a condition turned round, a statement left
out. It is made in a copy of the tree in a temporary folder, never here; the test files that TESTS names for the file
are run there, fastest first, to the first failure (a hang is one, see SLOWER; Hypothesis does not shrink its own). Each
is run in a fork of this process, which has imported what windfleet and pytest stand on and nothing of them: that saves
two seconds a mutant. First the files run unchanged. What survives is printed with file, line and both versions, the
last line counts, and the exit code is 1 when anything survived.

Not covered: two changes at a time, annotations, texts of messages, the `strict` of a zip, and what only a real store
shows (tests that start one are left out). A survivor may be no fault: an equivalent spelling, a bound that is never
met. Reasons of those that are known are in KNOWN: `file:function: change`.
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
"""A test file that takes as many times as long as on the tree without a mutant, and 10 s more, hangs."""
BENEATH = (
    *(
        "adbc_driver_sqlite.dbapi",
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
    "tests/pipeline/test_commit.py",
    "tests/pipeline/test_batch.py",
    "tests/campaign/test_world.py",
)
_NODE = (
    "tests/pipeline/test_node.py",
    _COMMIT[1],
    _COMMIT[0],
    "tests/pipeline/test_replaced_database.py",
    _COMMIT[2],
)
_ORACLE = ("tests/check/test_mutants.py", "tests/check/test_whole_runs.py")
_ALONE = (
    *(
        "canon",
        "checkpoints",
        "compare",
        "compare_windows",
        "document",
        "findings",
        "keys",
        "lake",
        "manifests",
    ),
    *("nodes", "objects", "owners", "rules", "share", "truth", "verdict", "windows"),
)
_PRIVACY = ("tests/check/test_privacy_forms.py", "tests/check/test_privacy.py", *_ORACLE)
TESTS = {
    "pipeline/commit.py": _COMMIT,
    "pipeline/checkpoint.py": ("tests/pipeline/test_checkpoint.py", *_COMMIT),
    "pipeline/manifest.py": _COMMIT,
    "pipeline/batch.py": _NODE,
    "pipeline/node.py": _NODE,
    "pipeline/partition.py": (
        "tests/pipeline/test_partition.py",
        "tests/pipeline/test_lake_contents.py",
        *_COMMIT,
    ),
    **{f"sim/check/{name}.py": (f"tests/test_check_{name}.py", *_ORACLE) for name in _ALONE},
    "sim/check/read/databases.py": ("tests/pipeline/test_node_databases.py", *_ORACLE),
    "sim/check/read/parquet.py": (
        "tests/check/test_objects.py",
        "tests/check/test_fuzz.py",
        *_ORACLE,
    ),
    "sim/check/compare/order.py": _ORACLE,
    "sim/check/read/watched.py": ("tests/check/test_privacy_scan.py", *_PRIVACY),
    "sim/check/detection/score.py": (
        "tests/check/test_detection_score.py",
        "tests/check/test_detection_of_faults.py",
        *_ORACLE,
    ),
    "sim/check/expected/rows.py": (
        *(f"tests/test_check_{name}.py" for name in ("expect", "rules", "compare")),
        *_ORACLE,
    ),
    **{
        f"sim/check/{name}.py": (
            "tests/check/test_windows.py",
            "tests/check/test_compare_windows.py",
            *_ORACLE,
        )
        for name in ("emission", "revisions")
    },
    "sim/check/privacy/decoding.py": ("tests/check/test_decoding.py", *_PRIVACY),
    "sim/check/privacy/patterns.py": (
        "tests/check/test_patterns.py",
        "tests/check/test_privacy_scan.py",
        *_PRIVACY,
    ),
    "sim/check/privacy/coordinates.py": (
        "tests/check/test_patterns.py",
        "tests/check/test_privacy_scan.py",
        *_PRIVACY,
    ),
    "sim/check/privacy/scan.py": ("tests/check/test_privacy_scan.py", *_PRIVACY),
    "sim/check/completeness.py": ("tests/check/test_findings.py", *_ORACLE),
}
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
    "pipeline/commit.py:module: 3 -> 4": "how often a race is asked again is a choice",
    "pipeline/node.py:_next: 0 -> 1": "a batch has the same ends whoever made it",
    "pipeline/node.py:module: 120000 -> 120001": "bounds the memory of a flush, not its result",
    "pipeline/partition.py:hours: 0 -> 1": "stands for 1970's first hour, in which any moment would do",
    "sim/check/read/columns.py:module: 2 -> 3": "any number that is no place and not ABSENT would do",
    "sim/check/read/columns.py:module: 9221120237041090560 -> 9221120237041090561": "any NaN would do for all of them",
    "sim/check/read/columns.py:module: 9221120237041147565 -> 9221120237041147566": "any other NaN would do for null",
    "sim/check/compare/checkpoints.py:_problem: cursor > last -> cursor >= last": "they differ there",
    "sim/check/compare/rows.py:_chosen: copies[at] > 1 -> copies[at] >= 1": "sorts rows of one copy too, and keeps them",
    "sim/check/detection/score.py:_anomalies: 1 -> 2": _NO_SIGNAL,
    "sim/check/detection/score.py:_rejections: 0 -> 1": "signal 0 is an anomaly, no rule",
    "sim/check/detection/score.py:_rejections: 1 -> 2": _NO_SIGNAL,
    "sim/check/detection/score.py:_rejections: signal >= 0 -> signal > 0": "signal 0 is an anomaly, no rule",
    "sim/check/findings.py:bounded: 1 -> 2": "of a rank only the order counts",
    "sim/check/findings.py:module: 200 -> 201": "how many are kept is a choice",
    "sim/check/read/lake.py:module: 8 -> 9": "how many are fetched or kept open at a time is a choice",
    "sim/check/privacy/decoding.py:module: 1 -> 2": "how much is unpacked is a choice",
    "sim/check/privacy/decoding.py:module: 24 -> 25": "how much is unpacked is a choice",
    "sim/check/privacy/decoding.py:module: 3 -> 4": "how deep is looked is a choice",
    "sim/check/privacy/patterns.py:__init__: 1 -> 2": "a table larger than it need be",
    "sim/check/privacy/patterns.py:__init__: 16 -> 17": "the upper half of the table stays empty",
    "sim/check/privacy/patterns.py:_base64: 3 -> 4": "the fourth place is as the first",
    "sim/check/privacy/patterns.py:_base64: 6 -> 7": _ROUNDED,
    "sim/check/privacy/patterns.py:_base64: 8 -> 9": _ROUNDED,
    "sim/check/privacy/patterns.py:find: at = at[self._heads[place] == words[at]] -> left out": _FASTER,
    "sim/check/privacy/patterns.py:module: 128 -> 129": "the character 128 is no letter",
    "sim/check/privacy/patterns.py:module: 2654435761 -> 2654435762": "how a hash spreads is a matter of speed",
    "sim/check/privacy/patterns.py:module: b < 128 -> b <= 128": "the character 128 is no letter",
    "sim/check/read/nodes.py:_cells: True -> False": "SQLite may be built to read addresses untold, as this one is",
    "sim/check/read/nodes.py:_read_uri: table.column(name).null_count < len(table) -> "
    "table.column(name).null_count <= len(table)": _FASTER,
    "sim/check/read/objects.py:DataObject: 0 -> 1": "a default of `rows` that reading sets",
    "sim/check/read/objects.py:_open: False -> True": "threads within one object would be no other table",
    "sim/check/compare/owners.py:_is_of: return same -> return None": "numpy's `where` takes None for nowhere",
    "sim/check/compare/owners.py:owners: 1 -> 2": _NOBODY,
    "sim/check/privacy/coordinates.py:_decimals: 9 -> 10": "what stands before the point is at most 9 letters long",
    "sim/check/privacy/coordinates.py:_decimals: apart < 10.0 ** (-min(decimals, 6)) * (1 - 1e-06) -> "
    "apart <= 10.0 ** (-min(decimals, 6)) * (1 - 1e-06)": _NO_BOUND,
    "sim/check/privacy/coordinates.py:_nearest: 1 -> 2": "neighbours further off are looked at as well",
    "sim/check/privacy/coordinates.py:_sexagesimal: apart < 1 / finest -> apart <= 1 / finest": _NO_BOUND,
    "sim/check/privacy/coordinates.py:geohash: 0 -> 1": "a bit in front of the first letter, which nobody reads",
    "sim/check/privacy/scan.py:_beside: 0 -> 1": _FASTER,
    "sim/check/privacy/scan.py:_beside: 8 -> 9": "the last byte of a footer is always the same",
    "sim/check/privacy/scan.py:_beside: begin >= 0 -> begin > 0": _FASTER,
    "sim/check/privacy/scan.py:_beside: content[begin:-8] if begin >= 0 else b'' -> "
    "content[begin:-8] if not begin >= 0 else b''": _FASTER,
    "sim/check/privacy/scan.py:_column: 7 -> 8": "either undoes what the cast of a decimal adds",
    "sim/check/privacy/scan.py:_leak: 1 -> 2": "the first word is the same with one cut more",
    "sim/check/privacy/scan.py:_telephone: len(digits) > 10 -> len(digits) >= 10": "what is left of 10 digits is too short",
    "sim/check/privacy/scan.py:_texts: 1 -> 2": "-1 stands for no text, and so would -2",
    "sim/check/privacy/scan.py:_told: continue -> left out": _FASTER,
    "sim/check/privacy/scan.py:module: 1 -> 2": _BATCHES,
    "sim/check/privacy/scan.py:module: 20 -> 21": _BATCHES,
    "sim/check/privacy/scan.py:report: 1 -> 2": _LAST,
    "sim/check/expected/rules.py:_stuck: ends - starts -> ends + starts": "a series too short has no tenth row to look at",
    "sim/check/verdict.py:_deal: 1 -> 2": _LAST,
    "sim/check/verdict.py:_is_data: 1 -> 2": _LAST,
    "sim/check/verdict.py:_run: 1 -> 2": _FEW,
    "sim/check/verdict.py:_run: len(shares) <= 1 -> len(shares) < 1": _FEW,
    "sim/check/verdict.py:_shares: 0 -> 1": _OPENS,
    "sim/check/verdict.py:_sum: 1 -> 2": _LAST,
    "sim/check/verdict.py:module: 2 -> 3": "the number of no share",
    "sim/check/verdict.py:module: size = 0 -> left out": _OPENS,
    "sim/check/expected/windows.py:_near: np.abs(found - right) <= tolerance * size -> "
    "np.abs(found - right) < tolerance * size": "a tolerance is a choice, and whether it is its own end",
}
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
    """`source`: the whole file, changed; `function`: the innermost around the change."""

    path: str
    line: int
    function: str
    before: str
    after: str
    source: str

    @property
    def name(self) -> str:
        return f"{self.path}:{self.function}: {self.before} -> {self.after}"


def mutants(path: str, source: str) -> Iterator[Mutant]:
    """Every mutant of a file, in order of its text."""
    tree = ast.parse(source)
    fixed = {id(part) for node in ast.walk(tree) for part in _fixed(node)}
    for node, function in _walk(tree, "module"):
        for what, name, value in _changes(node) if id(node) not in fixed else ():
            before, kept = ast.unparse(what), getattr(node, name)
            setattr(node, name, value)
            after = "left out" if isinstance(what, _LEFT_OUT) else ast.unparse(node)
            yield Mutant(
                path,
                getattr(what, "lineno", 0),
                function,
                _short(before),
                _short(after),
                ast.unparse(tree),
            )
            setattr(node, name, kept)


def _walk(node: ast.AST, function: str) -> Iterator[tuple[ast.AST, str]]:
    yield node, function
    inner = node.name if isinstance(node, ast.FunctionDef | ast.ClassDef) else function
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
    """(what changes, attribute of the node, its new value)."""
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
        """Whether a test fails, or hangs, with `source` in place of the file."""
        kept = (self._folder / path).read_text()
        (self._folder / path).write_text(source)
        try:
            return any(self.test_fails(test) for test in TESTS.get(path, _ORACLE))
        finally:
            (self._folder / path).write_text(kept)

    def test_fails(self, test: str) -> bool:
        """Whether a test file fails, or hangs, on the tree as it is now; asked first of the tree without a mutant."""
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
    """Leaves out the tests that start a LocalStack."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if "localstack" not in getattr(item, "fixturenames", ())]


def _run(folder: Path, test: str) -> NoReturn:
    """Ends this forked process, with 0 when the test file passes in the folder. Silent, in a group of its own."""
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
        code = int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", test], [_NoStore()]))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "files", nargs="*", help="of the tree; default: the commit path and all of sim/check"
    )
    parser.add_argument("--count", type=int, default=60, help="how many mutants (default: 60)")
    parser.add_argument("--seed", type=int, default=1, help="draws them (default: 1)")
    parser.add_argument(
        "--only", default="", help="those with this in their name, which begins file:function:"
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=1e9,
        help="stop behind the mutant during which they are over",
    )
    args = parser.parse_args()
    checks = sorted(str(file.relative_to(ROOT)) for file in (ROOT / "sim" / "check").glob("*.py"))
    files = args.files or [*(name for name in TESTS if name.startswith("pipeline/")), *checks]
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
        for test in dict.fromkeys(test for file in files for test in TESTS.get(file, _ORACLE)):
            if tree.test_fails(test):
                print(f"{test} fails without any mutant")
                return 2
        for asked, mutant in enumerate(drawn, 1):
            begun = time.perf_counter()
            if not tree.fails(mutant.path, mutant.source):
                known = KNOWN.get(mutant.name)
                survivors += known is None
                print(
                    f"SURVIVED {mutant.path}:{mutant.line} {mutant.name}{f' ({known})' if known else ''}",
                    flush=True,
                )
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
