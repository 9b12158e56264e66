"""junit.xml: the verdict for a build server (Jenkins, GitLab, GitHub).

Three suites:

- `verdict`: one case. An unknown verdict is an error, not a pass.
- `expectations`: one case each.
- `completeness`: one case per farm and stage. A failure lists the hours.

Not covered: times per case.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from sim.measure.thresholds import Outcome
from sim.report.numbers import count
from sim.report.result import WRONGS, HourCompleteness, Result

_HOURS_LISTED: Final = 50
# characters that are not legal in XML 1.0
_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class _Case:
    suite: str
    name: str
    tag: str | None = None  # failure | error; None: passed
    message: str = ""
    text: str = ""


def render(result: Result) -> str:
    """Return the document, with a newline at the end."""
    suites = {
        "verdict": [_verdict(result)],
        "expectations": [_expectation(result, outcome) for outcome in result.expectations],
        "completeness": _completeness(result.completeness),
    }
    root = ET.Element(
        "testsuites",
        _attributes(f"windfleet {result.scenario}", [c for s in suites.values() for c in s]),
    )
    for name, cases in suites.items():
        suite = ET.SubElement(root, "testsuite", _attributes(f"{result.scenario}.{name}", cases))
        for case in cases:
            classname = f"windfleet.{result.scenario}.{case.suite}"
            element = ET.SubElement(
                suite, "testcase", {"classname": _clean(classname), "name": _clean(case.name)}
            )
            if case.tag is not None:
                detail = ET.SubElement(
                    element, case.tag, {"message": _clean(case.message), "type": case.suite}
                )
                detail.text = _clean(case.text)
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _verdict(result: Result) -> _Case:
    name = f"{result.scenario}, seed {result.seed}"
    text = "\n".join(
        [*result.errors, f"{len(result.findings)} findings", f"replay: {result.run.replay}"]
    )
    if result.verdict == "pass":
        return _Case("verdict", name)
    tag = "failure" if result.verdict == "fail" else "error"
    return _Case(
        "verdict", name, tag, f"verdict {result.verdict}, exit code {result.exit_code}", text
    )


def _expectation(result: Result, outcome: Outcome) -> _Case:
    if outcome.passed:
        return _Case("expectations", outcome.text)
    if outcome.passed is None or outcome.value is None:
        return _Case(
            "expectations",
            outcome.text,
            "error",
            "the figure could not be determined",
            outcome.text,
        )
    message = f"the figure is {result.value_text(outcome)}"
    return _Case("expectations", outcome.text, "failure", message, f"{outcome.text}: {message}")


def _completeness(cells: tuple[HourCompleteness, ...]) -> list[_Case]:
    order = sorted(cells, key=lambda c: (c.farm, c.stage, c.hour))
    return [
        _farm_stage(f, s, list(group))
        for (f, s), group in groupby(order, key=lambda c: (c.farm, c.stage))
    ]


def _farm_stage(farm: str, stage: str, cells: list[HourCompleteness]) -> _Case:
    name = f"farm {farm}, {stage}"
    wrong = [cell for cell in cells if cell.wrong]
    if not wrong:
        return _Case("completeness", name)
    sums = {kind: sum(getattr(cell, kind) for cell in wrong) for kind in WRONGS}
    lines = [
        f"{c.hour}: {_kinds({k: getattr(c, k) for k in WRONGS})}" for c in wrong[:_HOURS_LISTED]
    ]
    if len(wrong) > _HOURS_LISTED:
        lines.append(f"and {len(wrong) - _HOURS_LISTED} more hours")
    return _Case("completeness", name, "failure", _kinds(sums), "\n".join(lines))


def _kinds(sums: dict[str, int]) -> str:
    return ", ".join(f"{count(value)} {kind}" for kind, value in sums.items() if value)


def _attributes(name: str, cases: list[_Case]) -> dict[str, str]:
    tags = [case.tag for case in cases]
    return {
        "name": _clean(name),
        "tests": str(len(tags)),
        "failures": str(tags.count("failure")),
        "errors": str(tags.count("error")),
    }


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
