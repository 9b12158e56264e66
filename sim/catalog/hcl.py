"""HCL text in the layout of `terraform fmt`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Raw:
    """An expression, written as it is."""

    text: str


@dataclass(frozen=True)
class Block:
    """A block. items: (name, value) of an attribute, a Block, or a str for a comment."""

    kind: str
    labels: tuple[str, ...]
    items: tuple[tuple[str, object] | Block | str, ...]


def block(kind: str, *labels: str, items: Sequence[tuple[str, object] | Block | str]) -> Block:
    """Return a block."""
    return Block(kind, labels, tuple(items))


def text(blocks: Sequence[Block]) -> str:
    """Return a file of blocks."""
    return "\n".join("\n".join(_block(each, "")) + "\n" for each in blocks)


def string(value: str) -> str:
    """Return a quoted string. `${` and `%{` in it stay text."""
    plain = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + plain.replace("${", "$${").replace("%{", "%%{") + '"'


def _block(each: Block, indent: str) -> list[str]:
    labels = "".join(f" {string(label)}" for label in each.labels)
    lines = [f"{indent}{each.kind}{labels} {{"]
    inner = indent + "  "
    group: list[tuple[str, str]] = []
    for number, item in enumerate(each.items):
        if isinstance(item, tuple):
            value = _value(item[1], inner)
            group.append((item[0], value))
            if "\n" not in value:
                continue
        lines += _aligned(group, inner)
        group = []
        if not isinstance(item, tuple):
            commented = number and isinstance(each.items[number - 1], str)
            lines += [""] if number and not commented else []
            lines += [f"{inner}# {item}"] if isinstance(item, str) else _block(item, inner)
    lines += _aligned(group, inner)
    return [*lines, f"{indent}}}"]


def _aligned(group: Sequence[tuple[str, str]], indent: str) -> list[str]:
    """Return attributes with their equal signs in one column; one of several lines stands apart."""
    plain = [name for name, value in group if "\n" not in value]
    width = max(map(len, plain), default=0)
    return [
        f"{indent}{name if chr(10) in value else name.ljust(width)} = {value}"
        for name, value in group
    ]


def _value(value: object, indent: str) -> str:
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return string(value)
    if isinstance(value, Mapping):
        inner = indent + "  "
        pairs = [(str(name), _value(each, inner)) for name, each in value.items()]
        return "\n".join(["{", *_aligned(pairs, inner), f"{indent}}}"])
    if isinstance(value, Sequence):
        inner = indent + "  "
        flat = "[" + ", ".join(_value(each, inner) for each in value) + "]"
        if len(value) <= 1 and "\n" not in flat:
            return flat
        return "\n".join(["[", *(f"{inner}{_value(each, inner)}," for each in value), f"{indent}]"])
    raise TypeError(type(value))
