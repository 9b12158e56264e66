"""The parity ledger: each claim names a test that exists; other options are refused by name."""

from __future__ import annotations

import ast

import pytest

from pipeline.catalog import ledger
from tests.support.paths import ROOT


@pytest.mark.parametrize("option", ledger.OPTIONS, ids=lambda option: str(option.name))
def test_a_claim_names_a_test(option: ledger.Option) -> None:
    for test in (option.test, option.spark_test):
        file, _, name = test.partition("::")
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("engine", ledger.ENGINES)
@pytest.mark.parametrize("option", ledger.OPTIONS, ids=lambda option: str(option.name))
def test_a_refused_option_is_named(option: ledger.Option, engine: str) -> None:
    for name in (option.name, f"cloudFiles.{option.name}"):
        with pytest.raises(ledger.OptionError, match=option.name):
            ledger.accepted({name: "something else"}, lambda name: "", engine)


def test_accepted_values_and_names() -> None:
    given = {"cloudFiles.schemaEvolutionMode": "rescue", "maxfilespertrigger": "7"}
    assert ledger.accepted(given, lambda name: "") == {
        "schemaEvolutionMode": "rescue",
        "maxFilesPerTrigger": "7",
    }


def test_an_unknown_option_has_a_nearest_name() -> None:
    with pytest.raises(ledger.OptionError, match="nearest name: maxFilesPerTrigger"):
        ledger.accepted({"maxFilePerTriger": "1"}, lambda name: "maxFilesPerTrigger")
