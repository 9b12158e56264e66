"""The docs site: every link of its documents leads somewhere, and its pages have all facts.

`make docs` itself, and the site that it builds, are tried in `make test-all`, after `make docs`
has installed its environment. Not covered: links to other sites.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from PIL import Image

from sim.arguments import program
from sim.errors import MEANINGS
from sim.listing.faults import faults
from sim.measure.figures import FIGURES
from sim.measure.operations import SCHEMA
from sim.report import html
from sim.report.result import Result
from sim.report.terms import TERMS
from tests.support import report_samples
from tests.support.documents import GUIDES, README
from tests.support.paths import ROOT

DOCS = ROOT / ".docs"
SPHINX = DOCS / "venv" / "bin" / "python"
LINKED = (README, *GUIDES, ROOT / "CHANGELOG.md", ROOT / "tests" / "README.md")


def script(name: str) -> ModuleType:
    """Import a script of `.docs`, which is no package."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATE, PICTURE = script("generate"), script("picture")


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """The Markdown of the site's pages by their names."""
    made: dict[str, str] = GENERATE.pages()
    return made


def anchors(text: str) -> set[str]:
    """The anchors that a forge and MyST give to the headings of a document."""
    tokens = MarkdownIt().parse(text)
    heads = [tokens[n + 1].content for n, each in enumerate(tokens) if each.type == "heading_open"]
    plain = (re.sub(r"[^\w\- ]", "", head.strip().lower()) for head in heads)
    return {head.replace(" ", "-") for head in plain}


def links(text: str) -> Iterator[str]:
    """Yield the targets of the links and pictures of a document."""
    for block in MarkdownIt().enable("table").parse(text):
        for token in block.children or ():
            target = token.attrs.get("href") or token.attrs.get("src")
            if target is not None:
                yield str(target)


def broken(text: str, place: Path) -> Iterator[str]:
    """Yield the relative links of a document that lead nowhere."""
    for link in links(text):
        url = urlsplit(link)
        if url.scheme:
            continue
        target = place.parent / unquote(url.path) if url.path else place
        if not target.is_file():
            yield link
        elif url.fragment:
            there = text if target == place else target.read_text(encoding="utf-8")
            if url.fragment not in anchors(there):
                yield link


