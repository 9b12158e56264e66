"""The objects that a farm wrote, with the size and ETag of each: a list for the early oracle."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pipeline.ports import ObjectStore
from sim.check.read.lake import ObjectRef
from sim.forwarding import Forwarding, StoreCall

T = TypeVar("T")


class Written(Forwarding):
    """A store that remembers the last version that it wrote of each object."""

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self._versions: dict[tuple[str, str], tuple[int, str]] = {}

    def around(self, call: StoreCall, effect: Callable[[], T]) -> T:
        result = effect()
        if call.body is not None and isinstance(result, str):
            self._versions[call.bucket, call.key] = len(call.body), result.strip('"')
        return result

    def refs(self) -> list[ObjectRef]:
        """Return every object in its last version, sorted."""
        return [ObjectRef(*place, *self._versions[place]) for place in sorted(self._versions)]
