"""Command line of `windfleet`: commands, options and their help. `sim.cli` runs them.

Every command imports this module, so it imports little. A check of an option imports its helper
when it runs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sim.argument_types import count, directories, port, positive, share, size, url
from sim.bench.arguments import arguments as bench_arguments
from sim.campaign.arguments import arguments as campaign_arguments
from sim.catalog.arguments import arguments as catalog_arguments
from sim.cluster.arguments import arguments as cluster_arguments
from sim.cluster.arguments import refusal
from sim.compare.arguments import arguments as compare_arguments
from sim.dashboard.arguments import arguments as dashboard_arguments
from sim.demo.arguments import arguments as demo_arguments
from sim.errors import MEANINGS
from sim.help import dress
from sim.history.arguments import arguments as history_arguments
from sim.listing.arguments import list_arguments, word_arguments
from sim.new.arguments import arguments as new_arguments
from sim.place_argument import place, stated
from sim.query.arguments import arguments as query_arguments
from sim.repeat.arguments import arguments as repeat_arguments
from sim.repeat.arguments import unrepeatable
from sim.resume_arguments import refusal as resume_refusal
from sim.resume_arguments import resume_argument
from sim.shard_arguments import refusal as shard_refusal
from sim.shard_arguments import shard_argument
from sim.shipped import scenario_file
from sim.suggesting_parser import SuggestingParser
from sim.watch.arguments import arguments as watch_arguments
from sim.watch.arguments import refusal as watch_refusal
from sim.watch.arguments import serve_argument


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the arguments of one command; `command` names it. Invalid ones exit with code 2."""
    parser = program()
    if any("\0" in argument for argument in arguments):
        parser.error("an argument contains a NUL character; no file has such a name")
    args = parser.parse_args(_with_help(parser, arguments))
    for option in ("out", "to"):
        if (named := getattr(args, option, None)) is not None and not _is_utf8(str(named)):
            parser.error(f"argument --{option}: {named} is not UTF-8; choose another name")
    if args.command == "load":
        if args.worker == bool(args.scenario) or (args.worker and not args.out):
            parser.error(
                "load takes a SCENARIO, or --worker with --out DIR, the directory of its master"
            )
        if args.expect_workers and not args.master:
            parser.error(
                "--expect-workers goes with --master; --processes N starts N client processes"
            )
    unfit = resume_refusal(args, parser) or watch_refusal(args)
    unfit = unfit or refusal(args) or unrepeatable(args) or shard_refusal(args)
    if unfit is not None:
        parser.error(unfit)
    return args


def _with_help(parser: SuggestingParser, arguments: Sequence[str]) -> Sequence[str]:
    """Return the arguments, with the words `help` and `version` as the options that they mean.

    No argument at all prints the help, to stderr, and exits with code 2.
    """
    if not arguments:
        parser.print_help(sys.stderr)
        parser.exit(2, "\nwindfleet: error: name a COMMAND, such as: windfleet run quickstart\n")
    if arguments[0] == "help":
        return [*arguments[1:2], "--help"]
    return ["--version"] if list(arguments) == ["version"] else arguments


