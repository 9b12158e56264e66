"""The command `windfleet`: arguments in, exit code out. Everything else is in the rooms below.

Exit codes are in `sim.run.exits`. Whatever is the user's to mend is one message on stderr, never a traceback.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from rich.console import Console

from sim.run.exits import ENVIRONMENT, INTERNAL, INTERRUPTED, INVALID, PASS, own_fault

PROGRAM = "windfleet"
STOPS = (signal.SIGINT, signal.SIGTERM)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    args = parser.parse_args(arguments)
    if args.command is _load and (args.worker == bool(args.scenario) or (args.worker and not args.out)):
        parser.error("load takes a SCENARIO, or --worker with the --out DIR of the master that it is to join")
    if getattr(args, "expect_workers", None) and not args.master:
        parser.error("--expect-workers goes with --master; --processes N forks so many client processes")
    overwrite = [] if getattr(args, "overwrite", True) else ["--overwrite"]  # it finds this run's directory
    args.replay = shlex.join([_program(), *arguments, *overwrite])
    for number in STOPS:  # a shell starts background jobs with Ctrl-C ignored
        signal.signal(number, _interrupt)
    try:
        return int(args.command(args))
    except KeyboardInterrupt:
        return _fail("windfleet: interrupted", INTERRUPTED)
    except BrokenPipeError:
        _hush()
        return PASS
    except Exception as error:
        code = _code_of(error)
        if code == INTERNAL and os.environ.get("WINDFLEET_DEBUG"):
            raise
        return _fail(_text_of(error, code), code)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Once: what then puts the record in order is bounded, and a second Ctrl-C must not cut it short."""
    for each in STOPS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def _program() -> str:
    """The program as it was typed, where that can be typed again: `windfleet`, or a relative path to it."""
    typed = Path(sys.argv[0])
    return str(typed) if typed.name == PROGRAM and not typed.is_absolute() else PROGRAM


class _Console(Console):
    """When the reader of a pipe goes away, rich would end the program; a run goes on to its verdict, unheard."""

    def on_broken_pipe(self) -> None:
        _hush()


def _hush() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(text: str, code: int) -> int:
    print(text, file=sys.stderr)
    return code


def _text_of(error: Exception, code: int) -> str:
    from sim.scenario import ScenarioError

    if isinstance(error, ScenarioError):
        return str(error)  # an editor finds file:line:col at the start of a line only
    return f"windfleet: {own_fault(error) if code == INTERNAL else error}"


def _code_of(error: Exception) -> int:
    """The documented code of an error that reached the top. Imports here: only then are they needed."""
    from pipeline.lake import LakeError
    from sim.chaos.campaign import WorkerLost
    from sim.chaos.schedule import ScheduleError
    from sim.check import LakeError as UnreadableLake
    from sim.demo.make import DemoError
    from sim.load.errors import EngineError, PlanError
    from sim.report.result import ResultError
    from sim.run.directory import DirectoryError
    from sim.run.localstack import StoreError
    from sim.run.verify import NoLake
    from sim.scenario import ScenarioError

    if isinstance(error, DemoError):
        return error.code
    if isinstance(error, DirectoryError):
        return ENVIRONMENT if error.environment else INVALID
    if isinstance(error, ScenarioError | ResultError | ScheduleError | PlanError):
        return INVALID
    if isinstance(error, StoreError | LakeError | UnreadableLake | NoLake | WorkerLost | EngineError):
        return ENVIRONMENT
    return INTERNAL


def _run(args: argparse.Namespace) -> int:
    from sim.run.driver import RunOptions, run
    from sim.run.target import Options
    from sim.scenario import load

    scenario = load(args.scenario, args.set)
    store = Options(args.endpoint_url, args.port, args.keep, args.empty_lake, args.allow_remote)
    out = args.out or Path("runs") / f"{scenario.name}-{scenario.seed}"
    options = RunOptions(out, args.workers, store, args.overwrite, args.save_lake, args.replay)
    return run(scenario, options, _Console())


def _load(args: argparse.Namespace) -> int:
    from sim.run.load import LoadOptions, join, load_test
    from sim.run.target import Options
    from sim.scenario import load

    if args.worker:
        return join(args.out, _Console())
    scenario = load(args.scenario, args.set)
    store = Options(args.endpoint_url, args.port, args.keep, args.empty_lake, args.allow_remote)
    out = args.out or Path("runs") / f"{scenario.name}-{scenario.seed}"
    processes = args.expect_workers or 1 if args.master else args.processes
    options = LoadOptions(out, store, args.overwrite, processes, args.master, args.replay)
    return load_test(scenario, options, _Console())


