"""A Terraform module read by python-hcl2: its blocks, references and values. A tool of tests.

`ARGUMENTS` is what the documentation of Terraform and of its provider aws says of the blocks that
the catalogue uses: arguments with their types, and nested blocks. They were compared once with the
schema of provider aws 6.25.0. Not covered: everything else of the provider, such as conflicts
between arguments.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import hcl2

_WORDS = {"string": str, "list": list, "map": dict, "bool": bool, "number": int, "type": str}
"""Types of ARGUMENTS; an expression may stand for any of them."""
_STATEMENT = {
    "sid": "string",
    "actions": "list",
    "resources": "list",
    "principals": {"type": "string", "identifiers": "list"},
    "condition": {"test": "string", "variable": "string", "values": "list"},
}
_SIZES = {
    "prefix": "string",
    "object_size_greater_than": "number",
    "object_size_less_than": "number",
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "terraform": {"required_version": "string", "required_providers": {"aws": "map"}},
    "provider.aws": {"region": "string", "allowed_account_ids": "list"},
    "variable": {"description": "string", "type": "type", "default": "string"},
    "output": {"description": "string", "value": "any"},
    "resource.aws_s3_bucket": {"bucket": "string", "lifecycle": {"prevent_destroy": "bool"}},
    "resource.aws_s3_bucket_public_access_block": {
        "bucket": "string",
        "block_public_acls": "bool",
        "block_public_policy": "bool",
        "ignore_public_acls": "bool",
        "restrict_public_buckets": "bool",
    },
    "resource.aws_s3_bucket_lifecycle_configuration": {
        "bucket": "string",
        "rule": {
            "id": "string",
            "status": "string",
            "filter": {**_SIZES, "and": _SIZES},
            "transition": {"days": "number", "storage_class": "string"},
            "expiration": {"days": "number"},
            "noncurrent_version_expiration": {"noncurrent_days": "number"},
            "abort_incomplete_multipart_upload": {"days_after_initiation": "number"},
        },
    },
    "resource.aws_iam_role": {
        "name": "string",
        "path": "string",
        "assume_role_policy": "string",
    },
    "resource.aws_iam_role_policy": {"name": "string", "role": "string", "policy": "string"},
    "data.aws_partition": {},
    "data.aws_iam_policy_document": {"statement": _STATEMENT},
}
ATTRIBUTES = {
    "aws_s3_bucket": {"id", "arn", "bucket"},
    "aws_iam_role": {"id", "arn"},
    "data.aws_iam_policy_document": {"json"},
    "data.aws_partition": {"partition"},
}
"""Attributes that other blocks read."""
_REFERENCE = re.compile(
    r"\b(var|local|data\.aws_\w+|aws_\w+)\.(\w+)(?:\.(\w+))?",
)


class Module:
    """The blocks of all files. blocks: `resource.aws_s3_bucket.ingestion` -> body."""

    def __init__(self, files: Mapping[str, str]) -> None:
        """Raises hcl2's errors for a file that is not HCL."""
        self.blocks: dict[str, dict[str, Any]] = {}
        self.locals: dict[str, Any] = {}
        for path, text in files.items():
            if path.endswith(".tf"):
                self._read(path, _document(text))

    def _read(self, path: str, document: Mapping[str, Any]) -> None:
        for kind, bodies in _plain(document).items():
            for body in bodies:
                if kind == "locals":
                    self.locals.update(body)
                    continue
                for name, inner in _labelled(kind, body):
                    assert name not in self.blocks, f"{path}: {name} stands twice"
                    self.blocks[name] = inner

    def references(self) -> Iterator[tuple[str, str]]:
        """Yield (block, reference) of every reference in an expression."""
        for name, body in [*self.blocks.items(), ("locals", self.locals)]:
            if name.startswith("variable"):
                continue  # its type is a word, not a reference
            for expression in _expressions(body):
                for found in _REFERENCE.finditer(expression):
                    yield name, found[0]

    def value(self, thing: Any) -> Any:
        """Return a body or an expression with its references replaced by values."""
        if isinstance(thing, dict):
            return {key: self.value(each) for key, each in thing.items()}
        if isinstance(thing, list):
            return [self.value(each) for each in thing]
        if not isinstance(thing, str):
            return thing
        whole = re.fullmatch(r"\$\{([^{}]+)\}", thing)
        if whole:
            return self._looked_up(whole[1])
        if not (thing.startswith('"') and thing.endswith('"')):
            return thing
        return re.sub(r"\$\{([^{}]+)\}", lambda found: self._looked_up(found[1]), thing[1:-1])

    def _looked_up(self, reference: str) -> Any:
        parts = reference.split(".")
        if parts[0] == "var":
            return self.value(self.blocks[f"variable.{parts[1]}"]["default"])
        if parts[0] == "local":
            return self.value(self.locals[parts[1]])
        if reference == "data.aws_partition.current.partition":
            return "aws"
        if parts[0] == "aws_s3_bucket":
            name = self.value(self.blocks[f"resource.{'.'.join(parts[:2])}"]["bucket"])
            return f"arn:aws:s3:::{name}" if parts[2] == "arn" else name
        return reference


