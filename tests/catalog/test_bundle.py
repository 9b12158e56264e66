"""The asset bundle: types of `databricks-bundles`, and references and paths that resolve."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import pytest
import yaml

from pipeline.catalog import statements
from pipeline.catalog.locations import Parameters
from tests.support.catalog_files import BOTH, texts

KINDS = {"jobs", "pipelines", "dashboards"}
BUILT_IN = {"bundle.name", "bundle.target", "workspace.current_user.userName"}
ROOT_KEYS = {"bundle", "include", "variables", "targets"}


def documents(files: dict[str, str]) -> dict[str, Any]:
    """Return path -> document of the bundle's YAML files."""
    return {
        path: document(text)
        for path, text in files.items()
        if re.fullmatch(r"bundle/(resources/)?\w+\.yml", path)
    }


@functools.cache
def document(text: str) -> Any:
    """Parse a file once; no test changes a document."""
    return yaml.load(text, Loader=yaml.CSafeLoader)


def resources(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return all resources: kind -> name -> value."""
    made: dict[str, dict[str, Any]] = {}
    for document in found.values():
        for kind, named in document.get("resources", {}).items():
            made.setdefault(kind, {}).update(named)
    return made


def require_types(found: dict[str, Any]) -> None:
    """Build each resource from its document, and compare: no value was dropped or turned."""
    from databricks.bundles.dashboards import Dashboard  # here, or every test worker imports it
    from databricks.bundles.jobs import Job
    from databricks.bundles.pipelines import Pipeline

    classes = {"jobs": Job, "pipelines": Pipeline, "dashboards": Dashboard}
    assert set(classes) == KINDS
    for kind, named in resources(found).items():
        for value in named.values():
            made = classes[kind].from_dict(copy.deepcopy(value))
            assert made.as_dict() == value


def strings(value: Any) -> Iterator[str]:
    """Yield the texts in a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)


def paths(value: Any) -> Iterator[str]:
    """Yield the values of the keys that name a file."""
    if isinstance(value, dict):
        yield from (value[key] for key in ("path", "file_path") if key in value)
        for each in value.values():
            yield from paths(each)
    elif isinstance(value, list):
        for each in value:
            yield from paths(each)


def require_references(found: dict[str, Any], files: dict[str, str]) -> None:
    root = found["bundle/databricks.yml"]
    assert set(root) == ROOT_KEYS
    known = BUILT_IN | {f"var.{name}" for name in root["variables"]}
    made = resources(found)
    known |= {f"resources.{kind}.{name}.id" for kind, named in made.items() for name in named}
    for path, document in found.items():
        used = {name for text in strings(document) for name in re.findall(r"\$\{([^}]*)", text)}
        assert used <= known, f"{path}: {used - known}"
        for text in paths(document):
            place = PurePosixPath(path).parent
            while text.startswith("../"):
                place, text = place.parent, text.removeprefix("../")
            assert (place / text).as_posix() in files, f"{path}: {text}"
    included = [PurePosixPath("bundle") / each for each in root["include"]]
    for path in found.keys() - {"bundle/databricks.yml"}:
        assert any(PurePosixPath(path).match(each.as_posix()) for each in included)
    for job in made["jobs"].values():
        keys = [task["task_key"] for task in job["tasks"]]
        assert len(set(keys)) == len(keys)
        for number, task in enumerate(job["tasks"]):
            assert {each["task_key"] for each in task.get("depends_on", ())} <= set(keys[:number])


@pytest.mark.parametrize("names", BOTH.values(), ids=BOTH)
def test_resources_have_the_types_of_a_bundle(names: Parameters) -> None:
    found = documents(texts(names))
    assert set(resources(found)) == KINDS
    require_types(found)


@pytest.mark.parametrize("names", BOTH.values(), ids=BOTH)
def test_references_and_paths_resolve(names: Parameters) -> None:
    files = texts(names)
    require_references(documents(files), files)
    for path in re.findall(r"`((?:sql|aws|bundle)/[\w./]+\.\w+)`", files["README.md"]):
        assert path in files or path == "aws/terraform.tfvars"


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("pipeline", "serverless:", "severless:"),
        ("pipeline", "serverless: true", "serverless: 'yes'"),
        ("pipeline", "- file:", "- fil:"),
        ("job", "max_concurrent_runs: 1", "max_concurrent_runs: many"),
        ("job", "max_concurrent_runs: 1", "max_concurrent_runs: '1'"),
        ("job", "pause_status: UNPAUSED", "pause_status: RUNNING"),
        ("job", "source: WORKSPACE", "source: DISK"),
        ("job", "name: windfleet refresh", "name: {first: windfleet}"),
        ("dashboard", "dataset_schema:", "dataset_scheme:"),
    ],
)
def test_a_wrong_property_is_found(file: str, right: str, wrong: str) -> None:
    files = texts(Parameters())
    path = f"bundle/resources/{file}.yml"
    assert right in files[path]
    files[path] = files[path].replace(right, wrong, 1)
    with pytest.raises((ValueError, AssertionError, TypeError)):
        require_types(documents(files))


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("bundle/databricks.yml", "  schema:", "  scheme:"),
        ("bundle/databricks.yml", "resources/*", "resource/*"),
        ("bundle/databricks.yml", "targets:", "target:"),
        ("bundle/resources/job.yml", "pipelines.lake.id", "pipelines.lakes.id"),
        ("bundle/resources/job.yml", "src/queries/", "src/query/"),
        (
            "bundle/resources/job.yml",
            "- task_key: load\n        sql",
            "- task_key: lod\n        sql",
        ),
        ("bundle/resources/pipeline.yml", "streaming_tables.sql", "tables.sql"),
        ("bundle/resources/dashboard.yml", "var.warehouse_id", "var.warehouse"),
    ],
)
def test_a_broken_reference_is_found(file: str, right: str, wrong: str) -> None:
    files = texts(Parameters())
    assert right in files[file]
    files[file] = files[file].replace(right, wrong, 1)
    with pytest.raises(AssertionError):
        require_references(documents(files), files)


def test_the_job_runs_every_view_and_query_after_the_load() -> None:
    files = texts(Parameters())
    tasks = {
        task["task_key"]: task for task in resources(documents(files))["jobs"]["refresh"]["tasks"]
    }
    assert set(tasks) == {"load", "dashboard", *statements.VIEWS, *statements.QUERIES}
    sql = {task["sql_task"]["file"]["path"] for task in tasks.values() if "sql_task" in task}
    assert {f"bundle/{path[3:]}" for path in sql} == {
        path for path in files if re.match(r"bundle/src/(views|queries)/", path)
    }


@pytest.mark.parametrize(
    "name", ["1e3", "no", "0x1F", "12:30", "~", "null", "#x", "'a'\"\\", "größe"]
)
def test_yaml_reads_a_name_as_a_text(name: str) -> None:
    """As quoted text, so that readers of YAML 1.1 and of 1.2 agree."""
    text = texts(Parameters(catalog=name, schema=name))["bundle/databricks.yml"]
    variables = yaml.safe_load(text)["variables"]
    assert (variables["catalog"]["default"], variables["schema"]["default"]) == (name, name)
    tokens = [token for token in yaml.scan(text) if isinstance(token, yaml.ScalarToken)]
    assert [token.style for token in tokens if token.value == name][-2:] == ['"', '"']
