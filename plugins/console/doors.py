"""Who may see and do what: Airflow's own rights on the DAG of a flow, and a guard against foreign pages.

Airflow does not protect a plugin's pages by itself. Whoever may read a flow's DAG sees the flow here; whoever may
start its runs may try its refused rows again. So there is no second set of rights to keep.
"""

from __future__ import annotations

from typing import Annotated, Any, Protocol

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, HTTPException, Request

__all__ = ["Rights", "rights", "same_origin"]


class Rights(Protocol):
    """What the person who asks may do with a flow, named by its DAG id."""

    def may_see(self, dag_id: str) -> bool: ...
    def may_run(self, dag_id: str) -> bool: ...


class _AirflowRights:
    def __init__(self, user: Any) -> None:
        self._user = user
        self._manager = get_auth_manager()

    def may_see(self, dag_id: str) -> bool:
        return self._manager.is_authorized_dag(method="GET", details=DagDetails(id=dag_id), user=self._user)

    def may_run(self, dag_id: str) -> bool:
        return self._manager.is_authorized_dag(
            method="POST", access_entity=DagAccessEntity.RUN, details=DagDetails(id=dag_id), user=self._user
        )


def rights(user: Annotated[Any, Depends(get_user)]) -> Rights:
    """The rights of whoever is signed in; 401 for nobody."""
    return _AirflowRights(user)


def same_origin(request: Request) -> None:
    """Refuse a write that another site's page made the browser send with its cookie.

    `Sec-Fetch-Site` is set by the browser and cannot be forged by a page; older browsers send `Origin`. A call
    with a bearer token carries no cookie and needs neither.
    """
    if request.headers.get("authorization", "").lower().startswith("bearer "):
        return
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    here = f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}"
    same = site == "same-origin" if site is not None else origin == here
    if not same:
        raise HTTPException(403, "cross-site request refused")
