"""Valid rows plus their node's identity, labels and asset data. Personal data is left out.

operator_contact and technician leave the node only as keyed pseudonyms: HMAC-SHA256, stable within
a fleet, different under another key. Coordinates are rounded to 0.1 degree (about 11 km: the farm,
not the turbine). Without a key there is no pseudonym: the column is null, never the plain value.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence

from pipeline.config import NodeConfig
from pipeline.parquet.chunk import Chunk
from pipeline.parquet.columns import constant
from pipeline.records import ENRICHMENT, ENRICHMENT_NUMBERS
from pipeline.records.schemas import ENRICHED

_ADDED = [ENRICHED.field(name) for name in (*ENRICHMENT, *ENRICHMENT_NUMBERS)]
COORDINATE_DECIMALS = 1
PSEUDONYM_HEX = 16


def pseudonym(value: str | None, key_hex: str) -> str | None:
    """Return `p-` and the first 64 bits of HMAC-SHA256(key, value) in hex.

    None if the key or the value is missing.
    """
    if not value or not key_hex:
        return None
    return (
        "p-"
        + hmac.new(bytes.fromhex(key_hex), value.encode(), hashlib.sha256).hexdigest()[
            :PSEUDONYM_HEX
        ]
    )


def facts(config: NodeConfig) -> dict[str, str | float | None]:
    """Return the enrichment of one node: the same on every row, so it is made once per batch."""
    asset = config.asset
    values: dict[str, str | float | None] = {
        "job_id": config.job_id,
        "execution_id": config.execution_id,
        "node_id": config.node_id,
        "region": config.labels.get("region"),
        "os_arch": config.labels.get("os_arch"),
        "node_version": config.labels.get("version"),
        "turbine_type": asset.turbine_type,
        "serial_number": asset.serial_number,
        "installation_date": asset.installation_date,
        "operator_ref": pseudonym(asset.operator_contact, config.privacy_key),
        "technician_ref": pseudonym(asset.technician, config.privacy_key),
        "rated_power": asset.rated_power,
        "hub_height": asset.hub_height,
        "latitude_coarse": None
        if asset.latitude is None
        else round(asset.latitude, COORDINATE_DECIMALS),
        "longitude_coarse": None
        if asset.longitude is None
        else round(asset.longitude, COORDINATE_DECIMALS),
    }
    return values


def enrich(
    validated: Sequence[Chunk], known: Mapping[str, str | float | None], rows: int
) -> list[Chunk]:
    """Turn chunks of one node's VALIDATED rows into those of ENRICHED rows. known: its facts."""
    return [*validated, *(constant(field, known[field.name], rows) for field in _ADDED)]
