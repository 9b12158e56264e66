"""The choice of the gateway: argument, environment, default of the command; and its record."""

from __future__ import annotations

import ast
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sim import cli
from sim.campaign import command as campaign_command
from sim.errors import TargetError
from sim.load import command as load_command
from sim.run import command as run_command
from sim.store import gateway, localstack, server_record, target
from sim.store.server_record import Server
from sim.store.target import Options, Target
from tests.support.paths import ROOT

SCENARIO = "scenarios/quickstart.yaml"


def test_an_argument_outweighs_the_environment_and_that_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(gateway.VARIABLE, raising=False)
    assert (gateway.chosen(None), gateway.chosen(None, "stock")) == ("short", "stock")
    monkeypatch.setenv(gateway.VARIABLE, "stock")
    assert (gateway.chosen(None), gateway.chosen("short")) == ("stock", "short")
    monkeypatch.setenv(gateway.VARIABLE, "")
    assert gateway.chosen(None) == "short"
    monkeypatch.setenv(gateway.VARIABLE, "quick")
    with pytest.raises(TargetError, match="WINDFLEET_GATEWAY=quick is no gateway: set it to short"):
        gateway.chosen(None)
    assert gateway.chosen("stock") == "stock"


@pytest.mark.parametrize(
    ("command", "default"), [("run", "short"), ("campaign", "short"), ("load", "stock")]
)
def test_a_load_test_measures_the_stock_gateway_and_all_else_runs_on_the_short_one(
    monkeypatch: pytest.MonkeyPatch, command: str, default: str
) -> None:
    monkeypatch.delenv(gateway.VARIABLE, raising=False)
    seen: list[str] = []

    def keep(_: Any, options: Any, __: Any) -> int:
        store = getattr(options, "store", options)
        assert isinstance(store, Options) or command == "campaign"
        seen.append(store.gateway)
        return 0

    monkeypatch.setattr(run_command, "run", keep)
    monkeypatch.setattr(load_command, "load_test", keep)
    monkeypatch.setattr(campaign_command, "run_campaign", keep)
    other = "short" if default == "stock" else "stock"
    assert cli.main([command, SCENARIO]) == 0
    assert cli.main([command, SCENARIO, "--gateway", other]) == 0
    assert seen == [default, other]
    with pytest.raises(SystemExit, match="2"):
        cli.main([command, SCENARIO, "--gateway", "quick"])


def test_a_result_names_the_gateway_of_our_own_servers_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(localstack, "status", lambda: None)
    url = "http://127.0.0.1:4566"
    assert Target(url).described() == {"store": url}
    embedded = Target(url, localstack.EmbeddedLocalStack("stock"))
    assert embedded.described() == {
        "store": f"embedded LocalStack, stock gateway, {url}",
        "gateway": "stock",
    }
    assert Target(folder=tmp_path).described() == {"store": "a folder of files"}
    up = Server(url, 4566, 1, 0.0, "then", str(tmp_path), "short")
    monkeypatch.setattr(localstack, "status", lambda: up)
    assert Target(url).described()["gateway"] == "short"
    assert Target("http://127.0.0.1:4567").ours is None
    assert Target(folder=tmp_path).ours is None


def test_a_record_of_before_is_of_a_stock_server(tmp_path: Path) -> None:
    server = Server("http://127.0.0.1:1", 1, 2, 3.0, "then", str(tmp_path), "short")
    server_record.write_state(tmp_path, server)
    assert server_record.read_state(tmp_path) == server
    fields = json.loads((tmp_path / server_record.FILE).read_text())
    del fields["gateway"]
    (tmp_path / server_record.FILE).write_text(json.dumps(fields))
    found = server_record.read_state(tmp_path)
    assert found is not None
    assert found.gateway == "stock"


def test_a_lake_that_the_disk_cannot_hold_is_refused_before_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**9))
    monkeypatch.setattr(target.tempfile, "gettempdir", lambda: "/some/tmp")
    holds = 10**9 + localstack.BODIES_IN_MEMORY_BYTES
    target.require_room(Options(), holds)
    named = "/some/tmp: the embedded LocalStack will keep about 1,000 MB of objects and only 1,000"
    with pytest.raises(TargetError, match=f"{named} MB are free; free some space, .* TMPDIR"):
        target.require_room(Options(), holds + 1)
    for other in (
        Options(gateway="stock"),
        Options("http://127.0.0.1:9"),
        Options(folder=tmp_path),
    ):
        target.require_room(other, holds + 1)


def test_a_moved_lock_needs_a_look_at_the_short_way() -> None:
    """Each lock of LocalStack pins versions that the short way knows."""
    known = _versions_known()
    for lock in sorted((ROOT / "localstack" / "locks").glob("[0-9]*.txt")):
        pins = dict(re.findall(r"^([\w.-]+)(?:\[.*?\])?==([\w.]+)", lock.read_text(), re.M))
        for package, versions in known.items():
            assert pins[package] in versions, f"{lock.name}: {package}"


def test_another_version_is_refused_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("launcher.py", "bodies.py", "short_way.py"):
        shutil.copy(localstack.LAUNCHER.with_name(name), tmp_path)
    changed = tmp_path / "short_way.py"
    text = changed.read_text()
    assert text.count('"rolo": ("0.8.9",)') == 1
    changed.write_text(text.replace('"rolo": ("0.8.9",)', '"rolo": ("0.8.8",)'))
    monkeypatch.setattr(localstack, "LAUNCHER", tmp_path / "launcher.py")
    said = r"the short way knows rolo 0\.8\.8, not 0\.8\.9: use the stock gateway \(--gateway stock"
    with pytest.raises(TargetError, match=said):
        localstack.EmbeddedLocalStack().start()


def _versions_known() -> dict[str, tuple[str, ...]]:
    tree = ast.parse(localstack.LAUNCHER.with_name("short_way.py").read_text())
    (found,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "VERSIONS"
    )
    known: dict[str, tuple[str, ...]] = ast.literal_eval(found)
    return known
