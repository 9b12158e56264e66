"""The Spark engine without Spark: its statements, settings and messages. `test_spark` runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.catalog.tables import TABLES
from pipeline.settings import settings
from sim.cli import main
from sim.errors import ENVIRONMENT, INVALID, LAKE_WRONG, QueryError
from sim.query import sql
from sim.query.spark import home, messages, state
from sim.query.spark import settings as spark_settings
from tests.support import lakehouse

HOME = home.SparkHome(Path("/spark/bin/python"), "/spark/classes:/spark/jars/a.jar", Path("/java"))
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def query(*arguments: str) -> int:
    return main(["query", "--engine", "spark", *arguments])


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    lakehouse.add(tmp_path / "lake", "A-001", 1, 2)
    return tmp_path / "lake"


def test_spark_that_is_not_installed_has_a_fix(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(home, "HOME", tmp_path / "nowhere")
    assert query("SELECT 1 AS a", "--lake", str(lake)) == ENVIRONMENT
    assert "make spark" in capsys.readouterr().err
    assert not (tmp_path / "warehouse").exists()


def installed(folder: Path) -> list[Path]:
    """Make the files that `make spark` makes, all empty."""
    classes = [f"classes/{source.stem}.class" for source in home.DRIVER.parent.glob("*.java")]
    made = [folder / name for name in ("venv/bin/python", "jars/a.jar", *classes)]
    for path in made:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return made


def test_spark_that_is_installed_in_part_has_a_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as before `make spark` has compiled a class that an update brought."""
    monkeypatch.setattr(home, "HOME", tmp_path)
    monkeypatch.setattr(home, "_java", lambda: tmp_path)
    made = installed(tmp_path)
    assert home.find().python == made[0]
    for path in made:
        path.unlink()
        with pytest.raises(QueryError, match="make spark") as refused:
            home.find()
        assert refused.value.exit_code == ENVIRONMENT
        path.touch()


