"""What Prometheus may know of the change stream."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest

_DATASET = ["dataset"]


class ChangesMetrics:
    """The metrics of one process, in a registry of its own; those of the process itself only if it has no other."""

    def __init__(self, of_process: bool = True) -> None:
        self.registry = registry = CollectorRegistry()
        prefix = "instrument_cache_changes"
        self.clients = Gauge(f"{prefix}_clients", "Listeners now.", _DATASET, registry=registry)
        self.events = Counter(f"{prefix}_events", "Events made of applied changes.", _DATASET, registry=registry)
        self.sent = Counter(f"{prefix}_events_sent", "Events queued for listeners.", _DATASET, registry=registry)
        self.slow = Counter(f"{prefix}_slow_clients", "Listeners cut off as too slow.", _DATASET, registry=registry)
        self.resets = Counter(f"{prefix}_resets", "Listeners told to read again.", _DATASET, registry=registry)
        self.held = Gauge(f"{prefix}_held", "Records read that are not applied yet.", _DATASET, registry=registry)
        self.log_up = Gauge(f"{prefix}_log_up", "1 if Kafka answers, else 0.", _DATASET, registry=registry)
        self.store_up = Gauge(f"{prefix}_store_up", "1 if Redis answers, else 0.", _DATASET, registry=registry)
        if of_process:
            ProcessCollector(registry=registry)

    def of(self, dataset: str) -> DatasetCounts:
        """The counters of one dataset."""
        return DatasetCounts(self, dataset)

    def exposition(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self.registry)


class DatasetCounts:
    """Counts for one dataset, each label looked up once."""

    def __init__(self, metrics: ChangesMetrics, dataset: str) -> None:
        self.events = metrics.events.labels(dataset).inc
        self.sent = metrics.sent.labels(dataset).inc
        self.slow = metrics.slow.labels(dataset).inc
        self.reset = metrics.resets.labels(dataset).inc
        self.clients = metrics.clients.labels(dataset).set_function
        self.held = metrics.held.labels(dataset).set_function
        self.log_up = metrics.log_up.labels(dataset).set_function
        self.store_up = metrics.store_up.labels(dataset).set_function
