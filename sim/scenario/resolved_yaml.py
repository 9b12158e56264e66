"""The resolved scenario as YAML text, kept with a run. Every scalar stays as it was written."""

from __future__ import annotations

import io
from typing import Any

from yaml.emitter import Emitter
from yaml.representer import SafeRepresenter
from yaml.resolver import BaseResolver
from yaml.serializer import Serializer

from sim.scenario.document import Document


class _Dumper(Emitter, Serializer, SafeRepresenter, BaseResolver):
    """PyYAML without types: every scalar is plain where the grammar of YAML allows it."""

    def __init__(self, stream: Any) -> None:
        Emitter.__init__(self, stream, width=120, allow_unicode=True)
        Serializer.__init__(self)
        SafeRepresenter.__init__(self, default_flow_style=False, sort_keys=False)
        BaseResolver.__init__(self)


def write(data: dict[str, Any]) -> str:
    """Return the scenario as YAML, with the keys in the order of the schema."""
    ordered = {
        name: data[name] for name in Document.model_fields if name in data and name != "extends"
    }
    stream = io.StringIO()
    dumper = _Dumper(stream)
    dumper.open()
    dumper.represent(ordered)
    dumper.close()
    return stream.getvalue()
