"""The Prometheus metrics of the service."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_BATCH = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Observability:
    """The metrics of one service, in a registry of their own.

    Example:
        >>> Observability().reports.labels(codec="klt").inc()
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reports = Counter("csi_reports", "Reports stored.", ["codec"], registry=self.registry)
        self.duplicates = Counter("csi_duplicates", "Repeated reports.", ["codec"], registry=self.registry)
        self.block_errors = Counter(
            "csi_block_errors", "Reports erased or with wrong bits.", ["codec"], registry=self.registry
        )
        self.fallbacks = Counter(
            "csi_fallbacks", "Reports that took the mean channel.", ["codec"], registry=self.registry
        )
        self.refined = Counter("csi_refined", "Reports that were refined.", ["codec"], registry=self.registry)
        self.received = Counter("csi_received_reports", "Reports that arrived.", registry=self.registry)
        self.refused = Counter("csi_refused_reports", "Reports not accepted.", ["reason"], registry=self.registry)
        self.queued = Gauge("csi_queued_reports", "Reports waiting in both lanes.", registry=self.registry)
        self.store_fails = Gauge(
            "csi_store_fails", "1 while the last reports could not be stored.", registry=self.registry
        )
        self.sessions = Gauge("csi_open_sessions", "Sessions in memory.", registry=self.registry)
        self.listeners = Gauge(
            "csi_summary_listeners",
            "Clients that a summary is streamed to, and sums still being made for clients that left.",
            registry=self.registry,
        )
        self.queue_s = Histogram("csi_queue_seconds", "Time in the queue.", buckets=_SECONDS, registry=self.registry)
        self.decode_s = Histogram("csi_decode_seconds", "Time of a batch.", buckets=_SECONDS, registry=self.registry)
        self.batch = Histogram("csi_batch_reports", "Reports decoded together.", buckets=_BATCH, registry=self.registry)
