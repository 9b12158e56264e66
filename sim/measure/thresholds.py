"""Thresholds: expectations such as `freshness.p99 <= 20m`, parsed from text and judged by figures.

    figure op value [unit]        op is one of == != < <= > >=

A figure with a dimension needs its unit (`20m`, `2 GB`, `5 USD`). A count needs a bare number or
its own unit. A share is 0.05 or 5%.

A figure that a run did not measure neither passes nor fails: `evaluate` returns None, and the
caller must treat that as an error.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sim.measure.figures import FIGURES
from sim.units import BYTES, SECOND_US, parse_duration, parse_number
from sim.yamlfile import suggestion

OPERATORS: Final[dict[str, Callable[[float, float], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_FORM: Final = re.compile(r"\s*([A-Za-z_][\w.]*)\s*([=!<>~]+)\s*(.*?)\s*")
_VALUE: Final = re.compile(r"([\d._]+(?:[eE][+-]?\d+)?)\s*(.*)")
THRESHOLD_PATTERN: Final = (
    rf"^\s*({'|'.join(re.escape(name) for name in FIGURES)})"
    r"\s*(==|!=|<=|>=|<|>)\s*[\d.][\w.]*\s*(?:%|[A-Za-z/]*)\s*$"
)


@dataclass(frozen=True)
class Expectation:
    """One threshold. `value` is in `unit`, the figure's own unit (seconds, bytes, ...)."""

    text: str
    figure: str
    op: str
    value: float
    unit: str


@dataclass(frozen=True)
class Outcome:
    """The outcome of one threshold. `passed` and `value` are None if there is no such figure."""

    text: str
    passed: bool | None
    value: float | None


def parse(text: str) -> Expectation:
    """Parse one threshold. Raises ValueError with one message that names the fix."""
    match = _FORM.fullmatch(text)
    if match is None or not match[3]:
        raise ValueError(
            f"'{text}' is not an expectation; write 'figure op value', for example rows.lost == 0"
        )
    figure, op, value = match.groups()
    if figure not in FIGURES:
        raise ValueError(f"unknown figure '{figure}'{_near(figure)}")
    if op not in OPERATORS:
        hint = "; did you mean '=='?" if op == "=" else ""
        raise ValueError(
            f"'{op}' is not a comparison{hint or '; use one of ' + ' '.join(OPERATORS)}"
        )
    unit = FIGURES[figure].unit
    return Expectation(" ".join(text.split()), figure, op, _value(figure, unit, value), unit)


def evaluate(expectations: Iterable[Expectation], figures: Mapping[str, float]) -> list[Outcome]:
    """Judge every expectation, in order.

    A figure that is absent or NaN is "not measured": `passed` is None.
    """
    outcomes = []
    for wanted in expectations:
        value = figures.get(wanted.figure)
        if value is None or math.isnan(value):
            outcomes.append(Outcome(wanted.text, None, None))
        else:
            outcomes.append(Outcome(wanted.text, OPERATORS[wanted.op](value, wanted.value), value))
    return outcomes


def _near(figure: str) -> str:
    """Return the figures that an unknown one may stand for, as the end of a message."""
    head = figure.partition(".")[0]
    word = f" {head}" if any(name.startswith(f"{head}.") for name in FIGURES) else ""
    near = suggestion(figure, FIGURES)
    return f"{near}{'' if near.endswith('?') else ';'} `windfleet figures{word}` lists them"


def _range(unit: str, text: str) -> str:
    """Return what a number must be: its range where one was written, else its unit."""
    if re.match(r"[-+.\d]", text):
        return f" from 0 to 1e99 in {unit}" if unit else " from 0 to 1e99"
    return f" of {unit}" if unit else ""


def _value(figure: str, unit: str, text: str) -> float:
    """Return the threshold's number in the figure's unit."""
    if unit == "s":
        try:
            return parse_duration(text.replace(" ", "")) / SECOND_US
        except ValueError as error:
            raise ValueError(f"{figure} is a time: {error}") from None
    match = _VALUE.fullmatch(text)
    try:
        number = float(parse_number(match[1] if match else text))
    except ValueError:
        raise ValueError(f"{figure} needs a number{_range(unit, text)}, not '{text}'") from None
    given = match[2] if match else ""
    if unit == "bytes":
        if given not in BYTES:
            raise ValueError(
                f"{figure} is in bytes: '{text}' needs one of the units {', '.join(BYTES)}"
            )
        return number * BYTES[given]
    if unit == "USD" and given == "":
        raise ValueError(f"{figure} is in US dollars: write {text} USD")
    if given == "%" and unit == "":
        return number / 100
    if given == "/s" and unit.endswith("/s"):
        return number
    if given not in ("", unit):
        raise ValueError(
            f"{figure} is in {unit}, not in '{given}'; write {match[1] if match else text} {unit}"
        )
    return number