def require_references(module: Module) -> None:
    """Demand that each reference leads to a block, and to an attribute of it."""
    for block, reference in module.references():
        found = _REFERENCE.fullmatch(reference)
        assert found is not None
        kind, name, attribute = found.groups()
        if kind == "var":
            assert f"variable.{name}" in module.blocks, f"{block}: {reference}"
        elif kind == "local":
            assert name in module.locals, f"{block}: {reference}"
        else:
            full = kind if kind.startswith("data.") else f"resource.{kind}"
            assert f"{full}.{name}" in module.blocks, f"{block}: {reference}"
            assert attribute in ATTRIBUTES[kind], f"{block}: {reference}"
    used = {reference for _, reference in module.references()}
    for name in module.blocks:
        if name.startswith("variable."):
            assert f"var.{name.partition('.')[2]}" in used, f"{name} is not used"


def require_arguments(module: Module) -> None:
    """Demand that each block has arguments of ARGUMENTS only, each of its type."""
    for name, body in module.blocks.items():
        kinds = [kind for kind in ARGUMENTS if name == kind or name.startswith(f"{kind}.")]
        assert kinds, f"unknown block {name}"
        _require(name, body, ARGUMENTS[max(kinds, key=len)])


def _require(place: str, body: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for key, value in body.items():
        assert key in known, f"{place}: no argument {key}"
        kind = known[key]
        if isinstance(kind, dict):
            assert isinstance(value, list), f"{place}.{key} is a block"
            for each in value:
                _require(f"{place}.{key}", each, kind)
        elif kind != "any" and not (isinstance(value, str) and value.startswith("${")):
            right = type(value) is _WORDS[kind]
            quoted = kind != "string" or str(value).startswith('"')
            assert (right, quoted) == (True, True), f"{place}.{key}: {value!r} is no {kind}"


@functools.cache
def _document(text: str) -> dict[str, Any]:
    """Parse a file once; it takes half a second of CPU."""
    return hcl2.loads(text)


def _labelled(kind: str, body: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a block by its kind and labels: the keys in quotes."""
    labels = [key for key in body if key.startswith('"')]
    if not labels:
        yield kind, dict(body)
    for label in labels:
        yield from _labelled(f"{kind}.{label[1:-1]}", body[label])


def _plain(thing: Any) -> Any:
    """Return a document without the marks that hcl2 adds."""
    if isinstance(thing, dict):
        return {key: _plain(each) for key, each in thing.items() if not key.startswith("__")}
    return [_plain(each) for each in thing] if isinstance(thing, list) else thing


def _expressions(thing: Any) -> Iterator[str]:
    if isinstance(thing, dict):
        for each in thing.values():
            yield from _expressions(each)
    elif isinstance(thing, list):
        for each in thing:
            yield from _expressions(each)
    elif isinstance(thing, str):
        yield from re.findall(r"\$\{([^{}]+)\}", thing)
