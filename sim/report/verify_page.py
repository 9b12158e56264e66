"""verify.html: the verdict of `windfleet verify` on a run's lake, made from verify.json alone."""

from __future__ import annotations

from typing import Final

from sim.report import accounting, completeness, findings, html, numbers, tiles
from sim.report.result import WRONGS, Difference, Result

HEADLINES: Final = (
    ("rows.generated", "Rows generated"),
    ("rows.lost", "Rows lost"),
    ("windows.wrong", "Windows wrong"),
    ("manifest.mismatches", "Manifests wrong"),
)


def render(result: Result) -> str:
    """Return the page: one file, which opens offline."""
    from sim.report import page  # it draws

    bands = accounting.bands(result.completeness)
    said = html.reasons(result)
    return page.render(
        "verify.html.j2",
        result=result,
        reasons=said,
        errors=[text for text in result.errors if not any(text.rstrip(".") in one for one in said)],
        tiles=tiles.tiles(result, HEADLINES, (), len(HEADLINES)),
        figure_groups=tiles.groups(result),
        stages=accounting.by_stage(result),
        wrongs=WRONGS,
        all_complete=completeness.all_complete(bands),
        bands=accounting.foremost(bands, html.BANDS_SHOWN),
        bands_hidden=max(len(bands) - html.BANDS_SHOWN, 0),
        farms=completeness.farms(result),
        groups=findings.groups(result.findings, result.errors),
        short_key=findings.short_key,
        recheck_value=recheck_value,
    )


def recheck_value(difference: Difference, value: int | float | str | None) -> str:
    """Return one side of a difference as text; a digest by its beginning."""
    if value is None:
        return numbers.NOTHING
    return value[:16] if isinstance(value, str) else numbers.decimal(value)
