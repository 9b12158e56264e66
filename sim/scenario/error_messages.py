"""pydantic's errors in the user's words, each at its place in the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sim import yamlfile
from sim.scenario.document import Document
from sim.yamlfile import Node, Place, Problem, Scalar, suggestion

Path = tuple[str | int, ...]
_SHAPES: Final = {
    "model_type": "a mapping of keys to values",
    "tuple_type": "a list, such as [a, b]",
}


def translate(tree: yamlfile.Mapping, error: Mapping[str, Any]) -> Problem | None:
    """Translate one of pydantic's errors; None if it only follows from another."""
    loc: Path = error["loc"]
    kind, above = error["type"], loc[:-1]
    inside = f"in {name(above)}" if above else "at the top level"
    if kind == "extra_forbidden":
        hint = suggestion(str(loc[-1]), fields(_model_at(above)))
        other = next(
            (section for section, model in _sections() if str(loc[-1]) in fields(model)), None
        )
        if other is not None and "did you mean" not in hint:
            hint = f"; it belongs in {other}"
        return Problem.at(place(tree, loc, key=True), f"unknown key '{loc[-1]}' {inside}{hint}")
    if kind == "missing":
        examples = fields(_model_at(above))[str(loc[-1])].examples
        hint = f"; add for example '{loc[-1]}: {examples[0]}'" if examples else ""
        return Problem.at(place(tree, above), f"missing key '{loc[-1]}' {inside}{hint}")
    if kind in _SHAPES:
        return Problem.at(place(tree, loc), f"{name(loc)}: must be {_SHAPES[kind]}")
    if kind == "too_short":
        if error["input"]:
            return None  # it has entries, and each has an error of its own
        return Problem.at(
            place(tree, loc), f"{name(loc)}: is empty; name at least one, or remove the key for all"
        )
    return Problem.at(
        place(tree, loc), f"{name(loc)}: {error['msg'].removeprefix('Value error, ')}"
    )


def _sections() -> Iterator[tuple[str, type[BaseModel]]]:
    for section, field in Document.model_fields.items():
        if (model := model_of(field)) is not None:
            yield section, model


def _model_at(loc: Path) -> type[BaseModel]:
    model: type[BaseModel] = Document
    for step in loc:
        if isinstance(step, str):
            model = model_of(fields(model)[step]) or model
    return model


def fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return a model's fields by the keys that a user writes."""
    return {field.alias or key: field for key, field in model.model_fields.items()}


def model_of(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model of a field, or of the entries of a list."""
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def empty(node: Node, at: Path = ()) -> Iterator[Path]:
    """Yield the paths of all keys and entries without a value."""
    if isinstance(node, Scalar):
        if node.empty:
            yield at
        return
    below = node.entries.items() if isinstance(node, yamlfile.Mapping) else enumerate(node.items)
    for step, child in below:
        yield from empty(child, (*at, step))


def place(tree: Node, path: Path, key: bool = False) -> Place:
    """Return the place of the value at the path (or of its key).

    If that is not written in the file, the place of the nearest node above it.
    """
    node = tree
    for depth, step in enumerate(path, 1):
        if isinstance(node, yamlfile.Mapping) and isinstance(step, str) and step in node.entries:
            if key and depth == len(path):
                return node.keys[step]
            node = node.entries[step]
        elif (
            isinstance(node, yamlfile.Sequence) and isinstance(step, int) and step < len(node.items)
        ):
            node = node.items[step]
        else:
            break
    return node.place


def name(path: Path) -> str:
    """Return a path as a user writes it: `data_faults[0].rate`."""
    return "".join(
        f"[{step}]" if isinstance(step, int) else f".{step}" for step in path
    ).removeprefix(".")
