"""What a log must lead to, worked out a second time: with the standard library's JSON, and nothing of the stream.

It shares with the product the contract alone. Where the two disagree, one of them is wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from stdnum import cusip as stdnum_cusip

from instrument_cache.contract import Contract, Field

_CUSIP = re.compile(r"[0-9A-Z*@#]{8}[0-9]")
_DEPTH_MAX = 500


@dataclass(frozen=True)
class LogRecord:
    """One record of the log. `value` is None for Kafka's own tombstone."""

    partition: int
    offset: int
    value: bytes | None

    @property
    def position(self) -> tuple[int, int]:
        return self.partition, self.offset


@dataclass
class Expected:
    """`stored`: full key → bytes, aliases and tombstones included. `expires_at_ms`: of those that expire.

    `rejected`: positions of the records that belong in the dead letters. `counts`: records per partition.
    """

    stored: dict[str, bytes] = field(default_factory=dict)
    expires_at_ms: dict[str, int] = field(default_factory=dict)
    rejected: set[tuple[int, int]] = field(default_factory=set)
    counts: dict[int, int] = field(default_factory=dict)

    def offer(self, key: str, stored: bytes, expires_at_ms: int) -> None:
        """Of all that a key is offered, the largest bytes stay."""
        if stored > self.stored.get(key, b""):
            self.stored[key] = stored
            self.expires_at_ms[key] = expires_at_ms


class _Invalid(Exception):
    pass


def expected_of(log: Iterable[LogRecord], contract: Contract, now_us: int) -> Expected:
    """The state, the rejects and the counts that the log must lead to when the clock says `now_us`."""
    expected = Expected()
    for record in log:
        expected.counts[record.partition] = expected.counts.get(record.partition, 0) + 1
        if record.value is None:
            continue
        try:
            _apply(expected, contract, record.value, now_us)
        except (_Invalid, ValueError, RecursionError):
            expected.rejected.add(record.position)
    return expected


def _apply(expected: Expected, contract: Contract, value: bytes, now_us: int) -> None:
    change = _parse(contract, value)
    op, version, record = change["op"], change["version"], _kept(contract, change["record"])
    if op == "canary":
        return
    if not 10**15 <= version <= min(10**16 - 1, now_us + contract.version_ahead_s_max * 1_000_000):
        raise _Invalid("version")
    key = record[contract.key.name]
    _check(contract.key, key)
    full_key = f"{contract.key_prefix}:{key}"
    if op == "delete":
        source = change.get("source", {})
        at_us = source.get("timestamp") or source.get("received_at") or version
        stored = f'{{"v":{version},"~deleted_at":{at_us}}}'.encode()
        expected.offer(full_key, stored, at_us // 1000 + contract.tombstone_ttl_s * 1000)
    elif op == "put":
        _put(expected, contract, full_key, version, record)
    else:
        raise _Invalid("op")


def _put(expected: Expected, contract: Contract, full_key: str, version: int, record: dict[str, Any]) -> None:
    if record[contract.version_field.name] is None:
        record[contract.version_field.name] = version
    for alias in contract.aliases:
        if record[alias.field.name] is not None:
            _check(alias.field, record[alias.field.name])
    expires_at_ms = version // 1000 + contract.ttl_s * 1000 if contract.ttl_s else 0
    expected.offer(full_key, _json({"v": version, **record}), expires_at_ms)
    for alias in contract.aliases:
        if record[alias.field.name] is not None:
            hint = _json({"v": version, contract.key.name: record[contract.key.name]})
            expected.offer(f"{alias.prefix}:{record[alias.field.name]}", hint, expires_at_ms)


def _parse(contract: Contract, value: bytes) -> dict[str, Any]:
    if len(value) > contract.record_bytes_max:
        raise _Invalid("size")
    change = json.loads(value.decode("utf-8"), parse_constant=_refuse)
    if not isinstance(change, dict) or not isinstance(change.get("record"), dict):
        raise _Invalid("shape")
    if type(change.get("version")) is not int or not isinstance(change.get("op"), str):
        raise _Invalid("envelope")
    json.dumps(change, ensure_ascii=False).encode("utf-8")  # a lone surrogate has no UTF-8
    if _depth(change) > _DEPTH_MAX:
        raise _Invalid("depth")
    return change


def _refuse(name: str) -> None:
    raise _Invalid(f"{name} is no JSON")


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def _kept(contract: Contract, record: dict[str, Any]) -> dict[str, Any]:
    kept = {entry.name: record.get(entry.name) for entry in contract.fields}
    for entry in contract.fields:
        held = kept[entry.name]
        if held is not None and (not isinstance(held, entry.type) or isinstance(held, bool) != (entry.type is bool)):
            raise _Invalid(entry.name)
    return kept


def _check(entry: Field, value: str | None) -> None:
    if value is None or not value.isascii():
        raise _Invalid(entry.name)
    if entry.identifier == "cusip":
        if not _CUSIP.fullmatch(value) or stdnum_cusip.calc_check_digit(value[:8]) != value[8]:
            raise _Invalid("check digit")
    elif entry.identifier == "pattern" and not re.fullmatch(entry.pattern or "", value):
        raise _Invalid(entry.name)


def _json(members: dict[str, Any]) -> bytes:
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
