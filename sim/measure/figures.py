"""The figures: every number a run may report, by name, with its unit, its kind and one line that says what it is.

Names are stable, dotted and unit-free. Three kinds never mix: `counted` (exact), `modelled` (virtual time and prices)
and `measured` (wall time and memory of this machine). A threshold on a name that is not here is an error at load; one
on a figure that a run did not produce is an error at judgement, never a pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from pipeline.records import ANOMALIES, RULES
from sim.measure.requests import KINDS as REQUESTS

Kind = Literal["counted", "modelled", "measured"]


@dataclass(frozen=True)
class Figure:
    """Units: `rows`, `objects`, `requests`, `windows`, `manifests`, `checkpoints`, `faults`, `leaks`, `alarms`, `s`,
    `bytes`, `rows/s`, `objects/s`, `requests/s`, `users`, `cores`, `USD`, or none (a share)."""

    unit: str
    kind: Kind
    description: str


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
    "load.requests": Figure("requests", "counted", "requests of the load test that ended"),
    "load.errors": Figure(
        "requests", "counted", "requests that were started and failed, or never ended"
    ),
    "load.not_made": Figure("requests", "counted", "requests that were due and never started"),
    "errors.share": Figure(
        "", "measured", "share of the started requests of a load test that failed"
    ),
    "load.offered_per_s": Figure(
        "requests/s", "measured", "requests a second that the schedule asked for"
    ),
    "load.achieved_per_s": Figure("requests/s", "measured", "requests a second that succeeded"),
    "load.rows_per_s": Figure(
        "rows/s", "measured", "rows a second made durable by the flushes of a load test"
    ),
    "load.late.p50": Figure("s", "measured", "median of intended start to start of a request"),
    "load.late.p99": Figure(
        "s", "measured", "99th percentile of intended start to start of a request"
    ),
    "load.backlog.max": Figure(
        "requests", "measured", "most requests that were due and not started at any moment"
    ),
    "load.backlog.end": Figure(
        "requests", "measured", "requests due and not started when the schedule ended"
    ),
    "load.standstill": Figure(
        "s", "measured", "longest time in which requests were under way and none ended"
    ),
    "load.drift": Figure(
        "", "measured", "median latency in the last quarter of the schedule over that in the first"
    ),
    **{
        f"latency.{kind}.{rank}": Figure(
            "s", "measured", f"{said} of intended start to end of a {kind}"
        )
        for kind in REQUESTS
        for rank, said in _RANKS.items()
    },
    **{
        f"service.{kind}.{rank}": Figure("s", "measured", f"{said} of start to end of a {kind}")
        for kind in REQUESTS
        for rank, said in _RANKS.items()
    },
    "load.peak_per_s": Figure(
        "requests/s", "measured", "most requests a second of any level of the closed sweep"
    ),
    "load.saturation_users": Figure(
        "users", "measured", "fewest users whose level comes within 5 % of the peak"
    ),
    "load.usl.lambda": Figure(
        "requests/s", "measured", "Universal Scalability fit: throughput of one user"
    ),
    "load.usl.alpha": Figure("", "measured", "Universal Scalability fit: contention"),
    "load.usl.beta": Figure("", "measured", "Universal Scalability fit: coherency"),
    "load.usl.peak_users": Figure(
        "users", "measured", "users at the peak of the fit, where it has one"
    ),
    "load.usl.peak_per_s": Figure(
        "requests/s", "measured", "throughput at the peak of the fit, where it has one"
    ),
    "load.usl.asymptote_per_s": Figure(
        "requests/s", "measured", "limit of a fit without a peak: lambda over alpha"
    ),
    "load.littles_law_error": Figure(
        "", "measured", "largest relative difference of N and X R in the closed sweep"
    ),
    "load.sustainable_per_s": Figure(
        "requests/s", "measured", "largest offered rate that kept the SLO, then held it"
    ),
    "load.generator_per_s": Figure(
        "requests/s", "measured", "requests a second of the generator before a null store"
    ),
    "load.workers_lost": Figure("", "counted", "load generators that died in a phase"),
    "cpu.client": Figure(
        "cores", "measured", "mean use of processors by the busiest process of the generator"
    ),
    "cpu.server": Figure(
        "cores", "measured", "mean use of processors by the store, where it runs on this machine"
    ),
    "cpu.idle": Figure(
        "cores", "measured", "mean of the machine's cores that no process used in a load test"
    ),
    "cpu.others": Figure(
        "cores",
        "measured",
        "mean of the cores that neither store nor generator used, and were busy",
    ),
    "cpu.server_per_operation": Figure(
        "s", "measured", "processor time of the store per operation"
    ),
    "memory.server": Figure(
        "bytes", "measured", "largest resident memory of the store in a load test"
    ),
    "connections.max": Figure("", "measured", "most connections the generator held open at once"),
}
"""Of a load test: over its open schedule, warm-up excluded; without one, over the hold that confirmed the search."""

FIGURES: Final[dict[str, Figure]] = {
    # the account of rows
    "rows.generated": Figure("rows", "counted", "rows in the node databases"),
    "rows.late": Figure("rows", "counted", "rows the node stored after a later event of its own"),
    "rows.ingested": Figure("rows", "counted", "rows in the ingestion bucket"),
    "rows.validated": Figure("rows", "counted", "rows that passed every rule"),
    "rows.quarantined": Figure(
        "rows", "counted", "rows that broke a rule, kept in _quarantine/ of the validated bucket"
    ),
    "rows.enriched": Figure("rows", "counted", "rows in the enriched bucket"),
    "rows.lost": Figure(
        "rows", "counted", "rows the lake should hold and does not, over all row-level stages"
    ),
    "rows.duplicated": Figure("rows", "counted", "rows the lake holds more often than it should"),
    "rows.misplaced": Figure("rows", "counted", "rows under the wrong hour, turbine or stage"),
    "rows.altered": Figure("rows", "counted", "rows whose values differ from what they should be"),
    "rows.unexpected": Figure("rows", "counted", "rows the lake should not hold at all"),
    "rows.unbalanced": Figure(
        "rows", "counted", "ingested rows that are not in exactly one of validated and quarantine"
    ),
    "manifest.mismatches": Figure(
        "manifests", "counted", "manifests missing, or contradicting the objects they name"
    ),
    "checkpoint.mismatches": Figure(
        "checkpoints", "counted", "checkpoints behind or ahead of what the node stored"
    ),
    "windows.expected": Figure("windows", "counted", "windows with at least one validated row"),
    "windows.wrong": Figure(
        "windows", "counted", "windows whose latest revision differs from a recomputation"
    ),
    "windows.revised": Figure(
        "windows", "counted", "windows whose latest revision in the lake is above 0"
    ),
    "objects.unfinished": Figure(
        "objects", "counted", "uploads in parts that were begun in the buckets and never ended"
    ),
    "privacy.leaks": Figure(
        "leaks",
        "counted",
        "objects with a personal or exact-location value of the asset register, once per field",
    ),
    "faults.injected": Figure(
        "faults", "counted", "data faults the simulator put into the node databases"
    ),
    # detection against ground truth; modelled, as both the faults and the time are
    "detection.faults": Figure(
        "faults", "counted", "injected faults that altered rows and that some signal could tell"
    ),
    "detection.found": Figure("faults", "counted", "of these, faults on which such a signal fell"),
    "detection.alarms": Figure(
        "alarms", "counted", "anomaly kinds and broken rules, once per turbine and window"
    ),
    "detection.false_alarms": Figure(
        "alarms", "counted", "alarms that no injected fault or fault state explains"
    ),
    "detection.recall": Figure("", "modelled", "share of detectable faults that were found"),
    "detection.precision": Figure("", "modelled", "share of alarms that a fault explains"),
    "detection.delay.p50": Figure(
        "s", "modelled", "median event time from a fault's start to its first alarm"
    ),
    "detection.delay.p95": Figure(
        "s", "modelled", "95th percentile of event time from a fault's start to its first alarm"
    ),
    **{
        f"detection.recall.{kind}": Figure(
            "", "modelled", f"share of detectable {kind} faults that were found"
        )
        for kind in _SCORED
    },
    **{
        f"detection.delay.{kind}": Figure(
            "s", "modelled", f"median event time from the start of {kind} to its first alarm"
        )
        for kind in _SCORED
    },
    **{
        f"detection.precision.{signal}": Figure(
            "", "modelled", f"share of {signal} alarms that a fault explains"
        )
        for signal in (*ANOMALIES, *RULES)
    },
    # the store
    "objects.written": Figure(
        "objects", "counted", "objects created in the store, manifests and checkpoints included"
    ),
    "bytes.written": Figure("bytes", "counted", "bytes of the objects created in the store"),
    "bytes.nodes": Figure("bytes", "counted", "bytes of the node databases"),
    "store.requests": Figure(
        "requests", "counted", "requests sent to the store, failed ones included"
    ),
    "store.errors": Figure("requests", "counted", "requests the store refused or did not answer"),
    "store.put_ceiling_per_s": Figure(
        "requests/s",
        "measured",
        "PUTs a second the store takes from this machine when nothing else runs",
    ),
    # modelled: virtual time and prices
    "freshness.p50": Figure("s", "modelled", "median of event time to readable in the lake"),
    "freshness.p95": Figure(
        "s", "modelled", "95th percentile of event time to readable in the lake"
    ),
    "freshness.p99": Figure(
        "s", "modelled", "99th percentile of event time to readable in the lake"
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
    "latency.put.p50": Figure("s", "measured", "median time of a PUT"),
    "latency.put.p95": Figure("s", "measured", "95th percentile of the time of a PUT"),
    "latency.put.p99": Figure("s", "measured", "99th percentile of the time of a PUT"),
    "throughput.rows_per_s": Figure(
        "rows/s",
        "measured",
        "committed rows a second, first store operation to last commit; simulation before it not counted",
    ),
    "throughput.objects_per_s": Figure(
        "objects/s",
        "measured",
        "accepted PUTs a second, first store operation to last commit; simulation before it not counted",
    ),
    "simulate.rows_per_s": Figure(
        "rows/s", "measured", "rows simulated and stored per second spent on it"
    ),
    "pipeline.rows_per_s": Figure(
        "rows/s", "measured", "rows through the four stages per second spent on it"
    ),
    "verify.rows_per_s": Figure("rows/s", "measured", "rows judged per second spent on it"),
    "time.simulate": Figure(
        "s", "measured", "time spent simulating and storing, summed over the workers"
    ),
    "time.pipeline": Figure("s", "measured", "time spent in the pipeline, summed over the workers"),
    "time.verify": Figure("s", "measured", "time the verdict took"),
    "time.total": Figure(
        "s", "measured", "time from start to verdict, the store's start-up included"
    ),
    "memory.peak": Figure(
        "bytes", "measured", "largest resident memory of all processes of the run together"
    ),
    **LOAD,
}

LIVE: Final = (
    "errors.share",
    "load.late.p50",
    "load.late.p99",
    "load.backlog.max",
    *(
        f"{what}.{kind}.{rank}"
        for what in ("latency", "service")
        for kind in REQUESTS
        for rank in _RANKS
    ),
)
"""What an SLO and an early stop may name: what is known of a single phase, more being worse."""
