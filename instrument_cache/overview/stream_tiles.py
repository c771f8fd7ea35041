"""The stream: the job, how far it is behind, what it rejected, the keys, and the feed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from instrument_cache.account import PartitionAccount
from instrument_cache.asking.figures import RedisFigures
from instrument_cache.dead_letters.statistics import Statistics
from instrument_cache.doctor.model import Severity
from instrument_cache.feed_state import FeedState
from instrument_cache.flink_rest import Job, JobDetail
from instrument_cache.freshness import Freshness, Verdict
from instrument_cache.overview.limits import CHECKPOINT
from instrument_cache.overview.model import Fact, Tile
from instrument_cache.overview.words import milliseconds_text, number_text, span_text
from instrument_cache.reject_gate import RejectAlarm

_VERDICTS: Final[dict[Verdict, Severity]] = {
    Verdict.OK: "ok",
    Verdict.SILENT: "warn",
    Verdict.LATE: "warn",
    Verdict.UNKNOWN: "warn",
    Verdict.STALLED: "red",
}
_SOURCE_SILENT_S: Final = 30.0
_FEED_MENDS: Final[dict[Severity, str]] = {
    "ok": "",
    "warn": "Is the source's snapshot whole? If it is, the limit of the feed's sweep is too low for it.",
    "red": "Look whether the source is up; `icache logs feed` says what the feed sees of it.",
}
_COUNTED: Final = ("applied", "duplicate", "stale", "superseded", "rejected")


class JobLook(NamedTuple):
    """The dataset's jobs that have not ended; of a single one its detail and the age of its newest checkpoint."""

    jobs: Sequence[Job]
    detail: JobDetail | None = None
    checkpoint_age_s: float = 0.0
    failure: str | None = None


def job_tile(look: JobLook) -> Tile:
    """Exactly one job must run."""
    severity, value, sentence, mend = _job_words(look)
    facts = [Fact("Job", f"{job.name} ({job.job_id[:8]}…, {job.state})") for job in look.jobs]
    if look.detail and look.detail.state == "RUNNING":
        facts.append(Fact("Runs since", f"{span_text(look.detail.uptime_ms / 1000)} ago"))
        facts.append(Fact("Newest checkpoint", f"{span_text(look.checkpoint_age_s)} ago"))
        facts.append(Fact("Restarts", number_text(look.detail.restarts)))
    return Tile(
        part="job",
        title="Streaming job",
        severity=severity,
        value=value,
        sentence=sentence,
        mend=mend,
        runbook="stream_instruments",
        dag="stream_instruments",
        facts=tuple(facts),
    )


def _job_words(look: JobLook) -> tuple[Severity, str, str, str]:
    launch = "Start stream_instruments, unless the stream was stopped on purpose."
    if not look.jobs:
        why = f" The last one failed: {look.failure}." if look.failure else ""
        return "red", "none runs", f"No job applies changes to the cache.{why}", launch
    if len(look.jobs) > 1:
        mend = "Start stream_stop, then stream_instruments: it makes sure that exactly one runs."
        return "red", f"{len(look.jobs)} run", "More than one job runs, where exactly one must.", mend
    state = look.jobs[0].state
    if state != "RUNNING":
        return (
            "red",
            state,
            f"The job is {state}: nothing is applied meanwhile.",
            "See in Flink why; the watchdog starts it again if it does not come back.",
        )
    if look.checkpoint_age_s > CHECKPOINT.warn_s:
        severity: Severity = "red" if look.checkpoint_age_s > CHECKPOINT.red_s else "warn"
        late = f"The job has completed no checkpoint for {span_text(look.checkpoint_age_s)}."
        return severity, "no checkpoint", late, "See the checkpoints in Flink and whether S3 answers."
    return "ok", "RUNNING", "Exactly one job runs, and completes its checkpoints.", ""