@pytest.mark.parametrize("path", LINKED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file_and_heading(path: Path) -> None:
    assert list(broken(path.read_text(encoding="utf-8"), path)) == []


@pytest.mark.parametrize(
    ("link", "leads"),
    [
        ("[a](#three-walks)", True),
        ("[a](#four-walks)", False),
        ("[a](.docs/pages/ci.md)", True),
        ("[a](.docs/pages/no.md)", False),
        ("| a |\n|---|\n| [a](CHANGELOG.md#no) |", False),
        ("![a](.docs/pages/no.png)", False),
    ],
)
def test_a_link_that_leads_nowhere_is_found(link: str, leads: bool) -> None:
    text = f"# windfleet\n\n## Three walks\n\n{link}\n"
    assert (list(broken(text, ROOT / "README.md")) == []) is leads


def test_a_link_to_a_file_without_a_page_is_refused() -> None:
    with pytest.raises(SystemExit, match="LICENSE leads to no page"):
        GENERATE.with_links("[licence](LICENSE)", "README.md")
    pointed = GENERATE.with_links("[stores](../../README.md#stores)", ".docs/pages/ci.md")
    assert pointed == "[stores](../index.md#stores)"


def test_the_reference_has_every_command_fault_figure_and_exit_code(
    pages: dict[str, str],
) -> None:
    commands, figures = pages["reference/commands.md"], pages["reference/figures.md"]
    for name, command in program().commands().items():
        assert f"\n## {name}\n" in commands
        shown = (action for action in command._actions if action.help != argparse.SUPPRESS)
        options = {option for action in shown for option in action.option_strings}
        missing = [each for each in options - {"-h", "--help"} if f"`{each}" not in commands]
        assert missing == [], name
    assert all(f"| `{name}` | {each.unit} |" in figures for name, each in FIGURES.items())
    kinds = re.findall(r"^### (.*)$", pages["reference/faults.md"], re.M)
    assert sorted(kinds) == sorted(kind.name for kind in faults(None))
    codes = re.findall(r"^\| (\d+) \|", pages["reference/exit-codes.md"], re.M)
    assert [int(code) for code in codes] == list(MEANINGS)
    files = pages["reference/run-files.md"]
    assert all(f"    {field.name}: " in files for field in dataclasses.fields(Result))
    assert all(f"| `{name}` |" in files for name in SCHEMA.names)


def test_the_scenario_reference_is_the_base_scenario(pages: dict[str, str]) -> None:
    shown = re.findall(r"```yaml\n(.*?)```", pages["reference/scenario.md"], re.S)
    _, *sections = (ROOT / "scenarios" / "_base.yaml").read_text().split("\n\n")
    assert len(shown) == len(sections)
    assert all(
        section.strip().endswith(block.strip())
        for section, block in zip(sections, shown, strict=True)
    )


def test_the_glossary_defines_each_word_once(pages: dict[str, str]) -> None:
    words = re.findall(r"^\| ([^|]+) \|", pages["pages/glossary.md"], re.M)
    words = [word for word in words if word not in ("word", "---")]
    assert len(words) == len(set(words))
    assert set(words) > set(TERMS)
    with pytest.raises(SystemExit, match="too: oracle"):
        GENERATE.glossary("| oracle | twice |\n")


def test_the_picture_of_the_readme_is_of_a_report_of_today() -> None:
    page = html.render(report_samples.passed(), report_samples.operations())
    with Image.open(DOCS / "pages" / "report.png") as picture:
        picture.load()
        assert picture.text[PICTURE.LABELS] == PICTURE.labels(page), "run: make docs-picture"
        assert picture.size == PICTURE.SIZE
    assert (DOCS / "pages" / "report.png").stat().st_size < 150_000


# the site


def build(pages: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build a site as `make docs` does."""
    recipe = subprocess.run(
        ["make", "-n", "docs"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    (options,) = re.findall(r"-m sphinx (.*) -c \.docs \.docs/build \.docs/site", recipe)
    command = [SPHINX, "-m", "sphinx", *options.split(), "-c", DOCS, pages, site]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A folder with the site's pages and pictures."""
    if not SPHINX.is_file():
        pytest.skip("make docs has not installed Sphinx")
    GENERATE.main(tmp_path / "pages")
    return tmp_path / "pages"


@pytest.mark.campaign
def test_the_site_is_whole_and_loads_nothing_from_elsewhere(
    pages: dict[str, str], written: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    done = build(written, site)
    assert (done.returncode, done.stderr) == (0, "")
    made = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    assert {path.relative_to(site).with_suffix(".md").as_posix() for path in made} > set(pages)
    ids = {path: set(re.findall(r'\bid="([^"]+)"', text)) for path, text in made.items()}
    for path, text in made.items():
        for tag, link in re.findall(r'<(\w+)[^>]*?\b(?:href|src)="([^"]*)"', text):
            url = urlsplit(link)
            if url.scheme == "data" or (tag == "a" and url.scheme):
                continue
            assert not url.netloc, f"{path}: loads {link}"
            target = Path(os.path.normpath(path.parent / unquote(url.path))) if url.path else path
            assert target.is_file(), f"{path}: {link}"
            assert not url.fragment or url.fragment in ids[target], f"{path}: {link}"
    for path in site.rglob("*.css"):
        assert not re.search(r"@import|url\((?!['\"]?(data:|#))\w+:", path.read_text()), path


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a](../index.md#no)", "xref_missing"),
        ("[a](no.md)", "xref_missing"),
        ("![a](no.png)", "not readable"),
    ],
)
def test_a_link_that_leads_nowhere_fails_the_site(
    text: str, message: str, written: Path, tmp_path: Path
) -> None:
    with (written / "pages" / "ci.md").open("a", encoding="utf-8") as guide:
        guide.write(f"\n{text}\n")
    done = build(written, tmp_path / "site")
    assert done.returncode != 0
    assert message in done.stderr
