"""Rules of the tree: import floors, the top level, words that no file may hold."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.prose import nodes
from tests.support.paths import ROOT

TOP = {"pyproject.toml", "sim", "pipeline", "scenarios", "tests", "localstack", "README.md"}
TOP |= {"Makefile", "CHANGELOG.md", "LICENSE"}
MOST_LINES = 400

PIPELINE = (
    {"buckets", "records"},
    {
        *(
            "config",
            "ports",
            "partition",
            "parquet",
            "rescue",
            "database",
            "source",
            "generations",
            "checkpoint",
        ),
        *("sums", "terminal", "endpoint", "settings"),
    },
    {
        "batch",
        "exchange",
        "manifest",
        "retry",
        "signature",
        "wire",
        "listing",
        "store",
        "sdk",
        "lake",
    },
    {"catalog", "stages"},
    {"history", "commit", "objects"},
    {"process", "under_way"},
    {"node"},
    {"__main__"},
)
"""From the bottom up. Modules import from below; on floors 1 and 2 also from beside."""

SIM: tuple[set[str], ...] = (
    {"garbage", "place_argument"},
    {
        "arrays",
        "check",
        "console",
        "finite_json",
        "folder_lock",
        "help",
        "forwarding",
        "node_under_test",
        "private",
        "record_json",
        "replay",
        "resume_state",
        "seeds",
        "shipped",
        "suggesting_parser",
        "units",
        "wheel",
        "special_file",
        "worker",
    },
    {"whole_file", "yamlfile"},
    {"errors"},
    {"output_file"},
    {"chaos", "fleet", "measure"},
    {"load_schedule", "model"},
    {"scenario"},
    {"report", "store"},
    {"run_directory"},
    {"compare", "repeat", "verify"},
    {"query", "run"},
    {"bench", "campaign", "catalog", "dashboard", "load", "odds"},
    {"demo"},
    {"doctor", "listing", "merge", "new", "parts_in_turn", "preview"},
    {"cluster", "history"},
    {"watch"},
    {"argument_types", "resume_arguments"},
    {"shard_arguments"},
    {"arguments"},
    {"completion"},
    {"cli"},
    {"__main__", "api"},
)
"""From the bottom up. A room imports from floors below and from itself, nothing else."""

INNER: dict[str, tuple[set[str], ...]] = {
    "bench": ({"floors"},),
    "campaign": ({"loader"},),
    "check": ({"read"}, {"expected"}, {"compare", "detection", "privacy"}),
    "load": ({"analysis", "client"},),
    "model": ({"wind"}, {"machine"}, {"faults", "maintenance"}, {"recording"}),
    "query": ({"spark"},),
    "report": ({"load"},),
    "scenario": ({"load_section"},),
}
"""The same within a room, for its packages. Its modules lie above or below them."""

OF_PIPELINE: dict[str, set[str]] = {
    "check": {"records"},
    "yamlfile": {"terminal"},
    "fleet": {"config", "records"},
    "forwarding": {"ports"},
    "measure": {"records", "retry"},
    "model": {"config", "records"},
    "report": {"terminal"},
    "scenario": {"batch", "buckets", "records"},
}
"""Modules of `pipeline` that these rooms may import: an oracle needs rules of its own."""


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@functools.cache
def imports(path: Path) -> tuple[str, ...]:
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    """Yield full names of the modules that a file imports; `from a import b` may mean a.b."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] in ("sim", "pipeline"))


TEXT_CALLS = {"read_text", "write_text", "open", "fdopen"}


def open_text(path: Path) -> Iterator[int]:
    """Lines of a file where text is read or written in whatever encoding the locale has."""
    for node in nodes(path):
        if not isinstance(node, ast.Call) or any(
            keyword.arg == "encoding" for keyword in node.keywords
        ):
            continue
        function, texts = (
            node.func,
            any(ast.unparse(keyword) == "text=True" for keyword in node.keywords),
        )
        if isinstance(function, ast.Attribute) and ast.unparse(function) not in (
            "os.open",
            "dumper.open",
        ):
            texts |= function.attr in TEXT_CALLS
        elif isinstance(function, ast.Name):
            texts |= function.id == "open"
        modes = [*node.args, *(keyword.value for keyword in node.keywords)]
        if texts and not any(
            isinstance(mode, ast.Constant) and mode.value in ("rb", "wb", "ab") for mode in modes
        ):
            yield node.lineno


def test_text_has_an_encoding() -> None:
    paths = [*sources("pipeline"), *sources("sim"), *sources("localstack")]
    assert len(paths) > 400
    found = [f"{path}:{line}" for path in paths for line in open_text(path)]
    assert not found, "give encoding=, or the locale decides"


def module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def floor(name: str) -> int:
    return next((i for i, rooms in enumerate(PIPELINE) if name in rooms), -1)


def test_pipeline_knows_nothing_of_sim_and_looks_down() -> None:
    found = [each for path in sources("pipeline") for each in climbs_of_pipeline(path)]
    assert not found


