"""The figures: every number that a run may report, with its name, unit, kind and description.

Names are stable, dotted, and contain no unit. Three kinds never mix:

- `counted`: exact, also a share of two counts
- `modelled`: virtual time and prices
- `measured`: wall time and memory of this machine

A threshold on an unknown name is an error when the scenario is loaded. A threshold on a figure that
a run did not produce is an error when the run is judged, never a pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from pipeline.records import ANOMALIES, RULES
from sim.measure.request_kinds import KINDS as REQUEST_KINDS

Kind = Literal["counted", "modelled", "measured"]


@dataclass(frozen=True)
class Figure:
    """One figure.

    Units: `rows`, `objects`, `requests`, `windows`, `manifests`, `checkpoints`, `faults`, `leaks`,
    `alarms`, `processes`, `s`, `bytes`, `rows/s`, `objects/s`, `requests/s`, `users`, `cores`,
    `USD`, or none (a share).
    """

    unit: str
    kind: Kind
    description: str

    def number(self, value: float) -> int | float:
        """Return a value as results hold it: a count as an integer, anything else rounded."""
        is_count = self.kind == "counted" and bool(self.unit)  # a share has none
        return int(value) if is_count else round(float(value), 6)


_RANKS: Final = {
    "p50": "median",
    "p95": "95th percentile",
    "p99": "99th percentile",
    "p999": "99.9th percentile",
}
_SCORED: Final = (
    "sensor.dropout",
    "sensor.stuck",
    "sensor.spike",
    "sensor.drift",
    "sensor.bias",
    "sensor.sentinel",
    "sensor.unit",
    "row.duplicate",
    "row.poisoned",
    "clock.step",
    "clock.dst",
    "schema.dropped",
)

LOAD: Final[dict[str, Figure]] = {
    "load.requests": Figure("requests", "counted", "requests of the load test that have ended"),
    "load.errors": Figure("requests", "counted", "requests that failed, or never ended"),
    "load.not_made": Figure("requests", "counted", "requests that were due but never started"),
    "errors.share": Figure(
        "", "measured", "share of the started requests of a load test that failed"
    ),
    "load.offered_per_s": Figure(
        "requests/s", "measured", "requests per second that the schedule asked for"
    ),
    "load.achieved_per_s": Figure("requests/s", "measured", "successful requests per second"),
    "load.rows_per_s": Figure(
        "rows/s", "measured", "rows per second that the flushes of a load test made durable"
    ),
    "load.late.p50": Figure(
        "s", "measured", "median delay from the intended to the actual start of a request"
    ),
    "load.late.p99": Figure(
        "s",
        "measured",
        "99th percentile of the delay from the intended to the actual start of a request",
    ),
    "load.backlog.max": Figure(
        "requests", "measured", "largest number of requests that were due and not yet started"
    ),
    "load.backlog.end": Figure(
        "requests",
        "measured",
        "requests that were due and not yet started at the end of the schedule",
    ),
    "load.standstill": Figure(
        "s", "measured", "longest time in which requests were in progress and none ended"
    ),
    "load.drift": Figure(
        "",
        "measured",
        "median latency in the last quarter of the schedule, divided by that in the first quarter",
    ),
    **{
        f"latency.{kind}.{rank}": Figure(
            "s", "measured", f"{rank_name} time from the intended start to the end of a {kind}"
        )
        for kind in REQUEST_KINDS
        for rank, rank_name in _RANKS.items()
    },
    **{
        f"service.{kind}.{rank}": Figure(
            "s", "measured", f"{rank_name} time from the start to the end of a {kind}"
        )
        for kind in REQUEST_KINDS
        for rank, rank_name in _RANKS.items()
    },
    "load.peak_per_s": Figure(
        "requests/s", "measured", "requests per second of the best level of the closed sweep"
    ),
    "load.saturation_users": Figure(
        "users", "measured", "fewest users that come within 5 % of the best level"
    ),
    "load.usl.lambda": Figure(
        "requests/s", "measured", "Universal Scalability fit: throughput of one user"
    ),
    "load.usl.alpha": Figure(
        "",
        "measured",
        "Universal Scalability fit: contention, the share of work done one at a time",
    ),
    "load.usl.beta": Figure(
        "",
        "measured",
        "Universal Scalability fit: coherency, the work that grows with every pair of users",
    ),
    "load.usl.peak_users": Figure(
        "users", "measured", "users at the peak of the fit, if it has one"
    ),
    "load.usl.peak_per_s": Figure(
        "requests/s", "measured", "throughput at the peak of the fit, if it has one"
    ),
    "load.usl.asymptote_per_s": Figure(
        "requests/s", "measured", "limit of throughput in a fit without a peak: lambda / alpha"
    ),
    "load.littles_law_error": Figure(
        "",
        "measured",
        "largest relative error of Little's law, users = throughput x response time, in a sweep",
    ),
    "load.sustainable_per_s": Figure(
        "requests/s",
        "measured",
        "largest offered rate that met the SLO, and again in a longer final test",
    ),
    "load.generator_per_s": Figure(
        "requests/s", "measured", "requests per second of the load generator with a null store"
    ),
    "load.workers_lost": Figure(
        "processes", "counted", "processes of the load generator that died during a phase"
    ),
    "cpu.client": Figure(
        "cores", "measured", "mean CPU use of the busiest process of the load generator"
    ),
    "cpu.server": Figure(
        "cores", "measured", "mean CPU use of the store, if it runs on this machine"
    ),
    "cpu.idle": Figure(
        "cores", "measured", "mean number of idle cores of the machine during a load test"
    ),
    "cpu.others": Figure(
        "cores",
        "measured",
        "mean number of cores that other programs used during a load test",
    ),
    "cpu.server_per_operation": Figure("s", "measured", "CPU time of the store per operation"),
    "memory.server": Figure(
        "bytes", "measured", "largest resident memory of the store in a load test"
    ),
    "connections.max": Figure(
        "", "measured", "largest number of open connections of the load generator"
    ),
}
"""Figures of a load test, over its open schedule without warm-up.