def _verify(args: argparse.Namespace) -> int:
    from sim.run.directory import DirectoryError
    from sim.run.verify import find_lake, verify

    if not (args.run / "nodes").is_dir():
        raise DirectoryError(f"{args.run}: holds no nodes/; is this a run directory?")
    return verify(args.run, find_lake(args.run, args.lake, args.endpoint_url), args.workers, _Console())


def _campaign(args: argparse.Namespace) -> int:
    from sim.run.campaign import CampaignOptions, run_campaign
    from sim.scenario import load

    scenario = load(args.scenario, args.set)
    seed = scenario.seed if args.seed is None else args.seed
    out = args.out or Path("runs") / f"{scenario.name}-{scenario.seed}"
    repeat = [_program(), "campaign", str(args.scenario), *(f"--set={value}" for value in args.set)]
    again = [_program(), "run", str(args.scenario), *(f"--set={value}" for value in args.set)]
    options = CampaignOptions(
        out=out,
        runs=args.runs,
        wired=args.wired,
        seed=seed,
        workers=args.workers,
        overwrite=args.overwrite,
        command=shlex.join([*repeat, "--seed", str(seed)]),
        run_command=shlex.join(again),
        load=lambda more: load(args.scenario, [*args.set, *more]),
        replay=args.line,
    )
    return run_campaign(scenario, options, _Console())


def _demo(args: argparse.Namespace) -> int:
    from sim.demo import command

    made = command.run(args, _Console())
    judged = f"; judged row by row: {made.verdict.status}" if made.verdict else ""
    print(f"{made.rows:,} rows of {made.scenario.fleet.turbines:,} turbines in {made.seconds:.0f} s{judged}")
    print(f"{made.theme.title}: {made.folder / 'README.md'}")
    return PASS


def _plan(args: argparse.Namespace) -> int:
    from sim.report.terminal import print_plan
    from sim.scenario import load
    from sim.scenario.plan import plan

    print_plan(_Console(), plan(load(args.scenario, args.set)))
    return PASS


def _check(args: argparse.Namespace) -> int:
    from sim.scenario import load

    scenario = load(args.scenario, args.set)
    print(f"{args.scenario}: valid; {scenario.fleet.turbines:,} turbines, {scenario.clock.samples:,} rows each")
    return PASS


def _report(args: argparse.Namespace) -> int:
    from sim.report.write import rebuild

    print(f"report: {rebuild(args.run)}")
    return PASS


def _compare(args: argparse.Namespace) -> int:
    from sim.report.compare import print_compared, runs
    from sim.run.exits import THRESHOLD, UNKNOWN

    compared = runs(args.base, args.new, args.limit)
    print_compared(_Console(), compared, args.limit)
    return {"regression": THRESHOLD, "none": PASS, "unknown": UNKNOWN}[compared.verdict]


def _store(args: argparse.Namespace) -> int:
    from pipeline import lake
    from sim.run import localstack

    if args.action == "up":
        server = localstack.up(args.port)
        lake.ensure(server.endpoint_url)
        print(f"up: {server.endpoint_url} (pid {server.pid}), six buckets in {lake.REGION}")
        print(f"use it with: export AWS_ENDPOINT_URL={server.endpoint_url}")
    elif args.action == "down":
        gone = localstack.down()
        print(f"down: {gone.endpoint_url} (pid {gone.pid})" if gone else "no store was up")
    else:
        there = localstack.status()
        print(f"up: {there.endpoint_url} (pid {there.pid}), since {there.started}" if there else "down")
    return PASS


