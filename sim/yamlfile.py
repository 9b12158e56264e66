"""A YAML file as a tree of texts with line and column of each key and value.

YAML's own types are not trusted (`NO` is false there, `12:30` is 750, `1e6` is a string): every
scalar stays the text that was written, and the reader's schema gives it a type. `parse` finds
problems of the text itself: syntax, encoding, duplicate keys, tags, merge keys. The meaning of keys
and values is the caller's business (`sim.scenario`, `sim.fleet`). Callers use the same
`Problem`, so that one list can hold every error of every file.

Not covered: several documents in a file, tags, `<<` merge keys, keys that are not plain text. Each
is refused by name.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from pipeline.terminal import cause, one_line
from sim.special_file import open_to_read

_YAML = "tag:yaml.org,2002:"
_PLAIN_TAGS = (f"{_YAML}str", f"{_YAML}seq", f"{_YAML}map")
_PACKAGE = Path(__file__).parent
MAX_BYTES = 1_000_000
MAX_DEPTH = 50
MAX_NODES = 200_000
"""Most values of a file after its aliases are unfolded."""


@dataclass(frozen=True, order=True)
class Place:
    """Position in a file. Line and column count from 1; line 0 is the whole file (or `--set N`)."""

    file: str
    line: int = 0
    col: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.col}" if self.line else self.file


@dataclass(frozen=True, order=True)
class Problem:
    """One error in the user's form: `file:line:col: message`."""

    file: str
    line: int
    col: int
    message: str

    @classmethod
    def at(cls, place: Place, message: str) -> Problem:
        return cls(place.file, place.line, place.col, message)

    def __str__(self) -> str:
        return f"{Place(one_line(self.file), self.line, self.col)}: {one_line(self.message)}"


@dataclass
class Scalar:
    """One single value, as written.

    empty: True if nothing is written at all (`key:`). A quoted "" is not empty.
    """

    place: Place
    text: str
    empty: bool = False


@dataclass
class Sequence:
    place: Place
    items: list[Node] = field(default_factory=list)


@dataclass
class Mapping:
    """Entries in file order. `keys`: the place of each key (a value has its own place)."""

    place: Place
    entries: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Place] = field(default_factory=dict)


Node = Scalar | Sequence | Mapping


