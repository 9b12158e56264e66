"""A store in front of another store, with one method through which every call goes.

    class Counting(Forwarding):
        def around(self, call, effect):
            self.calls += 1
            return effect()

A subclass overrides `around` and decides whether and when the call takes effect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeVar

from pipeline.ports import ObjectStore

T = TypeVar("T")
Verb = Literal["create", "replace", "get", "list"]


class StoreCall(NamedTuple):
    """One call of an object store.

    key: for `list`, the folder followed by the prefix of the name.
    body: for `create` and `replace`. etag: for `replace`, the version to replace.
    """

    verb: Verb
    bucket: str
    key: str
    body: bytes | None = None
    etag: str | None = None

    @property
    def kind(self) -> Literal["put", "get", "list"]:
        """The kind of operation: `create` and `replace` are both a PUT."""
        return self.verb if self.verb == "get" or self.verb == "list" else "put"


class Forwarding(ObjectStore):
    """An object store that forwards the four verbs through `around`.

    Safe to share between threads if the inner store and the override of `around` are.
    """

    def __init__(self, inner: ObjectStore) -> None:
        self._inner = inner

    def around(self, call: StoreCall, effect: Callable[[], T]) -> T:
        """Return the result of `effect`, which makes the call. Override this."""
        return effect()

    def create(self, bucket: str, key: str, body: bytes) -> str:
        call = StoreCall("create", bucket, key, body)
        return self.around(call, lambda: self._inner.create(bucket, key, body))

    def replace(self, bucket: str, key: str, body: bytes, etag: str) -> str:
        call = StoreCall("replace", bucket, key, body, etag)
        return self.around(call, lambda: self._inner.replace(bucket, key, body, etag))

    def get(self, bucket: str, key: str) -> tuple[bytes, str]:
        return self.around(StoreCall("get", bucket, key), lambda: self._inner.get(bucket, key))

    def list(self, bucket: str, folder: str, name_prefix: str) -> list[str]:
        call = StoreCall("list", bucket, folder + name_prefix)
        return self.around(call, lambda: self._inner.list(bucket, folder, name_prefix))
