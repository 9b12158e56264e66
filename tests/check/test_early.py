"""An early verdict counts only if it found nothing, and nothing is different at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from sim.check.detection.truth import NO_FAULTS
from sim.check.early import EarlyVerdicts
from sim.check.findings import Finding
from sim.check.read.lake import ObjectRef
from sim.check.read.nodes import NodeFile
from sim.check.share import Share, ShareVerdict

REF = ObjectRef("bucket", "key", 7, "etag")
FILE = NodeFile("A", "A-001", Path("A-001.db"), Path("A-001.json"), ())


def share(**changes: object) -> Share:
    made = Share(4, "A", [FILE], {"ingestion": [REF]}, {}, NO_FAULTS)
    return replace(made, **changes)  # type: ignore[arg-type]


def early(of: Share, verdict: ShareVerdict | None = None) -> EarlyVerdicts:
    verdicts = EarlyVerdicts()
    verdicts.add(of, verdict or ShareVerdict(0, "A", generated=5))
    return verdicts


def test_the_same_share_has_its_verdict_under_its_final_number() -> None:
    found = early(share(number=0)).verdict_on(share())
    assert found is not None
    assert (found.number, found.generated) == (4, 5)


@pytest.mark.parametrize(
    "final",
    [
        share(farm="B"),
        share(files=[replace(FILE, database=Path("other.db"))]),
        share(files=[replace(FILE, retired=(Path("A-001.1.db"),))]),
        share(objects={"ingestion": [replace(REF, etag="other")]}),
        share(objects={"ingestion": [replace(REF, size=8)]}),
        share(objects={"ingestion": [REF, replace(REF, key="more")]}),
        share(objects={"validated": [REF]}),
        share(objects={}),
        share(guests={"ingestion": [REF]}),
        share(by_hand=True),
        share(truth=pa.concat_tables([NO_FAULTS, pa.Table.from_pylist([{}], NO_FAULTS.schema)])),
        share(events=NO_FAULTS),
    ],
)
def test_another_share_is_judged_again(final: Share) -> None:
    assert early(share()).verdict_on(final) is None


def test_an_object_without_a_known_version_is_judged_again() -> None:
    unknown = share(objects={"ingestion": [replace(REF, etag="")]})
    assert early(unknown).verdict_on(unknown) is None


def _finding(verdict: ShareVerdict) -> None:
    verdict.findings.add(Finding("row.lost"))


def _error(verdict: ShareVerdict) -> None:
    verdict.errors.append("the lake cannot be reached")


def _visitor(verdict: ShareVerdict) -> None:
    verdict.visitors[1] = [("ingestion", REF)]


@pytest.mark.parametrize("spoil", [_finding, _error, _visitor])
def test_a_verdict_that_found_anything_does_not_count(
    spoil: Callable[[ShareVerdict], None],
) -> None:
    verdict = ShareVerdict(0, "A")
    spoil(verdict)
    assert early(share(), verdict).verdict_on(share()) is None


def test_a_node_file_that_changed_since_the_cut_is_judged_again(tmp_path: Path) -> None:
    names = ("A-001.db", "A-001.json", "A-001.retired-0.db")
    database, config, retired = (tmp_path / name for name in names)
    for path in (database, config, retired):
        path.write_bytes(b"1")
    of = share(files=[NodeFile("A", "A-001", database, config, (retired,))])
    for path in (database, config, retired):
        verdicts = EarlyVerdicts()
        verdicts.cut([of])
        verdicts.add(of, ShareVerdict(0, "A"))
        assert verdicts.verdict_on(of) is not None
        path.write_bytes(b"22")
        assert verdicts.verdict_on(of) is None
