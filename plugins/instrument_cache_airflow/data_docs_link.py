"""The button "Data Docs" on a task: the page that its run has kept in S3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseOperator, BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import Context

_ADDRESS: Final = "data_docs_url"


class DataDocsLink(BaseOperatorLink):
    """Leads to what the task has said with `remember`; nowhere before it has."""

    name = "Data Docs"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """The address, or an empty text."""
        from airflow.sdk.execution_time.xcom import XCom

        found: Any = XCom.get_value(ti_key=ti_key, key=_ADDRESS)
        return str(found or "")


def remember(context: Context, address: str) -> None:
    """Where this run's page is."""
    context["ti"].xcom_push(key=_ADDRESS, value=address)
