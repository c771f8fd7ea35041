"""How far the checkpoints of the streaming job have come in the log, as its committed offsets tell."""

from __future__ import annotations

from instrument_cache.kafka import committed_offsets, topic_spans


def log_end(bootstrap: str, dataset: str) -> dict[int, int]:
    """Partition → the offset of its next record. Raises LogUnavailable."""
    return {partition: span.end for partition, span in topic_spans(bootstrap, dataset).items()}


def has_applied(bootstrap: str, dataset: str, end: dict[int, int]) -> bool:
    """True if a checkpoint covers every record before `end` (of `log_end`). Raises LogUnavailable."""
    committed = committed_offsets(bootstrap, dataset, f"instrument-cache.{dataset}")
    return all(committed[partition] >= offset for partition, offset in end.items())
