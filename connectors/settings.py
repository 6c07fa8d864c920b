"""Settings of an account: put together from the system file and the connection, with errors a person can
act on.
"""

from __future__ import annotations

import difflib
import json
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from connectors.contract import Misconfigured
from connectors.transport.redaction import Redactor

__all__ = ["STANDARD", "extras", "is_secret", "settings_from_connection", "standard_field"]

ConfigT = TypeVar("ConfigT", bound=BaseModel)

STANDARD = ("host", "port", "schema", "login", "password")
"""The parts every connection has, besides `extra`."""


def extras(field: FieldInfo) -> dict[str, Any]:
    """What a field says of itself in `json_schema_extra`."""
    return dict(field.json_schema_extra) if isinstance(field.json_schema_extra, dict) else {}


def standard_field(name: str, field: FieldInfo) -> str | None:
    """The part of a connection that fills this field: what it says itself, or the part of the same name."""
    said = extras(field).get("connection", name)
    return str(said) if said in STANDARD else None


def is_secret(field: FieldInfo) -> bool:
    """Whether the field holds a secret."""
    return _holds(field.annotation, (SecretStr, SecretBytes))


def settings_from_connection(
    config_model: type[ConfigT],
    settings: Mapping[str, Any],
    connection: Mapping[str, Any],
    *,
    system: str = "",
) -> ConfigT:
    """The settings of one account.

    settings     non-secret values of the system file
    connection   {"login", "password", "host", "port", "schema", "extra"}; `extra` is an object or its JSON
                 text

    Later wins: the system file, then the connection's parts (see `standard_field`), then every key of
    `extra` that is a field. Empty text and None in a connection mean "not set". Raises `Misconfigured`
    naming each field that is wrong and where to set it, never showing a secret.
    """
    fields = config_model.model_fields
    problems = [_unknown(name, config_model, system) for name in settings if name not in fields]
    problems += [
        f"{_named(name, field)} is a secret and must not stand in the system file; {_place(name, field, system)}"
        for name, field in fields.items()
        if name in settings and is_secret(field)
    ]
    extra = _extra(connection.get("extra"), system)
    values: dict[str, Any] = {name: value for name, value in settings.items() if name in fields}
    for name, field in fields.items():
        for source, key in ((connection, standard_field(name, field)), (extra, name)):
            if key is not None and source.get(key) not in (None, ""):
                values[name] = _decoded(field, source[key])
    try:
        if not problems:
            return config_model.model_validate(values)
        config_model.model_validate(values)
    except ValidationError as error:
        problems += _problems(error, config_model, values, system)
    owner = f"{system}: " if system else ""
    raise Misconfigured(f"{owner}the settings are not complete: " + "; ".join(problems)) from None


def _problems(
    error: ValidationError, config_model: type[BaseModel], values: Mapping[str, Any], system: str
) -> list[str]:
    secrets = Redactor(
        str(value)
        for name, value in values.items()
        if is_secret(config_model.model_fields[name]) and isinstance(value, str)
    )
    problems = []
    for detail in error.errors(include_url=False, include_context=False):
        where = detail["loc"][0] if detail["loc"] else None
        field = config_model.model_fields.get(str(where))
        if field is None:
            problems.append(secrets.text(detail["msg"]))
            continue
        name = str(where)
        inside = "".join(f"[{part}]" for part in detail["loc"][1:])
        if detail["type"] == "missing":
            said = "is missing"
        elif is_secret(field):
            said = "is not valid"  # the message of a validator may quote the value
        else:
            said = f"is not valid: {detail['msg']} (it is {secrets.text(repr(detail['input']))})"
        problems.append(f"{_named(name, field)}{inside} {said}; {_place(name, field, system)}")
    return problems


def _unknown(name: str, config_model: type[BaseModel], system: str) -> str:
    near = difflib.get_close_matches(name, config_model.model_fields, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are: {', '.join(config_model.model_fields)}"
    return f"{name!r} in {_file(system)} is no setting of this connector; {hint}"


def _named(name: str, field: FieldInfo) -> str:
    label = extras(field).get("title_ja") or field.title
    return f"{name} ({label})" if label else name


def _place(name: str, field: FieldInfo, system: str) -> str:
    variable = (
        "AIRFLOW_CONN_" + system.upper().replace("-", "_").replace(".", "_")
        if system
        else "AIRFLOW_CONN_<ID>"
    )
    part = standard_field(name, field)
    key = f"{part!r}" if part else f"{name!r} in 'extra'"
    connection = f"set {key} of the connection {system or 'of this system'} ({variable})"
    return (
        connection if is_secret(field) else f"{connection}, or {name!r} under 'settings' in {_file(system)}"
    )


def _file(system: str) -> str:
    return f"systems/{system}.yaml" if system else "the system file"


def _extra(extra: Any, system: str) -> Mapping[str, Any]:
    if extra in (None, ""):
        return {}
    if isinstance(extra, str):
        try:
            extra = json.loads(extra)
        except ValueError as error:
            raise Misconfigured(f"{system}: 'extra' of the connection is no JSON") from error.__cause__
    if not isinstance(extra, Mapping):
        raise Misconfigured(f"{system}: 'extra' of the connection must be a JSON object")
    return extra


def _decoded(field: FieldInfo, value: Any) -> Any:
    """Lists and objects may be typed into a form as JSON text."""
    if not isinstance(value, str) or value[:1] not in "[{" or _holds(field.annotation, (str, SecretStr)):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _holds(annotation: Any, wanted: tuple[type, ...]) -> bool:
    """Whether an annotation is one of the types, directly or as a member of a union."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType, typing.Annotated):
        return any(_holds(part, wanted) for part in typing.get_args(annotation))
    return isinstance(annotation, type) and issubclass(annotation, wanted)
