"""The way to RMS: the ESA scheme, what its errors mean, and one call of each API family.

Order calls answer with `MessageModelList`, inventory and item calls with `errors`, the gateway in front of both
with `Results`. All three can come with HTTP 200 or with an error status, so the body is what counts.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Generator, Iterable, Mapping
from typing import Any

import httpx

from connectors.contract import Budget, Call, ConnectorError, Misconfigured, Refused, Retry
from connectors.rakuten_rms.config import RakutenConfig
from connectors.transport.http import Answer, HttpSettings, Intent

__all__ = [
    "READ_COST",
    "Esa",
    "FunctionNotEnabled",
    "classify",
    "errors_in",
    "get",
    "http_settings",
    "order_call",
    "post",
    "raise_errors",
]

READ_COST = 0.4
"""Item and bulk-get calls may go at 5 a second where orders and stock writes go at 1 (each counts 1).

0.4 and not 0.2: with a bucket that holds one, two go at once and 2.5 in each following second, which stays below
five within any second.
"""

_UNKNOWN_KEY = (
    "楽天RMSが認証を拒否しました。serviceSecretとlicenseKeyを確認してください。licenseKeyは90日で期限切れになります"
    "（RMS → 店舗様向け情報・サービス → WEB APIサービスで再発行。再発行後10〜30分は使えないことがあります）。"
    " / RMS refused the keys: check serviceSecret and licenseKey. A license key ends after 90 days; issue a new one"
    " in RMS and allow up to 30 minutes until it works."
)
_NOT_ENABLED = (
    "この店舗ではAPI機能が有効になっていません。RMS → 店舗様向け情報・サービス → WEB APIサービス → 利用機能編集で"
    "該当機能を「利用する」にしてください。 / This API function is not switched on for the shop: in RMS open"
    " WEB API service, 利用機能編集, and enable it."
)
_MEDIA_TYPE = (
    "RMSがContent-Typeを受け付けません。設定 content_type を変えてください（セミコロン後の空白なし等）。"
    " / RMS does not take this Content-Type: change the setting content_type (try it without the blank)."
)


class FunctionNotEnabled(Misconfigured):
    """The API function is switched off for this shop (ES04-01)."""


class Esa(httpx.Auth):
    """`Authorization: ESA base64(serviceSecret:licenseKey)`."""

    def __init__(self, config: RakutenConfig) -> None:
        self._config = config

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        pair = (
            f"{self._config.service_secret.get_secret_value()}:{self._config.license_key.get_secret_value()}"
        )
        try:
            token = base64.b64encode(pair.encode("ascii")).decode("ascii")
        except UnicodeEncodeError:
            # the codec's own message would quote the keys
            raise Misconfigured(
                "serviceSecret・licenseKeyに全角文字が含まれています。"
                " / serviceSecret and licenseKey are ASCII; look for full-width letters."
            ) from None
        request.headers["Authorization"] = f"ESA {token}"
        yield request


def http_settings(config: RakutenConfig) -> HttpSettings:
    """Host, keys, budget and error reading of one shop."""
    return HttpSettings(
        base_url=config.base_url,
        auth=Esa(config),
        budget=Budget(config.requests_per_second),
        classify=classify,
    )


def classify(response: httpx.Response) -> ConnectorError | None:
    """The gateway's own refusals, whatever their HTTP status; None for answers of the API behind it."""
    codes = dict(_gateway_codes(response))
    if "ES04-01" in codes:
        return FunctionNotEnabled(f"ES04-01 {response.request.url.path}: {_NOT_ENABLED}")
    if "ES04-03" in codes or response.status_code == httpx.codes.UNSUPPORTED_MEDIA_TYPE:
        return Misconfigured(f"{response.status_code} {_MEDIA_TYPE}")
    if response.status_code == httpx.codes.UNAUTHORIZED or {"GA0001", "GE0011"} & codes.keys():
        return Misconfigured(f"{' '.join(codes) or response.status_code} {_UNKNOWN_KEY}")
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        # the usual rules read Retry-After, whatever the body calls it
        return None
    for code, text in codes.items():
        if code.startswith("ES"):
            return Refused(f"RMS {code}: {text}", code=code)
    return None


def _gateway_codes(response: httpx.Response) -> Iterable[tuple[str, str]]:
    if not response.headers.get("content-type", "").startswith("application/json"):
        return
    try:
        body = json.loads(response.content)
    except ValueError:
        return
    if not isinstance(body, dict):
        return
    results = body.get("Results")
    if isinstance(results, dict) and results.get("errorCode"):
        yield str(results["errorCode"]), str(results.get("message", ""))
    errors = body.get("errors")
    for error in errors if isinstance(errors, list) else ():
        if isinstance(error, dict) and str(error.get("code", "")).startswith(("GA", "GE0011")):
            yield str(error["code"]), str(error.get("message", ""))


def post(call: Call[RakutenConfig], path: str, body: Any, *, intent: Intent, cost: float = 1) -> Answer:
    """POST of a JSON body. HTTP 400 comes back as an answer: it says which rows are wrong."""
    answer = call.http.post(
        path,
        content=json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(),
        headers={"Content-Type": call.config.content_type},
        intent=intent,
        expect=(httpx.codes.BAD_REQUEST,),
        cost=cost,
    )
    if answer.status_code == httpx.codes.BAD_REQUEST and (error := classify(answer)) is not None:
        raise error
    return answer


def get(call: Call[RakutenConfig], path: str, params: Mapping[str, Any]) -> Any:
    """GET of JSON, for the fast reading calls."""
    return call.http.get(path, params=params, cost=READ_COST).json()


def order_call(call: Call[RakutenConfig], name: str, body: Any, *, intent: Intent) -> dict[str, Any]:
    """One call of the order API: the answer's body, also of HTTP 400. Look at `errors_in` before using it."""
    answer = post(call, f"/es/2.0/order/{name}/", body, intent=intent)
    parsed = answer.json()
    if not isinstance(parsed, dict):
        raise Retry(f"RMS {name}: HTTP {answer.status_code} with JSON that is no object: {answer.excerpt}")
    if not answer.is_success and not errors_in(parsed.get("MessageModelList")):
        # without a message nobody may take the answer for an empty one
        raise Refused(
            f"RMS {name}: HTTP {answer.status_code}: {answer.excerpt}", code=str(answer.status_code)
        )
    return parsed


def errors_in(messages: Iterable[Mapping[str, Any]] | None) -> list[Mapping[str, Any]]:
    """The messages of type ERROR."""
    return [message for message in messages or () if message.get("messageType") == "ERROR"]


def raise_errors(name: str, body: Mapping[str, Any]) -> None:
    """Raise what an answer's ERROR messages mean as a whole: a system error may pass, all else is refused."""
    errors = errors_in(body.get("MessageModelList"))
    if not errors:
        return
    said = "; ".join(f"{error.get('messageCode')} {error.get('message')}" for error in errors[:5])
    if any("システムエラー" in str(error.get("message")) for error in errors):
        raise Retry(f"RMS {name}: {said}")
    raise Refused(f"RMS {name}: {said}", code=str(errors[0].get("messageCode")))
