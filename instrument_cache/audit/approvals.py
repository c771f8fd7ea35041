"""What a person answered when an operation asked: who, when, what, and what he was shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec

from instrument_cache.audit.written import chain_written
from instrument_cache.objects import ObjectStore
from instrument_cache.reports import Report, name_of_run

OPERATION: Final = "approval"
APPROVE: Final = "Approve"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to the question of one task. `who` is empty if nobody answered in time and the default was taken."""

    dag_id: str
    run_id: str
    task_id: str
    subject: str
    body: str
    chosen: list[str]
    who: str
    who_id: str
    answered_at: datetime

    @property
    def is_approval(self) -> bool:
        return self.chosen == [APPROVE]

    @property
    def sentence(self) -> str:
        """One line for people."""
        who = self.who or "nobody in time, so the default"
        return f"{who} answered {' and '.join(self.chosen) or 'nothing'}: {self.subject}"


def record_answer(objects: ObjectStore, dataset: str, answer: Answer) -> str:
    """Write an answer once, chain it on the audit trail, and return its name in S3; again is harmless.

    Raises ObjectStoreUnavailable; then do it again before anything is done that was approved.
    """
    at = answer.answered_at.astimezone(UTC)
    report = Report(
        dataset=dataset,
        operation=OPERATION,
        run_id=answer.run_id,
        started_at=at.isoformat(),
        finished_at=at.isoformat(),
        ok=answer.is_approval,
        sentence=answer.sentence,
        details={
            "dag": answer.dag_id,
            "task": answer.task_id,
            "question": answer.subject,
            "shown": answer.body,
            "chosen": answer.chosen,
            "who": answer.who,
            "who_id": answer.who_id,
        },
    )
    run = name_of_run(f"{answer.dag_id}-{answer.run_id}-{answer.task_id}-{at:%H%M%S%f}")
    name, body = (
        f"approvals/{dataset}/{at:%Y-%m-%d}/{run}.json",
        msgspec.json.format(msgspec.json.encode(report), indent=1),
    )
    if not objects.put_once(name, body):
        body = objects.get(name)
    chain_written(objects, dataset, name, body)
    return name
