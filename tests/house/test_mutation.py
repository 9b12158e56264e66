"""The mutation tool itself: its changes, its lists, and the survival of an untested mutant."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import mutation

SOURCE = '''"""A text."""
LIMIT: int = 3


@frozen(True)
def keep(rows, most=LIMIT):
    """Another."""
    if not rows or rows[0] > most:
        rows.append(zip(1, strict=True))
        return rows + [True]
    return None
'''


def test_each_change_is_one_step_and_leaves_the_rest() -> None:
    found = list(mutation.mutants("a.py", SOURCE))
    assert [(mutant.line, mutant.owner, mutant.before, mutant.after) for mutant in found] == [
        (2, "LIMIT", "3", "4"),
        (
            8,
            "keep",
            "if not rows or rows[0] > most: rows.append(zip(1, strict=True)) return rows + [True]",
            found[1].after,
        ),
        (9, "keep", "rows.append(zip(1, strict=True))", "left out"),
        (8, "keep", "not rows or rows[0] > most", "not rows and rows[0] > most"),
        (8, "keep", "rows[0] > most", "rows[0] >= most"),
        (8, "keep", "0", "1"),
        (9, "keep", "1", "2"),
        (10, "keep", "return rows + [True]", "return None"),
        (10, "keep", "rows + [True]", "rows - [True]"),
        (10, "keep", "True", "False"),
    ]
    assert found[1].after.startswith("if not (not rows or rows[0] > most):")
    assert len({mutant.source for mutant in found} | {SOURCE}) == 11


def test_the_test_files_of_a_module_bear_its_name_or_are_listed() -> None:
    for path in mutation.default_files():
        tests = mutation.tests_of(path)
        assert tests, f"no test file bears the name of {path}: list some in MORE"
        assert [test for test in tests if not (mutation.ROOT / test).is_file()] == []
    assert [path for path in mutation.MORE if not (mutation.ROOT / path).is_file()] == []
    assert mutation.tests_of("sim/check/read/lake.py")[0] == "tests/check/test_read_lake.py"
    assert mutation.tests_of("sim/check/keys.py")[0] == "tests/check/test_keys.py"


def test_every_known_survivor_is_a_mutant_today() -> None:
    today = {
        mutant.name
        for path in mutation.default_files()
        for mutant in mutation.mutants(path, (mutation.ROOT / path).read_text(), names_only=True)
    }
    assert sorted(mutation.KNOWN.keys() - today) == []


def test_a_mutant_is_killed_by_a_test_that_sees_it_and_survives_one_that_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pipeline", "sim", "tests", "scenarios", "localstack", ".docs/pages"):
        (tmp_path / "root" / name).mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "Makefile", "sim/one.py"):
        (tmp_path / "root" / name).write_text("")
    test = (
        "from pathlib import Path\n\ndef test_it():\n    assert Path('sim/one.py').read_text() {}\n"
    )
    (tmp_path / "root" / "tests" / "test_sees.py").write_text(test.format("== ''"))
    (tmp_path / "root" / "tests" / "test_blind.py").write_text(test.format("is not None"))
    monkeypatch.setattr(mutation, "ROOT", tmp_path / "root")
    both = ("tests/test_blind.py", "tests/test_sees.py")
    monkeypatch.setattr(mutation, "MORE", {"sim/one.py": both})
    tree = mutation.Copy(tmp_path)
    assert not tree.fails("sim/one.py", "")
    assert tree.fails("sim/one.py", "x = 1")
    assert (
        (tmp_path / "sim" / "one.py").read_text()
        == (tmp_path / "root" / "sim" / "one.py").read_text()
        == ""
    )
    monkeypatch.setattr(mutation, "MORE", {"sim/one.py": both[:1]})
    assert not tree.fails("sim/one.py", "x = 1")
