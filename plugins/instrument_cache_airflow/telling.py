"""Tells people what became of a run, by the tier of its DAG. `airflow_local_settings` gives it to every DAG."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

from airflow.sdk import BaseNotifier

_TIER_UNKNOWN: Final = 2


class TellPeople(BaseNotifier):
    """Airflow calls it when a run has ended. It takes no longer than ICACHE_ALERT_DEADLINE_S, and never raises."""

    template_fields = ()

    def __init__(self, good: bool) -> None:
        """`good`: it is called for runs that were green, else for those that were red."""
        super().__init__()
        self.good = good

    def notify(self, context: Any) -> None:
        import structlog

        try:
            self._tell(context)
        except Exception as error:  # who cannot be told must not break what he would be told of
            structlog.get_logger().error("nobody_was_told", dag_id=context["dag"].dag_id, error=str(error))

    def _tell(self, context: Any) -> None:
        from instrument_cache.alerts.model import Alert, Kind
        from instrument_cache.alerts.service import Alerts
        from instrument_cache.settings import environment

        dag, run_id = context["dag"], str(context["run_id"])
        alerts = Alerts(environment())
        alert = Alert(
            dataset=alerts.dataset,
            operation=dag.dag_id,
            tier=tier_of(dag.tags),
            kind=Kind.RESOLVED if self.good else Kind.FAILED,
            sentence="It is well again." if self.good else _sentence(context),
            run_id=run_id,
            url=_url(dag.dag_id, run_id),
        )
        alerts.well(alert) if self.good else alerts.trouble(alert)


def tier_of(tags: Iterable[str]) -> int:
    """Of the tag `tier:N`; 2 of a DAG without one."""
    return next((int(tag[5:]) for tag in tags if tag in ("tier:1", "tier:2", "tier:3")), _TIER_UNKNOWN)


def tell_of_every_run(dag: Any) -> None:
    """Give a DAG both callbacks, beside those that it has."""
    dag.on_failure_callback = [*_list(dag.on_failure_callback), TellPeople(good=False)]
    dag.on_success_callback = [*_list(dag.on_success_callback), TellPeople(good=True)]
    dag.has_on_failure_callback = dag.has_on_success_callback = True


def tell_of_overdue(dag_ids: Iterable[str]) -> list[str]:
    """Tell people which of these operations were not green in time; returns the sentences."""
    from instrument_cache.alerts.deadlines import overdue
    from instrument_cache.alerts.model import Alert, Kind
    from instrument_cache.alerts.service import Alerts
    from instrument_cache.clock import SystemClock
    from instrument_cache.settings import environment
    from instrument_cache_airflow.schedules import longest_pause_s

    alerts, known = Alerts(environment()), frozenset(dag_ids)
    pauses_s = {name: longest_pause_s(name) for name in known}
    found = list(overdue(alerts.incidents, known, SystemClock().now_us(), pauses_s))
    for name, tier, said in found:
        url = _url(name)
        alerts.trouble(
            Alert(dataset=alerts.dataset, operation=name, tier=tier, kind=Kind.MISSED, sentence=said, url=url)
        )
    return [each.sentence for each in found]


def _sentence(context: Any) -> str:
    task = getattr(context.get("ti"), "task_id", None)
    last = f" (last task: {task})" if task else ""
    return f"The run failed: {context.get('reason') or 'no reason is given'}{last}."


def _url(dag_id: str, run_id: str = "") -> str:
    from airflow.configuration import conf

    base = conf.get("api", "base_url", fallback="").rstrip("/")
    run = f"/runs/{quote(run_id, safe='')}" if run_id else ""
    return f"{base}/dags/{quote(dag_id, safe='')}{run}" if base else ""


def _list(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]
