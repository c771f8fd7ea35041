"""Who may look, and who may start which operation: what Airflow's auth manager says."""

from __future__ import annotations

from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_view
from airflow.models.dag import DagModel
from airflow.utils.session import create_session
from fastapi import Depends
from sqlalchemy import select

# A mounted application is anonymous by default: each route depends on this. 401 without a token, 403 without the right.
may_look = requires_access_view(AccessView.WEBSITE)


def startable(user: GetUserDep) -> frozenset[str]:
    """The DAGs that Airflow knows and that this user may trigger."""
    with create_session() as session:
        known = list(session.scalars(select(DagModel.dag_id).where(DagModel.is_stale.is_(False))))
        teams: dict[str, Any] = DagModel.get_dag_id_to_team_name_mapping(known, session=session)
    return frozenset(dag_id for dag_id in known if _may_trigger(user, dag_id, teams.get(dag_id)))


def _may_trigger(user: Any, dag_id: str, team: str | None) -> bool:
    return get_auth_manager().is_authorized_dag(
        method="POST",
        access_entity=DagAccessEntity.RUN,
        details=DagDetails(id=dag_id, team_name=team),
        user=user,
    )


Startable = Annotated[frozenset[str], Depends(startable)]
