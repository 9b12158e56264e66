"""The installer of LocalStack's environment: the Python that it takes, and how it fails.

A newer Python than LocalStack runs on is feigned, and so are the interpreters that are found. The
real installation is that of `make localstack`, which every test with a server needs.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from tests.support.paths import ROOT

NEWER = (3, 14, 0)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The installer, run by Python 3.14 on a machine without any other one."""
    spec = importlib.util.spec_from_file_location("install", ROOT / "localstack" / "install.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    class Own(SimpleNamespace):
        stderr = property(lambda _: sys.stderr)

    names = ("executable", "_base_executable", "exit")
    own = Own(version_info=NEWER, **{name: getattr(sys, name) for name in names})
    monkeypatch.setattr(sys, "argv", ["install.py", str(tmp_path / "home")])
    monkeypatch.setattr(module, "sys", own)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    (tmp_path / "bin").mkdir()
    return module


def feigned(path: Path, version: str) -> Path:
    """Make a program that answers as a Python of that version would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {version.replace('.', ' ')}\n")
    path.chmod(0o755)
    return path


def test_a_python_that_localstack_runs_on_is_taken_itself(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    for minor in (11, 12, 13):
        monkeypatch.setattr(install.sys, "version_info", (3, minor, 1))
        assert install.found() == os.path.realpath(install.sys._base_executable)


def test_the_newest_python_on_the_path_is_found(install: ModuleType, tmp_path: Path) -> None:
    assert install.found() is None
    for version in ("3.11", "3.12"):
        feigned(tmp_path / "bin" / f"python{version}", version)
    assert install.found() == str(tmp_path / "bin" / "python3.12")


def test_one_of_pyenv_is_found(install: ModuleType, tmp_path: Path) -> None:
    feigned(tmp_path / "pyenv" / "versions" / "3.14.2" / "bin" / "python", "3.14")
    there = feigned(tmp_path / "pyenv" / "versions" / "3.13.1" / "bin" / "python", "3.13")
    assert install.found() == str(there)


def test_a_shim_that_is_no_such_python_is_passed_over(install: ModuleType, tmp_path: Path) -> None:
    feigned(tmp_path / "bin" / "python3.13", "3.9")
    broken = feigned(tmp_path / "bin" / "python3.12", "3.12")
    broken.write_text("#!/bin/sh\nexit 127\n")
    assert install.found() is None


def test_uv_fetches_one_where_there_is_none(
    install: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uv is feigned: it makes the Python that it is asked for, and records its variables."""
    home = tmp_path / "home"
    uv = feigned(home / "uv" / "bin" / "uv", "")
    uv.write_text(
        '#!/bin/sh\n/bin/echo "$* $UV_PYTHON_INSTALL_DIR $UV_NO_CONFIG [$UV_DEFAULT_INDEX]"'
        ' > "$UV_PYTHON_INSTALL_DIR/../asked"\n'
    )
    feigned(home / "pythons" / "cpython-3.13.9" / "bin" / "python3", "3.13")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://elsewhere.example")
    assert install.fetched(home) == str(home / "pythons" / "cpython-3.13.9" / "bin" / "python3")
    asked = (home / "asked").read_text().strip()
    assert asked == f"python install --no-bin 3.13 {home}/pythons 1 []"


def test_a_failure_is_one_message_and_3(
    capfd: pytest.CaptureFixture[str], install: ModuleType, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    uv = feigned(home / "uv" / "bin" / "uv", "")
    uv.write_text("#!/bin/sh\necho offline >&2\nexit 2\n")
    assert install.main() == 3
    err = capfd.readouterr().err
    assert "no Python 3.11, 3.12 or 3.13 is here; fetching 3.13 by uv" in err
    assert "offline" in err
    assert "uv cannot fetch Python 3.13 (exit code 2" in err
    assert "Traceback" not in err
    assert not (home / "venv").exists()
