"""The oracle: says row by row whether the lake is right, from the node files alone.

    verdict = judge(run / "nodes", LakeReader.folder(run / "lake"), run / "truth", workers=2)

It shares nothing with the pipeline but `pipeline.records`, which holds constants. Where the pipeline goes batch by
batch with state carried in checkpoints, the oracle takes whole histories of many turbines at once. It reads every
object once, compares bit for bit, and gives each defect one name (`verdict.findings`). It does not judge how fast
anything was.
"""

from sim.check.findings import Finding
from sim.check.read.lake import LakeError, LakeReader
from sim.check.verdict import Verdict, judge

__all__ = ["Finding", "LakeError", "LakeReader", "Verdict", "judge"]