def _parser() -> argparse.ArgumentParser:
    from sim.demo.arguments import arguments as demo_arguments

    parser = argparse.ArgumentParser(
        prog="windfleet", description="Proves a wind-fleet data pipeline before the fleet exists.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="simulate, drive the pipeline, judge, report", allow_abbrev=False)
    _scenario_arguments(run)
    run.add_argument("--out", type=Path, metavar="DIR", help="run directory (default: runs/NAME-SEED)")
    run.add_argument("--overwrite", action="store_true", help="replace an earlier run in that directory")
    _workers_argument(run)
    _store_arguments(run)
    run.add_argument("--save-lake", action="store_true", help="copy the buckets to DIR/lake")
    run.set_defaults(command=_run)

    load = commands.add_parser("load", help="what the store sustains, and why it bends", allow_abbrev=False)
    load.add_argument("scenario", type=Path, nargs="?", metavar="SCENARIO", help="scenario YAML with a load section")
    load.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="override one value")
    load.add_argument("--out", type=Path, metavar="DIR", help="run directory (default: runs/NAME-SEED)")
    load.add_argument("--overwrite", action="store_true", help="replace an earlier run in that directory")
    load.add_argument("--processes", type=_positive, metavar="N", help="client processes (default: load.processes)")
    load.add_argument("--master", action="store_true", help="wait for client processes started with --worker")
    load.add_argument("--expect-workers", type=_positive, metavar="N", help="with --master: so many (1)")
    load.add_argument("--worker", action="store_true", help="be a client process of the master that runs in --out DIR")
    _store_arguments(load)
    load.set_defaults(command=_load)

    verify = commands.add_parser("verify", help="judge the lake and node files of a run again", allow_abbrev=False)
    verify.add_argument("run", type=Path, metavar="DIR", help="run directory")
    lake = verify.add_mutually_exclusive_group()
    lake.add_argument("--lake", type=Path, metavar="DIR", help="a saved lake (default: DIR/lake, else a store)")
    lake.add_argument(
        "--endpoint-url",
        type=_url,
        metavar="URL",
        help="the S3 that holds the lake (default: AWS_ENDPOINT_URL, else what `store up` or --keep left up)",
    )
    _workers_argument(verify)
    verify.set_defaults(command=_verify)

    campaign = commands.add_parser("campaign", help="faults at every store call, and at random", allow_abbrev=False)
    _scenario_arguments(campaign)
    campaign.add_argument("--runs", type=_count, default=2000, metavar="N", help="random runs (default: 2000)")
    campaign.add_argument(
        "--wired", type=_count, default=60, metavar="N", help="whole runs on LocalStack, workers killed (default: 60)"
    )
    campaign.add_argument("--seed", type=_count, metavar="N", help="draws the random runs (default: the scenario's)")
    campaign.add_argument("--out", type=Path, metavar="DIR", help="where the report goes (default: runs/NAME-SEED)")
    campaign.add_argument("--overwrite", action="store_true", help="replace an earlier run in that directory")
    campaign.add_argument("--replay", dest="line", default="", metavar="LINE", help="one schedule, shrunk if it fails")
    _workers_argument(campaign)
    campaign.set_defaults(command=_campaign)

    demo = commands.add_parser("demo", help="a labelled data set to show: a folder, or S3", allow_abbrev=False)
    demo_arguments(demo)
    _workers_argument(demo)
    demo.set_defaults(command=_demo)

    plan = commands.add_parser("plan", help="rows, bytes, objects, time and cost; runs nothing", allow_abbrev=False)
    _scenario_arguments(plan)
    plan.set_defaults(command=_plan)

    check = commands.add_parser("check", help="validate a scenario", allow_abbrev=False)
    _scenario_arguments(check)
    check.set_defaults(command=_check)

    report = commands.add_parser("report", help="rebuild the report from the raw record", allow_abbrev=False)
    report.add_argument("run", type=Path, metavar="DIR", help="run directory")
    report.set_defaults(command=_report)

    compared = commands.add_parser("compare", help="two sets of runs, with a verdict for CI", allow_abbrev=False)
    several = "run directory, or several of equal runs with commas between"
    compared.add_argument("base", metavar="BASE", type=_directories, help=several)
    compared.add_argument("new", metavar="NEW", type=_directories, help=several)
    compared.add_argument("--limit", type=_share, default=0.10, metavar="SHARE", help="slower is bad (default: 10%%)")
    compared.set_defaults(command=_compare)

    store = commands.add_parser("store", help="the embedded LocalStack on its own", allow_abbrev=False)
    store.add_argument("action", choices=("up", "down", "status"))
    store.add_argument("--port", type=_port, default=4566, help="port for `up` (default: 4566)")
    store.set_defaults(command=_store)
    return parser


def _store_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--endpoint-url", type=_url, metavar="URL", help="S3 to use (default: AWS_ENDPOINT_URL, else an embedded one)"
    )
    parser.add_argument("--allow-remote", action="store_true", help="allow an endpoint that is not on this machine")
    parser.add_argument(
        "--empty-lake", action="store_true", help="first empty the six buckets, where windfleet made them"
    )
    parser.add_argument("--port", type=_port, help="port of the embedded store (default: a free one)")
    parser.add_argument("--keep", action="store_true", help="leave the embedded store up afterwards")


def _scenario_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scenario", type=Path, metavar="SCENARIO", help="scenario YAML")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="override one value")


def _workers_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=_positive, default=os.cpu_count() or 1, metavar="N", help="(default: cores)")


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _directories(text: str) -> list[Path]:
    if not all(parts := text.split(",")):
        raise argparse.ArgumentTypeError(f"{text!r} names no run directory, or has a comma too many")
    return [Path(part) for part in parts]


def _share(text: str) -> float:
    from sim.units import parse_share

    try:
        return parse_share(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; give one from 1 to 65535")
    return int(text)


def _url(text: str) -> str:
    from sim.run.target import NOT_A_URL, is_url

    if not is_url(text):
        raise argparse.ArgumentTypeError(f"{text!r} {NOT_A_URL}")
    return text


def _version() -> str:
    from importlib.metadata import version

    return f"windfleet {version('windfleet')}"


if __name__ == "__main__":
    sys.exit(main())
