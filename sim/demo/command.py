"""`windfleet demo`: from its arguments to a theme, a scenario and the options of `make`."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from rich.console import Console

from sim.demo import themes
from sim.demo.dataset import Dataset
from sim.demo.make import DemoOptions, make
from sim.run import target
from sim.scenario import load

FOLDER = Path("demo")


def run(args: argparse.Namespace, console: Console) -> Dataset:
    """Make what the arguments ask for. Raises what `dataset.make` raises, and ScenarioError."""
    theme = themes.theme(args.theme)
    scenario = load(theme.scenario, overrides(args))
    to_store = args.to is not None and target.is_url(args.to)
    out = Path(args.to) if args.to and not to_store else FOLDER / theme.name
    upload = target.Options(args.to, None, False, args.empty_lake, args.allow_remote) if to_store else None
    options = DemoOptions(
        out, args.workers, args.overwrite, args.nodes, args.layout, upload, args.inspect, command(args)
    )
    return make(scenario, theme, options, console)


def overrides(args: argparse.Namespace) -> list[str]:
    """The arguments as `--set` has them."""
    settings = {
        "fleet.farms": f"[{args.farms}]" if args.farms else None,
        "fleet.turbines": args.turbines,
        "clock.start": args.start,
        "clock.duration": f"{args.days}d" if args.days else None,
        "clock.sample_every": args.sample_every,
        "seed": args.seed,
    }
    return [*(f"{path}={value}" for path, value in settings.items() if value is not None), *args.set]


def command(args: argparse.Namespace) -> str:
    """The command that makes the same bytes again, wherever it is put."""
    words = ["windfleet", "demo", "--theme", args.theme]
    for name in ("farms", "turbines", "days", "start", "sample_every", "seed", "layout"):
        if (value := getattr(args, name)) is not None:
            words += [f"--{name.replace('_', '-')}", value]
    return shlex.join([*words, *(f"--set={value}" for value in args.set)])