def climbs_of_pipeline(path: Path) -> Iterator[str]:
    parts = module(path).split(".")
    own = parts[1] if len(parts) > 1 else None
    if own is not None and floor(own) < 0:
        yield f"{path}: give the new room {own} its floor here"
    for name in imports(path):
        if not name.startswith("pipeline."):
            yield f"{path} imports {name}"
            continue
        room = name.split(".")[1]
        beside = own == room or (floor(room) == floor(own or "") and floor(room) in (1, 2))
        if not beside and floor(room) >= floor(own or ""):
            yield f"{path} looks up at {name}"


def level(floors: tuple[set[str], ...], room: str) -> int:
    return next((i for i, rooms in enumerate(floors) if room in rooms), -1)


def test_sim_looks_down() -> None:
    found = [each for path in sources("sim") for each in climbs_of_sim(path)]
    assert not found


def climbs_of_sim(path: Path) -> Iterator[str]:
    parts = module(path).split(".")
    if len(parts) == 1:
        yield from (f"{path}: the package itself imports {name}" for name in imports(path))
        return
    own = parts[1]
    if level(SIM, own) < 0:
        yield f"{path}: give the new room {own} its floor here"
    for name in imports(path):
        package, room, *_ = name.split(".")
        if package == "sim" and room != own:
            if level(SIM, room) >= level(SIM, own):
                yield f"{path} looks up at {name}"
        elif package == "pipeline" and own in OF_PIPELINE and room not in OF_PIPELINE[own]:
            yield f"{path} imports {name}"


@pytest.mark.parametrize("room", INNER)
def test_packages_of_a_room_look_down(room: str) -> None:
    floors = INNER[room]
    there = {
        path.name for path in (ROOT / "sim" / room).iterdir() if (path / "__init__.py").is_file()
    }
    assert there == set().union(*floors), f"sim/{room}: give each package its floor here"
    for path in sources(f"sim/{room}"):
        own = module(path).split(".")[2:3]
        for name in imports(path):
            other = name.split(".")[2:3]
            inside = own and other and {own[0], other[0]} <= there and own != other
            if name.startswith(f"sim.{room}.") and inside:
                assert level(floors, other[0]) < level(floors, own[0]), f"{path} looks up at {name}"


def test_every_room_with_packages_has_floors() -> None:
    inner = {path.parts[-3] for path in (ROOT / "sim").glob("*/*/__init__.py")}
    assert inner == set(INNER)


def test_no_circles() -> None:
    """Between modules. Imports inside functions count, too."""
    graph: dict[str, set[str]] = {}
    known = {module(path): path for package in ("pipeline", "sim") for path in sources(package)}
    for name, path in known.items():
        seen = set(imports(path))
        graph[name] = {
            m
            for m in known
            if m != name and (m in seen or any(s.rpartition(".")[0] == m for s in seen))
        }
        graph[name] -= {name.rpartition(".")[0]}  # a package's own __init__ gathers its modules
        if path.name == "__init__.py":
            graph[name] = {m for m in graph[name] if not m.startswith(f"{name}.")}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for below in graph[name]:
                visit(below, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def committed() -> list[Path]:
    """Files that git keeps, or would keep with the next `git add`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def test_the_top_level_is_the_one_that_was_fixed() -> None:
    top = {path.relative_to(ROOT).parts[0] for path in committed()}
    assert {name for name in top if not name.startswith(".")} <= TOP


def test_localstack_is_no_package() -> None:
    assert not list(
        (ROOT / "localstack").rglob("__init__.py")
    )  # it would shadow the PyPI package of that name


def test_source_files_can_be_read_in_one_sitting() -> None:
    long = {
        str(p): n
        for p in committed()
        if p.suffix == ".py" and "tests" not in p.parts and (n := lines(p)) > MOST_LINES
    }
    assert not long


def lines(path: Path) -> int:
    return path.read_text(encoding="utf-8").count("\n")


REGISTRY = re.compile(
    r"(index-url|find-links|trusted-host)\W+\w+[:.]|pypi\.org|pythonhosted|artifactory|nexus/"
)
MACHINE = re.compile(r"(?<![\w.~$}/:-])/(work|root|tmp|opt|home|Users)/[\w.]")
CONTAINER = ("localstack/docker-compose.yml",)
"""Paths in there are those inside the image, not of this machine."""


def test_no_file_names_a_package_registry_or_a_path_of_this_machine() -> None:
    found = []
    for path in committed():
        name = path.relative_to(ROOT).as_posix()
        if path == Path(__file__) or path.suffix in (".db", ".parquet", ".png"):
            continue
        for number, line in enumerate(
            path.read_text(encoding="utf-8", errors="replace").splitlines(), 1
        ):
            if REGISTRY.search(line) or (MACHINE.search(line) and name not in CONTAINER):
                found.append(f"{name}:{number}: {line.strip()[:100]}")
    assert not found