class _Loader(Reader, Scanner, Parser, Composer, BaseResolver):
    """PyYAML up to its node graph, with the resolver that knows no types."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)


def _shipped_loader() -> type[Any]:
    """Return a loader by libyaml, which reads some odd texts in another way than PyYAML."""
    if not yaml.__with_libyaml__:
        return _Loader
    from yaml.cyaml import CParser  # type: ignore[attr-defined]

    class Loader(CParser, Composer, BaseResolver):
        def __init__(self, text: str) -> None:
            CParser.__init__(self, text)
            Composer.__init__(self)
            BaseResolver.__init__(self)

    return Loader


_Shipped: type[Any] = _shipped_loader()


def parse(path: Path) -> tuple[Node | None, list[Problem]]:
    """Read a YAML file; return its tree and the problems of its text.

    The tree is None if the text has no usable structure. Of duplicate keys the first stays in the
    tree.
    """
    file = str(path)
    try:
        with open_to_read(path) as opened:
            raw = opened.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        return None, [Problem(file, 0, 0, f"cannot be read: {cause(error)}")]
    if len(raw) > MAX_BYTES:
        return None, [
            Problem(file, 0, 0, f"larger than {MAX_BYTES // 1_000} kB, the most that is read")
        ]
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, col = _line_col(raw[: error.start].decode("utf-8", "replace"))
        return None, [
            Problem(
                file,
                line,
                col,
                f"byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8",
            )
        ]
    return parse_text(text, Place(file, 1, 1), shipped=_PACKAGE in path.parents)


def parse_text(
    text: str, origin: Place, shipped: bool = False
) -> tuple[Node | None, list[Problem]]:
    """Parse a text as `parse` does a file.

    Places are in `origin.file`. With `origin.line` 0 every place is `origin` itself.
    shipped: a file of windfleet itself, which libyaml parses eight times as fast.
    """
    problems: list[Problem] = []

    def place(mark: Any) -> Place:
        return (
            Place(origin.file, mark.line + 1, mark.column + 1) if origin.line and mark else origin
        )

    try:
        loader = (_Shipped if shipped else _Loader)(text)
        root = loader.get_single_node()
    except ReaderError as error:
        line, col = _line_col(text[: error.position])
        at = Place(origin.file, line, col) if origin.line else origin
        return None, [
            Problem.at(
                at, f"control character U+{_code(error.character):04X} is not allowed; remove it"
            )
        ]
    except yaml.MarkedYAMLError as error:
        return None, [Problem.at(place(error.problem_mark or error.context_mark), _explain(error))]
    except RecursionError:
        return None, [Problem.at(origin, "not valid YAML: nested too deeply")]
    if root is None:
        return None, [Problem.at(origin, "the file is empty")]
    tree = _Builder(place, problems).build(root, frozenset())
    return tree, problems


class _Builder:
    """Converter from PyYAML's graph to our tree: aliases unfolded, keys checked."""

    def __init__(self, place: Any, problems: list[Problem]) -> None:
        self.place, self.problems, self.count = place, problems, 0

    def complain(self, mark: Any, message: str) -> None:
        self.problems.append(Problem.at(self.place(mark), message))

    def build(self, node: Any, above: frozenset[int]) -> Node | None:
        self.count += 1
        if self.count == MAX_NODES:
            self.complain(
                node.start_mark, f"more than {MAX_NODES:,} values; do the aliases multiply?"
            )
        if self.count >= MAX_NODES:
            return None
        if id(node) in above:
            self.complain(node.start_mark, "an alias contains itself")
            return None
        if len(above) == MAX_DEPTH:
            self.complain(node.start_mark, f"nested more than {MAX_DEPTH} deep")
            return None
        if node.tag not in _PLAIN_TAGS:
            self.complain(
                node.start_mark,
                f"tag '{node.tag.replace(_YAML, '!!')}' is not used here; remove it",
            )
        at = self.place(node.start_mark)
        if isinstance(node, yaml.ScalarNode):
            return Scalar(
                at, node.value, empty=node.value in ("", "~", "null") and node.style is None
            )
        above = above | {id(node)}
        if isinstance(node, yaml.SequenceNode):
            items = (self.build(item, above) for item in node.value)
            return Sequence(at, [item for item in items if item is not None])
        mapping = Mapping(at)
        for key, value in node.value:
            self.entry(mapping, key, value, above)
        return mapping

    def entry(self, mapping: Mapping, key: Any, value: Any, above: frozenset[int]) -> None:
        if not isinstance(key, yaml.ScalarNode):
            return self.complain(
                key.start_mark, "a key must be a plain word; is a ':' or a quote missing?"
            )
        if key.value == "<<":
            return self.complain(
                key.start_mark, "merge keys ('<<') are not used here; write the keys out"
            )
        if key.value in mapping.keys:
            first = mapping.keys[key.value]
            where = f"line {first.line}" if first.line else "it"
            return self.complain(
                key.start_mark,
                f"duplicate key '{key.value}'; it is already set on {where}, remove one of the two",
            )
        built = self.build(value, above)
        mapping.keys[key.value] = self.place(key.start_mark)
        if built is not None:
            mapping.entries[key.value] = built
        return None


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known name that a mistyped word most likely means, or None."""
    names = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.6)
    return names[close[0]] if close else None


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return the end of an "unknown X" message: `; did you mean 'y'?`, or all known names."""
    names = list(known)
    if (close := nearest(word, names)) is not None:
        return f"; did you mean '{close}'?"
    return f"; known: {', '.join(names)}" if names else ""


def plain(node: Node) -> Any:
    """Return the tree as dicts, lists and texts, without places; None for an empty value."""
    if isinstance(node, Scalar):
        return None if node.empty else node.text
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key: plain(value) for key, value in node.entries.items()}


def _code(character: Any) -> int:
    return ord(character) if isinstance(character, str) else int(character)


def _line_col(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _explain(error: yaml.MarkedYAMLError) -> str:
    """Return PyYAML's text, with the usual cause in the user's words."""
    problem = re.sub(r"\s+", " ", error.problem or error.context or "unreadable")
    hint = ""
    if "'\\t'" in problem:
        hint = "; indent with spaces, not tabs"
    elif "mapping values are not allowed" in problem:
        hint = "; is the indentation wrong, or a text with ': ' not quoted?"
    elif "could not find expected ':'" in problem:
        hint = "; is a ':' missing after the key?"
    elif "expected <block end>" in problem:
        hint = "; is the line indented differently from its neighbours?"
    elif "unexpected end of stream" in problem:
        hint = "; is a quote not closed?"
    elif "expected ',' or" in problem:
        hint = "; is a closing bracket or a comma missing?"
    elif "expected a single document" in (error.context or ""):
        return "not valid YAML: only one document per file; remove the '---'"
    elif "undefined alias" in problem:
        hint = "; a value that begins with '*' must be quoted"
    return f"not valid YAML: {problem}{hint}"
