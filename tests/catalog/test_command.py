"""`windfleet catalog DIR`: its output, its options, and names that are refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.catalog.locations import Parameters
from sim.arguments import parse
from sim.catalog.arguments import OPTIONS
from sim.catalog.files import files
from tests.support import runs
from tests.support.catalog_files import HARD


def test_each_file_is_listed_with_its_checks(tmp_path: Path) -> None:
    done = runs.inside("catalog", tmp_path / "out")
    assert done.code == 0, done.text
    lines = done.out.splitlines()
    for file in files(Parameters()):
        at = lines.index(file.path)
        assert lines[at + 1] == f"  checked by: {file.proof.tools}"
        assert lines[at + 2] == f"  nothing offline can check: {file.proof.open}"
        assert (tmp_path / "out" / file.path).read_text(encoding="utf-8") == file.text
    assert "installed nowhere" in lines[-2]
    assert lines[-1] == "placeholders: --account-id (000000000000), --external-id (0000)"


def test_the_options_are_the_parameters(tmp_path: Path) -> None:
    assert {name.replace("-", "_") for name, _, _ in OPTIONS} == set(
        Parameters.__dataclass_fields__
    )
    given = [
        f"--{name}={getattr(HARD, name.replace('-', '_'))}"
        for name, _, _ in OPTIONS
        if getattr(HARD, name.replace("-", "_"))
    ]
    done = runs.inside("catalog", tmp_path / "out", *given)
    assert done.code == 0, done.text
    assert "placeholders" not in done.out
    for file in files(HARD):
        assert (tmp_path / "out" / file.path).read_text(encoding="utf-8") == file.text


def test_the_help_names_the_defaults() -> None:
    """Twice in the sources: the parser is read by every command, the parameters need pyarrow."""
    named = {
        name.replace("-", "_"): found[1]
        for name, _, text in OPTIONS
        if (found := re.search(r"\(default: ([\w -]+?)[;)]", text))
        if " that " not in f" {found[1]} " and "only" not in found[1] and "placeholder" not in text
    }
    assert set(named) == {"catalog", "schema", "role", "region", "readers"}
    assert named == {name: getattr(Parameters(), name) for name in named}


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        ("catalog", "a b", "Unity Catalog takes"),
        ("catalog", "x" * 256, "1 to 255"),
        ("catalog", "a`; DROP", "Unity Catalog takes"),
        ("catalog", "a\nb", "printable"),
        ("catalog", "System", "belongs to Databricks"),
        ("schema", "${workspace.host}", "a bundle none of"),
        ("schema", "", "1 to 255"),
        ("schema", "information_schema", "belongs to Databricks"),
        ("bucket-prefix", "Upper-", "lower-case"),
        ("bucket-prefix", "a.b-", "no periods"),
        ("bucket-prefix", "a" * 53, "at most 52, not 53"),
        ("bucket-prefix", "xn--a-", "reserves"),
        ("bucket-prefix", "-a", "first a letter"),
        ("bucket-prefix", "", "lower-case"),
        ("role", "arn:aws:iam::12:role/x", "12 digits"),
        ("role", "arn:aws:iam::123456789012:user/x", "ARN"),
        ("role", "a b", "1 to 64"),
        ("role", "x" * 65, "1 to 64"),
        ("role", "größe", "A-Z a-z"),
        ("role", '"${file}"', "1 to 64"),
        ("account-id", "12", "12 digits"),
        ("region", "us-west", "us-west-2"),
        ("region", "us-gov-west-1", "try us-west-2"),
        ("external-id", "x", "2 to 1,224"),
        ("readers", " x", "either end"),
        ("engineers", "a\tb", "printable"),
        ("managed-location", "https://x/", "s3://"),
        ("managed-location", "s3://expanso-databricks-enriched/x", "overlap"),
    ],
)
def test_a_name_that_would_be_refused_there_is_refused_here(
    tmp_path: Path, option: str, value: str, rule: str
) -> None:
    more = ["--role=arn:aws:iam::123456789012:role/x"] if value == "us-gov-west-1" else []
    done = runs.inside("catalog", tmp_path / "out", f"--{option}={value}", *more)
    assert done.code == 2, done.text
    assert done.said_once(f"--{option} ", rule)
    assert not (tmp_path / "out").exists()


def test_an_account_beside_an_arn_must_be_the_same(tmp_path: Path) -> None:
    role = "--role=arn:aws:iam::123456789012:role/x"
    done = runs.inside("catalog", tmp_path / "out", role, "--account-id=210987654321")
    assert done.code == 2
    assert done.said_once("--account-id '210987654321'", "another account")


def test_a_folder_that_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("", encoding="utf-8")
    done = runs.inside("catalog", tmp_path, "--overwrite")
    assert done.code == 2
    assert done.said_once("holds mine", "choose another folder")


@pytest.mark.parametrize("arguments", [(), ("out", "--ledger")])
def test_a_folder_or_the_ledger(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert runs.inside("catalog", *arguments).code == 2
    assert not list(tmp_path.iterdir())


def test_the_ledger_is_still_there() -> None:
    done = runs.inside("catalog", "--ledger")
    assert done.code == 0
    assert "schemaEvo" in done.out


def test_a_url_is_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        parse(["catalog", "s3://bucket/folder"])
    assert refused.value.code == 2
    assert "is a URL; name a folder of this machine" in capsys.readouterr().err