def program() -> SuggestingParser:
    """Return the parser of the whole command line."""
    codes = ", ".join(f"{code} {meaning}" for code, meaning in MEANINGS.items())
    parser = SuggestingParser(
        prog="windfleet",
        description="Proves a wind-fleet data pipeline before the fleet exists.",
        epilog=f"`windfleet help COMMAND` shows the options of a command. Exit codes: {codes}.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")

    run = command("run", "simulate, drive the pipeline, judge, report")
    _scenario_arguments(run, nargs="?")
    resume_argument(run, "run")
    _directory_arguments(run)
    _workers_argument(run)
    _store_arguments(run)
    _gateway_argument(run)
    _processes_argument(run)
    run.add_argument("--save-lake", action="store_true", help="copy the buckets to DIR/lake")
    shard_argument(run)
    _form_arguments(run)
    serve_argument(run)
    cluster_arguments(run, "run", positive)
    repeat_arguments(run, positive)

    merge = command("merge", "make one of all parts of a run, a verdict, a campaign or a data set")
    merge.add_argument("parts", type=place, nargs="+", metavar="DIR", help="directory of a part")
    _directory_arguments(merge)
    merge.add_argument("--quiet", action="store_true", help="print one line, the verdict")

    load = command("load", "find the highest rate that the store sustains, and its bottleneck")
    _scenario_arguments(load, nargs="?")
    _directory_arguments(load)
    _form_arguments(load)
    repeat_arguments(load, positive)
    load.add_argument(
        "--processes",
        type=positive,
        metavar="N",
        help="client processes (default: load.processes)",
    )
    load.add_argument(
        "--master", action="store_true", help="wait for client processes started with --worker"
    )
    expected = "with --master: number of processes to wait for (default: 1)"
    load.add_argument("--expect-workers", type=positive, metavar="N", help=expected)
    load.add_argument(
        "--worker",
        action="store_true",
        help="run as a client process of the master that runs in --out DIR",
    )
    _store_arguments(load)
    _gateway_argument(load, default="stock")
    _processes_argument(load)
    serve_argument(load)

    watched = command("watch", "show a run on a page of this machine while it runs, with metrics")
    watch_arguments(watched)

    verify = command("verify", "judge a run's lake against its node files again")
    verify.add_argument("run", type=place, metavar="DIR", help="run directory")
    lake = verify.add_mutually_exclusive_group()
    lake.add_argument(
        "--lake", type=place, metavar="DIR", help="a saved lake (default: DIR/lake, else a store)"
    )
    running = "the LocalStack of `store up` or --keep"
    holds = f"S3 with the lake (default: AWS_ENDPOINT_URL, else {running})"
    lake.add_argument("--endpoint-url", type=url, metavar="URL", help=holds)
    _workers_argument(verify)
    shard_argument(verify)
    cluster_arguments(verify, "verify", positive)
    verify.add_argument(
        "--out", type=place, metavar="DIR", help="with --shard: directory for the part's record"
    )
    elsewhere = "directory for the verdict's files, where DIR must not change (default: DIR)"
    verify.add_argument("--report", type=place, metavar="DIR", help=elsewhere)
    _form_arguments(verify, "verify.json")

    campaign = command(
        "campaign", "inject faults at every store call, then at random, then into whole runs"
    )
    _scenario_arguments(campaign, nargs="?")
    resume_argument(campaign, "campaign")
    campaign_arguments(campaign, count)
    _gateway_argument(campaign)
    _directory_arguments(campaign)
    _workers_argument(campaign)
    shard_argument(campaign)
    cluster_arguments(campaign, "campaign", positive)

    query = command(
        "query", "load new objects of a lake into tables; answer SQL over tables and views"
    )
    query_arguments(query, url)

    catalog = command("catalog", "write the files that a Databricks workspace and AWS install")
    catalog_arguments(catalog)

    dashboard = command("dashboard", "make one offline page over a lake's three views")
    dashboard_arguments(dashboard, url)

    demo = command("demo", "make a labelled data set, in a folder or in S3")
    demo_arguments(demo)
    _workers_argument(demo)
    shard_argument(demo)
    cluster_arguments(demo, "demo", positive)

    planned = command("plan", "estimate rows, bytes, objects, time and cost; run nothing")
    _scenario_arguments(planned)
    planned.add_argument(
        "--parts", type=positive, default=1, metavar="N", help="cut into N parts (default: 1)"
    )
    planned.add_argument(
        "--cores", type=positive, metavar="N", help="of the machine (default: this one's)"
    )
    planned.add_argument(
        "--memory", type=size, metavar="SIZE", help="of the machine, such as 64GiB (likewise)"
    )
    planned.add_argument(
        "--endpoint-url", type=url, metavar="URL", help="S3 to use (default: as for `run`)"
    )
    _workers_argument(planned, "cores divided by parts")
    planned.add_argument("--json", action="store_true", help="print JSON")
    checked = command("check", "validate a scenario")
    _scenario_arguments(checked)
    checked.add_argument("--json", action="store_true", help="print JSON, errors included")

    report = command("report", "rebuild the report from the raw record")
    report.add_argument("run", type=place, metavar="DIR", help="run directory")

    compared = command("compare", "compare two sets of runs, with a verdict for CI")
    compare_arguments(compared, directories, share)

    past = command("history", "show figures over many runs of one scenario, with a page")
    history_arguments(past)

    started = command("new", "write a commented scenario, load test or fleet to start from")
    new_arguments(started)
    listed = command("list", "list scenarios, themes of data sets, and past runs")
    list_arguments(listed)
    figures = command("figures", "explain the figures that a scenario's `expect` can name")
    word_arguments(figures, "only figures with this word in their name, unit or description")
    faults = command("faults", "explain the kinds of events and faults that a scenario can have")
    word_arguments(faults, "only kinds with this word; a whole name adds an example")

    bench = command("bench", "measure the CPU cost of a row, part by part, beside its floor")
    bench_arguments(bench, positive)
    _gateway_argument(bench)

    completed = command("completion", "print a script that completes the command line in a shell")
    completed.add_argument("shell", choices=("bash", "zsh", "tcsh"))

    doctor = command("doctor", "examine this machine: programs, store, disk, environment")
    doctor.add_argument("--json", action="store_true", help="print JSON")

    store = command("store", "start, stop, inspect or empty a store: the embedded LocalStack")
    store.add_argument(
        "action",
        choices=("install", "up", "down", "status", "empty", "logs"),
        help="empty removes all objects of the six buckets, if windfleet made them",
    )
    store.add_argument(
        "--port", type=port, default=4566, help="for `up`: port (default: %(default)s)"
    )
    _gateway_argument(store, "for `up`: ")
    _processes_argument(store, "for `up`: ")
    running = "for `empty`: the store (default: AWS_ENDPOINT_URL, else that of `store up`)"
    store.add_argument("--endpoint-url", type=url, metavar="URL", help=running)
    store.add_argument(
        "--allow-remote", action="store_true", help="allow an endpoint that is not on this machine"
    )
    store.add_argument("--json", action="store_true", help="for `status`: print JSON")
    dress(parser.commands())
    return parser


