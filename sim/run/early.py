"""The oracle at work while others deliver: shares of shards that are done, to be judged.

A shard that is done is divided into shares, which free workers judge. The verdict at the end
(`sim.run.verdict`) takes those that still hold (`sim.check.early`) and judges the rest.

Not covered: runs with faults of delivery, which may change any object until their end; lakes in a
folder or that are saved first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sim.check.detection.truth import TruthError
from sim.check.early import EarlyVerdicts
from sim.check.read.lake import LakeReader
from sim.check.share import Share, ShareVerdict, judge_share
from sim.check.shares import shares_of
from sim.run.record import ShardResult


@dataclass(frozen=True)
class JudgeTask:
    """One share to be judged. Picklable."""

    lake: LakeReader
    share: Share
    share_of: dict[str, int]

    def run(self) -> ShareVerdict:
        """Judge the share, in a worker."""
        return judge_share(self.lake, self.share, self.share_of)


@dataclass
class EarlyOracle:
    """Tasks of shards that are done, and the verdicts on them.

    progress: called with the number of objects judged, and of all known ones, once nothing is
    delivered any more. worker_s: seconds of the workers.
    """

    lake: LakeReader
    run_dir: Path
    progress: Callable[[int, int], None] = lambda done, known: None
    verdicts: EarlyVerdicts = field(default_factory=EarlyVerdicts)
    worker_s: float = 0.0
    _waiting: list[JudgeTask] = field(default_factory=list)
    _known: int = 0
    _done: int = 0

    def add(self, result: ShardResult) -> None:
        """Take a shard that is done."""
        if result.error is not None or result.undelivered:
            return
        try:
            shares, share_of = shares_of(
                self.run_dir / "nodes",
                result.turbine_ids,
                result.written,
                self.run_dir / "truth",
                result.name,
            )
        except TruthError:
            return  # the verdict at the end reports it
        self.verdicts.cut(shares)
        self._known += len(result.written)
        result.written = []
        self._waiting += [JudgeTask(self.lake, share, share_of) for share in shares]

    def next(self) -> JudgeTask | None:
        """Return a share to judge, None if there is none."""
        return self._waiting.pop(0) if self._waiting else None

    def end(self, task: JudgeTask, verdict: ShareVerdict, seconds: float) -> None:
        """Take the verdict on a share."""
        self.verdicts.add(task.share, verdict)
        self.worker_s += seconds
        self._done += sum(len(refs) for refs in task.share.objects.values())

    def report(self) -> None:
        """Report the progress."""
        self.progress(self._done, self._known)
