"""Every block and command of README, guides (`.docs/pages`) and `localstack/docker-compose.yml`.

COMMANDS has a way for each line: parsed, or run. A line that is not there fails. Runs happen in a
folder with links to the tree, in place of a checkout, and on a LocalStack of the tests. A
shortened run has the same arguments and some more after them: fewer turbines or days. What the
README shows of a run must be what the run prints, but for numbers (`tests.support.documents`).

Not covered: `docker` and `pip` themselves, `make` beyond its recipes, and how long things take.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from distributed.cli.dask_scheduler import main as scheduler_main
from distributed.cli.dask_worker import main as worker_main

from sim.arguments import parse
from sim.report.write import HTML_FILE, JUNIT_FILE, VERIFY_HTML, VERIFY_JUNIT
from sim.scenario import load
from sim.scenario.plan import plan
from tests.support import runs
from tests.support.documents import TEXT, blocks, missing, walk
from tests.support.paths import ROOT

PROGRAMS = (
    *("windfleet", "make", "python", "pip", "docker", "locust", "pytest"),
    *("dask", "ssh", "sbatch", "bacalhau"),
)
PLACEHOLDER = re.compile(r"\b[A-Z]+\b(?!=)")
PORT = "http://127.0.0.1:4566"
FEW = (
    "--set",
    "fleet.turbines=8",
    "--set",
    "expect=[rows.lost == 0, windows.wrong == 0, freshness.p99 <= 15m]",
)
STORM = (
    'windfleet query "SELECT date, max(wind_speed_max) AS wind, avg(power_output) AS mw '
    "FROM wind_turbine_aggregated WHERE farm_id = 'E' GROUP BY 1 ORDER BY 1\" demo/storm"
)
DAY = ("--days", "1", "--turbines", "3", "--sample-every", "30m")


@dataclass(frozen=True)
class Way:
    """Test of a line, from weak to strong.

    - `parsed`: by the program's own parser, scenario included.
    - `short`: run too, with `more` after its arguments.
    - `long`: the same, in `make test-all` only.
    - `walk`: as `short`, and what it prints is compared with what the README shows.
    """

    how: Literal["parsed", "short", "long", "walk"]
    more: tuple[str, ...] = ()


COMMANDS = {
    "make demo": Way("parsed"),
    "make docs": Way("parsed"),  # test_docs.py
    "make docs-picture": Way("parsed"),
    "make test": Way("parsed"),
    "make demo PYTHON=python3.13": Way("parsed"),
    "make install localstack": Way("parsed"),
    "make bench": Way("parsed"),
    "make peers": Way("parsed"),
    "make check": Way("parsed"),
    "make test-all": Way("parsed"),
    "make test-fast": Way("parsed"),
    "python -m tests.house.prose": Way("parsed"),
    "make lock": Way("parsed"),
    "make spark": Way("parsed"),
    "windfleet demo": Way("walk", DAY),
    STORM: Way("walk"),
    "windfleet demo --list": Way("short"),
    "windfleet demo --export openoa --export flasc": Way("parsed"),  # tests/demo/test_files.py
    "windfleet demo --theme bearing-failure --inspect": Way(
        "long", (*DAY, "--set", "events=[]")
    ),  # the story begins on day 10
    "windfleet demo --turbines 1500 --days 31 --to july": Way("long", DAY),
    f"windfleet demo --to {PORT}": Way("long", (*DAY, "--empty-lake")),
    "windfleet load scenarios/load-knee.yaml": Way(
        "parsed"
    ),  # a load test for real: test_load_command.py
    f"locust -f sim/load/locustfile.py --host {PORT} --scenario scenarios/load-ramp.yaml": Way(
        "parsed"
    ),  # ditto
    "docker compose -f localstack/docker-compose.yml up -d": Way("parsed"),
    f"windfleet run scenarios/quickstart.yaml --endpoint-url {PORT}": Way(
        "long", (*FEW, "--empty-lake")
    ),
    "pip wheel --no-deps .": Way("parsed"),  # tests/wheel
    "windfleet store install": Way("parsed"),
    "windfleet run quickstart": Way("walk", FEW),
    "windfleet load load-mixed": Way("parsed"),  # tests/load/test_command.py
    "windfleet run quickstart --serve": Way("parsed"),  # tests/watch
    "windfleet watch runs/quickstart-7": Way("parsed"),
    "windfleet watch --grafana windfleet-grafana.json": Way("parsed"),
    "windfleet run scenarios/small.yaml --save-lake": Way("parsed"),
    "windfleet query pipeline/catalog/queries/turbine_performance.sql runs/small-7 "
    "--now 2024-01-15T01:15:00Z": Way("parsed"),
    'windfleet query "SELECT * FROM wind_turbine_maintenance_dashboard ORDER BY place LIMIT 3" '
    "demo/bearing-failure": Way("parsed"),
    "windfleet catalog --ledger": Way("parsed"),
    "windfleet dashboard demo/bearing-failure": Way("parsed"),  # tests/dashboard
    "windfleet catalog out --role arn:aws:iam::123456789012:role/unity-catalog --catalog wind "
    "--schema turbines": Way("parsed"),  # run in tests/catalog
    "python -m tests.maintenance_truth --first 21": Way("parsed"),
    "python -m tests.maintenance_truth --first 31 --healthy": Way("parsed"),
    "python -m tests.anomaly_truth": Way("parsed"),
    "windfleet bench --only query --objects 60000": Way("parsed"),
    "windfleet bench --growth --json bench.json": Way("parsed"),
    "windfleet bench --from bench.json --markdown": Way("parsed"),
    "windfleet bench --compare bench.json": Way("parsed"),
    "pytest tests/query/test_views.py": Way("parsed"),
    "pip install ./pipeline": Way("parsed"),
    "pytest -s -k seeded tests/campaign/test_world.py": Way("parsed"),
    "python -m tests.mutation": Way("parsed"),
    "windfleet plan scenarios/small.yaml --parts 3": Way("parsed"),
    **{
        f"windfleet run scenarios/small.yaml --shard {n}/3 --out runs/part-{n}": Way("parsed")
        for n in (1, 2, 3)
    },  # run in tests/merge
    "windfleet run scenarios/small.yaml --shard 1-2/3 --out runs/small-parts": Way("parsed"),
    "windfleet run scenarios/small.yaml --shard 3/3 --out runs/small-parts/part-3-of-3": Way(
        "parsed"
    ),
    "windfleet merge runs/small-parts/part-* --out runs/small --overwrite": Way("parsed"),
    "windfleet merge runs/part-1 runs/part-2 runs/part-3 --out runs/small": Way("parsed"),
    "windfleet merge runs/fleet-day-7-part-*-of-16": Way("parsed"),
    "windfleet store empty": Way("parsed"),
    # run in tests/cluster: test_machines.py
    "dask scheduler --host 10.0.0.5 --port 8786 --no-dashboard": Way("parsed"),
    "ssh 10.0.0.7 'cd windfleet && .venv/bin/dask worker tcp://10.0.0.5:8786 --nthreads 1 "
    "--no-dashboard'": Way("parsed"),
    "windfleet run scenarios/fleet-hour.yaml --cluster local:2": Way("parsed"),
    "windfleet run scenarios/fleet-hour.yaml --cluster tcp://10.0.0.5:8786 --allow-remote "
    "--endpoint-url http://10.0.0.9:9000 --overwrite": Way("parsed"),
    "windfleet store up": Way("parsed"),
    # run in tests/repeat, tests/compare, tests/history
    "windfleet run small --repeat 5 --out runs/five": Way("parsed"),
    "windfleet compare runs/small-7 runs/five --limit 20%": Way("parsed"),
    "windfleet history runs --figure 'latency.*'": Way("parsed"),
    # run in tests/cluster: test_campaign.py, test_verify.py, test_demo.py
    "windfleet campaign scenarios/campaign.yaml --cluster tcp://10.0.0.5:8786 --allow-remote": Way(
        "parsed"
    ),
    "windfleet verify runs/fleet-hour-7 --cluster tcp://10.0.0.5:8786 --allow-remote "
    "--endpoint-url http://10.0.0.9:9000": Way("parsed"),
    "windfleet demo --days 30 --cluster tcp://10.0.0.5:8786 --allow-remote "
    "--worker-dir /shared/parts": Way("parsed"),
    "bacalhau job run windfleet.yaml": Way("parsed"),
    "sbatch --array=1-16 --cpus-per-task=2 --wrap '.venv/bin/windfleet run "
    "scenarios/fleet-day.yaml --shard auto --workers 2'": Way("parsed"),
}
SLURM = {
    "SLURM_ARRAY_TASK_ID": "3",
    "SLURM_ARRAY_TASK_MIN": "1",
    "SLURM_ARRAY_TASK_MAX": "16",
    "SLURM_ARRAY_TASK_COUNT": "16",
}


def commands() -> Iterator[str]:
    """Yield the lines of shell blocks, and elsewhere all that begins with a program."""
    for block in blocks("sh"):
        yield from (line.partition("#")[0].strip() for line in block.splitlines() if line.strip())
    prose = re.sub(r"^```.*?^```$", "", TEXT, flags=re.M | re.S)
    spans = [" ".join(span.replace("\\|", "|").split()) for span in re.findall(r"`([^`]+)`", prose)]
    hints = (ROOT / "localstack" / "docker-compose.yml").read_text()
    spans += re.findall(rf"^# .*?((?:{'|'.join(PROGRAMS)}) .*)$", hints, re.M)
    for span in spans:
        named_only = re.fullmatch(r"windfleet( [a-z]+)?", span) is not None
        if (
            span.split()[0] in PROGRAMS
            and not named_only
            and not PLACEHOLDER.search(span)
            and "|" not in span
        ):
            yield span


FOUND = sorted(set(commands()))


def run_of(how: str) -> list[str]:
    return [line for line in FOUND if line in COMMANDS and COMMANDS[line].how == how]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the tree in it, to run in: what a run writes is not in ours."""
    for name in ("scenarios", "sim", "pipeline", "localstack", "Makefile"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_line_is_in_the_list_and_the_list_in_the_documents() -> None:
    assert sorted(COMMANDS) == FOUND, "give each command of README and guides its way in COMMANDS"
    fences = re.findall(r"^```(\w*)\n.*?^```$", TEXT, re.M | re.S)
    assert set(fences) <= {"sh", "yaml", "text", "python"}, (
        "a block needs a language: sh, yaml, text or python (tests/test_api.py)"
    )


def dask(words: list[str]) -> None:
    """Parse a command line of Dask as its program does."""
    commands = {"scheduler": scheduler_main, "worker": worker_main}
    commands[words[0]].make_context(words[0], words[1:])


@pytest.mark.parametrize("line", FOUND)
def test_every_line_is_what_its_program_takes(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    program, *rest = shlex.split(line)
    match program:
        case "dask":
            dask(rest)
        case "ssh":
            there, _, command = rest[1].partition(" && .venv/bin/dask ")
            assert there == "cd windfleet"
            dask(shlex.split(command))
        case "sbatch":
            array, cores, wrap, command = rest
            for name, value in SLURM.items():
                monkeypatch.setenv(name, value)
            args = parse(shlex.split(command)[1:])
            assert (array, wrap) == (f"--array=1-{args.shard.count}", "--wrap")
            assert cores == f"--cpus-per-task={args.workers}"
            assert load(args.scenario)
        case "bacalhau":
            assert rest[:2] == ["job", "run"]
        case "windfleet":
            args = parse(rest)
            assert getattr(args, "scenario", None) is None or load(args.scenario)
        case "make":
            rest = [
                f"PYTHON={sys.executable}" if word.startswith("PYTHON=") else word for word in rest
            ]
            recipe = subprocess.run(
                ["make", "-n", *rest], check=True, capture_output=True, text=True
            )
            for run in re.findall(r"^\S*/windfleet (run .*)", recipe.stdout, re.M):
                assert load(parse(shlex.split(run)).scenario)
        case "python":
            assert rest[0] == "-m"
            assert importlib.util.find_spec(rest[1]) is not None
        case "pip":
            assert (ROOT / rest[-1] / "pyproject.toml").is_file()
        case "docker":
            assert yaml.safe_load(Path(rest[rest.index("-f") + 1]).read_text())["services"]
        case "locust":
            assert Path(rest[rest.index("-f") + 1]).is_file()
            assert load(Path(rest[rest.index("--scenario") + 1])).load is not None
        case "pytest":
            argv = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "", *rest]
            assert "::" in subprocess.run(argv, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("line", run_of("short"))
def test_short_lines_run(line: str, checkout: Path, clean_lake: str) -> None:
    done = run(line, clean_lake)
    assert done.code == 0, done.text


@pytest.mark.campaign
@pytest.mark.parametrize("line", run_of("long"))
def test_long_lines_run(line: str, checkout: Path, clean_lake: str) -> None:
    done = run(line, clean_lake)
    assert done.code == 0, done.text


@pytest.mark.parametrize("lines", [("windfleet run quickstart",), ("windfleet demo", STORM)])
def test_the_walks_print_what_the_readme_shows(
    lines: tuple[str, ...], checkout: Path, clean_lake: str
) -> None:
    done = [run(line, clean_lake) for line in lines]
    printed = "\n".join(each.text for each in done)
    assert [each.code for each in done] == [0] * len(lines), printed
    assert missing(walk(lines[-1]), printed) == [], f"README, {lines[-1]!r}: no longer printed"


def run(line: str, endpoint: str) -> runs.Ended:
    """Run a command line as COMMANDS shortens it."""
    words = (*shlex.split(line)[1:], *COMMANDS[line].more)
    arguments = [endpoint if word == PORT else word for word in words]
    if arguments[0] == "run" and "--endpoint-url" not in arguments:
        arguments += ["--endpoint-url", endpoint]
    return runs.inside(*arguments)


# scenarios

(EXAMPLE,) = (block for block in blocks("yaml") if block.startswith("schema_version"))


@pytest.mark.parametrize("fleet", ["", "fleet=full", "fleet=as-drawn"])
def test_the_example_is_valid_and_can_be_planned(fleet: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(EXAMPLE)
    assert plan(load(path, [fleet] if fleet else [])).rows > 100_000
    for command in ("check", "plan"):
        parse([command, str(path), *(("--set", fleet) if fleet else ())])


def example(folder: Path, endpoint: str, *sets: str) -> None:
    """Run the README's example with some values set: it must pass."""
    (folder / "mine.yaml").write_text(EXAMPLE)
    more = [word for each in sets for word in ("--set", each)]
    done = runs.inside("run", "mine.yaml", "--endpoint-url", endpoint, *more)
    assert done.code == 0, done.text
    result = runs.result(folder / "runs" / "my-run-7")
    assert [outcome["passed"] for outcome in result["expectations"]] == [True] * len(
        re.findall("[<=]= ", EXAMPLE)
    )
    assert all(fault["fired"] for fault in result["faults"])


def test_the_example_passes_when_it_is_made_small(checkout: Path, clean_lake: str) -> None:
    example(
        checkout, clean_lake, "fleet.turbines=6", "fleet.farms=[E, F]", "clock.sample_every=10s"
    )


@pytest.mark.campaign
@pytest.mark.parametrize("sets", [(), ("clock.sample_every=60s",), ("fleet.turbines=2",)], ids=str)
def test_the_example_passes_as_it_stands_and_at_other_sizes(
    sets: tuple[str, ...], checkout: Path, clean_lake: str
) -> None:
    example(checkout, clean_lake, *sets)


def test_what_the_base_scenario_shows_in_comments_is_valid(tmp_path: Path) -> None:
    text = (ROOT / "scenarios" / "_base.yaml").read_text()
    head, opened, tail = text.partition("\nevents: []")
    tail = re.sub(
        r"^( *)# (?=load:|  |[a-z_]+:|- )", r"\1", (opened + tail).replace(": []", ":"), flags=re.M
    )
    path = tmp_path / "everything.yaml"
    path.write_text(head + tail)
    scenario = load(
        path, ["clock.start=2024-03-10T00:00:00Z", "clock.duration=1d"]
    )  # a day in which clocks change
    assert all(
        (scenario.events, scenario.data_faults, scenario.faults, scenario.load, scenario.expect)
    )


# manifests

MANIFESTS: list[dict[str, Any]] = [
    document
    for block in blocks("yaml")
    if block != EXAMPLE
    for document in yaml.safe_load_all(block)
]
BATCH = {
    "Indexed Job": {"JOB_COMPLETION_INDEX": "2"},
    "Bacalhau": {"BACALHAU_PARTITION_INDEX": "2", "BACALHAU_PARTITION_COUNT": "16"},
}


def kinds(kind: str) -> list[dict[str, Any]]:
    return [document for document in MANIFESTS if document.get("kind") == kind]


def containers(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = manifest["spec"]["template"]["spec"]["containers"]
    return found


def command_of(words: list[str], monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    """Parse the words of a container that runs windfleet in the image's checkout."""
    assert words[0] == ".venv/bin/windfleet"
    monkeypatch.chdir(ROOT)
    args = parse(words[1:])
    assert load(args.scenario)
    return args


def test_deployments_select_their_pods_and_meet_at_the_service() -> None:
    (service,) = kinds("Service")
    for deployment in kinds("Deployment"):
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert deployment["spec"]["selector"]["matchLabels"] == labels
        (container,) = containers(deployment)
        assert container["command"][0] == ".venv/bin/dask"
        dask(container["command"][1:])
    scheduler, worker = (containers(each)[0]["command"] for each in kinds("Deployment"))
    (port,) = service["spec"]["ports"]
    assert scheduler[scheduler.index("--port") + 1] == str(port["port"])
    assert f"tcp://{service['metadata']['name']}:{port['port']}" in worker
    names = [deployment["spec"]["selector"]["matchLabels"] for deployment in kinds("Deployment")]
    assert service["spec"]["selector"] in names
    assert not service["metadata"]["name"].startswith("dask"), "DASK_... are settings of Dask"


def test_the_job_of_the_cluster_runs_on_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    (job,) = (each for each in kinds("Job") if "completionMode" not in each["spec"])
    args = command_of(containers(job)[0]["command"], monkeypatch)
    assert str(args.cluster) == "tcp://scheduler:8786"
    assert args.allow_remote


def test_the_indexed_job_has_as_many_pods_as_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    (job,) = (each for each in kinds("Job") if "completionMode" in each["spec"])
    for name, value in BATCH["Indexed Job"].items():
        monkeypatch.setenv(name, value)
    (container,) = containers(job)
    args = command_of(container["command"], monkeypatch)
    assert (args.shard.index, args.shard.count) == (3, job["spec"]["completions"])
    assert container["resources"]["limits"]["cpu"] == str(args.workers)
    (mount,), (volume,) = container["volumeMounts"], job["spec"]["template"]["spec"]["volumes"]
    assert mount["name"] == volume["name"]
    assert mount["mountPath"] == f"{container['workingDir']}/runs"


def test_the_bacalhau_job_has_as_many_executions_as_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    (job,) = (each for each in MANIFESTS if "Tasks" in each)
    for name, value in BATCH["Bacalhau"].items():
        monkeypatch.setenv(name, value)
    (task,) = job["Tasks"]
    params = task["Engine"]["Params"]
    args = command_of([*params["Entrypoint"], *params["Parameters"]], monkeypatch)
    assert (args.shard.index, args.shard.count) == (3, job["Count"])
    assert args.out.is_relative_to(task["ResultPaths"][0]["Path"])
    assert task["Resources"]["CPU"] == str(args.workers)


# recipes for CI

STREAM = re.compile(r"\s>>?\s*(\S+)$")
"""Redirection of standard output to a file."""


def recipe(line: str, monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace | None:
    """Parse one line of a CI job; None for `make`. The line is windfleet's or make's."""
    line = STREAM.sub("", line)
    program, *rest = shlex.split(line)
    if program == "make":
        if rest[0] == "-C":
            assert rest[1] in ("base", "new")
            rest = rest[2:]
        subprocess.run(["make", "-n", *rest], cwd=ROOT, check=True, capture_output=True)
        return None
    assert program.endswith(".venv/bin/windfleet")
    monkeypatch.chdir(ROOT)
    args = parse(rest)
    assert getattr(args, "scenario", None) is None or load(args.scenario)
    return args


def test_the_github_recipe_is_what_github_and_windfleet_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (document,) = (each for each in MANIFESTS if "jobs" in each)
    assert document[True] == ["pull_request"]  # `on`, as YAML 1.1 reads it
    (job,) = document["jobs"].values()
    assert {*job} == {"runs-on", "steps"}
    assert all(("uses" in step) != ("run" in step) for step in job["steps"])
    lines = [step["run"] for step in job["steps"] if "run" in step]
    found = [args for line in lines if (args := recipe(line, monkeypatch)) is not None]
    assert [args.command for args in found] == ["run", "run", "run", "compare"]
    gate, base, new, compared = found
    assert gate.form == compared.form == "markdown"
    assert (compared.base, compared.new) == ([base.out], [new.out])
    summaries = [match[1] for line in lines if (match := STREAM.search(line))]
    assert summaries == ['"$GITHUB_STEP_SUMMARY"'] * 2
    (kept,) = (step for step in job["steps"] if step.get("if") == "always()")
    parts = [str(args.out) for args in (gate, base, new)] + [str(compared.html)]
    assert all(part.startswith(f"{kept['with']['path']}/") for part in parts)


def test_the_gitlab_recipe_keeps_files_that_its_commands_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (job,) = (each["lake"] for each in MANIFESTS if "lake" in each)
    found = [args for line in job["script"] if (args := recipe(line, monkeypatch)) is not None]
    made, judged = found
    assert judged.run == made.out
    assert made.save_lake, "the embedded store has ended when `verify` begins"
    assert (made.form, judged.form) == ("json", "markdown")
    streams = {match[1] for line in job["script"] if (match := STREAM.search(line))}
    written = {*streams, *(f"{made.out}/{name}" for name in (HTML_FILE, JUNIT_FILE))}
    written |= {f"{made.out}/{name}" for name in (VERIFY_HTML, VERIFY_JUNIT)}
    kept = job["artifacts"]
    assert {*kept["paths"], *kept["reports"]["junit"]} == written