def _scenario_arguments(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    parser.add_argument(
        "scenario",
        type=_scenario,
        nargs=nargs,
        metavar="SCENARIO",
        help="scenario YAML, or the name of one that `windfleet list` shows",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="override a value; repeatable; PATH=null removes a key, so that its default applies",
    )


def _scenario(text: str) -> Path:
    return scenario_file(stated(text))


def _directory_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=place, metavar="DIR", help="run directory (default: runs/NAME-SEED)"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an earlier run in that directory"
    )


def _form_arguments(parser: argparse.ArgumentParser, result: str = "result.json") -> None:
    """Add `--json`, `--markdown` and `--quiet`, which set `form`. result: file of the result."""
    forms = parser.add_mutually_exclusive_group()
    parser.set_defaults(form="text")
    for form, text in (
        ("json", f"print {result} to stdout, everything else to stderr"),
        ("markdown", "print a summary for a CI job's page, everything else to stderr"),
        ("quiet", "print the verdict in one line, and errors"),
    ):
        forms.add_argument(f"--{form}", action="store_const", const=form, dest="form", help=text)


def _store_arguments(parser: argparse.ArgumentParser) -> None:
    endpoint = "S3 to use (default: AWS_ENDPOINT_URL, else an embedded LocalStack)"
    parser.add_argument("--endpoint-url", type=url, metavar="URL", help=endpoint)
    parser.add_argument(
        "--allow-remote", action="store_true", help="allow an endpoint that is not on this machine"
    )
    parser.add_argument(
        "--empty-lake",
        action="store_true",
        help="first empty the six expanso-databricks-* buckets, if windfleet made them",
    )
    parser.add_argument(
        "--port", type=port, help="port of the embedded LocalStack (default: a free one)"
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave the embedded LocalStack running afterwards"
    )


def _gateway_argument(
    parser: argparse.ArgumentParser, where: str = "", default: str = "short"
) -> None:
    ways = "LocalStack's own gateway, or a shortcut for plain requests of objects"
    parser.add_argument(
        "--gateway",
        choices=("stock", "short"),
        help=f"{where}{ways} (default: WINDFLEET_GATEWAY, else {default})",
    )


def _processes_argument(parser: argparse.ArgumentParser, where: str = "") -> None:
    several = "processes of the embedded LocalStack, which share the buckets"
    parser.add_argument(
        "--store-processes",
        type=positive,
        metavar="N",
        help=f"{where}{several} (default: WINDFLEET_STORE_PROCESSES, else 1)",
    )


def one_per_core() -> int:
    """Return the default of `--workers`."""
    return os.cpu_count() or 1


def _workers_argument(parser: argparse.ArgumentParser, default: str = "one per core") -> None:
    """Add `--workers`: None if it is not given. default: in words."""
    parser.add_argument(
        "--workers",
        type=positive,
        metavar="N",
        help=f"worker processes (default: {default})",
    )


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Version(argparse.Action):
    """Print the version and exit. Only a request for it looks it up, which takes a while."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"windfleet {version('windfleet')}")
        parser.exit()
