"""The JSON Schema of a scenario, so that editors complete and check while one is written.

    python -m sim.scenario.schema          writes scenarios/scenario.schema.json (a test checks that it is current)

Made from the models of `document`: same keys, same patterns, same descriptions, and what each kind of a catalogue is.
It sees one value at a time, as the models do; rules between values are only checked by the loader.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from pipeline.records import BUCKET_NAMES
from sim.chaos.faults import KINDS as DELIVERY
from sim.chaos.faults import Kind
from sim.load_schedule import KINDS as SCHEDULES
from sim.load_schedule import ScheduleKind
from sim.model.events import KINDS as EVENTS
from sim.model.faults import KINDS
from sim.scenario import delivery_faults, events
from sim.scenario.document import Document
from sim.scenario.load_section.rules import SETTINGS

SCHEMA_FILE: Final = Path(__file__).parents[2] / "scenarios" / "scenario.schema.json"


class _Generator(GenerateJsonSchema):
    """Without titles on keys, and without null: a key that is absent is left out, not empty."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> dict[str, Any]:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> dict[str, Any]:
        made = super().default_schema(schema)
        if made.get("default", ...) is None:
            del made["default"]
        return made


def make() -> dict[str, Any]:
    """The JSON Schema, draft 2020-12."""
    schema = Document.model_json_schema(schema_generator=_Generator)
    parts = schema["$defs"]
    fleet, clock, fault = parts["FleetChoice"], parts["ClockChoice"], parts["DataFaultChoice"]
    schema["properties"]["fleet"] = {
        "description": fleet["description"],
        "default": "full",
        "anyOf": [fleet["properties"]["preset"], {"$ref": "#/$defs/FleetChoice"}],
    }
    whole = {
        "required": schema.pop("required"),
        "properties": {"clock": {"required": clock.pop("required")}},
    }
    whole["properties"]["clock"]["anyOf"] = [{"required": ["duration"]}, {"required": ["end"]}]
    schema["if"], schema["then"] = (
        {"not": {"required": ["extends"]}},
        whole,
    )  # the rest may be inherited
    clock["not"] = {"required": ["duration", "end"]}
    fault["allOf"] = [_kind(name) for name in KINDS]
    parts["EventChoice"]["allOf"] = [_event(name) for name in EVENTS]
    ours = {"properties": {"buckets": {"items": {"enum": list(BUCKET_NAMES)}}}}
    parts["FaultChoice"]["allOf"] = [_delivery(kind) for kind in DELIVERY.values()]
    parts["FaultChoice"]["allOf"].append({"if": {"not": {"required": ["calls"]}}, "then": ours})
    parts["EntryChoice"]["allOf"] = [_entry(kind) for kind in SCHEDULES.values()]
    slo = parts["SearchChoice"]["properties"]["slo"]
    several = {key: slo.pop(key) for key in ("type", "items", "minItems")}
    slo["anyOf"] = [several["items"], several]  # one may stand alone
    schema["title"] = "windfleet scenario"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _kind(name: str) -> dict[str, Any]:
    """What a data fault of one kind may say."""
    kind = KINDS[name]
    then: dict[str, Any] = {key: False for key, has in kind.takes.items() if not has}
    if kind.channels:
        then["channels"] = {"items": {"enum": list(kind.channels)}}
    must = ["rate"] if kind.takes["rate"] else []
    return {
        "if": {"properties": {"kind": {"const": name}}},
        "then": {"properties": then, "required": must},
    }


def _event(name: str) -> dict[str, Any]:
    """What an event of one kind may say, and must."""
    kind = EVENTS[name]
    then: dict[str, Any] = {key: False for key, has in events.takes(kind).items() if not has}
    if kind.size is not None:
        least, most, _, unit = kind.size
        then["size"] = {"minimum": least, "maximum": most, "description": unit}
    must = [key for key in events.NEEDS if key not in then]
    return {
        "if": {"properties": {"kind": {"const": name}}},
        "then": {"properties": then, "required": must},
    }


def _delivery(kind: Kind) -> dict[str, Any]:
    """What a delivery fault of one kind may say, and must."""
    settings: dict[str, Any] = {
        key: False for key, has in delivery_faults.takes(kind).items() if not has
    }
    if "at" not in settings:
        settings["at"] = {"items": {"enum": list(delivery_faults.places(kind))}}
    if "calls" not in settings:
        settings["calls"] = {"items": {"enum": list(delivery_faults.calls(kind))}}
    must = ["from", "for"] if kind.windowed else []
    must += ["buckets"] if kind.name == "bucket.refuses" else []
    then = {"properties": settings, "required": must, "not": {"required": ["at", "calls"]}}
    return {"if": {"properties": {"kind": {"const": kind.name}}}, "then": then}


def _entry(kind: ScheduleKind) -> dict[str, Any]:
    """What a schedule entry of one kind may say, and must."""
    settings: dict[str, Any] = {
        key: False for key in SETTINGS if key not in (*kind.needs, *kind.may)
    }
    then = {"properties": settings, "required": list(kind.needs)}
    return {"if": {"properties": {"kind": {"const": kind.name}}}, "then": then}


def text() -> str:
    """What the file holds."""
    return json.dumps(make(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(text(), encoding="utf-8")
    print(f"wrote {SCHEMA_FILE}")
