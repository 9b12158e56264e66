"""The claims in the heads: each names a test, and the folder says the same three times."""

from __future__ import annotations

import ast
import re

import pytest

from pipeline.catalog.locations import Parameters
from sim.catalog import checks
from sim.catalog.files import File, files
from tests.support.paths import ROOT

ALL = [each for each in vars(checks).values() if isinstance(each, checks.Check)]
FILES = files(Parameters())


@pytest.mark.parametrize("check", ALL, ids=lambda check: check.tool)
def test_a_check_names_a_test(check: checks.Check) -> None:
    file, _, name = check.test.partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_check_is_of_a_file() -> None:
    assert {check for file in FILES for check in file.proof.by} == set(ALL)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.path)
def test_a_head_says_what_checked_the_file_and_what_nothing_can(file: File) -> None:
    """A JSON file has no comments: the README says it."""
    readme = FILES[0].text
    assert f"| `{file.path}` | {file.title} | {file.proof.tools} | {file.proof.open} |" in readme
    if file.path.endswith(".json") or file is FILES[0]:
        return
    comment = re.match(r"(?:(?:#|--) [^\n]*\n)+\n", file.text)
    assert comment is not None
    text = re.sub(r"\s+", " ", re.sub(r"(?m)^(?:#|--) ", "", comment[0]))
    assert f"Checked in the tests of windfleet by: {file.proof.tools}." in text
    assert f"Nothing offline can check: {file.proof.open}." in text


def test_a_line_has_at_most_100_columns_in_a_head() -> None:
    for file in FILES:
        for line in file.text.partition("\n\n")[0].splitlines():
            assert len(line) <= 100 or file.path.endswith((".json", ".md"))
