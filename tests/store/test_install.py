"""The installer of LocalStack's environment: the Python that it takes, and how it fails.

A newer Python than LocalStack runs on is feigned, and so are the interpreters that are found. The
real installation is that of `make localstack`, which every test with a server needs.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import signal
import sys
import time
from hashlib import sha256
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from sim.store import installation
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
    monkeypatch.setattr(install, "environment", lambda target, *_: asked_for.append(target))
    asked_for: list[Path] = []
    uv.write_text(
        '#!/bin/sh\n/bin/echo "$* $UV_PYTHON_INSTALL_DIR $UV_NO_CONFIG [$UV_DEFAULT_INDEX]"'
        ' > "$UV_PYTHON_INSTALL_DIR/../asked"\n'
    )
    feigned(home / "pythons" / "cpython-3.13.9" / "bin" / "python3", "3.13")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://elsewhere.example")
    assert install.fetched(home) == str(home / "pythons" / "cpython-3.13.9" / "bin" / "python3")
    asked = (home / "asked").read_text().strip()
    assert asked == f"python install --no-bin 3.13 {home}/pythons 1 []"
    assert asked_for == [home / "uv"]


def test_a_failure_is_one_message_and_3(
    capfd: pytest.CaptureFixture[str],
    install: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = tmp_path / "home"
    monkeypatch.setattr(install, "environment", lambda *_: None)
    uv = feigned(home / "uv" / "bin" / "uv", "")
    uv.write_text("#!/bin/sh\necho offline >&2\nexit 2\n")
    assert install.main() == 3
    err = capfd.readouterr().err
    assert "no Python 3.11, 3.12 or 3.13 is here; fetching 3.13 by uv" in err
    assert "offline" in err
    assert "uv cannot fetch Python 3.13 (exit code 2" in err
    assert "Traceback" not in err
    assert not (home / "venv").exists()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """A lock of one package, as the installer reads it."""
    path = tmp_path / "lock.txt"
    path.write_text("one==1\n")
    return path


def feign_pip(install: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Let the installer's commands make a venv with one script. Return the commands so far."""
    commands: list[list[str]] = []

    def run(command: list[object], failure: str, variables: object = None) -> None:
        commands.append([str(word) for word in command])
        if "venv" in commands[-1]:
            folder = Path(commands[-1][-1])
            feigned(folder / "bin" / "python", "3.12")
            (folder / "pyvenv.cfg").write_text(f"command = python -m venv {folder}\n")
        else:
            if "broken" in Path(commands[-1][-1]).read_text():
                raise install.InstallError(failure)
            folder = Path(commands[-1][0]).parent.parent
            (folder / "bin" / "tool").write_text(f"#!{folder}/bin/python\n")

    monkeypatch.setattr(install, "run", run)
    return commands


def test_an_environment_gets_its_place_when_it_is_whole(
    install: ModuleType, tmp_path: Path, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = feign_pip(install, monkeypatch)
    target = tmp_path / "home" / "venv"
    left = feigned(tmp_path / "home" / ".venv-killed" / "bin" / "python", "3.12").parents[1]
    python = str(feigned(tmp_path / "bin" / "python3.12", "3.12"))

    def finish(folder: Path) -> None:
        assert not target.exists()
        assert not left.exists(), "what a killed installer left"

    install.environment(target, python, lock, "it", finish)
    assert (target / "bin" / "tool").read_text() == f"#!{target}/bin/python\n"
    assert str(target.parent / ".venv-") not in (target / "pyvenv.cfg").read_text()
    assert "--require-hashes" in commands[1]
    assert [path.name for path in target.parent.iterdir()] == ["venv"]

    install.environment(target, python, lock, "it")
    assert len(commands) == 2, "the same is there already"

    lock.write_text("broken==1\n")
    with pytest.raises(install.InstallError):
        install.environment(target, python, lock, "it")
    assert (target / install.STAMP).exists(), "the old one is there, whole"
    lock.write_text("two==1\n")
    install.environment(target, python, lock, "it")
    assert len(commands) == 6
    assert [path.name for path in target.parent.iterdir()] == ["venv"]


def test_a_wheel_with_another_lock_installs_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plant: any stamp will do."""
    home, locks = tmp_path / "home", tmp_path / "localstack" / "locks"
    locks.mkdir(parents=True)
    (locks / "4.0.0.txt").write_text("one==1\n")
    python = feigned(home / "venv" / "bin" / "python", "3.12")
    (home / "venv" / ".installed").write_text(
        f"{sha256((locks / '4.0.0.txt').read_bytes()).hexdigest()} {python} 3.12.1\n"
    )
    installed: list[object] = []
    monkeypatch.setattr(installation, "HOME", home)
    monkeypatch.setattr(installation, "PYTHON", python)
    monkeypatch.setattr(installation, "INSTALLER", locks.parent / "install.py")
    monkeypatch.setattr(installation, "IS_CHECKOUT", False)
    monkeypatch.setattr(installation, "install", lambda: installed.append(1))
    installation.require()
    assert not installed
    (locks / "4.0.0.txt").write_text("one==2\n")
    installation.require()
    assert installed == [1]
    monkeypatch.setattr(installation, "IS_CHECKOUT", True)
    assert installation.is_installed(), "there `make` compares the locks"


def test_uv_is_one_version_by_its_hashes() -> None:
    text = (ROOT / "localstack" / "locks" / "uv.txt").read_text()
    packages = [line for line in text.splitlines() if line and line[0] not in "# "]
    assert len(packages) == 1
    assert packages[0].startswith("uv==")
    assert "--hash=sha256:" in text
    assert "://" not in text


def test_a_killed_installer_keeps_its_lock_until_its_programs_end(
    install: ModuleType, tmp_path: Path
) -> None:
    home, pid = tmp_path / "home", tmp_path / "pid"
    if (child := os.fork()) == 0:
        with install.alone(home):
            install.run(["/bin/sh", "-c", f"echo $$ > {pid}; exec /bin/sleep 60"], "")
        os._exit(1)
    give_up = time.monotonic() + 30
    while not (pid.exists() and pid.read_text()):
        assert time.monotonic() < give_up
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with (home / install.LOCK_FILE).open() as file:
        try:
            with pytest.raises(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.kill(int(pid.read_text()), signal.SIGKILL)
        fcntl.flock(file, fcntl.LOCK_EX)
