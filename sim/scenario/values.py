"""The types of a scenario's values.

Each parses a text, names the fix if it cannot, and has a JSON Schema for editors.

Not covered: the keys of a mapping (`sim.scenario.document`), rules between values (`rules`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from pipeline.records import CHANNEL_NAMES
from sim import units
from sim.chaos.faults import KINDS as DELIVERY_KINDS
from sim.chaos.operations import CALL_NAMES
from sim.load_schedule import KINDS as SCHEDULE_KINDS
from sim.measure.thresholds import THRESHOLD_PATTERN, Expectation
from sim.measure.thresholds import parse as parse_expectation
from sim.model.events import KINDS as EVENT_KINDS
from sim.model.faults.catalogue import KINDS as DATA_FAULT_KINDS
from sim.model.machine.components import COMPONENT_NAMES
from sim.units import (
    BIT_RATE_PATTERN,
    COUNT_PATTERN,
    DURATION_PATTERN,
    INSTANT_PATTERN,
    NUMBER_PATTERN,
    OFFSET_PATTERN,
    PER_SECOND_PATTERN,
    RATE_PATTERN,
    SHARE_PATTERN,
    SIGNED_PATTERN,
    SIZE_PATTERN,
    parse_bit_rate,
    parse_count,
    parse_duration,
    parse_instant,
    parse_number,
    parse_offset,
    parse_per_second,
    parse_rate,
    parse_share,
    parse_signed,
    parse_size,
)
from sim.yamlfile import suggestion

SCHEMA_VERSION: Final = 1
MAX_SEED: Final = 2**63 - 1


def _text(parse: Callable[[str], Any]) -> BeforeValidator:
    """Turn a text parser into a validator that rejects lists and mappings."""

    def read(value: object) -> Any:
        if not isinstance(value, str):
            raise ValueError("must be a single value, not a list or a mapping")
        return parse(value)

    return BeforeValidator(read)


def _positive(text: str) -> int:
    if (us := parse_duration(text)) == 0:
        raise ValueError(f"'{text}' is zero; it must be longer")
    return us


def _bandwidth(text: str) -> float:
    if (rate := parse_bit_rate(text)) == 0:
        raise ValueError(f"'{text}' carries nothing; write for example 10 Mbit/s or 256 kbit/s")
    return rate


def _seed(text: str) -> int:
    if (seed := parse_count(text)) > MAX_SEED:
        raise ValueError(f"'{text}' is too large; a seed is at most {MAX_SEED}")
    return seed


def _turbines(text: str) -> int:
    if (count := parse_count(text)) == 0:
        raise ValueError("'0' turbines cannot produce anything; write 1 or more")
    return count


def _version(text: str) -> int:
    if text != str(SCHEMA_VERSION):
        raise ValueError(
            f"'{text}' is not known to this version of windfleet; write {SCHEMA_VERSION}"
        )
    return SCHEMA_VERSION


NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""Pattern of a scenario's name, which becomes that of a folder."""


def _name(text: str) -> str:
    if not re.match(NAME, text):
        raise ValueError(
            f"'{text}' cannot name a folder; use up to 64 letters, digits, '.', '_' and '-'"
        )
    return text


def _word(text: str) -> str:
    if not text:
        raise ValueError("is an empty text")
    return text


_BUCKET = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"


def _bucket(text: str) -> str:
    if not re.match(_BUCKET, text):
        raise ValueError(
            f"'{text}' cannot name a bucket; S3 takes 3 to 63 of a-z, 0-9, '.' and '-'"
        )
    return text


def _delivery(text: str) -> str:
    if text in DATA_FAULT_KINDS:
        raise ValueError(f"{text} is a fault of the data; it belongs in data_faults")
    return _one_of("kind of fault", tuple(DELIVERY_KINDS))(text)


def _often(text: str) -> int:
    if (count := parse_count(text)) == 0:
        raise ValueError("'0' is none at all; write 1 or more, or remove the entry")
    return count


def _weight(text: str) -> float:
    try:
        return float(parse_number(text))
    except ValueError:
        raise ValueError(f"'{text}' is not a weight; write 0 or more, for example 90") from None


def _factor(text: str) -> float:
    if (factor := _weight(text)) == 0:
        raise ValueError("'0' stands still; write more than 0, for example 30")
    return factor


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"'{text}' is not known; write true or false")
    return text == "true"


