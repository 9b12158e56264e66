"""The texts in the charts of the reports are whole, wide and narrow, and none touches another."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.report import html
from sim.report.write import HTML_FILE
from tests.support.browser import Page
from tests.support.canvas import cut, record, touching, written
from tests.support.report_samples import operations, with_faults

NARROW, WIDE = 390, 1400


@pytest.mark.parametrize("width", [NARROW, WIDE])
@pytest.mark.parametrize("name", ["run", "load"])
def test_no_text_of_a_chart_is_cut_or_covered(
    name: str, width: int, run_dir: Path, tab: Page, tmp_path: Path
) -> None:
    path = run_dir / HTML_FILE
    if name == "run":
        path = tmp_path / "run.html"
        path.write_text(html.render(with_faults(), operations()))
    record(tab)
    tab.open(path, width=width)
    charts = written(tab)
    assert len(charts) > 3
    assert all(charts)
    assert [cut(texts) for texts in charts] == [[]] * len(charts)
    assert [touching(texts) for texts in charts] == [[]] * len(charts)
