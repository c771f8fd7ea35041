"""One round: live traffic, a fault, the way back, and then every record, key, count and dead letter is checked."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from instrument_cache.kafka import read_to_end
from instrument_cache.overview.service import Overviews
from local_stack.instance import DATASET
from local_stack.synthetic import synthetic_cusip, synthetic_rows
from tests.faults.checker import Finding, Observed, check
from tests.faults.expected import Expected, LogRecord, expected_of
from tests.faults.fault_stack import FaultStack, running_fault_stack
from tests.faults.faults import FAULTS, Situation
from tests.faults.naming import (
    EXPECTED,
    PAGE_EVERY_S,
    Named,
    Naming,
    OpenPage,
    environment_of,
    examine_stack,
    lasting_reds,
    naming,
)
from tests.faults.product_account import counted
from tests.faults.traffic import (
    LOG_KEYS,
    LOG_KEYS_START,
    REST,
    SOURCE_KEYS,
    LogWriter,
    Readers,
    SourceWriter,
    writing,
)
from tests.servers import wait_until
from tests.stack import CONTRACT

# The longest way back is the JobManager's: a lost job is looked for, and a launch takes half a minute.
RECOVERY_S: Final = 240.0
_RECORDS_BEFORE: Final = 100
_LETTERS_TIMEOUT_S: Final = 60.0
_CALM_S: Final = 1.0
# In a short round somebody loads the page again and again.
_PAGE_SHORT_EVERY_S: Final = 5.0


@dataclass(frozen=True)
class Round:
    """`changes`: records that reached the log during the fault. `recovery_s`: from its end until all of them, and
    whatever else the log held then, are applied, one job runs and every part serves. `named`: what the doctor said of
    it, and `shown` what the operator's page did; None if they never named it. `false_alarms`: what the doctor called
    red before the fault."""

    fault: str
    seed: int
    changes: int
    recovery_s: float
    findings: tuple[Finding, ...]
    named: Named | None
    false_alarms: tuple[str, ...]
    shown: Named | None


@dataclass
class Field:
    """A running stack with its writers and readers, for many rounds."""

    stack: FaultStack
    readers: Readers
    writers: tuple[SourceWriter, LogWriter]
    overviews: Overviews
    log: list[LogRecord] = field(default_factory=list)

    def run(self, fault: str, seed: int, long: bool = False) -> Round:
        """One round of one fault. The stack is whole before and after it, or AssertionError tells why not."""
        with OpenPage(self.overviews, PAGE_EVERY_S if long else _PAGE_SHORT_EVERY_S) as page:
            return self._run(page, fault, seed, long)

    def _run(self, page: OpenPage, fault: str, seed: int, long: bool) -> Round:
        before = self.stack.log_ends()
        with writing(*self.writers):
            wait_until(
                lambda: _written(before, self.stack.log_ends()) > _RECORDS_BEFORE, what="traffic before the fault"
            )
            false_alarms = lasting_reds(self.stack)
            began = self.stack.log_ends()
            doctor = Naming(partial(examine_stack, self.stack), fault, EXPECTED[fault])
            with naming(doctor):
                FAULTS[fault](Situation(self.stack, self.writers, random.Random(seed), long))
                ended = time.monotonic()
                recovery_s = self._recover(began) - ended
            changes = _written(began, self.stack.log_ends())
            time.sleep(_CALM_S)
        self.writers[1].flush()
        self.stack.settle(RECOVERY_S)
        findings = tuple(self._check())
        return Round(fault, seed, changes, recovery_s, findings, doctor.named, false_alarms, page.named(doctor))

    def _recover(self, began: dict[int, int]) -> float:
        """Wait until the stack is whole again, takes records, and has applied what the log held then. Returns when
        that was."""
        wait_until(self.stack.all_serve, RECOVERY_S, what="every part serving")
        wait_until(self.stack.job_runs, RECOVERY_S, what="one running job")
        wait_until(lambda: _written(began, self.stack.log_ends()) > 0, RECOVERY_S, what="a log that takes records")
        ends = self.stack.log_ends()
        wait_until(lambda: self.stack.has_accounted(ends), RECOVERY_S, what="every record applied")
        return time.monotonic()

    def _check(self) -> list[Finding]:
        ends = self.stack.log_ends()
        wait_until(lambda: self.stack.has_accounted(ends), RECOVERY_S, what="every record applied")
        accounts = self.stack.store.accounts()
        self._read_log(ends)
        log = [record for record in self.log if record.offset < accounts[record.partition].next]
        expected = expected_of(log, CONTRACT, time.time_ns() // 1000)
        self._await_letters(expected)
        stored, expires_at_ms = self._stored()
        observed = Observed(
            stored=stored,
            expires_at_ms=expires_at_ms,
            accounts=counted(accounts, self.log),
            dead_letters=self._letters(),
            seen=self.readers.take(),
            hides_tombstones=frozenset({REST}),
        )
        return [*check(expected, observed), *self._against_source()]

    def _read_log(self, partitions: Iterable[int]) -> None:
        """What came since the last round. The topic is too young to be compacted, so a count is an offset."""
        held = Counter(record.partition for record in self.log)
        starts = {partition: held[partition] for partition in partitions}
        read = read_to_end(self.stack.instance.kafka, DATASET, group="fault-tests", starts=starts)
        self.log += [LogRecord(message.partition(), message.offset(), message.value()) for message in read]

    def _stored(self) -> tuple[dict[str, bytes], dict[str, int]]:
        prefixes = (CONTRACT.key_prefix, *(alias.prefix for alias in CONTRACT.aliases))
        stored = {key: value for prefix in prefixes for key, value in self.stack.store.scan(prefix)}
        pipeline = self.stack.redis.pipeline(transaction=False)
        for key in stored:
            pipeline.pexpiretime(key)
        return stored, {key: max(at_ms, 0) for key, at_ms in zip(stored, pipeline.execute(), strict=True)}

    def _letters(self) -> list[tuple[int, int]]:
        topic = f"{DATASET}.dead-letter"
        read = read_to_end(self.stack.instance.kafka, topic, group="fault-tests", committed_only=True)
        return [_position(message.key()) for message in read]

    def _await_letters(self, expected: Expected) -> None:
        """A dead letter is visible once its checkpoint is complete. What never comes is for the checker to tell."""
        deadline = time.monotonic() + _LETTERS_TIMEOUT_S
        while not expected.rejected <= set(self._letters()) and time.monotonic() < deadline:
            time.sleep(0.5)

    def _against_source(self) -> Iterator[Finding]:
        """The log may be right and still not tell what the source holds."""
        own = {f"{CONTRACT.key_prefix}:{synthetic_cusip(number)}" for number in range(SOURCE_KEYS)}
        for name, keys in self.stack.differences().items():
            for key in own & set(keys):
                yield Finding(name, key, "it differs from the source")


def _written(before: dict[int, int], after: dict[int, int]) -> int:
    return sum(after.values()) - sum(before.values())


def _position(key: bytes) -> tuple[int, int]:
    _, partition, offset = key.decode().rsplit("-", 2)
    return int(partition), int(offset)


@contextmanager
def running_field(seed: int) -> Iterator[Field]:
    """A stack with some instruments in its source, and with its readers at work."""
    with running_fault_stack(seed) as stack:
        stack.source.publish(synthetic_rows(SOURCE_KEYS))
        stack.settle()
        numbers = [*range(SOURCE_KEYS), *range(LOG_KEYS_START, LOG_KEYS_START + LOG_KEYS)]
        writers = (SourceWriter(stack.source, seed), LogWriter(stack.instance.kafka, seed))
        with Readers(stack.instance, numbers) as readers:
            yield Field(stack, readers, writers, Overviews(environment_of(stack)))
