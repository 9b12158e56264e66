"""The configuration of one edge node: identity, asset data, pipeline settings.

It is a JSON file beside the node's database. The ids have Bacalhau's form (`j-`, `e-`, `n-` +
UUID). They are part of the lake's bytes, so they are configuration: a simulation derives them from
the seed and writes them into the file. The asset record is plain text here. Personal data and
exact coordinates stay on the node: `stages.enrich` writes pseudonyms and coarse coordinates.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.database import shown
from pipeline.records import RETIRED_NAME

MAX_NAME_BYTES = 200
"""Longest name of a turbine or farm.

File names take 255 bytes, and an object's name adds an id range and an ending.
"""


class ConfigError(ValueError):
    """A node's configuration that cannot be read or does not fit; the text names file and field."""


@dataclass(frozen=True)
class Asset:
    """One turbine's entry in the asset register. Fields marked * never leave the node as they are.

    Units: `rated_power` MW, `hub_height` m, `rated_rpm` 1/min, coordinates degrees WGS 84.
    `power_curve` lists (wind speed m/s, power MW), ascending. It is empty if the type is unknown.
    """

    turbine_type: str | None = None
    rated_power: float | None = None
    rated_rpm: float | None = None
    hub_height: float | None = None
    power_curve: tuple[tuple[float, float], ...] = ()
    serial_number: str | None = None
    installation_date: str | None = None
    operator_contact: str | None = None  # *
    technician: str | None = None  # *
    latitude: float | None = None  # *
    longitude: float | None = None  # *


_ASSET_NUMBERS = ("rated_power", "rated_rpm", "hub_height", "latitude", "longitude")
_ASSET_TEXTS = (
    "turbine_type",
    "serial_number",
    "installation_date",
    "operator_contact",
    "technician",
)


@dataclass(frozen=True)
class NodeConfig:
    """One edge node. `privacy_key` (hex) keys the pseudonyms; the times are whole seconds."""

    turbine_id: str
    farm_id: str
    job_id: str
    execution_id: str
    node_id: str
    labels: dict[str, str] = field(default_factory=dict)
    asset: Asset = field(default_factory=Asset)
    privacy_key: str = ""
    flush_every_s: int = 900
    window_s: int = 600
    allowed_lateness_s: int = 300

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"))

    @classmethod
    def for_turbine(cls, turbine_id: str) -> NodeConfig:
        """Return the configuration of a node without a file: ids from the turbine's name.

        Ids never come from the environment of the current job: a job that is scheduled again,
        perhaps on another node, must write the same bytes. Raises ConfigError.
        """

        def name_id(prefix: str) -> str:
            return f"{prefix}-{uuid.uuid5(uuid.NAMESPACE_DNS, f'{prefix}.{turbine_id}.windfleet')}"

        farm_id = turbine_id.split("-")[0]
        config = cls(turbine_id, farm_id, name_id("j"), name_id("e"), name_id("n"))
        try:
            config._check()
        except ValueError as error:
            raise ConfigError(f"no configuration for turbine {turbine_id!r}: {error}") from error
        return config

    @classmethod
    def load(cls, path: Path) -> NodeConfig:
        """Read a node's JSON file. Raise ConfigError, naming the file and the defect."""
        try:
            # utf-8-sig: editors on Windows begin a file with a byte order mark
            raw = json.loads(path.read_text(encoding="utf-8-sig"))
            if not isinstance(raw, dict) or not isinstance(raw.get("asset", {}), dict):
                raise ValueError("the document and its asset must be JSON objects")
            asset = raw.pop("asset", {})
            curve = tuple((float(v), float(p)) for v, p in asset.pop("power_curve", ()))
            config = cls(**raw, asset=Asset(**asset, power_curve=curve))
            config._check()
            # fails for half a surrogate pair
            json.dumps(dataclasses.asdict(config), ensure_ascii=False).encode()
            return config
        except OSError as error:
            why = error.strerror or str(error)
            raise ConfigError(
                f"{shown(path)}: cannot read the node's configuration: {why}"
            ) from error
        except UnicodeDecodeError as error:
            text = f"not UTF-8 at byte {error.start}; save it as UTF-8"
            raise ConfigError(f"{shown(path)}: not a node configuration: {text}") from error
        except RecursionError as error:
            text = "not a node configuration: nested too deep"
            raise ConfigError(f"{shown(path)}: {text}") from error
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            raise ConfigError(f"{shown(path)}: not a node configuration: {error}") from error

    def _check(self) -> None:
        """Raise ValueError for a value that would fail later, far from its cause."""
        for name in ("job_id", "execution_id", "node_id", "privacy_key"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be text")
        if not isinstance(self.labels, dict) or any(
            not isinstance(v, str) for v in self.labels.values()
        ):
            raise ValueError(f"labels is {self.labels!r}; it must map names to text")
        for known in dataclasses.fields(self.asset):
            value = getattr(self.asset, known.name)
            if known.name in _ASSET_NUMBERS and not (value is None or _is_number(value)):
                raise ValueError(f"asset.{known.name} is {value!r}; it must be a number")
            if known.name in _ASSET_TEXTS and not (value is None or isinstance(value, str)):
                raise ValueError(f"asset.{known.name} is {value!r}; it must be text")
        for name in ("turbine_id", "farm_id"):
            value = getattr(self, name)
            if problem := _name_problem(value) if isinstance(value, str) else "must be text":
                raise ValueError(
                    f"{name} is {value!r}, a part of object keys: it {problem}; choose another name"
                )
        for name, least in (("flush_every_s", 1), ("window_s", 1), ("allowed_lateness_s", 0)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise ValueError(f"{name} is {value!r}: whole seconds, {least} or more")
        try:
            bytes.fromhex(self.privacy_key)
        except ValueError:
            raise ValueError("privacy_key is not hexadecimal") from None


def _name_problem(name: str) -> str | None:
    """Return the rule that a name breaks, None if every reader finds objects of that name."""
    if not name or not name.isprintable():
        return "must be printable text, and not empty"
    if "/" in name or "\\" in name:
        return "must have no slash or backslash (DuckDB does not find such objects)"
    if name[0] in "._":
        return "must not begin with . or _ (Spark, Auto Loader and pyarrow ignore such objects)"
    if len(name.encode()) > MAX_NAME_BYTES:
        return f"must have at most {MAX_NAME_BYTES} bytes"
    if re.fullmatch(RETIRED_NAME.format(stem=".*", generation=r"\d+").removesuffix(".db"), name):
        return "must not look like the name of a retired file"
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
