"""The house in figures: packages, imports, names and prose of a checkout.

    python -m tests.house.prose            this checkout
    python -m tests.house.prose DIR        another one, for a comparison

Counted over the Python files of `pipeline`, `sim` and `tests`. `test_prose.py` holds the bounds.
"""

from __future__ import annotations

import ast
import functools
import gc
import io
import re
import sys
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT

COLUMNS = 100
QUESTION = re.compile(r"(what|whether|which|how|when|where|who|whose|why)\b", re.IGNORECASE)
"""Openings of a question. A summary is a noun phrase or an imperative."""
FOUR = re.compile(r"(what|whether|how|which)\b", re.IGNORECASE)
"""The four openings that the first measurement counted."""
SPEECH = {"told", "said", "say", "says", "held", "tell", "tells"}
"""Names that say nothing of what a function does."""
FOLDERS = ("pipeline", "sim", "tests")


@dataclass(frozen=True)
class Docstring:
    """One docstring. `summary`: its first paragraph, lines joined by newlines."""

    path: Path
    line: int
    owner: str
    text: str

    @property
    def summary(self) -> str:
        return self.text.strip().split("\n\n")[0]


def files(root: Path = ROOT) -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (root / folder).rglob("*.py"))


@functools.cache
def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@functools.cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Return all nodes of a file's syntax tree, the module first. A file is parsed once."""
    found = tuple(ast.walk(ast.parse(text(path))))
    gc.freeze()  # they stay to the end: a collection need not walk them each time
    return found


def docstrings(path: Path) -> Iterator[Docstring]:
    """Yield docstrings of a file's module, classes, functions and constants."""
    for node in nodes(path):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            owner = getattr(node, "name", "module")
            for before, each in zip([None, *node.body], node.body, strict=False):
                if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant):
                    words = each.value.value
                    if isinstance(words, str) and (before is None or _assigns(before)):
                        yield Docstring(path, each.lineno, owner, ast_clean(words))


def _assigns(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign | ast.AnnAssign)


def ast_clean(words: str) -> str:
    return "\n".join(line.strip() for line in words.strip().splitlines())


def comments(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of a file's comments."""
    for token in tokenize.generate_tokens(io.StringIO(text(path)).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("# ")


def functions(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, name) of a file's functions and methods."""
    for node in nodes(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name


def homonyms(root: Path = ROOT) -> list[str]:
    """List class names of two files of one package, as `folder: Name in a.py, b.py`."""
    found: dict[tuple[Path, str], set[str]] = defaultdict(set)
    for path in files(root):
        module = nodes(path)[0]
        assert isinstance(module, ast.Module)
        for node in module.body:
            if isinstance(node, ast.ClassDef):
                found[path.parent, node.name].add(path.name)
    return [
        f"{folder.relative_to(root)}: {name} in {', '.join(sorted(names))}"
        for (folder, name), names in sorted(found.items())
        if len(names) > 1 and "tests" not in folder.relative_to(root).parts
    ]


def imports(root: Path = ROOT) -> Iterator[tuple[str, str]]:
    """Yield (importing module, imported module) within `pipeline` and `sim`, once each."""
    modules = {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for path in files(root)
        if path.relative_to(root).parts[0] != "tests"
    }
    for name, path in modules.items():
        there = set()
        for node in nodes(path):
            if isinstance(node, ast.ImportFrom) and node.module:
                full = (f"{node.module}.{alias.name}" for alias in node.names)
                there |= {one if one in modules else node.module for one in full}
        yield from ((name, other) for other in sorted(there & modules.keys() - {name}))


def room(module: str) -> str:
    """Return the room of a module: `pipeline`, or `sim.<name>`."""
    parts = module.split(".")
    return "pipeline" if parts[0] == "pipeline" else ".".join(parts[:2])


def climbs(arrows: list[tuple[str, str]]) -> list[str]:
    """List arrows between rooms that close a circle: no order of floors has them all go down."""
    below: dict[str, set[str]] = defaultdict(set)
    for one, other in arrows:
        if room(one) != room(other):
            below[room(one)].add(room(other))

    def reach(start: str) -> set[str]:
        seen: set[str] = set()
        todo = [start]
        while todo:
            for each in below[todo.pop()] - seen:
                seen.add(each)
                todo.append(each)
        return seen

    reached = {name: reach(name) for name in list(below)}
    return [
        f"{one} -> {other}"
        for one, other in arrows
        if room(one) != room(other) and room(one) in reached.get(room(other), set())
    ]


def figures(root: Path) -> Iterator[str]:
    """Yield the figures as lines of text."""
    paths = files(root)
    arrows = list(imports(root))
    count = Counter(path.parent.relative_to(root).as_posix() for path in paths)
    inner = Counter(room(one) for one, other in arrows if room(one) == room(other))
    direct = Counter(
        one.rpartition(".")[0]
        for one, other in arrows
        if one.rpartition(".")[0] == other.rpartition(".")[0]
    )
    yield f"{'package':<28}{'files':>6}{'imports inside':>16}"
    for folder, number in sorted(count.items()):
        if not folder.startswith("tests"):
            yield f"{folder:<28}{number:>6}{direct[folder.replace('/', '.')]:>16}"
    yield f"imports inside rooms: {dict(inner)}"
    yield f"climbs between rooms: {len(climbs(arrows))}"
    docs = [each for path in paths for each in docstrings(path)]
    four = sum(bool(FOUR.match(each.text)) for each in docs)
    asked = sum(bool(QUESTION.match(each.text)) for each in docs)
    long = sum("\n" in each.summary for each in docs)
    yield f"docstrings: {len(docs)}"
    yield f"open with What, Whether, How, Which: {four} ({four / len(docs):.1%})"
    yield f"open with any question word: {asked} ({asked / len(docs):.1%})"
    yield f"summaries of more than one line: {long}"
    yield f"'what' in 10,000 words of docstrings and comments: {what(root):.0f}"
    lines = [line for path in paths for line in text(path).splitlines()]
    wide = sum(len(line) > COLUMNS for line in lines)
    yield f"lines over {COLUMNS} columns: {wide} of {len(lines)} ({wide / len(lines):.1%})"
    named = [name for path in paths for _, name in functions(path) if name.strip("_") in SPEECH]
    yield f"functions named {', '.join(sorted(SPEECH))}: {len(named)}"
    yield f"class names twice in a package: {len(homonyms(root))}"
    yield from (f"  {each}" for each in homonyms(root))


def what(root: Path = ROOT) -> float:
    """Return how often "what" stands in 10,000 words of docstrings and comments."""
    words: list[str] = []
    for path in files(root):
        texts = [each.text for each in docstrings(path)]
        texts += [comment for _, comment in comments(path)]
        words += re.findall(r"[a-z']+", " ".join(texts).lower())
    return 10_000 * words.count("what") / max(len(words), 1)


if __name__ == "__main__":
    print("\n".join(figures(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)))
