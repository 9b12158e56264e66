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


@pytest.mark.parametrize("value", ["true", "false", "1", "", "parquet"])
@pytest.mark.parametrize("engine", ledger.ENGINES)
def test_an_option_without_effect_is_refused_with_any_value(engine: str, value: str) -> None:
    refused = [option for option in ledger.OPTIONS if not option.effect(engine)]
    assert len(refused) > 25
    tier = {"embedded": "the embedded tier", "spark": "open Spark"}[engine]
    for option in refused:
        with pytest.raises(ledger.OptionError) as error:
            ledger.accepted({option.name: value}, lambda name: "", engine)
        assert str(error.value) == f"{option.name}: is not supported by {tier}"


@pytest.mark.parametrize("engine", ledger.ENGINES)
def test_an_option_that_the_catalogue_sets_is_refused_as_such(engine: str) -> None:
    ours = [o for o in ledger.OPTIONS if o.effect(engine).startswith("the catalogue sets it")]
    assert [option.name for option in ours] == ["schema", "schemaHints"] * (engine == "spark")
    for option in ours:
        with pytest.raises(ledger.OptionError, match=f"^{option.name}: is set by the catalogue$"):
            ledger.accepted({option.name: "id BIGINT"}, lambda name: "", engine)


@pytest.mark.parametrize("engine", ledger.ENGINES)
@pytest.mark.parametrize("option", ledger.OPTIONS, ids=lambda option: str(option.name))
def test_an_effect_names_the_only_value(option: ledger.Option, engine: str) -> None:
    """`true only`, `empty only`, `always _rescued_data`: the text and the values agree."""
    values, effect = option.accepts(engine), option.effect(engine)
    words = effect.replace(":", "").split()
    if "only" in words[:2]:
        assert values == ("" if words[0] == "empty" else words[0],)
    elif words[:1] == ["always"]:
        assert values == (words[1],)
    else:
        assert values is None or len(values) != 1
    assert (values == ()) == (not effect or effect.startswith("the catalogue sets it"))


def test_each_engine_has_values_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    option = ledger.Option("x", "a only", "b only", "", ("a",), "", ("b",))
    monkeypatch.setattr(ledger, "BY_NAME", {"x": option})
    assert ledger.accepted({"x": "a"}, lambda name: "") == {"x": "a"}
    assert ledger.accepted({"x": "b"}, lambda name: "", ledger.SPARK) == {"x": "b"}
    with pytest.raises(ledger.OptionError, match="must be 'b'"):
        ledger.accepted({"x": "a"}, lambda name: "", ledger.SPARK)


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "1e3", "", "many"])
@pytest.mark.parametrize("name", ["maxFilesPerTrigger", "maxBytesPerTrigger"])
def test_a_bound_is_a_whole_number(name: str, value: str) -> None:
    with pytest.raises(ledger.OptionError, match=f"{name}={value}: must be a whole number"):
        ledger.accepted({name: value}, lambda name: "")


def test_accepted_values_and_names() -> None:
    given = {"cloudFiles.schemaEvolutionMode": "rescue", "maxfilespertrigger": "7"}
    assert ledger.accepted(given, lambda name: "") == {
        "schemaEvolutionMode": "rescue",
        "maxFilesPerTrigger": "7",
    }


def test_an_unknown_option_has_a_nearest_name() -> None:
    with pytest.raises(ledger.OptionError, match="nearest name: maxFilesPerTrigger"):
        ledger.accepted({"maxFilePerTriger": "1"}, lambda name: "maxFilesPerTrigger")
