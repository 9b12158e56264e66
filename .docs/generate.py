"""The pages of the docs site as Markdown: `python .docs/generate.py FOLDER`, from the root.

README, changelog, the guides of `.docs/pages` and `tests/README.md` are taken as they are, with
their links pointed at each other. Reference pages come from the program: the parser's options,
`scenarios/_base.yaml`, the catalogues of figures and faults, exit codes, and docstrings.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, get_args

import sim.api
import sim.errors
import sim.report.result
from pipeline.retry import Operation
from sim.arguments import program
from sim.demo import dictionary
from sim.help import EXAMPLES
from sim.listing.faults import SECTIONS, faults
from sim.measure.figures import FIGURES, Kind
from sim.measure.operations import SCHEMA
from sim.report.terms import TERMS

ROOT: Final = Path(__file__).resolve().parents[1]
GUIDES: Final = ".docs/pages"
GLOSSARY: Final = f"{GUIDES}/glossary.md"
PLACES: Final = {
    "README.md": "index.md",
    "CHANGELOG.md": "reference/changelog.md",
    "tests/README.md": "reference/tests.md",
}
"""Markdown file of the repository -> page of the site. A guide keeps its name."""
NAVIGATION: Final = """
```{toctree}
:caption: Guides
:hidden:
:glob:

pages/*
```

```{toctree}
:caption: Reference
:hidden:

%s
```
"""
SCENARIO: Final = """\
Every key of a scenario, from `scenarios/_base.yaml`. An editor completes and checks a scenario by
`scenarios/scenario.schema.json`; `windfleet check` checks it by all rules. The kinds of
[events and faults](faults.md) and the [figures](figures.md) have pages of their own."""
EXPECT: Final = """\
The numbers that a run may report. `expect` of a scenario can name each of them, as in
`rows.lost == 0` or `freshness.p99 <= 20m`."""
RUN_FILES: Final = """\
A run directory has its verdict and all figures in `result.json`, made of the records below, and the
raw record in `operations.parquet`, from which the report is made."""
KEY: Final = re.compile(r"(# )?[a-z_]+:")
"""First line of a key in `_base.yaml`. A key without a default stands in a comment."""
LINK: Final = re.compile(r"(\]\()([^)#\s]+)((?:#[^)\s]*)?\))")


def page_of(file: str) -> str:
    """Return the page of a Markdown file or picture. Raises KeyError if it has none."""
    if file.startswith(f"{GUIDES}/") and (ROOT / file).is_file():
        return file.removeprefix(".docs/")
    return PLACES[file]


def with_links(text: str, file: str) -> str:
    """Point the relative links of a file at the pages of the site. Raises SystemExit."""

    def pointed(match: re.Match[str]) -> str:
        if re.match(r"[a-z]+:", match[2]):
            return match[0]
        target = os.path.normpath(Path(file).parent / match[2])
        try:
            there = page_of(target)
        except KeyError:
            sys.exit(f"{file}: the link to {match[2]} leads to no page of the docs site")
        return f"{match[1]}{os.path.relpath(there, Path(page_of(file)).parent)}{match[3]}"

    return LINK.sub(pointed, text)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown. The cells are Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    cells = [[cell.replace("|", r"\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def plain(text: str) -> str:
    """Return plain text as Markdown."""
    return re.sub(r"([<*_])", r"\\\1", text)


def block(language: str, text: str) -> str:
    return f"```{language}\n{text.strip()}\n```"


# the reference pages


def commands() -> str:
    """Each command with its options in groups and its examples, from the parser."""
    parser = program()
    parts = ["# Commands", plain(str(parser.description)), block("text", parser.format_usage())]
    for name, command in parser.commands().items():
        parts += [f"## {name}", plain(str(command.description))]
        parts.append(block("sh", "\n".join(f"windfleet {line}" for line in EXAMPLES[name])))
        parts += options(command)
    return "\n\n".join(parts)


def options(parser: argparse.ArgumentParser) -> Iterable[str]:
    """Yield the groups of a command's arguments, each as a table."""
    formatter = argparse.HelpFormatter("windfleet")
    for group in parser._action_groups:
        rows = []
        for action in group._group_actions:
            if action.help not in (None, argparse.SUPPRESS) and action.dest != "help":
                name = formatter._format_action_invocation(action)
                rows.append((f"`{name}`", plain(formatter._expand_help(action))))
        if rows:
            yield table((str(group.title), ""), rows)


def scenario() -> str:
    """`scenarios/_base.yaml`, a heading for each key."""
    _, *sections = (ROOT / "scenarios" / "_base.yaml").read_text(encoding="utf-8").split("\n\n")
    parts = ["# Scenario reference", SCENARIO]
    for section in sections:
        lines = section.splitlines()
        keys = [number for number, line in enumerate(lines) if KEY.match(line)]
        prose = " ".join(line.removeprefix("# ") for line in lines[: keys[0]])
        name = lines[keys[0]].removeprefix("# ").partition(":")[0]
        parts += [f"## {name}", plain(prose), block("yaml", "\n".join(lines[keys[0] :]))]
    return "\n\n".join(parts)


