"""The JSON Schema of a scenario, with which editors complete and check a file while it is written.

    python -m sim.scenario.schema          writes scenarios/scenario.schema.json

A test checks that the file is current. The schema is made from the models of `document`: the same
keys, patterns and descriptions, and a text for each kind of a catalogue. Not covered: rules between
values. Only the loader checks those.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from pipeline.records import BUCKET_NAMES
from sim.chaos.faults import KINDS as DELIVERY_KINDS
from sim.chaos.faults import Kind
from sim.load_schedule import KINDS as SCHEDULE_KINDS
from sim.load_schedule import ScheduleKind
from sim.model.events import KINDS as EVENT_KINDS
from sim.model.faults.catalogue import KINDS as DATA_FAULT_KINDS
from sim.scenario import delivery_faults, events
from sim.scenario.document import Document
from sim.scenario.load_section.rules import SETTINGS

SCHEMA_FILE: Final = Path(__file__).parents[2] / "scenarios" / "scenario.schema.json"


class _Generator(GenerateJsonSchema):
    """A generator that adds no titles and no null: an absent key is left out, not empty."""

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
    """Return the JSON Schema, draft 2020-12."""
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
    # a scenario that extends another may inherit them
    schema["if"], schema["then"] = {"not": {"required": ["extends"]}}, whole
    clock["not"] = {"required": ["duration", "end"]}
    fault["allOf"] = [_data_fault(name) for name in DATA_FAULT_KINDS]
    parts["EventChoice"]["allOf"] = [_event(name) for name in EVENT_KINDS]
    lake = {"properties": {"buckets": {"items": {"enum": list(BUCKET_NAMES)}}}}
    parts["FaultChoice"]["allOf"] = [_delivery(kind) for kind in DELIVERY_KINDS.values()]
    parts["FaultChoice"]["allOf"].append({"if": {"not": {"required": ["calls"]}}, "then": lake})
    parts["EntryChoice"]["allOf"] = [_entry(kind) for kind in SCHEDULE_KINDS.values()]
    slo = parts["SearchChoice"]["properties"]["slo"]
    several = {key: slo.pop(key) for key in ("type", "items", "minItems")}
    slo["anyOf"] = [several["items"], several]  # one may stand without a list
    schema["title"] = "windfleet scenario"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _data_fault(name: str) -> dict[str, Any]:
    """Return the settings that a data fault of one kind may and must have."""
    kind = DATA_FAULT_KINDS[name]
    then: dict[str, Any] = {key: False for key, has in kind.takes.items() if not has}
    if kind.channels:
        then["channels"] = {"items": {"enum": list(kind.channels)}}
    must = ["rate"] if kind.takes["rate"] else []
    return {
        "if": {"properties": {"kind": {"const": name}}},
        "then": {"properties": then, "required": must},
    }


def _event(name: str) -> dict[str, Any]:
    """Return the settings that an event of one kind may and must have."""
    kind = EVENT_KINDS[name]
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
    """Return the settings that a delivery fault of one kind may and must have."""
    settings: dict[str, Any] = {
        key: False for key, has in delivery_faults.takes(kind).items() if not has
    }
    if "at" not in settings:
        settings["at"] = {"items": {"enum": list(delivery_faults.points(kind))}}
    if "calls" not in settings:
        settings["calls"] = {"items": {"enum": list(delivery_faults.calls(kind))}}
    must = ["from", "for"] if kind.windowed else []
    must += ["buckets"] if kind.name == "bucket.refuses" else []
    then = {"properties": settings, "required": must, "not": {"required": ["at", "calls"]}}
    return {"if": {"properties": {"kind": {"const": kind.name}}}, "then": then}


def _entry(kind: ScheduleKind) -> dict[str, Any]:
    """Return the settings that a schedule entry of one kind may and must have."""
    settings: dict[str, Any] = {
        key: False for key in SETTINGS if key not in (*kind.needs, *kind.may)
    }
    then = {"properties": settings, "required": list(kind.needs)}
    return {"if": {"properties": {"kind": {"const": kind.name}}}, "then": then}


def text() -> str:
    """Return the content of the schema file."""
    return json.dumps(make(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(text(), encoding="utf-8")
    print(f"wrote {SCHEMA_FILE}")
