"""Asks a person only where there is a reason to ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from instrument_cache_airflow.operators.audited_approval import AuditedApproval

if TYPE_CHECKING:
    from airflow.sdk import Context


class ApproveIfNeeded(AuditedApproval):
    """An approval that is given at once if the list `reasons` is empty. Its body may show the reasons."""

    template_fields = (*AuditedApproval.template_fields, "reasons")

    def __init__(self, *, reasons: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reasons = reasons

    def execute(self, context: Context) -> Any:
        """Raises Airflow's own signal that waits for an answer, or returns."""
        if self.reasons:
            return super().execute(context)
        self.log.info("There is no reason to ask.")
        return None
