"""`windfleet doctor`: a healthy machine passes, and each thing that is wrong is named with its fix.

The real LocalStack is started once, by `test_a_machine_that_runs_these_tests_passes`.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import socket
import tempfile
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from sim.doctor import checks, command
from sim.doctor.checks import Finding
from tests.support import runs


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith(("AWS_", "WINDFLEET_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def status(found: Any, subject: str) -> list[tuple[str, str]]:
    """Return status and all words of the findings of a subject that are not good."""
    findings: list[Finding] = list(found)
    return [
        (finding.status, f"{finding.text} {finding.fix}")
        for finding in findings
        if finding.subject == subject and finding.status != "ok"
    ]


def test_a_machine_that_runs_these_tests_passes() -> None:
    done = runs.inside("doctor", "--json")
    found = json.loads(done.out)
    assert (done.code, [each for each in found if each["status"] == "problem"]) == (0, [])
    subjects = {"python", "packages", "cores", "memory", "disk", "temporary disk", "open files"}
    assert subjects | {"environment", "extras", "LocalStack"} <= {each["subject"] for each in found}
    (server,) = [each for each in found if each["subject"] == "LocalStack"]
    assert "six buckets made" in server["text"]


def test_a_missing_server_is_a_problem_and_exit_code_3(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(checks.installation, "PYTHON", tmp_path / "none")
    done = runs.inside("doctor")
    assert done.code == 3
    assert "not installed" in done.out
    assert "make localstack installs it; or name another store" in done.out
    assert "1 problem" in done.out


def test_a_server_that_cannot_start_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho broken beyond repair\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(checks.installation, "PYTHON", broken)
    monkeypatch.setattr(checks.localstack, "status", lambda: None)
    ((found, text),) = status(checks._server(), "LocalStack")
    assert found == "problem"
    assert "broken beyond repair" in text


@pytest.mark.parametrize(
    ("variables", "expected", "words"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "warning", "unset AWS_ENDPOINT_URL"),
        ({"AWS_ENDPOINT_URL_S3": "http://10.1.2.3:1"}, "problem", "AWS_ACCESS_KEY_ID"),
        ({"AWS_ENDPOINT_URL": "http://x:99999"}, "problem", "99999 is not a port"),
        ({"WINDFLEET_GATEWAY": "stock"}, "warning", "WINDFLEET_GATEWAY=stock"),
    ],
)
def test_the_environment_says_which_store_a_run_would_use(
    variables: dict[str, str], expected: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    ((found, text),) = status(checks._environment(), "environment")
    assert (found, words in text) == (expected, True), text


def test_too_little_of_anything_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=10))
    monkeypatch.setattr(os, "getloadavg", lambda: (99.0, 0.0, 0.0))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert status(checks._memory(), "memory")
    assert status(checks._cores(), "cores")
    assert status(checks._files(), "open files")
    assert [found for found, _ in status(checks._disk(tmp_path), "disk")] == ["warning", "problem"]


@pytest.mark.parametrize("more", [-1, 0])
def test_enough_is_no_warning_and_one_less_is(
    more: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of memory, disk, open files and cores, in bytes, files and load."""
    expected = ["warning"] if more else ["ok"]
    cores = os.cpu_count() or 1
    available = SimpleNamespace(available=checks.MEMORY_BYTES + more)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: available)
    monkeypatch.setattr(os, "getloadavg", lambda: (checks.BUSY * cores - more / 100, 9.0, 9.0))
    limits = (1, checks.FILES + more)
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    free = SimpleNamespace(free=checks.DISK_BYTES + more)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    for found in (checks._memory(), checks._cores(), checks._files()):
        assert [finding.status for finding in found] == expected
    disks = [(finding.subject, finding.status) for finding in checks._disk(tmp_path)]
    assert disks == [("disk", expected[0]), ("temporary disk", expected[0])]


def test_the_disk_of_runs_and_that_of_temporary_files_are_looked_at(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    full = {tmp_path / "t"}
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "t"))
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: SimpleNamespace(free=0 if path in full else 1 << 60)
    )
    assert [(each.subject, each.status) for each in checks._disk(tmp_path)] == [
        ("disk", "ok"),
        ("temporary disk", "warning"),
    ]


def test_no_limit_of_open_files_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, resource.RLIM_INFINITY))
    assert [*checks._files()] == [Finding("open files", "ok", "1,024, at most no limit")]