def freshness_tile(found: Freshness) -> Tile:
    """How far the cache is behind."""
    severity = _VERDICTS[found.verdict]
    age_s = found.canary_age_s_max
    behind = [each.behind for each in found.partitions if each.behind is not None]
    facts = [Fact("Records behind", number_text(sum(behind)) if behind else "Kafka does not say")]
    for stage, lag in found.lags.items():
        facts.append(Fact(f"Lag since the {stage}, median", milliseconds_text(lag.p50_ms)))
        facts.append(Fact(f"Lag since the {stage}, 99 %", milliseconds_text(lag.p99_ms)))
    return Tile(
        part="freshness",
        title="Lag",
        severity=severity,
        value="no canary yet" if age_s is None else f"{age_s:.1f} s",
        sentence=found.message,
        mend="" if severity == "ok" else "Follow the runbook by the verdict: " + found.verdict.value + ".",
        runbook="freshness",
        dag="stream_instruments" if found.verdict is Verdict.STALLED else "",
        facts=tuple(facts),
    )


def rejects_tile(accounts: dict[int, PartitionAccount], alarm: RejectAlarm | None) -> Tile:
    """What the stream could not take."""
    sums = {name: sum(getattr(account, name) for account in accounts.values()) for name in _COUNTED}
    total = sum(sums.values())
    share = f"{100 * sums['rejected'] / max(total, 1):.3g} %"
    sentence = f"{number_text(sums['rejected'])} of {number_text(total)} records were rejected since the account began."
    if alarm:
        since = datetime.fromtimestamp(alarm.since_us / 1e6, UTC).strftime("%H:%M UTC")
        sentence = (
            f"{number_text(alarm.rejected)} of {number_text(alarm.total)} records were rejected (since {since}), "
            f"such as: {alarm.sample}"
        )
    return Tile(
        part="rejects",
        title="Rejects",
        severity="red" if alarm else "ok",
        value=share,
        sentence=sentence,
        mend="Mend the feed or the contract; then `icache dlq resume`, and replay the dead letters." if alarm else "",
        runbook="dead_letter_archive",
        dag="dead_letter_replay" if alarm else "",
        facts=tuple(Fact(name.capitalize(), number_text(number)) for name, number in sums.items()),
    )


def letters_tile(found: Statistics) -> Tile:
    """The dead letters, and which of them nobody has dealt with."""
    left = found.by_state.get("open", 0)
    common = found.by_code.most_common(5)
    return Tile(
        part="letters",
        title="Dead letters",
        severity="warn" if left else "ok",
        value=number_text(left),
        sentence=f"{number_text(found.letters)} dead letters are kept, {number_text(left)} of them not dealt with.",
        mend="Look at them with `icache dlq list`; mend their cause and replay them." if left else "",
        runbook="dead_letter_archive",
        dag="dead_letter_replay",
        facts=tuple(Fact(code, number_text(count)) for code, count in common),
    )


def keys_tile(figures: RedisFigures) -> Tile:
    """How much the cache holds."""
    empty = figures.keys == 0
    return Tile(
        part="keys",
        title="Keys",
        severity="red" if empty else "ok",
        value=number_text(figures.keys),
        sentence="The cache is empty." if empty else "Keys of Redis, with aliases, tombstones and accounts.",
        mend="If it should not be: restore the newest good backup, or let the stream read the log again."
        if empty
        else "",
        runbook="cache_restore",
        dag="cache_restore" if empty else "",
    )


def feed_tile(state: FeedState, now: datetime) -> Tile:
    """What the feed tells of itself."""
    heard_s = now.timestamp() - state.heard_at / 1e6
    lost = state.heard_at == 0 or heard_s > _SOURCE_SILENT_S
    severity: Severity = "red" if lost else "warn" if state.sweep_refused else "ok"
    sentence = f"The feed is {state.phase}; it last heard of its source {span_text(heard_s)} ago."
    if state.sweep_refused:
        sentence += f" It refused to delete {number_text(state.sweep_refused)} keys that a snapshot lacked."
    return Tile(
        part="feed",
        title="Feed",
        severity=severity,
        value=state.phase,
        sentence=sentence,
        mend=_FEED_MENDS[severity],
        runbook="freshness",
        facts=(Fact("Rows seen", number_text(state.rows)), Fact("Records sent", number_text(state.sent))),
    )
