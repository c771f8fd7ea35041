"""Asks a person, and puts the answer on the audit trail before anything is done about it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.standard.operators.hitl import ApprovalOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

# S3 may be away so long before the task fails: what is not recorded is not done.
GIVE_UP_S: Final = 120
_PAUSE_S: Final = 3


class AuditedApproval(ApprovalOperator):
    """An approval whose answer is written once to S3 and chained: who, when, what, and what was shown."""

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Record the answer, whatever it is, then let Airflow act on it. Raises ObjectStoreUnavailable."""
        self._record(context, event)
        return super().execute_complete(context, event)

    def _record(self, context: Context, event: dict[str, Any]) -> None:
        from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

        from instrument_cache.audit.approvals import record_answer
        from instrument_cache.errors import ObjectStoreUnavailable
        from instrument_cache.objects import ObjectStore
        from instrument_cache.settings import environment, s3_settings

        env, answer = environment(), self._answer(context, event)
        objects = ObjectStore(s3_settings(env))
        patience = Retrying(
            retry=retry_if_exception_type(ObjectStoreUnavailable),
            stop=stop_after_delay(GIVE_UP_S),
            wait=wait_fixed(_PAUSE_S),
            reraise=True,
        )
        name = patience(record_answer, objects, env.text("ICACHE_DATASET", "instruments"), answer)
        self.log.info("%s; recorded as %s", answer.sentence, name)

    def _answer(self, context: Context, event: dict[str, Any]) -> Any:
        from instrument_cache.audit.approvals import Answer

        instance: Any = context["ti"]
        user = event.get("responded_by_user") or {}
        return Answer(
            dag_id=instance.dag_id,
            run_id=instance.run_id,
            task_id=instance.task_id,
            subject=self.subject,
            body=self.body or "",
            chosen=list(event.get("chosen_options") or ()),
            who=str(user.get("name") or ""),
            who_id=str(user.get("id") or ""),
            answered_at=_time(event.get("responded_at")),
        )


def _time(told: Any) -> datetime:
    """Airflow hands it on as a time or as text; none if nobody answered."""
    if isinstance(told, str):
        told = datetime.fromisoformat(told)
    return told if isinstance(told, datetime) else datetime.now(UTC)
