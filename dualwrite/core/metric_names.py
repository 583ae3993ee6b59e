"""Every metric the service exports: its kind, its labels in order, and one line of help."""

from dataclasses import dataclass

LATENCY_BUCKETS_SECONDS = (
    0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """``kind`` is counter, gauge or histogram."""

    kind: str
    help: str
    labels: tuple[str, ...] = ()


WRITES = "dualwrite_writes_total"
REQUESTS = "dualwrite_requests_total"
CALLERS_REFUSED = "dualwrite_callers_refused_total"
CLIENT_SECONDS = "dualwrite_client_seconds"
LEADER_SECONDS = "dualwrite_leader_seconds"
FOLLOWER_SECONDS = "dualwrite_follower_seconds"
FOLLOWER_OUTCOMES = "dualwrite_follower_outcomes_total"
FOLLOWER_BREAKER = "dualwrite_follower_breaker"
REPEATS = "dualwrite_repeats_total"
SHED = "dualwrite_shed_total"
UNITS = "dualwrite_capacity_units_total"
READS = "dualwrite_reads_total"
SHADOW_READS = "dualwrite_shadow_reads_total"
LAG_SECONDS = "dualwrite_lag_seconds"
LAG_RECORDS = "dualwrite_lag_records"
RECORDS = "dualwrite_stream_records_total"
RECONCILES = "dualwrite_reconciles_total"
DRIFT = "dualwrite_drift"
REPAIRS_WAITING = "dualwrite_repairs_waiting"
REPAIRS_AGE_SECONDS = "dualwrite_repairs_age_seconds"
BACKFILL_ITEMS = "dualwrite_backfill_items"
BACKFILL_BYTES = "dualwrite_backfill_bytes"
BACKFILL_SHARE = "dualwrite_backfill_share"
BACKFILL_ETA_SECONDS = "dualwrite_backfill_eta_seconds"
BACKFILL_THROTTLED = "dualwrite_backfill_throttled_total"
GATE = "dualwrite_gate"
EPOCH = "dualwrite_epoch"
PHASE = "dualwrite_phase"
READ_SHARE = "dualwrite_read_share"
BYPASS_WRITES = "dualwrite_bypass_writes_total"
QUARANTINED = "dualwrite_quarantined_total"
BIG_TRANSACTIONS = "dualwrite_big_transactions_total"
QUEUE_JOBS = "dualwrite_queue_jobs_total"
LEASE_SECONDS = "dualwrite_lease_left_seconds"

METRICS: dict[str, MetricSpec] = {
    REQUESTS: MetricSpec("counter", "Client requests answered", ("table", "operation", "status")),
    CALLERS_REFUSED: MetricSpec("counter", "Requests refused for who sent them", ("status",)),
    WRITES: MetricSpec("counter", "Client writes by outcome", ("table", "phase", "outcome")),
    CLIENT_SECONDS: MetricSpec("histogram", "Time to answer a client", ("table", "operation")),
    LEADER_SECONDS: MetricSpec("histogram", "Time of the leader's write", ("table",)),
    FOLLOWER_SECONDS: MetricSpec("histogram", "Time of the follower's write", ("table",)),
    FOLLOWER_OUTCOMES: MetricSpec("counter", "Follower writes by outcome", ("table", "outcome")),
    FOLLOWER_BREAKER: MetricSpec("gauge", "0 closed, 1 half-open, 2 open: the follower is left out",
                                 ("table", "side")),
    REPEATS: MetricSpec("counter", "Requests sent again, or not for want of budget",
                        ("side", "trouble", "verdict")),
    SHED: MetricSpec("counter", "Client requests refused because too many are in hand"),
    UNITS: MetricSpec("counter", "Capacity units that client writes took", ("table", "side")),
    READS: MetricSpec("counter", "Reads served, by side", ("table", "side")),
    SHADOW_READS: MetricSpec("counter", "Reads compared on both sides", ("table", "verdict")),
    LAG_SECONDS: MetricSpec("gauge", "Age of the oldest unapplied record", ("table", "side")),
    LAG_RECORDS: MetricSpec("gauge", "Stream records read and not applied", ("table", "side")),
    RECORDS: MetricSpec("counter", "Stream records: read, and of these proven or expired; ignored",
                        ("table", "side", "result")),
    RECONCILES: MetricSpec("counter", "Reconciled keys by result", ("table", "result")),
    DRIFT: MetricSpec("gauge", "Keys that differ, by the newest sweep", ("table", "kind")),
    REPAIRS_WAITING: MetricSpec("gauge", "Keys that wait for repair", ("table", "poison")),
    REPAIRS_AGE_SECONDS: MetricSpec("gauge", "Age of the oldest waiting repair", ("table",)),
    BACKFILL_ITEMS: MetricSpec("gauge", "Items the backfill has handled", ("table", "result")),
    BACKFILL_BYTES: MetricSpec("gauge", "Bytes of items the backfill has scanned", ("table",)),
    BACKFILL_SHARE: MetricSpec("gauge", "Part of the backfill that is done, 0..1", ("table",)),
    BACKFILL_ETA_SECONDS: MetricSpec("gauge", "Seconds left of the backfill; -1 unknown",
                                     ("table",)),
    BACKFILL_THROTTLED: MetricSpec("counter", "Times the engine made the backfill slow down",
                                   ("table", "units")),
    GATE: MetricSpec("gauge", "Gates of the next move: 1 open, 0 closed, -1 unknown",
                     ("table", "gate")),
    EPOCH: MetricSpec("gauge", "Epoch of the table's state as this process knows it", ("table",)),
    PHASE: MetricSpec("gauge", "1 for the phase the table is in", ("table", "phase")),
    READ_SHARE: MetricSpec("gauge", "Share of reads served by new, percent", ("table",)),
    BYPASS_WRITES: MetricSpec("counter", "Writes seen that went past the proxy", ("table",)),
    QUARANTINED: MetricSpec("counter", "Straggler writes put into quarantine", ("table",)),
    BIG_TRANSACTIONS: MetricSpec("counter", "Transactions that atomic mode would refuse",
                                 ("table",)),
    QUEUE_JOBS: MetricSpec("counter", "Jobs of the shared queue by what became of them",
                           ("lane", "result")),
    LEASE_SECONDS: MetricSpec("gauge", "Seconds left of this process's lease"),
}  # fmt: skip