def _one_of(noun: str, known: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in known:
            raise ValueError(f"unknown {noun} '{text}'{suggestion(text, known)}")
        return text

    return read


def _count_schema(**limits: int) -> WithJsonSchema:
    return WithJsonSchema(
        {"anyOf": [{"type": "integer", **limits}, {"type": "string", "pattern": COUNT_PATTERN}]}
    )


def _number_schema(**limits: int) -> WithJsonSchema:
    return WithJsonSchema(
        {"anyOf": [{"type": "number", **limits}, {"type": "string", "pattern": NUMBER_PATTERN}]}
    )


def _kinds_schema(texts: Mapping[str, str]) -> WithJsonSchema:
    """Return the kinds of a catalogue with a text each, which editors show beside the name."""
    return WithJsonSchema({"enum": list(texts), "enumDescriptions": list(texts.values())})


def _text_schema(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern})


Duration = Annotated[
    int, _text(parse_duration), WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN})
]
LongDuration = Annotated[
    int, _text(_positive), WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN})
]
Instant = Annotated[datetime, _text(parse_instant), _text_schema(INSTANT_PATTERN)]
Offset = Annotated[int, _text(parse_offset), _text_schema(OFFSET_PATTERN)]
Rate = Annotated[units.Rate, _text(parse_rate), _text_schema(RATE_PATTERN)]
BitRate = Annotated[float, _text(_bandwidth), _text_schema(BIT_RATE_PATTERN)]
Seed = Annotated[int, _text(_seed), _count_schema(minimum=0, maximum=MAX_SEED)]
Turbines = Annotated[int, _text(_turbines), _count_schema(minimum=1)]
Version = Annotated[int, _text(_version), WithJsonSchema({"const": SCHEMA_VERSION})]
Name = Annotated[str, _text(_name), _text_schema(NAME)]
Word = Annotated[str, _text(_word), WithJsonSchema({"type": "string", "minLength": 1})]
Channel = Annotated[
    str, _text(_one_of("channel", CHANNEL_NAMES)), WithJsonSchema({"enum": list(CHANNEL_NAMES)})
]
FaultKind = Annotated[
    str,
    _text(_one_of("kind of data fault", tuple(DATA_FAULT_KINDS))),
    _kinds_schema({name: kind.text for name, kind in DATA_FAULT_KINDS.items()}),
]
EventKind = Annotated[
    str,
    _text(_one_of("kind of event", tuple(EVENT_KINDS))),
    _kinds_schema({name: kind.text for name, kind in EVENT_KINDS.items()}),
]
FleetCut = Annotated[
    str,
    _text(_one_of("cut of a fleet", ("first", "block"))),
    WithJsonSchema({"enum": ["first", "block"]}),
]
ComponentName = Annotated[
    str,
    _text(_one_of("component", COMPONENT_NAMES)),
    WithJsonSchema({"enum": list(COMPONENT_NAMES)}),
]
Signed = Annotated[
    float,
    _text(parse_signed),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": SIGNED_PATTERN}]}),
]
DeliveryKind = Annotated[
    str, _text(_delivery), _kinds_schema({name: kind.text for name, kind in DELIVERY_KINDS.items()})
]
BucketName = Annotated[str, _text(_bucket), _text_schema(_BUCKET)]
CallName = Annotated[
    str, _text(_one_of("call", CALL_NAMES)), WithJsonSchema({"enum": list(CALL_NAMES)})
]
Share = Annotated[
    float,
    _text(parse_share),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
                {"type": "string", "pattern": SHARE_PATTERN},
            ]
        }
    ),
]
Often = Annotated[int, _text(_often), _count_schema(minimum=1)]
Threshold = Annotated[Expectation, _text(parse_expectation), _text_schema(THRESHOLD_PATTERN)]


PerSecond = Annotated[float, _text(parse_per_second), _text_schema(PER_SECOND_PATTERN)]
Size = Annotated[int, _text(parse_size), _text_schema(SIZE_PATTERN)]
Weight = Annotated[float, _text(_weight), _number_schema(minimum=0)]
Factor = Annotated[float, _text(_factor), _number_schema(exclusiveMinimum=0)]
Flag = Annotated[bool, _text(_flag), WithJsonSchema({"type": "boolean"})]
ScheduleKindName = Annotated[
    str,
    _text(_one_of("kind of schedule", tuple(SCHEDULE_KINDS))),
    WithJsonSchema({"enum": list(SCHEDULE_KINDS)}),
]


class Section(BaseModel):
    """A mapping of a scenario. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)
