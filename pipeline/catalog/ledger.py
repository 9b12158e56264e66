"""The parity ledger: options of Auto Loader and `read_files`, with their effect on each engine.

Sources: Databricks documentation, "Auto Loader options" and "read_files table-valued function".
`cloudFiles.` is left out of the names, as `read_files` leaves it out.

embedded: effect in `windfleet query`; "" where the option is refused by name.
spark: effect in `windfleet query --engine spark`, on open Spark with our `read_files`.
test: proves the embedded effect, `file::test`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

EVOLUTION: Final = ("addNewColumns", "rescue", "failOnNewColumns", "none")


class OptionError(ValueError):
    """An option that is unknown or refused, or has an unsupported value. The text names it."""


@dataclass(frozen=True)
class Option:
    """One option. `values`: those that the embedded tier accepts, None for any positive number."""

    name: str
    embedded: str
    spark: str = ""
    test: str = ""
    values: tuple[str, ...] | None = ()


def _loader(test: str) -> str:
    return f"tests/query/test_loader.py::{test}"


_REFUSED: Final = "tests/pipeline/test_ledger.py::test_a_refused_option_is_named"
_FALSE: Final = ("false",)
_TRUE: Final = ("true",)

OPTIONS: Final = (
    Option(
        "format",
        "parquet only",
        "parquet",
        _loader("test_every_object_is_loaded_once_with_its_source"),
        ("parquet",),
    ),
    Option(
        "schemaEvolutionMode",
        "as Auto Loader, but a new column is added at once",
        "schema is fixed: none",
        _loader("test_an_unknown_column_is_added"),
        EVOLUTION,
    ),
    Option(
        "rescuedDataColumn",
        "always _rescued_data",
        "",
        _loader("test_a_value_that_does_not_fit_is_rescued"),
        ("_rescued_data",),
    ),
    Option(
        "maxFilesPerTrigger",
        "objects in one transaction",
        "per micro-batch",
        _loader("test_bounds_of_a_batch"),
        None,
    ),
    Option(
        "maxBytesPerTrigger",
        "bytes in one transaction, soft",
        "",
        _loader("test_bounds_of_a_batch"),
        None,
    ),
    Option(
        "allowOverwrites",
        "false only: a key is loaded once",
        "same",
        _loader("test_an_overwritten_key_is_not_loaded_again"),
        _FALSE,
    ),
    Option(
        "includeExistingFiles",
        "true only",
        "same",
        _loader("test_every_object_is_loaded_once_with_its_source"),
        _TRUE,
    ),
    Option(
        "ignoreCorruptFiles",
        "true leaves bad objects out and reports each",
        "same, without a report",
        _loader("test_a_bad_object_is_refused_or_left_out_by_name"),
        ("true", "false"),
    ),
    Option(
        "recursiveFileLookup",
        "true only",
        "same",
        _loader("test_every_object_is_loaded_once_with_its_source"),
        _TRUE,
    ),
    Option(
        "useIncrementalListing",
        "false only: every load lists all keys, so that a late key is seen",
        "same",
        _loader("test_a_key_that_a_listing_shows_late_is_loaded_then"),
        _FALSE,
    ),
    Option("useNotifications", "false only", "same", _REFUSED, _FALSE),
    Option("partitionColumns", "empty only: columns of the key are not added", "", _REFUSED, ("",)),
    Option("validateOptions", "true only: an unknown option is an error", "", _REFUSED, _TRUE),
    *(
        Option(name, "", "", _REFUSED)
        for name in (
            "awsAccessKey",
            "awsSecretKey",
            "backfillInterval",
            "cleanSource",
            "cleanSource.moveDestination",
            "cleanSource.retentionDuration",
            "datetimeRebaseMode",
            "fetchParallelism",
            "fileNamePattern",
            "ignoreMissingFiles",
            "inferColumnTypes",
            "int96RebaseMode",
            "maxFileAge",
            "mergeSchema",
            "modifiedAfter",
            "modifiedBefore",
            "pathGlobFilter",
            "pathRewrites",
            "queueUrl",
            "readerCaseSensitive",
            "region",
            "resourceTag",
            "roleArn",
            "roleExternalId",
            "roleSessionName",
            "schema",
            "schemaHints",
            "schemaLocation",
            "stsEndpoint",
            "useManagedFileEvents",
            "useStrictGlobber",
        )
    ),
)
BY_NAME: Final[Mapping[str, Option]] = {option.name.lower(): option for option in OPTIONS}


def accepted(options: Mapping[str, str], nearest: Callable[[str], str]) -> dict[str, str]:
    """Return options by their plain name. Raises OptionError for one that is refused.

    nearest: the known name most like an unknown one, "" for none.
    """
    found = {}
    for given, value in options.items():
        plain = given.removeprefix("cloudFiles.")
        option = BY_NAME.get(plain.lower())
        if option is None:
            near = nearest(plain)
            hint = f"; nearest name: {near}" if near else ""
            raise OptionError(f"{given}: no option of Auto Loader or read_files{hint}")
        if not option.embedded:
            raise OptionError(f"{given}: is not supported by the embedded tier")
        if option.values is None:
            if not value.isdecimal() or int(value) < 1:
                raise OptionError(f"{given}={value}: must be a whole number from 1 up")
        elif value not in option.values:
            raise OptionError(f"{given}={value}: must be {' or '.join(map(repr, option.values))}")
        found[option.name] = value
    return found