def figure_tables() -> str:
    """All figures, a table for each first word of their names."""
    kinds = [(f"*{kind}*", plain(TERMS[kind])) for kind in get_args(Kind)]
    parts = ["# Figures", EXPECT, table(("kind", "meaning"), kinds)]
    for group in sorted({name.partition(".")[0] for name in FIGURES}):
        rows = [
            (f"`{name}`", figure.unit, figure.kind, plain(figure.description))
            for name, figure in sorted(FIGURES.items())
            if name.partition(".")[0] == group
        ]
        parts += [f"## {group}", table(("figure", "unit", "kind", "meaning"), rows)]
    return "\n\n".join(parts)


def fault_kinds() -> str:
    """Each kind of event and fault, with its settings and an example."""
    parts = ["# Events and faults"]
    for section, text in SECTIONS.items():
        parts += [f"## {section}", f"{text[0].upper()}{text[1:]}."]
        for kind in faults(None):
            if kind.section == section:
                settings = ", ".join(f"`{setting}`" for setting in kind.settings)
                text = plain(f"{kind.text[0].upper()}{kind.text[1:]}")
                parts += [f"### {kind.name}", f"{text}. Settings: {settings}."]
                parts.append(block("yaml", f"{section}:\n  {kind.example}"))
    return "\n\n".join(parts)


def exit_codes() -> str:
    """The exit codes, and the errors that have them."""
    rows = [(str(code), plain(meaning)) for code, meaning in sim.errors.MEANINGS.items()]
    _, *tree = str(sim.errors.__doc__).partition("WindfleetError")
    drawing, _, _ = "".join(tree).partition("\n\n")
    return "\n\n".join(
        [
            "# Exit codes",
            "Every command ends with one of these. Scripts and CI may depend on them.",
            table(("code", "meaning"), rows),
            "Each error has its code by its class (`sim/errors.py`):",
            block("text", drawing),
        ]
    )


def python_api() -> str:
    """The functions and classes of `sim.api`, with their docstrings."""
    parts = ["# Python API", inspect.cleandoc(str(sim.api.__doc__))]
    for name in sim.api.__all__:
        thing = getattr(sim.api, name)
        parts += [f"## {name}", *signature(thing)]
        for member, value in vars(thing).items() if inspect.isclass(thing) else ():
            function = value.fget if isinstance(value, property) else value
            if not member.startswith("_") and inspect.isfunction(function):
                parts += [f"### {name}.{member}", *signature(function)]
    return "\n\n".join(parts)


def run_files() -> str:
    """The records of result.json, and the columns of operations.parquet."""
    module = sim.report.result
    records: list[type] = [module.Result]
    for each in vars(module).values():
        if inspect.isclass(each) and dataclasses.is_dataclass(each) and each not in records:
            records += [each] * (each.__module__ == module.__name__)
    parts = ["# Files of a run", RUN_FILES, "## result.json"]
    for record in records:
        parts += [f"### {record.__name__}", *signature(record)]
    columns = [(f"`{field.name}`", str(field.type)) for field in SCHEMA]
    parts += ["## operations.parquet", *signature(Operation)]
    return "\n\n".join([*parts, table(("column", "type"), columns)])


def signature(thing: Callable[..., object]) -> tuple[str, str]:
    """Return head and docstring of a function or class; the head of a class has its fields."""
    source = textwrap.dedent(inspect.getsource(thing))
    head, _, rest = source.partition('"""')
    _, _, body = rest.partition('"""')
    fields = re.split(r"^    (?:@|def )", body, flags=re.M)[0] if inspect.isclass(thing) else ""
    code = "\n".join(part.rstrip() for part in (head, fields.strip("\n")) if part.strip())
    return block("python", code), inspect.cleandoc(str(thing.__doc__))


def glossary(text: str) -> str:
    """Add the words of the reports to those of the guide. Raises SystemExit for a word in both."""
    both = set(re.findall(r"^\| ([^|]+) \|", text, re.M)) & set(TERMS)
    if both:
        sys.exit(f"{GLOSSARY}: sim/report/terms.py has these words, too: {', '.join(sorted(both))}")
    rows = [(word, plain(TERMS[word])) for word in sorted(TERMS, key=str.lower)]
    return f"{text}\n## Words of the reports\n\n{table(('word', 'meaning'), rows)}\n"


REFERENCE: Final = {
    "commands": commands,
    "scenario": scenario,
    "faults": fault_kinds,
    "figures": figure_tables,
    "exit-codes": exit_codes,
    "dictionary": dictionary.text,
    "run-files": run_files,
    "python": python_api,
}
"""Page -> its text, in the order of the navigation."""


def pages() -> dict[str, str]:
    """Return the text of each page. Raises SystemExit for a link that leads to no page."""
    guides = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / GUIDES).glob("*.md"))
    made = {
        page_of(file): with_links((ROOT / file).read_text(encoding="utf-8"), file)
        for file in (*PLACES, *guides)
    }
    made[page_of(GLOSSARY)] = glossary(made[page_of(GLOSSARY)])
    made |= {f"reference/{name}.md": f"{make()}\n" for name, make in REFERENCE.items()}
    listed = [f"reference/{name}" for name in REFERENCE]
    listed += [place.removesuffix(".md") for place in PLACES.values() if place != "index.md"]
    made["index.md"] += NAVIGATION % "\n".join(listed)
    return made


def main(folder: Path) -> None:
    """Write the pages and their pictures into a folder of their own, which is replaced."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / GUIDES, folder / "pages", ignore=shutil.ignore_patterns("*.md"))
    for name, text in pages().items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
