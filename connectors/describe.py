"""What is derived from a connector's declarations: docs page, settings schema, Airflow connection form,
tables.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel

from connectors.contract import Connector, Deletes, Sink, Source, Title, Write
from connectors.settings import STANDARD, extras, is_secret, settings_from_connection, standard_field

__all__ = [
    "Language",
    "capabilities",
    "connection_form",
    "docs_page",
    "settings_from_connection",
    "settings_schema",
]

Language = Literal["ja", "en"]

_DELETES = {
    Deletes.NONE: Title("見えない", "not seen"),
    Deletes.EVENTS: Title("通知", "told by the system"),
    Deletes.ABSENCE: Title("全件に無いもの", "absent from a complete listing"),
}
_WRITE = {
    Write.ABSOLUTE: Title("絶対値", "absolute"),
    Write.DELTA: Title("増減", "delta"),
    Write.APPEND: Title("追加", "append"),
}
_KEYWORDS = (
    *("type", "enum", "pattern", "format", "default", "items", "minLength", "maxLength"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
)


def settings_schema(connector: Connector[Any]) -> dict[str, Any]:
    """JSON Schema of the settings. Secrets are `format: password`, `writeOnly: true`."""
    config: type[BaseModel] = connector.config
    return config.model_json_schema()


def connection_form(connector: Connector[Any], *, hook_class: str | None = None) -> dict[str, Any]:
    """One entry of `connection-types` in an Airflow provider's info (3.3 form: drawn without importing the
    hook).

    Fields that a standard part of the connection fills are relabelled standard fields; the others are
    `conn-fields` (kept in `extra`). Only secrets without a default are required: all else may stand in the
    system file.
    """
    schema = settings_schema(connector)
    hidden = [*STANDARD]
    labels: dict[str, str] = {}
    places: dict[str, str] = {}
    own: dict[str, dict[str, Any]] = {}
    for name, field in connector.config.model_fields.items():
        label = _both(extras(field).get("title_ja"), field.title or name.replace("_", " "))
        part = standard_field(name, field)
        if part is not None:
            hidden.remove(part)
            labels[part] = label
            if field.default and not is_secret(field) and not field.is_required():
                places[part] = str(field.default)
            continue
        about = _both(extras(field).get("description_ja"), field.description)
        own[name] = {"label": label} | ({"description": about} if about else {})
        own[name]["schema"] = _form_schema(
            schema, schema["properties"][name], required=is_secret(field) and field.is_required()
        )
    form: dict[str, Any] = {
        "connection-type": connector.name,
        "hook-name": _both(connector.title.ja, connector.title.en),
        "ui-field-behaviour": {"hidden-fields": hidden, "relabeling": labels, "placeholders": places},
        "conn-fields": own,
    }
    return form | ({"hook-class-name": hook_class} if hook_class else {})


def capabilities(connector: Connector[Any]) -> list[dict[str, Any]]:
    """One row per source, sink and webhook: what was declared, as plain values."""
    rows: list[dict[str, Any]] = [
        {
            "kind": "source", "name": source.name, "title": _titles(source.title), "key": source.key,
            "cursor": source.cursor.__name__ if source.cursor else None,
            "overlap_seconds": source.overlap.total_seconds(),
            "deletes": source.deletes.value, "order": source.order, "doc": source.doc,
        }
        for source in connector.sources.values()
    ]  # fmt: skip
    rows += [
        {
            "kind": "sink", "name": sink.name, "title": _titles(sink.title), "key": sink.key,
            "batch_size": sink.batch_size, "write": sink.write.value, "repeatable": sink.repeatable,
            "asks": sink.ask is not None, "whole": sink.whole, "doc": sink.doc,
        }
        for sink in connector.sinks.values()
    ]  # fmt: skip
    if connector.webhook_door is not None:
        door = connector.webhook_door
        rows.append({"kind": "webhook", "name": "webhook", "dedupe": door.dedupe, "doc": door.doc})
    return rows


def docs_page(connector: Connector[Any], language: Language) -> str:
    """The connector's page in Markdown."""
    say = _Words(language)
    parts = [f"# {say.title(connector.title)} (`{connector.name}`)", *_facts(connector, say)]
    if connector.sources:
        parts += [f"## {say('取得（source）', 'Sources')}", _sources(list(connector.sources.values()), say)]
        parts += [f"**{s.name}**: {s.doc}" for s in connector.sources.values() if s.doc]
    if connector.sinks:
        parts += [f"## {say('書き込み（sink）', 'Sinks')}", _sinks(list(connector.sinks.values()), say)]
        parts += [f"**{s.name}**: {s.doc}" for s in connector.sinks.values() if s.doc]
    if connector.webhook_door is not None:
        parts += [
            "## Webhook",
            connector.webhook_door.doc or say("署名付きの通知を受けます。", "Takes signed events."),
        ]
    parts += [f"## {say('設定', 'Settings')}", _settings(connector, say)]
    return "\n\n".join(parts) + "\n"


