"""The `--help` of each command: its options in groups, and examples.

The options themselves are defined by `sim.arguments` and the packages of the commands.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Final

EXAMPLES: Final = {
    "run": (
        "run quickstart",
        "run quickstart --serve",
        "run my-run.yaml --set clock.duration=10m --out runs/short",
        "run small --endpoint-url http://127.0.0.1:4566 --empty-lake",
        "run small --repeat 3 --out runs/new",
    ),
    "merge": ("merge runs/part-1 runs/part-2 runs/part-3 --out runs/whole",),
    "load": (
        "load load-knee",
        "load load-ramp --serve 8080",
        "load load-ramp --endpoint-url http://127.0.0.1:9000",
        "load load-fleet --master --expect-workers 2 --out runs/load",
        "load --worker --out runs/load",
    ),
    "watch": ("watch runs/quickstart-7", "watch --grafana windfleet-grafana.json"),
    "verify": (
        "verify runs/quickstart-7",
        "verify runs/small-7 --lake copy-of-the-lake --report verdict",
    ),
    "campaign": ("campaign campaign --quick", "campaign campaign --runs 5000 --wired 0"),
    "query": (
        'query "SELECT * FROM wind_turbine_performance_view LIMIT 5" runs/small-7',
        "query my.sql demo/storm --format csv --out answer.csv",
    ),
    "catalog": ("catalog out --catalog wind --schema turbines", "catalog --ledger"),
    "dashboard": ("dashboard demo/storm",),
    "demo": ("demo --theme icing", "demo --theme storm --farms E,F --turbines 40 --days 3"),
    "plan": ("plan fleet-day --parts 16 --cores 64 --memory 256GiB",),
    "check": ("check my-run.yaml", "check my-run.yaml --set seed=8 --json"),
    "report": ("report runs/small-7",),
    "compare": (
        "compare runs/old runs/new --html compare.html",
        "compare runs/a-1,runs/a-2 runs/b-1,runs/b-2 --limit 20%",
    ),
    "history": ("history", "history runs --scenario small --figure 'latency.*'"),
    "new": ("new my-run", "new my-fleet --kind fleet", "new copy --from chaos-light"),
    "list": ("list", "list runs"),
    "figures": ("figures latency",),
    "faults": ("faults", "faults node.crash"),
    "bench": ("bench --rows 600 --rounds 3", "bench --json new.json --compare old.json"),
    "completion": ("completion bash",),
    "doctor": ("doctor",),
    "store": ("store up --port 4566", "store status", "store empty", "store down"),
}
"""Command -> lines that can be typed after `windfleet`."""
GROUPS: Final = {
    "output": (
        *("--out", "--overwrite", "--save-lake", "--json", "--markdown", "--quiet", "--format"),
        *("--html", "--report", "--to", "--layout", "--export", "--nodes", "--inspect"),
        *("--no-dashboard", "--serve"),
    ),
    "store": (
        *("--endpoint-url", "--allow-remote", "--empty-lake", "--lake", "--warehouse", "--port"),
        *("--keep", "--gateway", "--store-processes"),
    ),
    "processes and parts": (
        *("--workers", "--processes", "--master", "--expect-workers", "--worker"),
        *("--shard", "--cluster", "--parts", "--worker-dir", "--cores", "--memory"),
    ),
}
"""Title of a group -> its options, in this order."""
LEAST: Final = 6
"""Fewest options of a command that are cut into groups."""


def dress(commands: Mapping[str, argparse.ArgumentParser]) -> None:
    """Cut the options of each command into groups, and add its examples."""
    for name, parser in commands.items():
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        lines = "\n".join(f"  windfleet {line}" for line in EXAMPLES.get(name, ()))
        parser.epilog = f"examples:\n{lines}"
        options = {option: action for action in parser._actions for option in action.option_strings}
        if len(set(map(id, options.values()))) >= LEAST:
            _group(parser, options)


def _group(parser: argparse.ArgumentParser, options: Mapping[str, argparse.Action]) -> None:
    for title, names in GROUPS.items():
        here = [options[name] for name in names if name in options]
        if not here:
            continue
        group = parser.add_argument_group(title)
        for action in here:
            parser._optionals._group_actions.remove(action)
            group._group_actions.append(action)
