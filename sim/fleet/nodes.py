"""The edge nodes of a farm: identity in Bacalhau's form, labels, asset record, pipeline settings.

Ids come from the seed, so a repeated run gives the same lake. There is one job per fleet run, and
one execution and one node per turbine. A small share of nodes has ARM boards or older releases of
the node software, as in real fleets.
"""

from __future__ import annotations

from pipeline.config import NodeConfig
from sim import seeds
from sim.fleet import assets
from sim.fleet.farm import Farm
from sim.fleet.part import FarmPart

ARCHITECTURES = (("amd64", 0.8), ("arm64", 0.2))
RELEASES = (("v1.7.0", 0.75), ("v1.6.4", 0.2), ("v1.5.2", 0.05))


def node_configs(
    which: Farm | FarmPart,
    seed: int,
    flush_every_s: int = 900,
    window_s: int = 600,
    allowed_lateness_s: int = 300,
) -> list[NodeConfig]:
    """Return one configuration per turbine, in the order of `turbine_ids`.

    Times are whole seconds.
    """
    part = FarmPart.of(which)
    farm = part.farm
    job_id = f"j-{seeds.uuid(seed, 'node', 'job')}"
    privacy_key = seeds.hexkey(seed, "node", "privacy")
    configs = []
    for turbine_id, asset in zip(part.turbine_ids, assets.register(part, seed), strict=True):
        draw = seeds.rng(seed, "node", "kind", turbine_id).random(2)
        configs.append(
            NodeConfig(
                turbine_id=turbine_id,
                farm_id=farm.farm_id,
                job_id=job_id,
                execution_id=f"e-{seeds.uuid(seed, 'node', 'execution', turbine_id)}",
                node_id=f"n-{seeds.uuid(seed, 'node', turbine_id)}",
                labels={
                    "region": farm.region,
                    "name": f"edge-{turbine_id.lower()}",
                    "os_type": "linux",
                    "os_arch": _pick(ARCHITECTURES, draw[0]),
                    "version": _pick(RELEASES, draw[1]),
                },
                asset=asset,
                privacy_key=privacy_key,
                flush_every_s=flush_every_s,
                window_s=window_s,
                allowed_lateness_s=allowed_lateness_s,
            )
        )
    return configs


def _pick(shares: tuple[tuple[str, float], ...], draw: float) -> str:
    for value, share in shares:
        draw -= share
        if draw < 0:
            return value
    return shares[-1][0]
