"""Rules for names and prose. Figures: `python -m tests.house.prose`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house import prose
from tests.support.paths import ROOT


def where(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", prose.files(), ids=where)
def test_a_file_reads_as_english(path: Path) -> None:
    wrong = [
        f"{each.line}: {rule}: {each.text.splitlines()[0]}"
        for each in prose.docstrings(path)
        if each.text
        for rule, broken in (
            ("open with a noun phrase or an imperative", prose.QUESTION.match(each.text)),
            ("one line of summary, then a blank line", "\n" in each.summary),
        )
        if broken
    ]
    wrong += [
        f"{line}: name {name} for what it returns or does"
        for line, name in prose.functions(path)
        if name.strip("_") in prose.SPEECH
    ]
    wrong += [
        f"{number}: {len(line)} columns, {prose.COLUMNS} at most"
        for number, line in enumerate(prose.text(path).splitlines(), 1)
        if len(line) > prose.COLUMNS
    ]
    assert not wrong, "\n".join([where(path), *wrong])


def test_no_class_name_stands_twice_in_a_package() -> None:
    assert not prose.homonyms()


def test_what_is_rare() -> None:
    assert prose.what() < 20


def test_no_import_climbs() -> None:
    assert not prose.climbs(list(prose.imports()))
