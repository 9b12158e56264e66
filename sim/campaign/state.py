"""Settings of a campaign in its directory, for `windfleet campaign --resume DIR`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from sim.campaign.options import CampaignOptions
from sim.record_json import fields_of
from sim.resume_state import CAMPAIGN_STATE, RESUME
from sim.run.attempts import Origin, read_state
from sim.run.part_index import part_index
from sim.run_directory import SCENARIO_FILE
from sim.scenario import Scenario, load
from sim.store.gateway import Gateway
from sim.whole_file import write_text


@dataclass(frozen=True)
class _State:
    """Settings as in `CampaignOptions`. shard: the part, such as `2/4`."""

    origin: Origin
    runs: int
    loads: int
    live: int
    seed: int
    workers: int
    command: str
    run_command: str
    gateway: Gateway
    shard: str | None
    quick: bool


def write_state(options: CampaignOptions) -> None:
    """Keep the settings of a campaign that begins. Raises OSError."""
    state = _State(
        Origin.of(options.out),
        options.runs,
        options.loads,
        options.live,
        options.seed,
        options.workers,
        options.command,
        options.run_command,
        options.gateway,
        None if options.shard is None else str(options.shard),
        options.quick,
    )
    (options.out / RESUME).mkdir(exist_ok=True)
    write_text(options.out / CAMPAIGN_STATE, json.dumps(state, default=fields_of) + "\n")


def resumed(out: Path, workers: int | None) -> tuple[Scenario, CampaignOptions]:
    """Return scenario and options of an interrupted campaign.

    workers: None for as many as before. Raises DirectoryError, ResumeError, ScenarioError.
    """
    state = read_state(out, CAMPAIGN_STATE, _State)
    scenario = out / SCENARIO_FILE
    return load(scenario), CampaignOptions(
        out=out,
        runs=state.runs,
        loads=state.loads,
        live=state.live,
        seed=state.seed,
        workers=workers or state.workers,
        overwrite=False,
        command=state.command,
        run_command=state.run_command,
        load=lambda more: load(scenario, more),
        gateway=state.gateway,
        shard=None if state.shard is None else part_index(state.shard),
        resumed=True,
        quick=state.quick,
    )