def test_proxies_and_an_environment_without_a_store_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = "names no store; runs use the embedded LocalStack"
    assert [*checks._environment()] == [Finding("environment", "ok", said)]
    for name in ("https_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (_, found) = checks._environment()
    assert (found.subject, found.status) == ("proxies", "ok")
    assert found.text.startswith("HTTP_PROXY, https_proxy: ")


@pytest.mark.parametrize(("there", "word"), [(True, "yes"), (False, "no")])
def test_each_optional_part_is_told(
    there: bool, word: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(checks.localstack, "HOME", tmp_path / "home")
    monkeypatch.setattr(checks, "find_spec", lambda name: object() if there else None)
    if there:
        (tmp_path / ".spark" / "venv").mkdir(parents=True)
    text = f"run --cluster {word}, query --engine spark {word}"
    assert [*checks._extras()] == [Finding("extras", "ok", text)]


class Embedded:
    """An embedded server that starts at once."""

    endpoint_url = "http://127.0.0.1:1"

    def __enter__(self) -> Embedded:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Places whose buckets were made, in servers that start at once."""
    made: list[Any] = []
    monkeypatch.setattr(checks.installation, "is_installed", lambda: True)
    monkeypatch.setattr(checks.localstack, "status", lambda: None)
    monkeypatch.setattr(checks.localstack, "EmbeddedLocalStack", Embedded)
    monkeypatch.setattr(checks.lake, "ensure", made.append)
    return made


@pytest.mark.parametrize("taken", [True, False])
def test_a_taken_port_is_a_warning(
    taken: bool, at_once: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        if taken:
            other.listen()
        monkeypatch.setattr(checks.localstack, "DEFAULT_PORT", other.getsockname()[1])
        found = [(each.subject, each.status) for each in checks._server()]
    assert found == [("LocalStack", "ok"), *([("port 4566", "warning")] if taken else [])]
    assert len(at_once) == 1


def test_a_server_without_buckets_is_a_problem_and_one_that_is_up_is_used(
    at_once: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(place: object) -> None:
        raise OSError("no bucket")

    with monkeypatch.context() as patch:
        patch.setattr(checks.lake, "ensure", refused)
        ((found, text),) = status(checks._server(), "LocalStack")
        assert (found, "no bucket" in text) == ("problem", True)
    up = SimpleNamespace(endpoint_url="http://127.0.0.1:4566", started="now")
    monkeypatch.setattr(checks.localstack, "status", lambda: up)
    said = "up at http://127.0.0.1:4566 since now"
    assert [*checks._server()] == [Finding("LocalStack", "ok", said)]
    assert at_once == []


@pytest.mark.parametrize(
    ("statuses", "code", "last"),
    [
        (["ok", "warning"], 0, "This machine can run windfleet."),
        (["ok", "problem"], 3, "1 problem"),
        (["problem", "warning", "problem"], 3, "2 problems"),
    ],
)
def test_all_findings_are_printed_with_their_fixes_and_problems_counted(
    statuses: list[Any], code: int, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = [
        Finding(f"subject {i}", found, f"text {i}", "" if found == "ok" else f"fix {i}")
        for i, found in enumerate(statuses)
    ]
    monkeypatch.setattr(command, "examine_machine", lambda folder: iter(findings))
    done = runs.inside("doctor")
    words = [[f"subject {i}", each.status, each.text] for i, each in enumerate(findings)]
    lines = [line for word, f in zip(words, findings, strict=True) for line in (word, [f.fix])]
    assert (done.code, [re.split(r"\s{2,}", line.strip()) for line in done.out.splitlines()]) == (
        code,
        [*([part] if isinstance(part, str) else part for part in lines if part != [""]), [last]],
    )
    done = runs.inside("doctor", "--json")
    assert (done.code, json.loads(done.out)) == (code, [asdict(each) for each in findings])


def test_old_python_and_missing_packages_are_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "PACKAGES", ("numpy", "nosuch-package"))
    assert Finding("packages", "ok", f"numpy {version('numpy')}") in checks._python()
    assert status(checks._python(), "packages") == [
        ("problem", "missing: nosuch-package install them with: make install")
    ]
    monkeypatch.setattr(checks, "_SUPPORTED", (9, 9))
    ((found, text),) = status(checks._python(), "python")
    assert (found, "needs Python 3.11 or newer" in text) == ("problem", True)
