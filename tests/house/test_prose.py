"""Rules for names and prose. Figures: `python -m tests.house.prose`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.house import prose
from tests.support.paths import ROOT


def test_files_read_as_english() -> None:
    paths = prose.files()
    assert len(paths) > 800
    wrong = [f"{path.relative_to(ROOT)}:{each}" for path in paths for each in wrong_in(path)]
    assert not wrong, "\n".join(wrong)


def wrong_in(path: Path) -> Iterator[str]:
    """Yield line and rule of each line that breaks a rule."""
    for each in prose.docstrings(path):
        if not each.text:
            continue
        opening = each.text.splitlines()[0]
        if prose.QUESTION.match(each.text):
            yield f"{each.line}: open with a noun phrase or an imperative: {opening}"
        if "\n" in each.summary:
            yield f"{each.line}: one line of summary, then a blank line: {opening}"
    for line, name in prose.functions(path):
        if name.strip("_") in prose.SPEECH:
            yield f"{line}: name {name} for what it returns or does"
    for number, line in enumerate(prose.text(path).splitlines(), 1):
        if len(line) > prose.COLUMNS:
            yield f"{number}: {len(line)} columns, {prose.COLUMNS} at most"


def test_no_class_name_stands_twice_in_a_package() -> None:
    assert not prose.homonyms()


def test_what_is_rare() -> None:
    assert prose.what() < 20


def test_no_import_climbs() -> None:
    assert not prose.climbs(list(prose.imports()))