Without a schedule they are those of the hold that confirmed the search.
"""

FIGURES: Final[dict[str, Figure]] = {
    # rows and windows
    "rows.generated": Figure("rows", "counted", "rows in the node databases"),
    "rows.late": Figure(
        "rows", "counted", "rows that a node stored after a row with a later event time"
    ),
    "rows.ingested": Figure("rows", "counted", "rows in the ingestion bucket"),
    "rows.validated": Figure("rows", "counted", "rows that passed every rule"),
    "rows.quarantined": Figure(
        "rows", "counted", "rows that broke a rule, stored in _quarantine/ of the validated bucket"
    ),
    "rows.enriched": Figure("rows", "counted", "rows in the enriched bucket"),
    "rows.lost": Figure("rows", "counted", "rows missing from the lake, over all row-level stages"),
    "rows.duplicated": Figure(
        "rows", "counted", "rows that the lake contains more often than expected"
    ),
    "rows.misplaced": Figure(
        "rows", "counted", "rows stored under the wrong hour, turbine or stage"
    ),
    "rows.altered": Figure("rows", "counted", "rows with other values than expected"),
    "rows.unexpected": Figure("rows", "counted", "rows that should not be in the lake"),
    "rows.unbalanced": Figure(
        "rows",
        "counted",
        "ingested rows that are not in exactly one place: validated or quarantine",
    ),
    "manifest.mismatches": Figure(
        "manifests",
        "counted",
        "manifests that are missing, or contradict the objects that they name",
    ),
    "checkpoint.mismatches": Figure(
        "checkpoints", "counted", "checkpoints that do not match the node's rows"
    ),
    "windows.expected": Figure("windows", "counted", "windows with at least one validated row"),
    "windows.wrong": Figure(
        "windows", "counted", "windows whose latest revision differs from a recomputation"
    ),
    "windows.revised": Figure(
        "windows", "counted", "windows that were revised after they were first emitted"
    ),
    "objects.unfinished": Figure(
        "objects", "counted", "incomplete multipart uploads in the buckets"
    ),
    "privacy.leaks": Figure(
        "leaks",
        "counted",
        "personal or exact-location values of the asset register in the lake, per object and field",
    ),
    "faults.injected": Figure(
        "faults", "counted", "data faults that the simulator put into the node databases"
    ),
    # detection against ground truth; delays are modelled, because they are times of the fleet
    "detection.faults": Figure(
        "faults", "counted", "injected faults that altered rows and that some signal can detect"
    ),
    "detection.found": Figure(
        "faults", "counted", "detectable faults that such a signal did detect"
    ),
    "detection.alarms": Figure(
        "alarms",
        "counted",
        "alarms: each kind of anomaly and each broken rule, once per turbine and window",
    ),
    "detection.false_alarms": Figure(
        "alarms", "counted", "alarms without an injected fault or fault state that explains them"
    ),
    "detection.recall": Figure("", "counted", "share of detectable faults that were found"),
    "detection.precision": Figure("", "counted", "share of alarms that a fault explains"),
    "detection.delay.p50": Figure(
        "s", "modelled", "median time from a fault's start to its first alarm, in event time"
    ),
    "detection.delay.p95": Figure(
        "s",
        "modelled",
        "95th percentile of the time from a fault's start to its first alarm, in event time",
    ),
    **{
        f"detection.recall.{kind}": Figure(
            "", "counted", f"share of detectable {kind} faults that were found"
        )
        for kind in _SCORED
    },
    **{
        f"detection.delay.{kind}": Figure(
            "s",
            "modelled",
            f"median time from the start of {kind} to its first alarm, in event time",
        )
        for kind in _SCORED
    },
    **{
        f"detection.precision.{signal}": Figure(
            "", "counted", f"share of {signal} alarms that a fault explains"
        )
        for signal in (*ANOMALIES, *RULES)
    },
    # the store
    "objects.written": Figure(
        "objects", "counted", "objects written to the store, including manifests and checkpoints"
    ),
    "bytes.written": Figure("bytes", "counted", "bytes of the objects written to the store"),
    "bytes.nodes": Figure("bytes", "counted", "bytes of the node databases"),
    "store.requests": Figure(
        "requests", "counted", "requests sent to the store, including failed ones"
    ),
    "store.errors": Figure(
        "requests", "counted", "requests that the store refused or did not answer"
    ),
    "store.put_ceiling_per_s": Figure(
        "requests/s",
        "measured",
        "PUTs per second that the store takes from this machine when nothing else runs",
    ),
    # modelled: virtual time and prices
    "freshness.p50": Figure(
        "s", "modelled", "median time from the event until its row is readable in the lake"
    ),
    "freshness.p95": Figure(
        "s",
        "modelled",
        "95th percentile of the time from the event until its row is readable in the lake",
    ),
    "freshness.p99": Figure(
        "s",
        "modelled",
        "99th percentile of the time from the event until its row is readable in the lake",
    ),
    "cost.per_day": Figure(
        "USD",
        "modelled",
        "S3 list price of a day of this load: its requests, and its bytes for 30 days in Standard",
    ),
    "cost.kept_year": Figure(
        "USD",
        "modelled",
        "S3 list price of keeping a day's objects for a year under the lifecycle policies",
    ),
    # measured: wall time and memory
    "latency.put.p50": Figure("s", "measured", "median duration of a PUT"),
    "latency.put.p95": Figure("s", "measured", "95th percentile of the duration of a PUT"),
    "latency.put.p99": Figure("s", "measured", "99th percentile of the duration of a PUT"),
    "throughput.rows_per_s": Figure(
        "rows/s",
        "measured",
        "committed rows per second, from the first store operation to the last commit",
    ),
    "throughput.objects_per_s": Figure(
        "objects/s",
        "measured",
        "accepted PUTs per second, from the first store operation to the last commit",
    ),
    "simulate.rows_per_s": Figure(
        "rows/s", "measured", "rows simulated and stored, per second of time.simulate"
    ),
    "pipeline.rows_per_s": Figure(
        "rows/s", "measured", "rows through the four stages, per second of time.pipeline"
    ),
    "verify.rows_per_s": Figure("rows/s", "measured", "rows judged, per second of time.verify"),
    "time.simulate": Figure(
        "s", "measured", "time of simulation and storage, summed over the workers"
    ),
    "time.pipeline": Figure("s", "measured", "time in the pipeline, summed over the workers"),
    "time.verify": Figure(
        "s", "measured", "time of the verdict; of early verdicts, the mean over the workers"
    ),
    "time.total": Figure(
        "s", "measured", "time from the start to the verdict, including the start of the store"
    ),
    "cpu.busy": Figure(
        "", "measured", "share of the machine's cores that the run used, or waited for"
    ),
    "memory.peak": Figure(
        "bytes", "measured", "largest total resident memory of all processes of the run"
    ),
    **LOAD,
}

LIVE: Final = (
    "errors.share",
    "load.late.p50",
    "load.late.p99",
    "load.backlog.max",
    *(
        f"{quantity}.{kind}.{rank}"
        for quantity in ("latency", "service")
        for kind in REQUEST_KINDS
        for rank in _RANKS
    ),
)
"""Figures that an SLO or an early stop may name.

They are known for a single phase, and a larger value is worse.
"""
