"""The parity ledger: options of Auto Loader and `read_files`, and the effect of each by engine.

Sources: Databricks documentation, "Auto Loader options" and "read_files table-valued function".
`cloudFiles.` is left out of the names, as `read_files` leaves it out.

embedded: effect in `windfleet query`; "" where the option is refused by name.
spark: effect in `windfleet query --engine spark`, on open Spark with our `read_files`; "" as above.
test, spark_test: proves the effect, `file::test`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

EMBEDDED: Final = "embedded"
SPARK: Final = "spark"
ENGINES: Final = (EMBEDDED, SPARK)
EVOLUTION: Final = ("addNewColumns", "rescue", "failOnNewColumns", "none")


class OptionError(ValueError):
    """An option that is unknown or refused, or whose value is. The text names it."""


@dataclass(frozen=True)
class Option:
    """One option.

    values, spark_values: those that the engine accepts, None for any positive number.
    """

    name: str
    embedded: str
    spark: str = ""
    test: str = ""
    values: tuple[str, ...] | None = ()
    spark_test: str = ""
    spark_values: tuple[str, ...] | None = ()

    def effect(self, engine: str) -> str:
        return self.spark if engine == SPARK else self.embedded

    def accepts(self, engine: str) -> tuple[str, ...] | None:
        return self.spark_values if engine == SPARK else self.values


_LOADER: Final = "tests/query/test_loader.py"
_ON_SPARK: Final = "tests/query/test_spark.py"
_EVOLUTION_ON_SPARK: Final = "tests/query/test_spark_evolution.py"
_REFUSED: Final = "tests/pipeline/test_ledger.py::test_a_refused_option_is_named"
_REFUSED_ON_SPARK: Final = f"{_ON_SPARK}::test_read_files_names_each_option_that_it_refuses"
_EQUAL: Final = f"{_ON_SPARK}::test_rows_of_a_table_are_equal"
_FALSE: Final = ("false",)
_TRUE: Final = ("true",)

OPTIONS: Final = (
    Option(
        "format",
        "parquet only",
        "parquet only",
        f"{_LOADER}::test_every_object_is_loaded_once_with_its_source",
        ("parquet",),
        _EQUAL,
        ("parquet",),
    ),
    Option(
        "schema",
        "",
        "the catalogue sets it to the table's columns; required, but for addNewColumns",
        _REFUSED,
        (),
        f"{_ON_SPARK}::test_read_files_needs_a_schema",
    ),
    Option(
        "schemaEvolutionMode",
        "as Auto Loader, but a new column is added at once",
        "as Auto Loader: a new column stops the pipeline once, which the same call starts again",
        "tests/query/test_conform.py::test_an_unknown_column_in_each_mode",
        EVOLUTION,
        f"{_EVOLUTION_ON_SPARK}::test_columns_evolve_alike_in_each_mode",
        EVOLUTION,
    ),
    Option(
        "rescuedDataColumn",
        "always _rescued_data",
        "always _rescued_data",
        f"{_LOADER}::test_a_value_that_does_not_fit_is_rescued",
        ("_rescued_data",),
        f"{_EVOLUTION_ON_SPARK}::test_values_that_do_not_fit_are_rescued_alike",
        ("_rescued_data",),
    ),
    Option(
        "schemaHints",
        "",
        "the catalogue sets it to the table's columns; for addNewColumns, in the place of schema",
        _REFUSED,
        (),
        f"{_ON_SPARK}::test_read_files_needs_a_schema",
    ),
    Option(
        "maxFilesPerTrigger",
        "objects in one transaction",
        "objects in one micro-batch",
        f"{_LOADER}::test_bounds_of_a_batch",
        None,
        f"{_ON_SPARK}::test_bounds_of_a_micro_batch",
        None,
    ),
    Option(
        "maxBytesPerTrigger",
        "bytes in one transaction, soft",
        "bytes in one micro-batch, soft; not together with maxFilesPerTrigger",
        f"{_LOADER}::test_bounds_of_a_batch",
        None,
        f"{_ON_SPARK}::test_bounds_of_a_micro_batch",
        None,
    ),
    Option(
        "allowOverwrites",
        "false only: a key is loaded once",
        "false only: a key is loaded once",
        f"{_LOADER}::test_an_overwritten_key_is_not_loaded_again",
        _FALSE,
        f"{_ON_SPARK}::test_a_second_call_loads_new_keys_only",
        _FALSE,
    ),
    Option(
        "includeExistingFiles",
        "true only",
        "true only",
        f"{_LOADER}::test_every_object_is_loaded_once_with_its_source",
        _TRUE,
        _EQUAL,
        _TRUE,
    ),
    Option(
        "ignoreCorruptFiles",
        "true leaves bad objects out and reports each",
        "true leaves bad objects out, without a report",
        f"{_LOADER}::test_a_bad_object_is_refused_or_left_out_by_name",
        ("true", "false"),
        f"{_ON_SPARK}::test_a_bad_object_is_refused_or_left_out",
        ("true", "false"),
    ),
    Option(
        "recursiveFileLookup",
        "true only",
        "true only",
        f"{_LOADER}::test_every_object_is_loaded_once_with_its_source",
        _TRUE,
        _EQUAL,
        _TRUE,
    ),
    Option(
        "useIncrementalListing",
        "false only: every load lists all keys, so that a late key is seen",
        "false only: every load lists all keys, so that a late key is seen",
        f"{_LOADER}::test_a_key_that_a_listing_shows_late_is_loaded_then",
        _FALSE,
        f"{_ON_SPARK}::test_a_second_call_loads_new_keys_only",
        _FALSE,
    ),
    Option(
        "useNotifications",
        "false only",
        "false only",
        _REFUSED,
        _FALSE,
        _REFUSED_ON_SPARK,
        _FALSE,
    ),
    Option(
        "partitionColumns",
        "empty only: columns of the key are not added",
        "empty only: columns of the key are not added",
        f"{_LOADER}::test_parts_of_a_key_are_no_columns",
        ("",),
        _EQUAL,
        ("",),
    ),
    Option(
        "validateOptions",
        "true only: an unknown option is an error",
        "true only: an unknown option is an error",
        "tests/pipeline/test_ledger.py::test_an_unknown_option_has_a_nearest_name",
        _TRUE,
        _REFUSED_ON_SPARK,
        _TRUE,
    ),
    *(
        Option(name, "", "", _REFUSED, spark_test=_REFUSED_ON_SPARK)
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
            "schemaLocation",
            "stsEndpoint",
            "useManagedFileEvents",
            "useStrictGlobber",
        )
    ),
)
BY_NAME: Final[Mapping[str, Option]] = {option.name.lower(): option for option in OPTIONS}


def accepted(
    options: Mapping[str, str], nearest: Callable[[str], str], engine: str = EMBEDDED
) -> dict[str, str]:
    """Return options by their plain name. Raises OptionError for one that the engine refuses.

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
        values = option.accepts(engine)
        if values == ():
            tier = "open Spark" if engine == SPARK else "the embedded tier"
            reason = f"is not supported by {tier}"
            if option.effect(engine):
                reason = "is set by the catalogue"
            raise OptionError(f"{given}: {reason}")
        if values is None:
            if not value.isdecimal() or int(value) < 1:
                raise OptionError(f"{given}={value}: must be a whole number from 1 up")
        elif value not in values:
            raise OptionError(f"{given}={value}: must be {' or '.join(map(repr, values))}")
        found[option.name] = value
    return found
