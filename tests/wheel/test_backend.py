"""The wheel: one top-level name, all that a run needs, and the same program as the checkout.

The tests use the tree that the backend writes. The campaign-marked one builds the wheel, installs
it by pip into an empty environment, and runs it there.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sim.shipped import names
from sim.wheel.backend import rewritten, write_tree
from tests.support.paths import ROOT

EVERY_MODULE = """
import importlib, json, pkgutil, sys
import windfleet
failed = {}
for module in pkgutil.walk_packages(windfleet.__path__, "windfleet."):
    if module.name.startswith("windfleet.localstack") or module.name.endswith("__main__"):
        continue
    if module.name in ("windfleet.sim.load.locustfile", "windfleet.sim.query.spark.driver"):
        continue  # of processes of their own, in which gevent or Spark is loaded first
    try:
        importlib.import_module(module.name)
    except Exception as error:
        failed[module.name] = repr(error)
taken = sorted({name.partition(".")[0] for name in sys.modules} & {"sim", "pipeline"})
print(json.dumps([failed, taken, len(sys.modules)]))
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    write_tree(folder)
    return folder


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from sim.run import x\n", "from windfleet.sim.run import x\n"),
        ("    from pipeline import lake\n", "    from windfleet.pipeline import lake\n"),
        ("from simpy import x\n", "from simpy import x\n"),
        ("from pipelines import x\n", "from pipelines import x\n"),
        ('x = "sim.report"\n', 'x = "windfleet.sim.report"\n'),
        ("x = 'sim.cluster.server'\n", "x = 'windfleet.sim.cluster.server'\n"),
        ('x = "pipeline.window"\n', 'x = "pipeline.window"\n'),
        ('x = "see sim.report"\n', 'x = "see sim.report"\n'),
    ],
)
def test_imports_and_names_of_modules_move_below_windfleet(text: str, expected: str) -> None:
    assert rewritten(text) == expected


@pytest.mark.parametrize("text", ["import sim\n", "    import pipeline.lake as lake\n"])
def test_an_import_that_would_bind_another_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write `from (sim|pipeline) import"):
        rewritten(text)


def test_the_name_of_a_module_that_is_put_together_is_refused() -> None:
    with pytest.raises(ValueError, match="write the whole name of the module"):
        rewritten('x = f"sim.{command}.resume"\n')


def test_nothing_in_the_tree_imports_sim_or_pipeline(tree: Path) -> None:
    files = [*(tree / "windfleet").rglob("*.py")]
    assert len(files) > 400
    for file in files:
        if file.is_relative_to(tree / "windfleet" / "localstack"):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            found = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            assert not {name.partition(".")[0] for name in found} & {"sim", "pipeline"}, file


def test_the_tree_has_what_a_run_needs_and_no_more(tree: Path) -> None:
    package = tree / "windfleet"
    assert {file.stem for file in (package / "scenarios").glob("*.yaml")} >= set(names())
    for name in ("launcher.py", "install.py", "processes.py", "locks/4.14.0.txt"):
        assert (package / "localstack" / name).is_file()
    shipped = {path.relative_to(package).parts[0] for path in package.iterdir()}
    assert shipped == {"__init__.py", "sim", "pipeline", "scenarios", "localstack"}
    assert not list(package.rglob("__pycache__"))
    committed = subprocess.run(
        ["git", "ls-files", "sim", "pipeline", "scenarios", "localstack"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    for name in committed:
        left_out = name == "pipeline/pyproject.toml" or name.startswith("sim/wheel/")
        assert left_out or (package / name).is_file(), name


def of_tree(tree: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python on the tree, in a folder outside the repository."""
    variables = os.environ | {"PYTHONPATH": str(tree), "XDG_CACHE_HOME": str(folder)}
    command = [sys.executable, "-P", *arguments]
    return subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, check=False
    )


def test_every_module_is_imported_from_below_windfleet_only(tree: Path, tmp_path: Path) -> None:
    done = of_tree(tree, tmp_path, "-c", EVERY_MODULE)
    assert done.returncode == 0, done.stderr
    failed, taken, loaded = json.loads(done.stdout.splitlines()[-1])
    assert (failed, taken) == ({}, [])
    assert loaded > 400


def test_the_command_runs_outside_the_repository(tree: Path, tmp_path: Path) -> None:
    done = of_tree(tree, tmp_path, "-m", "windfleet.sim", "check", "small")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{tree}/windfleet/scenarios/small.yaml: valid; 16 turbines")
    for command in ("run", "campaign"):
        done = of_tree(tree, tmp_path, "-m", "windfleet.sim", command, "--resume", "none")
        assert (done.returncode, "a bug in windfleet" in done.stderr) == (2, False), done.stderr
    home = "from windfleet.sim.store.home import HOME; print(HOME)"
    assert of_tree(tree, tmp_path, "-c", home).stdout == f"{tmp_path}/windfleet\n"


def test_a_live_page_is_served_from_the_wheel_alone(tree: Path, tmp_path: Path) -> None:
    """Its process is that of a part on a cluster. The page's templates and scripts are there."""
    variables = os.environ | {"PYTHONPATH": str(tree)}
    dashboard = str(tmp_path / "grafana.json")
    command = ["-m", "windfleet.sim.cluster.child", "watch", "--grafana", dashboard]
    with subprocess.Popen(
        [sys.executable, "-P", "-X", "importtime", *command],
        cwd=tmp_path,
        env=variables,
        stdin=subprocess.PIPE,  # the process ends when it does
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        loaded = {line.rpartition("|")[2].strip() for line in process.stderr}
        assert process.wait() == 0
    assert "windfleet.sim.watch.grafana" in loaded
    assert not [name for name in loaded if name.partition(".")[0] in ("sim", "pipeline")]
    assert json.loads(Path(dashboard).read_text(encoding="utf-8"))["title"] == "windfleet"
    page = "from windfleet.sim.watch.page import page; print(len(page().body))"
    assert int(of_tree(tree, tmp_path, "-c", page).stdout) > 50_000


@pytest.mark.campaign
def test_pip_installs_the_wheel_into_an_empty_environment(tmp_path: Path) -> None:
    """Takes minutes: pip fetches all packages, and the first run installs LocalStack."""
    pip = ["-m", "pip", "-q", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(ROOT)]
    subprocess.run([sys.executable, *build], check=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("windfleet-*.whl")
    assert {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()} == {
        "windfleet",
        wheel.name.rpartition("-py3")[0] + ".dist-info",
    }
    empty = tmp_path / "empty"
    subprocess.run([sys.executable, "-m", "venv", str(empty)], check=True)
    subprocess.run([empty / "bin" / "python", *pip, "install", str(wheel)], check=True)
    variables = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    variables["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    command = [empty / "bin" / "windfleet", "run", "quickstart", "--quiet"]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("PASS  Every one of 900,134 rows")
    assert "installing LocalStack" in done.stderr
    taken = subprocess.run(
        [empty / "bin" / "python", "-c", "import sim"], cwd=tmp_path, check=False
    )
    assert taken.returncode == 1
