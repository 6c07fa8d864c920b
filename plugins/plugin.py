"""What Airflow learns about the hub: its console page and its timetables. Registered by an entry point.

Every task process imports this module, so it imports nothing heavy: the console is built at its first request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.plugins_manager import AirflowPlugin

from hub.words import Words
from plugins.timetables import BusinessTimetable

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["TsunagiPlugin"]

PREFIX = "/tsunagi"
_NAME = Words("つなぎ", "Tsunagi")
_TAB = Words("隔離", "Quarantine")


class _Console:
    """The console's app, built when it is first asked for: only the web server ever does."""

    def __init__(self) -> None:
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            from hub.engine import Hub
            from plugins.connections import use_airflow_connections
            from plugins.console.app import console_app

            use_airflow_connections()
            self._app = console_app(Hub.open)
        await self._app(scope, receive, send)


class TsunagiPlugin(AirflowPlugin):
    """Console in the left rail, quarantine as a tab of each flow's DAG, business-day timetables."""

    name = "tsunagi"
    timetables = [BusinessTimetable]  # noqa: RUF012
    fastapi_apps = [{"app": _Console(), "url_prefix": PREFIX, "name": "Tsunagi console"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012  (hrefs without a leading slash, or a base path would be lost)
        {
            "name": _NAME.say(),
            "href": "tsunagi/",
            "destination": "nav",
            "url_route": "tsunagi",
            "nav_top_level": True,
            "icon": "tsunagi/icon.svg",
        },
        {
            "name": _TAB.say(),
            "href": "tsunagi/flow/{DAG_ID}",
            "destination": "dag",
            "url_route": "tsunagi-flow",
        },
    ]
