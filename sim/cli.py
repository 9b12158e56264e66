"""The command `windfleet`: arguments in (`sim.arguments`), exit code out (`sim.errors`).

Each command is a package of its own, imported when it runs. An error that the user can fix is one
message on stderr, never a traceback.
"""

from __future__ import annotations

import argparse
import re
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final, TextIO, TypeVar

from pipeline.terminal import OutputError, guarded, safe
from sim.arguments import one_per_core, parse
from sim.errors import (
    INTERRUPTED,
    PASS,
    DirectoryError,
    PartError,
    ScenarioError,
    exit_code_and_message,
)
from sim.replay import of_one

if TYPE_CHECKING:
    from rich.console import Console

    from sim.cluster.work import Work
    from sim.console import SafeConsole
    from sim.load.command import LoadOptions
    from sim.run.command import RunOptions
    from sim.scenario import Scenario
    from sim.store.gateway import Gateway
    from sim.store.target import Options

PROGRAM = "windfleet"
STOPS = (signal.SIGINT, signal.SIGTERM)
Made = TypeVar("Made", "RunOptions", "LoadOptions")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    return guarded(PROGRAM, lambda: _main(arguments))


def _main(arguments: list[str]) -> int:
    # A shell starts background jobs with Ctrl-C ignored.
    for number in STOPS:
        signal.signal(number, _interrupt)
    try:
        args = parse(arguments)
        # When the command is repeated, this run's directory exists already.
        overwrite = [] if getattr(args, "overwrite", True) else ["--overwrite"]
        args.replay = safe(shlex.join([_program(), *arguments, *overwrite]))
        if getattr(args, "resume", None) is not None:
            return _delegated(_RESUMES[args.command], "resume")(args)
        return _in_parts(args, _COMMANDS[args.command])
    except KeyboardInterrupt:
        return _fail("windfleet: interrupted", INTERRUPTED)
    except (BrokenPipeError, OutputError):
        raise
    except Exception as error:
        code, text = exit_code_and_message(error)
        # An editor finds file:line:col at the start of a line only.
        return _fail(text if isinstance(error, ScenarioError) else f"{PROGRAM}: {text}", code)


def _in_parts(args: argparse.Namespace, command: Callable[[argparse.Namespace], int]) -> int:
    """Run a command, for each part that `--shard` names. Return the exit code."""
    if getattr(args, "shard", None) is None:
        return command(args)
    from sim.parts_in_turn import in_turn

    return in_turn(args, command)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt once. The clean-up is bounded; a second Ctrl-C must not end it."""
    for each in STOPS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def _program() -> str:
    """Return the program as the user typed it: `windfleet`, or a relative path to it."""
    typed = Path(sys.argv[0])
    return str(typed) if typed.name == PROGRAM and not typed.is_absolute() else PROGRAM


def _console(stream: TextIO | None = None) -> SafeConsole:
    """Return the console of a stream, stdout by default. Not every command needs rich."""
    from sim.console import SafeConsole

    return SafeConsole(stream)


def _fail(text: str, code: int) -> int:
    print(text, file=sys.stderr)
    return code


def _run(args: argparse.Namespace) -> int:
    from sim.run.command import RunOptions, run
    from sim.scenario import load

    scenario = load(args.scenario, args.set)
    if args.cluster is not None:
        from sim.cluster.run import RunParts, RunWork

        out = _out(args, scenario)
        parts = RunParts(out, _store_options(args, "short"), args.overwrite, args.replay)
        return _on_cluster(args, RunWork(scenario, parts), out)
    shared, first = args.shard is not None, args.shard is not None and args.shard.index == 1
    store = replace(_store_options(args, "short"), shared=shared, first=first)
    if store.shared and store.empty_lake:
        raise PartError("--empty-lake would remove the objects of other parts; empty it beforehand")
    options = RunOptions(
        _out(args, scenario),
        args.workers or one_per_core(),
        store,
        args.overwrite,
        args.save_lake,
        _replay(args),
        args.shard,
    )
    if args.repeat is not None:
        from sim.repeat.command import require_lakes_of_their_own

        require_lakes_of_their_own(store)
    return _once_or_often(
        args,
        options.out,
        lambda out, console: run(scenario, _in_place(args, options, out), console),
    )


def _once_or_often(args: argparse.Namespace, out: Path, one: Callable[[Path, Console], int]) -> int:
    """Make one run in `out`, or as many as --repeat asks for. Return the exit code."""
    if args.repeat is None:
        from sim.report.forms import in_form
        from sim.watch.serving import serving

        return in_form(args.form, out, serving(args.serve, out, partial(one, out)))
    from sim.repeat.command import repeat

    folder = args.out or out.with_name(f"{out.name}-repeat")
    return repeat(args.repeat, folder, args.overwrite, args.form, one)


def _in_place(args: argparse.Namespace, options: Made, out: Path) -> Made:
    """Return the options of one run in its directory, which `--repeat` numbers."""
    replay = options.replay
    if args.repeat is not None:
        replay = of_one(replay, {"--out": str(out)}, ("--repeat",))
    return replace(options, out=out, replay=replay)


def _on_cluster(
    args: argparse.Namespace, work: Work, out: Path = Path(), files: tuple[str, str] | None = None
) -> int:
    """Do a command's work in parts on a cluster. Return the exit code. out: place of a result."""
    from sim.cluster.command import ClusterOptions, run_on_cluster
    from sim.report.forms import in_form

    folder, form = vars(args).get("worker_dir"), vars(args).get("form", "text")
    options = ClusterOptions(args.cluster, args.parts, args.workers, folder, args.allow_remote)
    return in_form(form, out, lambda console: run_on_cluster(work, options, console))


