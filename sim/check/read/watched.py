"""A reader that also passes contents to a function, so that no object is fetched twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sim.check.read.lake import ObjectRef, Reads

_BATCH_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Watched:
    """A reader that passes objects and contents to `show`, in groups of about 1 MiB."""

    show: Callable[[Sequence[ObjectRef], Sequence[bytes]], None]
    reader: Reads

    def read(self, refs: Iterable[ObjectRef]) -> Iterator[bytes | None]:
        """See `sim.check.read.lake.Reads`."""
        refs = list(refs)
        seen: list[ObjectRef] = []
        contents: list[bytes] = []
        size = 0
        for ref, content in zip(refs, self.reader.read(refs), strict=True):
            if content is not None:
                seen.append(ref)
                contents.append(content)
                size += len(content)
            if size > _BATCH_BYTES:
                self.show(seen, contents)
                seen, contents, size = [], [], 0
            yield content
        self.show(seen, contents)
