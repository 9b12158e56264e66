"""Files of `windfleet catalog`, and their SQL taken apart."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.catalog.locations import Parameters
from sim.catalog.files import File, files

HARD = Parameters(
    catalog="größe-1e3'\"\\;--",
    schema="no",
    bucket_prefix="0-a-",
    role="arn:aws:iam::123456789012:role/team/x/uni+ty=@.,_-",
    region="eu-west-1",
    external_id="11111111-2222-3333-4444-555555555555",
    readers="the 'readers' `of` \\ it; DROP",
    engineers="ops@example.com",
    managed_location="s3://managed-bucket/wind/fleet",
)
"""Names that are valid and end a string, a comment or an identifier where nothing quotes them."""
BOTH = {"usual": Parameters(), "hard": HARD}

_ID = r"`(?:[^`]|``)+`"
_STR = r"'(?:[^'\\]|\\.)*'"
_PRIVILEGES = r"[A-Z]+(?: [A-Z]+)*(?:, [A-Z]+(?: [A-Z]+)*)*"
FORMS = {
    "location": (
        rf"CREATE EXTERNAL LOCATION IF NOT EXISTS (?P<name>{_ID}) URL (?P<url>{_STR}) "
        rf"WITH \(STORAGE CREDENTIAL (?P<credential>{_ID})\) COMMENT (?P<comment>{_STR})"
    ),
    "catalog": (
        rf"CREATE CATALOG IF NOT EXISTS (?P<name>{_ID})"
        rf"(?: MANAGED LOCATION (?P<storage>{_STR}))? COMMENT (?P<comment>{_STR})"
    ),
    "schema": (
        rf"CREATE SCHEMA IF NOT EXISTS (?P<catalog>{_ID})\.(?P<name>{_ID}) "
        rf"COMMENT (?P<comment>{_STR})"
    ),
    "grant": (
        rf"GRANT (?P<privileges>{_PRIVILEGES}) ON (?P<kind>CATALOG|SCHEMA|EXTERNAL LOCATION) "
        rf"(?P<name>{_ID}(?:\.{_ID})?) TO (?P<principal>{_ID})"
    ),
    "refresh": r"REFRESH STREAMING TABLE (?P<name>[a-z_]+)",
    "use": rf"USE SCHEMA (?P<catalog>{_ID})\.(?P<name>{_ID})",
}
"""Forms of the Databricks SQL reference, as far as the files use them; one space for any."""


@dataclass(frozen=True)
class Form:
    """A statement of one of FORMS. parts: its names and texts without their quotes."""

    kind: str
    parts: dict[str, str]


def texts(parameters: Parameters) -> dict[str, str]:
    """Return path -> text of every file, in a dictionary that a test may spoil."""
    return {file.path: file.text for file in _files(parameters)}


@functools.cache
def _files(parameters: Parameters) -> tuple[File, ...]:
    return tuple(files(parameters))


def sql_files(parameters: Parameters) -> list[File]:
    return [file for file in _files(parameters) if file.path.endswith(".sql")]


def statements(text: str) -> list[str]:
    """Return the statements of a SQL file, without comments between them."""
    parts = re.split(r";[ \t]*\n", text)
    assert parts.pop().strip() == "", "a statement without its semicolon"
    return [re.sub(r"\A(?:\s*--[^\n]*\n|\s+)*", "", part) for part in parts]


def forms(text: str) -> Iterator[Form]:
    """Yield the statements of a file, each of which must have one of FORMS."""
    for statement in statements(text):
        plain = re.sub(rf"({_STR}|{_ID})|\s+", lambda found: found[1] or " ", statement)
        for kind, form in FORMS.items():
            if found := re.fullmatch(form, plain):
                parts = {name: _plain(part) for name, part in found.groupdict().items() if part}
                yield Form(kind, parts)
                break
        else:
            raise AssertionError(f"no form of the SQL reference: {statement}")


def _plain(part: str) -> str:
    """Return a name or a text without its quotes; a full name keeps its period."""
    if part.startswith("'"):
        return re.sub(r"\\(.)", r"\1", part[1:-1])
    names = re.findall(rf"{_ID}", part)
    return ".".join(each[1:-1].replace("``", "`") for each in names) if names else part