def _out(args: argparse.Namespace, scenario: Scenario) -> Path:
    """Return the directory of a run or a campaign, or of a part of it."""
    part = "" if args.shard is None else f"-{args.shard.folder}"
    return args.out or Path("runs") / f"{scenario.name}-{scenario.seed}{part}"


def _replay(args: argparse.Namespace) -> str:
    """Return the command that repeats this one, with the part by its number."""
    return re.sub(r"(--shard[ =])auto\S*", rf"\g<1>{args.shard}", str(args.replay))


def _merge(args: argparse.Namespace) -> int:
    from sim.merge.command import MergeOptions, merge

    options = MergeOptions(args.parts, args.out, args.overwrite, args.replay, is_quiet=args.quiet)
    return merge(options, _console())


def _load(args: argparse.Namespace) -> int:
    from sim.load.command import LoadOptions, join, load_test
    from sim.scenario import load

    if args.worker:
        return join(args.out, _console())
    scenario = load(args.scenario, args.set)
    store = _store_options(args, "stock")
    out = args.out or Path("runs") / f"{scenario.name}-{scenario.seed}"
    processes = args.expect_workers or 1 if args.master else args.processes
    options = LoadOptions(out, store, args.overwrite, processes, args.master, args.replay)
    return _once_or_often(
        args, out, lambda out, console: load_test(scenario, _in_place(args, options, out), console)
    )


def _store_options(args: argparse.Namespace, gateway: Gateway) -> Options:
    """Return the store's options. gateway: where neither arguments nor environment name one."""
    from sim.store import processes
    from sim.store.gateway import chosen
    from sim.store.target import Options

    return Options(
        args.endpoint_url,
        args.port,
        args.keep,
        args.empty_lake,
        args.allow_remote,
        gateway=chosen(args.gateway, gateway),
        processes=processes.chosen(args.store_processes),
    )


def _verify(args: argparse.Namespace) -> int:
    from sim.report.forms import VERIFY_FILES, in_form
    from sim.verify.command import VerifyOptions, find_lake, verify

    folder = args.report or args.run
    if args.cluster is not None:
        from sim.cluster.verify import verify_work

        store = (args.endpoint_url, args.allow_remote)
        work = verify_work(args.run, store, args.report, args.replay)
        return _on_cluster(args, work, folder, VERIFY_FILES)
    workers = args.workers or one_per_core()
    if not (args.run / "nodes").is_dir():
        raise DirectoryError(f"{args.run}: has no nodes/; is this a run directory? demo: --nodes")
    if (args.shard is None) != (args.out is None):
        raise PartError("--shard and --out go together: the part's record is written to --out DIR")
    if args.shard is not None and (args.report or args.form != "text"):
        raise PartError("a part of a verdict has its record only, in --out DIR")
    lake = find_lake(args.run, args.lake, args.endpoint_url, args.allow_remote)
    if args.shard is not None:
        from sim.merge.verify import verify_part

        return verify_part(args.run, lake, args.shard, args.out, workers, _console())
    options = VerifyOptions(args.run, lake, workers, args.report, args.replay)
    return in_form(args.form, folder, lambda console: verify(options, console), VERIFY_FILES)


