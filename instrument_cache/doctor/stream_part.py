"""The stream: is the cache fresh, are too many records rejected, and does the account agree with the log?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import redis
from redis.exceptions import RedisError

from instrument_cache.account_check import check_account
from instrument_cache.connections import redis_client
from instrument_cache.doctor.model import Finding, Severity
from instrument_cache.errors import StoreUnavailable
from instrument_cache.freshness import Verdict, stalled_job
from instrument_cache.freshness.connect import certain_look, connect_probe
from instrument_cache.reject_gate import current_alarm
from instrument_cache.settings import Environment, redis_url
from instrument_cache.store.redis import RedisStore

_RUNBOOK: Final = "freshness"
_SEVERITY: Final[dict[Verdict, Severity]] = {Verdict.OK: "ok", Verdict.STALLED: "red"}
_WHY: Final = {
    Verdict.SILENT: "all that the log holds is applied, but the feed writes no canaries: it or its source is away",
    Verdict.LATE: "the job is behind and catches up, or has just come to a stop",
    Verdict.UNKNOWN: "Redis or Kafka does not tell",
    Verdict.STALLED: "the job says RUNNING and applies nothing: its Python worker hangs, or Redis refuses the writes",
}
_MEND: Final = {
    Verdict.SILENT: "icache restart feed",
    Verdict.LATE: "icache freshness --watch",
    Verdict.UNKNOWN: "mend Redis or Kafka first",
    Verdict.STALLED: "the watch replaces the job within minutes; at once: icache restart flink-taskmanager",
}


def look_at_stream(env: Environment) -> Iterator[Finding]:
    """Freshness. A job that is late is looked at for some seconds more, to tell whether it stands still."""
    client = _client(env)
    found = certain_look(connect_probe(env, client))
    severity = _SEVERITY.get(found.verdict, "warn")
    why, mend = _WHY.get(found.verdict, ""), _MEND.get(found.verdict, "")
    yield Finding("stream", severity, found.message, why, mend, "" if severity == "ok" else _RUNBOOK)
    mark = stalled_job(client, found.dataset)
    if mark and found.verdict is not Verdict.OK:
        yield Finding("stream", "red", mark.message, _WHY[Verdict.STALLED], _MEND[Verdict.STALLED], _RUNBOOK)


def look_at_rejects(env: Environment) -> Iterator[Finding]:
    """The alarm that workers raise when too many records are rejected."""
    dataset = _dataset(env)
    try:
        alarm = current_alarm(_client(env), dataset)
    except RedisError as error:
        raise StoreUnavailable(f"Redis does not tell of rejects: {error}") from error
    if alarm is None:
        yield Finding("rejects", "ok", "no alarm: few records are rejected, or none")
        return
    yield Finding(
        "rejects",
        "red",
        f"{alarm.rejected} of {alarm.total} records ({alarm.share:.0%}) were rejected, such as: {alarm.sample}",
        "the feed or the source changed its format, or the contract does; with ICACHE_REJECT_STOP the stream waits",
        "icache dlq stats; mend the cause, then icache dlq resume",
        "dead_letter_archive",
    )


def look_at_account(env: Environment) -> Iterator[Finding]:
    """Whether every record of the log has its outcome, once."""
    dataset = _dataset(env)
    report = check_account(RedisStore(_client(env), dataset), env.text("ICACHE_KAFKA_BOOTSTRAP"), dataset)
    if not report.wrong:
        total = sum(account.total for account in report.accounts.values())
        yield Finding("account", "ok", f"{total} records accounted, each once")
        return
    more = f", and {len(report.wrong) - 1} more" if len(report.wrong) > 1 else ""
    yield Finding(
        "account",
        "red",
        f"the account is wrong: {report.wrong[0].text}{more}",
        "records were passed over, Redis lost its newest writes, or the topic was made anew",
        "trigger reconcile_after_gap (or icache reconcile): it makes the cache equal again",
        "reconcile_after_gap",
    )


def _client(env: Environment) -> redis.Redis:
    return redis_client(redis_url(env), name="doctor", timeout_s=3.0)


def _dataset(env: Environment) -> str:
    return env.text("ICACHE_DATASET", "instruments")