class _Words:
    """Picks the Japanese or the English text."""

    def __init__(self, language: Language) -> None:
        self._ja = language == "ja"

    def __call__(self, ja: str, en: str) -> str:
        return ja if self._ja else en

    def title(self, title: Title) -> str:
        return self(title.ja, title.en)


def _facts(connector: Connector[Any], say: _Words) -> list[str]:
    lines = []
    if connector.api_version:
        lines.append(f"- {say('APIの版', 'API version')}: {connector.api_version}")
    if connector.sunset:
        lines.append(f"- {say('提供終了日', 'Ends on')}: {connector.sunset.isoformat()}")
    if connector.budget:
        budget = connector.budget
        lines.append(
            f"- {say('呼び出しの上限', 'Rate budget')}: {budget.requests:g} / {_span(budget.per)}"
            f" ({say('一度に', 'at once')} {budget.burst})"
        )
    return ["\n".join(lines)] if lines else []


def _sources(sources: list[Source], say: _Words) -> str:
    head = [say("名前", "Name"), say("内容", "What"), say("キー", "Key"), say("再開位置", "Cursor"),
            say("重なり", "Overlap"), say("削除の見え方", "Deletes")]  # fmt: skip
    rows = [
        [
            f"`{s.name}`", say.title(s.title), f"`{s.key}`",
            f"`{', '.join(s.cursor.model_fields)}`" if s.cursor else say("なし（全件）", "none (lists all)"),
            _span(s.overlap) if s.overlap else "-", say.title(_DELETES[s.deletes]),
        ]
        for s in sources
    ]  # fmt: skip
    return _table(head, rows)


def _sinks(sinks: list[Sink], say: _Words) -> str:
    head = [say("名前", "Name"), say("内容", "What"), say("キー", "Key"), say("一度に", "Batch"),
            say("書き方", "Write"), say("再送", "Repeatable")]  # fmt: skip
    rows = [
        [
            f"`{s.name}`", say.title(s.title), f"`{s.key}`", str(s.batch_size), say.title(_WRITE[s.write]),
            say("可", "yes") if s.repeatable else say("確認してから", "after asking"),
        ]
        for s in sinks
    ]  # fmt: skip
    return _table(head, rows)


def _settings(connector: Connector[Any], say: _Words) -> str:
    head = [say("項目", "Setting"), say("内容", "What"), say("必須", "Required"), say("既定値", "Default"),
            say("置き場所", "Where")]  # fmt: skip
    rows = []
    for name, field in connector.config.model_fields.items():
        more = extras(field)
        about = [
            say(more.get("title_ja", field.title or ""), field.title or ""),
            say(more.get("description_ja", field.description or ""), field.description or ""),
        ]
        part = standard_field(name, field)
        place = f"connection `{part or 'extra.' + name}`"
        if not is_secret(field):
            place = f"`settings.{name}`, {place}"
        required = field.is_required()
        default = "" if required or is_secret(field) or field.default_factory else f"`{field.default}`"
        rows.append(
            [
                f"`{name}`",
                ": ".join(t for t in about if t),
                say("はい", "yes") if required else "-",
                default,
                place,
            ]
        )
    return _table(head, rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _form_schema(schema: dict[str, Any], member: dict[str, Any], *, required: bool) -> dict[str, Any]:
    """A field's schema as Airflow's form takes it: flat, without references and unions."""
    branches = [member, *member.get("anyOf", []), *member.get("allOf", [])]
    flat: dict[str, Any] = {}
    for branch in branches:
        target = schema.get("$defs", {}).get(branch.get("$ref", "").rpartition("/")[2], branch)
        if target.get("type") == "null":
            continue
        flat |= {key: target[key] for key in _KEYWORDS if key in target}
    if "default" in member:
        flat["default"] = member["default"]
    flat.setdefault("type", "string")
    if flat.get("format") == "password":
        flat.pop("default", None)
    if not required:
        flat["type"] = [flat["type"], "null"]
    return flat


def _titles(title: Title) -> dict[str, str]:
    return {"ja": title.ja, "en": title.en}


def _both(ja: str | None, en: str | None) -> str:
    return " / ".join(dict.fromkeys(text for text in (ja, en) if text))


def _span(span: timedelta) -> str:
    seconds = span.total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