def _campaign(args: argparse.Namespace) -> int:
    from sim.campaign.arguments import sizes
    from sim.campaign.command import run_campaign
    from sim.campaign.options import CampaignOptions
    from sim.scenario import load
    from sim.store.gateway import chosen

    number = sizes(args)
    scenario = load(args.scenario, args.set)
    seed = scenario.seed if args.seed is None else args.seed
    named = args.named or shlex.join([str(args.scenario), *(f"--set={each}" for each in args.set)])
    gateway = f" --gateway {args.gateway}" if args.gateway else ""
    options = CampaignOptions(
        out=_out(args, scenario),
        runs=number["runs"],
        loads=number["loads"],
        live=number["wired"],
        quick=args.quick,
        seed=seed,
        workers=args.workers or one_per_core(),
        overwrite=args.overwrite,
        command=f"{_program()} campaign {named} --seed {seed}{gateway}",
        run_command=f"{_program()} run {named}{gateway}",
        load=lambda more: load(args.scenario, [*args.set, *more]),
        replay=args.line,
        gateway=chosen(args.gateway),
        shard=args.shard,
    )
    if args.cluster is not None:
        from sim.cluster.campaign import CampaignWork

        return _on_cluster(args, CampaignWork(scenario, options, named, args.replay))
    return run_campaign(scenario, options, _console())


def _query(args: argparse.Namespace) -> int:
    from sim.query.command import QueryOptions, run

    options = QueryOptions(
        sql=args.sql,
        run=args.run,
        lake=args.lake,
        endpoint_url=args.endpoint_url,
        warehouse=args.warehouse,
        now=args.now,
        variables=args.set,
        options=args.option,
        form=args.format,
        out=args.out,
        overwrite=args.overwrite,
        follow=args.follow,
        engine=args.engine,
        allow_remote=args.allow_remote,
    )
    return run(options, _console(), _console(sys.stderr))


def _catalog(args: argparse.Namespace) -> int:
    if args.ledger:
        from sim.catalog.ledger import print_ledger

        print_ledger(_console())
        return PASS
    return _delegated("sim.catalog.command", "run")(args)


def _dashboard(args: argparse.Namespace) -> int:
    from sim.dashboard.command import DashboardOptions, run

    lake = (args.run, args.lake, args.endpoint_url, args.warehouse)
    options = DashboardOptions(*lake, args.now, args.out, args.overwrite, args.allow_remote)
    return run(options, _console())


def _demo(args: argparse.Namespace) -> int:
    from sim.demo import command

    workers = args.workers or one_per_core()
    if args.cluster is not None and not args.list:
        from sim.cluster.demo import DemoWork

        scenario, _, options = command.requested(args, workers)
        return _on_cluster(args, DemoWork(scenario, options, args.worker_dir))
    return command.demo(args, workers, _console())


def _report(args: argparse.Namespace) -> int:
    from sim.report.write import rebuild_all
    from sim.run_directory import locked

    with locked(args.run) if args.run.is_dir() else nullcontext():
        for path in rebuild_all(args.run):
            print(f"report: {path}")
    return PASS


def _delegated(
    module: str, function: str, silent: bool = False
) -> Callable[[argparse.Namespace], int]:
    """Return a command that a function of another module runs, with the arguments as they are.

    silent: the function takes no console, which costs the import of rich.
    """

    def command(args: argparse.Namespace) -> int:
        found = getattr(import_module(module), function)
        return int(found(args) if silent else found(args, _console()))

    return command


_RESUMES: Final = {"run": "sim.run.resume", "campaign": "sim.campaign.resume"}
_COMMANDS: Final = {
    "run": _run,
    "merge": _merge,
    "load": _load,
    "watch": _delegated("sim.watch.command", "watch"),
    "verify": _verify,
    "campaign": _campaign,
    "query": _query,
    "catalog": _catalog,
    "dashboard": _dashboard,
    "demo": _demo,
    "plan": _delegated("sim.preview.command", "preview"),
    "check": _delegated("sim.preview.check", "check", silent=True),
    "report": _report,
    "compare": _delegated("sim.compare.command", "compare"),
    "history": _delegated("sim.history.command", "history"),
    "new": _delegated("sim.new.command", "new"),
    "list": _delegated("sim.listing.command", "print_list"),
    "figures": _delegated("sim.listing.command", "print_figures"),
    "faults": _delegated("sim.listing.command", "print_faults"),
    "completion": _delegated("sim.completion", "completion"),
    "doctor": _delegated("sim.doctor.command", "examine"),
    "bench": _delegated("sim.bench.command", "run"),
    "store": _delegated("sim.store.command", "store"),
}
