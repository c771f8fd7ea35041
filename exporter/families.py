"""Figures → Prometheus metrics. docs/metrics.md has a row for each name; all bear the label `dataset`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from instrument_cache.account import Discrepancy, PartitionAccount
from instrument_cache.asking.figures import RedisFigures
from instrument_cache.change import Outcome
from instrument_cache.feed_state import FeedState
from instrument_cache.freshness import Freshness, LogSpan, Verdict
from instrument_cache.lag import EDGES_MS, LagHistogram
from instrument_cache.reports import Summary

Row = tuple[tuple[object, ...], float]
PHASES = ("starting", "snapshot", "live", "disconnected")
KINDS = ("gap", "excess", "sum")


class Families:
    """Makes metrics of one dataset."""

    def __init__(self, dataset: str) -> None:
        self._dataset = dataset

    def up(self, answered: Mapping[str, bool]) -> Iterator[Metric]:
        rows: list[Row] = [((part,), int(is_up)) for part, is_up in answered.items()]
        yield self._gauge("icache_up", "1 if the part answered this scrape in time, else 0.", ("part",), rows)

    def account(self, accounts: Mapping[int, PartitionAccount]) -> Iterator[Metric]:
        outcomes = [
            ((at, outcome), getattr(account, outcome)) for at, account in accounts.items() for outcome in Outcome
        ]
        yield self._counter(
            "icache_changes", "Records of the log, by what became of them.", ("partition", "outcome"), outcomes
        )
        for name, help_text, member in (
            ("icache_change_ties", "Changes decided between equal versions; also counted as applied or stale.", "ties"),
            ("icache_changes_replayed", "Records seen again after they were counted.", "replayed"),
            ("icache_offsets_skipped", "Offsets that were never seen: compacted away, or lost.", "skipped"),
        ):
            yield self._counter(name, help_text, ("partition",), _each(accounts, member))
        yield self._gauge(
            "icache_next_offset", "The offset that is applied next.", ("partition",), _each(accounts, "next")
        )

    def discrepancies(self, wrong: Iterable[Discrepancy]) -> Iterator[Metric]:
        found = {kind: 0 for kind in KINDS}
        for discrepancy in wrong:
            found[discrepancy.kind] += discrepancy.end - discrepancy.first
        rows: list[Row] = [((kind,), offsets) for kind, offsets in found.items()]
        yield self._gauge(
            "icache_account_wrong_offsets", "Offsets for which the account contradicts the log.", ("kind",), rows
        )

    def lags(self, lags: Mapping[str, LagHistogram]) -> Iterator[Metric]:
        family = HistogramMetricFamily(
            "icache_record_lag_seconds",
            "From the change at the source (stage source) or its arrival at the feed (stage feed) to readable.",
            labels=("dataset", "stage"),
        )
        for stage, histogram in sorted(lags.items()):
            family.add_metric((self._dataset, stage), _cumulative(histogram), histogram.sum_ms / 1000)
        yield family

    def redis(self, found: RedisFigures) -> Iterator[Metric]:
        yield self._one("icache_redis_keys", "Keys in the Redis database, of every kind.", found.keys)
        yield self._one(
            "icache_reject_alarm", "1 while too large a share of the records is rejected.", found.alarm is not None
        )
        share = found.alarm.share if found.alarm else 0.0
        yield self._one("icache_reject_alarm_ratio", "The share of rejects that raised the alarm, else 0.", share)
        yield self._one(
            "icache_stalled_job",
            "1 while a job is marked for replacement because it stands still.",
            found.stalled is not None,
        )

    def operations(self, newest: Mapping[str, Summary]) -> Iterator[Metric]:
        yield self._gauge(
            "icache_operation_last_finished_seconds",
            "When the newest report of the operation was finished, seconds since 1970.",
            ("operation",),
            [((operation,), _seconds(report.finished_at)) for operation, report in newest.items()],
        )
        yield self._gauge(
            "icache_operation_last_ok",
            "1 if the newest report of the operation is a good one, else 0.",
            ("operation",),
            [((operation,), int(report.ok)) for operation, report in newest.items()],
        )
        yield self._gauge(
            "icache_operation_number",
            "A number of the operation's newest report.",
            ("operation", "name"),
            [((at, name), value) for at, report in newest.items() for name, value in report.numbers.items()],
        )

    def log(self, spans: Mapping[int, LogSpan]) -> Iterator[Metric]:
        for name, help_text, member in (
            ("icache_log_start_offset", "The first offset that Kafka keeps.", "start"),
            ("icache_log_end_offset", "The offset after the last record in Kafka.", "end"),
        ):
            yield self._gauge(name, help_text, ("partition",), _each(spans, member))

    def freshness(self, found: Freshness) -> Iterator[Metric]:
        partitions = found.partitions
        yield self._gauge(
            "icache_lag_records",
            "Records in Kafka that are not applied.",
            ("partition",),
            [((at.partition,), at.behind) for at in partitions if at.behind is not None],
        )
        yield self._gauge(
            "icache_canary_age_seconds",
            "Since the feed wrote the newest canary that is applied.",
            ("partition",),
            [((at.partition,), at.canary_age_s) for at in partitions if at.canary_age_s is not None],
        )
        yield self._gauge(
            "icache_standing_seconds",
            "For how long nothing has been applied although records wait.",
            ("partition",),
            [((at.partition,), at.standing_s) for at in partitions],
        )
        yield self._states("icache_freshness", "1 for the verdict on the stream.", "verdict", Verdict, found.verdict)

    def feed(self, state: FeedState, now_us: int) -> Iterator[Metric]:
        yield self._states("icache_feed_phase", "1 for what the feed does.", "phase", PHASES, state.phase)
        for name, help_text, total in (
            ("icache_feed_sent", "Changes that the feed wrote to Kafka, without canaries.", state.sent),
            ("icache_feed_unchanged", "Rows of snapshots that Kafka had already.", state.unchanged),
            ("icache_feed_swept", "Deletes of keys that a snapshot lacked.", state.swept),
        ):
            yield self._counter(name, help_text, (), [((), total)])
        for name, help_text, value in (
            ("icache_feed_position", "Number of the source's newest message.", state.position),
            ("icache_feed_rows", "Rows of the last snapshot.", state.rows),
            (
                "icache_feed_sweep_refused",
                "Deletes that the last snapshot would have made and that were refused.",
                state.sweep_refused,
            ),
        ):
            yield self._one(name, help_text, value)
        for name, help_text, at_us in (
            ("icache_feed_heard_seconds", "Since the source last said anything, a heartbeat included.", state.heard_at),
            (
                "icache_feed_source_change_seconds",
                "Since the source's newest change, by the source's clock.",
                state.source_timestamp,
            ),
            ("icache_feed_canary_seconds", "Since the feed last wrote canaries.", state.canary_at),
        ):
            if at_us:
                yield self._one(name, help_text, (now_us - at_us) / 1e6)

    def _one(self, name: str, help_text: str, value: float) -> Metric:
        return self._gauge(name, help_text, (), [((), value)])

    def _states(self, name: str, help_text: str, label: str, states: Iterable[str], current: str) -> Metric:
        rows: list[Row] = [((state,), int(state == current)) for state in states]
        return self._gauge(name, help_text, (label,), rows)

    def _gauge(self, name: str, help_text: str, labels: tuple[str, ...], rows: Iterable[Row]) -> Metric:
        return self._filled(GaugeMetricFamily(name, help_text, labels=("dataset", *labels)), rows)

    def _counter(self, name: str, help_text: str, labels: tuple[str, ...], rows: Iterable[Row]) -> Metric:
        return self._filled(CounterMetricFamily(name, help_text, labels=("dataset", *labels)), rows)

    def _filled(self, family: GaugeMetricFamily | CounterMetricFamily, rows: Iterable[Row]) -> Metric:
        for labels, value in rows:
            family.add_metric([self._dataset, *map(str, labels)], value)
        return family


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _each(found: Mapping[int, object], member: str) -> list[Row]:
    return [((at,), getattr(partition, member)) for at, partition in sorted(found.items())]


def _cumulative(histogram: LagHistogram) -> list[tuple[str, float]]:
    """Buckets as Prometheus has them: each holds the ones below, and edges are in seconds."""
    edges = [*(f"{edge_ms / 1000:g}" for edge_ms in EDGES_MS), "+Inf"]
    return list(zip(edges, map(float, accumulate(histogram.counts)), strict=True))
