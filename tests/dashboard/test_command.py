"""`windfleet dashboard` inside the test: the page's place, and lakes and files that are refused."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from pipeline.catalog.tables import BY_NAME, TABLES
from pipeline.records import BUCKET_PREFIX
from pipeline.store import S3ObjectStore
from sim.dashboard import page
from sim.dashboard.data import Contents
from sim.errors import DirectoryError
from sim.output_file import page_of, require_replaceable
from sim.report.write import write_all
from tests.support import dashboard_world, lakehouse, runs
from tests.support.report_samples import passed


def without(*names: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        kept = tuple(table for table in TABLES if table.name not in names)
        lakehouse.add(folder / "lake", "A-001", 1, 5, kept)

    return make


def of_version(version: object) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        lakehouse.add(folder / "lake", "A-001", 1, 5)
        dashboard_world.manifest(folder / "lake", version)

    return make


def with_a_manifest_that_is_none(folder: Path) -> None:
    of_version(1)(folder)
    (path,) = (folder / "lake" / f"{BUCKET_PREFIX}metadata").rglob("*.json")
    path.write_text("[1, 2")


def without_a_bucket(folder: Path) -> None:
    lakehouse.add(folder / "lake", "A-001", 1, 5)
    shutil.rmtree(folder / "lake" / f"{BUCKET_PREFIX}enriched")


def with_a_warehouse_of_another_version(folder: Path) -> None:
    lakehouse.add(folder / "lake", "A-001", 1, 5)
    (folder / "warehouse").mkdir()
    (folder / "warehouse" / "warehouse.json").write_text(json.dumps({"version": 0}))


def without_a_lake(folder: Path) -> None:
    (folder / "notes").mkdir()


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (without("wind_turbine_aggregated"), 2, "holds no windows: no row in aggregated/"),
        (without("wind_turbine_enriched"), 2, "is incomplete: no row in enriched/"),
        (without("wind_turbine_raw"), 2, "is incomplete: no row in ingestion/"),
        (without("wind_turbine_validated"), 2, "is incomplete: no row in validated/"),
        (without(*BY_NAME), 2, "holds no rows"),
        (without(), 2, "its windows have no length"),
        (of_version(2), 2, "the lake has schema version 2, this windfleet reads 1"),
        (with_a_manifest_that_is_none, 2, "is no manifest of windfleet"),
        (without_a_bucket, 3, f"holds no bucket {BUCKET_PREFIX}enriched"),
        (with_a_warehouse_of_another_version, 2, "is of another version"),
        (without_a_lake, 2, "holds no lake"),
    ],
)
def test_a_lake_that_gives_no_page_is_refused_in_one_message(
    tmp_path: Path, make: Callable[[Path], None], code: int, words: str
) -> None:
    make(tmp_path)
    done = runs.inside("dashboard", tmp_path)
    assert done.code == code, done.text
    assert words in done.err
    assert len(done.err.strip().splitlines()) == 1, done.err
    assert not [path.name for path in tmp_path.iterdir() if "dashboard" in path.name]


@pytest.mark.parametrize(
    ("out", "code", "words"),
    [
        ("nowhere/page.html", 2, "no folder"),
        ("lake", 2, "is a folder; name a file"),
    ],
)
def test_a_page_that_cannot_be_written_leaves_nothing(
    world: Path, tmp_path: Path, out: str, code: int, words: str
) -> None:
    (tmp_path / "lake").mkdir()
    done = runs.inside("dashboard", world, "--out", tmp_path / out)
    assert done.code == code, done.text
    assert words in done.err
    assert [path.name for path in tmp_path.rglob("*")] == ["lake"]


def test_a_clock_before_the_lake_is_refused(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    done = runs.inside("dashboard", world, "--now", "2020-01-01T00:00:00Z", "--out", out)
    assert done.code == 2, done.text
    assert done.said_once("--now 2020-01-01", "first row")
    assert not out.exists()


def test_a_link_and_a_pipe_are_written_to_and_not_replaced(world: Path, tmp_path: Path) -> None:
    real, link, pipe = tmp_path / "real.html", tmp_path / "link.html", tmp_path / "pipe"
    link.symlink_to(real)
    assert runs.inside("dashboard", world, "--out", link).code == 0
    assert link.is_symlink()
    os.mkfifo(pipe)
    read: list[str] = []
    reader = Thread(target=lambda: read.append(pipe.read_text(encoding="utf-8")), daemon=True)
    reader.start()
    assert runs.inside("dashboard", world, "--out", pipe).code == 0
    reader.join(30)
    assert pipe.is_fifo()
    assert read == [real.read_text(encoding="utf-8")]


def test_its_own_page_is_replaced_and_no_other(world: Path) -> None:
    page = world / "dashboard.html"
    require_replaceable(page, page_of("dashboard"), "--out FILE", False)
    with pytest.raises(DirectoryError):
        require_replaceable(page, page_of("history"), "--out FILE", False)


def test_no_such_folder_is_named(tmp_path: Path) -> None:
    done = runs.inside("dashboard", tmp_path / "nowhere")
    assert (done.code, "no such folder" in done.err) == (2, True)


def test_the_page_of_a_run_is_linked_from_its_report(world: Path, tmp_path: Path) -> None:
    """And the same lake gives the same bytes, in any folder of that name."""
    folder = tmp_path / "world"
    shutil.copytree(world / "lake", folder / "lake")
    write_all(passed(), folder, None)
    assert "dashboard.html" not in (folder / "report.html").read_text()
    done = runs.inside("dashboard", "--lake", folder / "lake")
    assert (done.code, done.err) == (0, ""), done.text
    assert done.out == f"dashboard: {folder / 'dashboard.html'}\n"
    assert '<a href="dashboard.html">' in (folder / "report.html").read_text()
    page = (folder / "dashboard.html").read_bytes()
    assert page == (world / "dashboard.html").read_bytes()


def test_the_page_reaches_for_nothing_outside_of_itself(world: Path) -> None:
    html = (world / "dashboard.html").read_text()
    assert re.findall(r"""(?:\bsrc|\bhref)\s*=\s*["'][^#]""", html) == []
    assert re.findall(r"@import|url\((?!#)|\bfetch\(|XMLHttpRequest|WebSocket", html) == []
    assert "default-src 'none'" in html
    assert str(world.parent) not in html
    for name in (dashboard_world.EVIL_FARM, dashboard_world.EVIL_TURBINE):
        assert name not in html


def test_a_lake_in_s3_gives_the_same_page(world: Path, clean_lake: str, tmp_path: Path) -> None:
    """But for its title, which is the host. The default place of the file is the warehouse's."""
    store = S3ObjectStore(clean_lake)
    for path in (each for each in (world / "lake").rglob("*") if each.is_file()):
        bucket, _, key = path.relative_to(world / "lake").as_posix().partition("/")
        store.create(bucket, key, path.read_bytes())
    warehouse = tmp_path / "tables" / "warehouse"
    done = runs.inside("dashboard", "--endpoint-url", clean_lake, "--warehouse", warehouse)
    assert (done.code, done.err) == (0, ""), done.text
    page = (tmp_path / "tables" / "dashboard.html").read_text()
    host = clean_lake.partition("://")[2]
    assert f"<title>{host} – windfleet dashboard</title>" in page
    assert abs(len(page) - len((world / "dashboard.html").read_text())) < 200


def test_a_folder_named_in_markup_is_text() -> None:
    html = page.render(Contents({}, {"title": "</title><script>alert(1)</script>"}))
    assert "<title>&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt; – windfleet" in html
    assert html.count("<script") == 3  # the contents, the library, the page's own
