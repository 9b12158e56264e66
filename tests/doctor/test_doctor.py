"""`windfleet doctor`: a healthy machine passes, and each thing that is wrong is named with its fix.

The real LocalStack is started once, by `test_a_machine_that_runs_these_tests_passes`.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from sim.doctor import checks
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
    assert {"python", "cores", "memory", "disk", "environment", "LocalStack"} <= {
        each["subject"] for each in found
    }
    (server,) = [each for each in found if each["subject"] == "LocalStack"]
    assert "six buckets made" in server["text"]


def test_a_missing_server_is_a_problem_and_exit_code_3(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(checks.installation, "PYTHON", tmp_path / "none")
    done = runs.inside("doctor")
    assert done.code == 3
    assert "not installed" in done.out
    assert "make localstack" in done.out
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


def test_old_python_and_missing_packages_are_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "PACKAGES", ("numpy", "nosuch-package"))
    assert status(checks._python(), "packages") == [
        ("problem", "missing: nosuch-package install them with: make install")
    ]
    monkeypatch.setattr(checks, "_SUPPORTED", (9, 9))
    assert status(checks._python(), "python")[0][0] == "problem"
