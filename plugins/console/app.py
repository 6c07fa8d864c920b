"""The console: a small FastAPI app mounted in Airflow's web server, plain HTML, Japanese and English."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any, Protocol
from urllib.parse import urlencode

from fastapi import Depends, FastAPI, Form, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader
from starlette.middleware.base import RequestResponseEndpoint

from hub.reports import FlowStatus, QuarantineRow, ReplayReport
from hub.system_faults import SystemFault
from hub.words import Language, language
from plugins.console.doors import Rights, rights, same_origin
from plugins.console.rows import flow_rows, flow_title, quarantine_groups
from plugins.console.words import WORDS

__all__ = ["ConsoleHub", "console_app"]

SHOWN = 500
"""Most quarantined rows on one page."""
HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'self'; "
    "base-uri 'none'"
)


class ConsoleHub(Protocol):
    """What the console asks of the hub."""

    @property
    def systems(self) -> Any: ...
    def validate(self) -> Sequence[SystemFault]: ...
    def status(self) -> list[FlowStatus]: ...
    def quarantine_list(
        self, system: str | None = None, flow: str | None = None, state: str | None = "open", limit: int = 100
    ) -> list[QuarantineRow]: ...
    def quarantine_replay(self, ids: list[int]) -> ReplayReport: ...


Who = Annotated[Rights, Depends(rights)]
OpenHub = Callable[[], AbstractContextManager[ConsoleHub]]


class _Pages:
    """Renders; knows the words."""

    def __init__(self) -> None:
        self._jinja = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True)

    def html(
        self, request: Request, template: str, *, root: str = ".", status: int = 200, **data: Any
    ) -> Response:
        lang = _language(request)
        words = {name: words.say(lang) for name, words in WORDS.items()}
        text = self._jinja.get_template(template).render(
            t=words, lang=lang, root=root, other_language=_other_language(request, lang), **data
        )
        answer = HTMLResponse(text, status)
        if request.query_params.get("lang") == lang:
            answer.set_cookie("tsunagi_lang", lang, max_age=31_536_000, samesite="lax", httponly=True)
        return answer


def console_app(open_hub: OpenHub) -> FastAPI:
    """The app; `open_hub` opens a hub for one request."""
    app = FastAPI(title="Tsunagi console", docs_url=None, redoc_url=None, openapi_url=None)
    pages = _Pages()

    @app.middleware("http")
    async def harden(request: Request, call_next: RequestResponseEndpoint) -> Response:
        answer = await call_next(request)
        answer.headers["Content-Security-Policy"] = POLICY
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = "same-origin"
        answer.headers["Cache-Control"] = "no-store"
        return answer

    @app.get("/console.css", dependencies=[Depends(rights)])
    def css() -> Response:
        return FileResponse(HERE / "console.css", media_type="text/css")

    @app.get("/icon.svg")
    def icon() -> Response:
        return FileResponse(HERE / "icon.svg", media_type="image/svg+xml")

    @app.get("/")
    def flows(request: Request, who: Who) -> Response:
        lang = _language(request)
        with open_hub() as hub:
            seen = [flow for flow in hub.status() if who.may_see(_dag_id(flow))]
            rows = flow_rows(seen, hub.systems, lang)
            faults = [fault.words.say(lang) for fault in hub.validate()]
        return pages.html(
            request, "flows.html", page="flows", flows=rows, faults=faults,
            open_rows=sum(flow.open_quarantine for flow in seen),
        )  # fmt: skip

    def quarantine_page(
        request: Request, who: Rights, system: str | None, flow: str | None, root: str
    ) -> Response:
        lang = _language(request)
        with open_hub() as hub:
            found = hub.quarantine_list(system=system, flow=flow, state="open", limit=SHOWN + 1)
            rows = [row for row in found[:SHOWN] if who.may_see(_dag_id(row))]
            groups = quarantine_groups(rows, hub.systems, lang, may_replay=who.may_run)
            title = flow_title(hub.systems, system, flow, lang) if system else ""
        more = WORDS["shown_first"].say(lang).format(count=SHOWN) if len(found) > SHOWN else ""
        message, kind = _message(request, lang)
        return pages.html(
            request, "quarantine.html", root=root, page="quarantine", groups=groups, more=more,
            filter_title=title, query=_query(system, flow),
            message=message, message_kind=kind,
        )  # fmt: skip

    @app.get("/quarantine")
    def quarantine(
        request: Request, who: Who, system: str | None = None, flow: str | None = None
    ) -> Response:
        return quarantine_page(request, who, system, flow, ".")

    @app.get("/flow/{dag_id}")
    def one_flow(request: Request, who: Who, dag_id: str) -> Response:
        """The tab on a flow's DAG page."""
        system, _, flow = dag_id.partition("__")
        return quarantine_page(request, who, system, flow or None, "..")

    @app.post("/quarantine/replay", dependencies=[Depends(same_origin)])
    def replay(
        who: Who,
        id: Annotated[list[int] | None, Form()] = None,  # noqa: A002  the name of the form's field
        system: str | None = None,
        flow: str | None = None,
    ) -> Response:
        wanted = set(id or ())
        told: dict[str, str] = {}
        with open_hub() as hub:
            open_rows = hub.quarantine_list(system=system, flow=flow, state="open", limit=SHOWN + 1)
            allowed = [row.id for row in open_rows if row.id in wanted and who.may_run(_dag_id(row))]
            if allowed:
                told = _replayed(hub, allowed)
        back = (
            {"system": system, "flow": flow, **told}
            if told
            else {"system": system, "flow": flow, "none": "1"}
        )
        return RedirectResponse("../quarantine" + _query_of(back), 303)

    return app


def _replayed(hub: ConsoleHub, ids: list[int]) -> dict[str, str]:
    try:
        report = hub.quarantine_replay(ids)
    except Exception as error:  # noqa: BLE001  whatever it is, the operator must read it
        return {"failed": str(error)[:300]}
    return {name: str(value) for name, value in report.as_dict().items()}


def _dag_id(row: FlowStatus | QuarantineRow) -> str:
    return f"{row.system}__{row.flow}"


def _message(request: Request, lang: Language) -> tuple[str, str]:
    told = request.query_params
    if "failed" in told:
        return WORDS["replay_failed"].say(lang).format(reason=told["failed"][:300]), "bad"
    if "none" in told:
        return WORDS["nothing_chosen"].say(lang), "bad"
    if told.get("tried", "").isdigit():
        counts = {name: told.get(name, "0") for name in ("tried", "through", "still_refused", "missing")}
        kind = "good" if counts["through"] != "0" else "bad"
        return WORDS["replayed"].say(lang).format(**counts), kind
    return "", ""


def _language(request: Request) -> Language:
    """Chosen in the page, else the language of the hub."""
    for chosen in (request.query_params.get("lang"), request.cookies.get("tsunagi_lang")):
        if chosen in ("ja", "en"):
            return "ja" if chosen == "ja" else "en"
    return language()


def _other_language(request: Request, lang: Language) -> str:
    other = {
        **_only(request.query_params.items(), ("system", "flow")),
        "lang": "en" if lang == "ja" else "ja",
    }
    return _query_of(other)


def _only(items: Iterable[tuple[str, str]], names: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in items if name in names}


def _query(system: str | None, flow: str | None) -> str:
    return _query_of({"system": system, "flow": flow})


def _query_of(values: Mapping[str, str | None]) -> str:
    given = {name: value for name, value in values.items() if value}
    return "?" + urlencode(given) if given else ""