@pytest.mark.parametrize("named", [None, "/nowhere"])
def test_a_missing_java_is_named(
    named: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path)
    monkeypatch.setattr(home, "HOME", tmp_path)
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    if named:
        monkeypatch.setenv("JAVA_HOME", named)
    with pytest.raises(QueryError, match="no Java: Spark needs Java 17") as refused:
        home.find()
    assert refused.value.exit_code == ENVIRONMENT


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("SELECT 1 +", "line 1"),
        ("DROP TABLE wind_turbine_raw", "DROP is not answered here"),
        ("SELECT java_method('java.lang.System', 'exit', 1)", "java_method is not answered"),
        ("SELECT REFLECT('java.lang.System', 'exit', 1)", "reflect is not answered"),
        ("SELECT * FROM STREAM read_files('s3://x')", ""),
        ("SELECT * FROM read_files('s3://x')", "read_files is not answered"),
    ],
)
def test_sql_is_checked_before_spark_starts(
    text: str, part: str, lake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert query(text, "--lake", str(lake)) == INVALID
    found = capsys.readouterr().err
    assert part in found
    assert len(found.splitlines()) == 1
    assert not (tmp_path / "warehouse").exists()


def test_an_option_that_spark_lacks_is_refused(
    lake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for option in (
        "rescuedDataColumn=other",
        "schemaEvolutionMode=other",
        "schema=id INT",
        "schemaHints=id INT",
    ):
        assert query("SELECT 1 AS a", "--lake", str(lake), "--option", option) == INVALID
        assert option.partition("=")[0] in capsys.readouterr().err


def test_a_place_without_a_lake_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert query("SELECT 1 AS a", "--lake", str(tmp_path)) == INVALID
    assert "holds no lake" in capsys.readouterr().err


def test_a_statement_keeps_its_place_in_the_text() -> None:
    text = "SELECT ';' AS a; -- one; two\n\n  SELECT 2 AS b;\n;"
    first, second = sql.texts(text)
    assert first == "SELECT ';' AS a"
    assert second.index("SELECT 2") == text.index("SELECT 2")
    assert second.count("\n") == 2


def test_spark_gets_nothing_of_the_users_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "JAVA_TOOL_OPTIONS", "SPARK_REMOTE", *KEYS):
        monkeypatch.setenv(name, f"value-of-{name}")
    assert not set(spark_settings.environment(HOME, None)) & {"HTTP_PROXY", *KEYS}
    found = spark_settings.environment(HOME, settings("http://127.0.0.1:4566"))
    assert set(found) == {
        *("PATH", "LC_ALL", "JAVA_HOME", "SPARK_LOCAL_IP", "SPARK_LOCAL_HOSTNAME", *KEYS)
    }
    assert found["AWS_ACCESS_KEY_ID"] == "value-of-AWS_ACCESS_KEY_ID"


def test_settings_hold_no_secret_and_one_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.setenv(name, f"value-of-{name}")
    s3 = settings("http://127.0.0.1:4566")
    conf = spark_settings.configuration(HOME, Path("/w"), Path("/s"), "") | spark_settings.s3a(s3)
    assert "value-of" not in json.dumps(conf)
    assert conf["spark.hadoop.fs.s3a.endpoint"] == "http://127.0.0.1:4566"
    assert conf["spark.hadoop.fs.s3a.aws.credentials.provider"].endswith(
        "TemporaryAWSCredentialsProvider"
    )
    binds = [value for name, value in conf.items() if name.endswith(("host", "ddress"))]
    assert binds == ["127.0.0.1"] * 3


def test_a_proxys_password_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spark's settings are arguments of its process. The password goes by standard input."""
    for name in KEYS:
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("HTTP_PROXY", "http://me:p%40ss@127.0.0.1:3128")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    s3 = settings("http://lake.example")
    found = spark_settings.s3a(s3)
    assert found["spark.hadoop.fs.s3a.proxy.host"] == "127.0.0.1"
    assert found["spark.hadoop.fs.s3a.proxy.port"] == "3128"
    assert "p@ss" not in json.dumps(found)
    assert "p%40ss" not in json.dumps(found)
    assert spark_settings.secrets(s3) == {
        "fs.s3a.proxy.username": "me",
        "fs.s3a.proxy.password": "p@ss",
    }
    assert spark_settings.secrets(settings("http://127.0.0.1:4566")) == {}


def test_added_columns_stay_with_the_state(tmp_path: Path) -> None:
    folder = state.prepared(tmp_path / "spark")
    first = state.widen(folder, {"wind_turbine_raw": [("humidity", "double")]})
    state.widen(folder, {"wind_turbine_raw": [("note", "string")]})
    assert first == ["wind_turbine_raw.humidity"]
    raw, *others = state.tables(folder)
    assert raw.columns[-2:] == (("humidity", "double", ""), ("note", "string", ""))
    assert others == list(TABLES[1:])
    (folder / "columns.json").write_text("{")
    with pytest.raises(QueryError, match=r"columns.json: cannot be read .*; remove"):
        state.tables(folder)


def test_a_column_that_stays_new_ends_the_load(tmp_path: Path) -> None:
    folder = state.prepared(tmp_path / "spark")
    state.widen(folder, {"wind_turbine_raw": [("note", "string")]})
    with pytest.raises(QueryError, match="Spark takes note for new after the table was widened"):
        state.widen(folder, {"wind_turbine_raw": [("note", "string")]})


def test_an_unknown_column_is_found_in_sparks_message() -> None:
    key = "expanso-databricks-ingestion/ingestion/hour=00/A-1.parquet"
    text = (
        'Flow x has FAILED.\nError: [UNKNOWN_COLUMNS] {"columns": ["a b", "c"], "object": '
        f'"file:/lake/{key}"}}\n\tat java.lang.Thread'
    )
    found = messages.load_error(text, Path("/w"))
    assert str(found).startswith(f"{key}: unknown columns a b, c; --option schemaEvolutionMode=")
    assert found.exit_code == LAKE_WRONG


def test_a_state_of_another_place_is_refused(tmp_path: Path) -> None:
    state.prepared(tmp_path / "one" / "spark")
    (tmp_path / "one").rename(tmp_path / "two")
    with pytest.raises(QueryError, match="made elsewhere"):
        state.prepared(tmp_path / "two" / "spark")


def test_a_bad_object_is_found_in_sparks_message() -> None:
    key = "expanso-databricks-ingestion/ingestion/hour=00/A-1.parquet"
    text = (
        "Flow x has FAILED.\nError: [FAILED_READ_FILE.NO_HINT] Error while reading file "
        f"s3://{key}. SQLSTATE: KD001\n\tat java.lang.Thread"
    )
    found = messages.load_error(text, Path("/w"))
    assert str(found).startswith(f"{key}: cannot be loaded: [FAILED_READ_FILE.NO_HINT]")
    assert found.exit_code == LAKE_WRONG
