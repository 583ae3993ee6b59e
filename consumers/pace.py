"""How fast the consumers go: every wait, bound and batch of theirs, in one value."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds unless named otherwise. The defaults suit a service that is watched live."""

    renew_seconds: float = 1.0
    """Between two renewals of a shard or segment lease; a checkpoint rides on each."""
    silence_seconds: float = 4.0
    """A lease that stood still this long on the observer's own clock is free."""
    discover_seconds: float = 10.0
    """Between two looks at which shards a stream has."""
    control_seconds: float = 0.5
    """Between two looks at the control table: barriers, leases, orders, repairs."""

    poll_busy_seconds: float = 0.2
    """Between two pages of a shard that had records. AWS allows 5 GetRecords a second a shard."""
    poll_idle_seconds: float = 1.0
    page_records: int = 1000
    """AWS: "GetRecords can retrieve a maximum of 1 MB of data or 1000 stream records"."""
    unapplied_records_max: int = 5000
    """A shard is not read further while this many of its records are unapplied."""
    unapplied_bytes_max: int = 32 * 1024 * 1024
    """The same by size: two images of 400 KB may be in one record."""
    tip_bytes_max: int = 128 * 1024
    """A page under this size did not end for it. Pages end at 1 MB, and one record may have two
    images of 400 KB, so a larger one with few records may have."""
    tip_pages: int = 20
    """So many short pages in a row, without an old record, are the tip. AWS answers with empty
    pages in mid-shard too, and gives no bound."""
    tip_fresh_seconds: float = 5.0
    """A record older than this when it is fetched shows that the reader was behind. Creation times
    are whole seconds; a reader at the tip sees a record after a second or two."""

    retention_seconds: float = 23 * 3600.0
    """For how long a stream surely keeps a record that nobody read: AWS says 24 hours, and an hour
    is left for clocks that differ and for the reading itself."""

    match_seconds: float = 0.5
    """How long a record waits for its counterpart on the other side's stream."""
    match_lagging_seconds: float = 3.0
    """The same where the other side's stream is known to be behind."""
    barrier_margin_seconds: float = 0.5
    """Between seeing a barrier and the request that may pass it: propagation into the stream."""
    apply_seconds: float = 0.05
    """Between two looks at which dirty keys are due."""
    batch_keys: int = 100
    """AWS: BatchGetItem takes up to 100 keys."""
    batches_in_flight_max: int = 4
    writes_in_flight_max: int = 16

    settle_seconds: float = 0.05
    """Between two questions to the shared queue which jobs are done."""
    step_back_seconds: float = 5.0
    """A worker that cannot do its jobs for this long leaves them to others, and rests for
    longer each time."""
    unsettled_seconds_max: float = 30.0
    """After which the queue is asked for work without a sign of progress; what it lost is put there
    again."""

    scan_page_items: int = 500
    segments_in_flight_max: int = 2
    back_off_seconds: float = 0.05
    back_off_seconds_max: float = 5.0
    repair_back_off_seconds: float = 0.5
    repair_back_off_seconds_max: float = 60.0
    repair_attempts_told: int = 12
    """A repair that failed so often goes to the dead letters too, where somebody may look."""
