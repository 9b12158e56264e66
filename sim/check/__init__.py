"""The oracle: verifies every row of the lake against the node files.

    verdict = judge(run / "nodes", LakeReader.folder(run / "lake"), run / "truth", workers=2)

Each subject has one module of this package:

| subject                                               | module              |
|-------------------------------------------------------|---------------------|
| verdict on the run: `pass`, `fail` or `unknown`       | `verdict`           |
| verdict on some turbines, stage by stage              | `share`             |
| the fleet in shares, judged by worker processes       | `shares`            |
| rows per stage and hour: expected, lost, duplicated   | `completeness`      |
| a finding, and the bound on the number kept           | `findings`          |
| rule that a row violates: `stuck`, `range`, `type`    | `expected.rules`    |
| rows and batches that the lake must hold              | `expected.rows`     |
| columns of further stages that it must hold           | `expected.derived`  |
| windows that it must hold, with their sums            | `expected.windows`  |
| batch that must make a revision of a window           | `expected.emission` |
| turbine that the rows of an object belong to          | `compare.owners`    |
| the same where an object has rows of a whole farm     | `compare.named_owners` |
| object that a row belongs in, in either layout        | `compare.places`    |
| objects that are foreign, unreadable or empty         | `compare.objects`   |
| rows lost, duplicated, misplaced, altered, unexpected | `compare.rows`      |
| order of rows within an object                        | `compare.order`     |
| windows in the lake: missing, wrong, stale            | `compare.windows`   |
| windows made too early, too late or without need      | `compare.revisions` |
| manifests, and objects without one                    | `compare.manifests` |
| manifests of a farm's flushes                         | `compare.flush_manifests` |
| checkpoints                                           | `compare.checkpoints` |
| personal values, exact places and keys in the lake    | `privacy.scan`      |
| values of a node that are secret                      | `privacy.secrets`   |
| spellings of a secret: base64, hexadecimal, digests   | `privacy.patterns`  |
| share of injected faults that the pipeline finds      | `detection.score`   |
| signals that a kind of fault can cause                | `detection.signals` |
| rows of a fault that went into quarantine             | `detection.truth`   |
| readers of node files, objects, keys and JSON         | `read`              |

It shares only the constants of `pipeline.records` with the pipeline. The pipeline works batch by
batch and carries state in checkpoints; the oracle reads the whole history of many turbines at once.
It reads every object once, compares bit for bit, and gives each defect one name
(`Verdict.findings`).

Not covered: speed and timeliness.
"""

from sim.check.findings import Finding
from sim.check.read.lake import LakeError, LakeReader
from sim.check.shares import judge
from sim.check.verdict import Verdict

__all__ = ["Finding", "LakeError", "LakeReader", "Verdict", "judge"]
