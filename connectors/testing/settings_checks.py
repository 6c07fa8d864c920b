"""What the connector itself and its settings promise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from connectors.contract import CheckFunction, Misconfigured, Retry
from connectors.describe import connection_form, docs_page, settings_schema
from connectors.settings import extras, is_secret, standard_field
from connectors.testing.faults import Transform, lock_out, no_connection
from connectors.testing.findings import Check, broken, hold, secrets_in
from connectors.testing.stage import Stage
from connectors.transport.redaction import is_secret_key

__all__ = ["settings_checks"]

# Airflow's API and UI mask values by these words in the key, whatever the form says of the field
# (airflow.sdk, secrets masker, DEFAULT_SENSITIVE_FIELDS of 3.3).
_MASKED_BY_AIRFLOW = (
    "access_key access_token api_key apikey auth_header authorization bearer connection_string dsn passphrase passwd "
    "password private_key proxy proxies secret service_account service_key token keyfile_dict"
)  # fmt: skip


def settings_checks(stage: Stage) -> Iterator[Check]:
    """Checks of the name, the settings, what is derived from them, and `check`."""
    for name, check in {
        "connector:name": name_can_be_used, "connector:describe": descriptions_can_be_derived,
        "settings:secrets": secrets_are_secret, "settings:masked": airflow_masks_the_secrets,
    }.items():  # fmt: skip
        yield Check(name, partial(check, stage))
    function = stage.connector.check_function
    if function is None:
        yield Check(
            "check:there",
            partial(broken, "the connector has no @connector.check: an operator cannot try the account"),
        )
        return
    if not stage.recorded("check"):
        yield Check("check:recorded", partial(broken, f"{stage.recordings / 'check.yaml'} is missing"))
        return
    yield Check("check:answers", partial(check_says_what_it_saw, stage, function))
    if stage.connector.http is not None:
        for name, fault, error in (
            ("check:locked_out", lock_out(), Misconfigured),
            ("check:down", no_connection(), Retry),
        ):
            yield Check(name, partial(_hold_check_raises, stage, function, fault, error))


def name_can_be_used(stage: Stage) -> None:
    """The name is an Airflow connection type, a folder and a part of mapping names; titles are for people."""
    connector = stage.connector
    hold(
        re.fullmatch(r"[a-z][a-z0-9_]*", connector.name),
        f"the name {connector.name!r} must be lower case letters, digits and _ (tiny_shop)",
    )
    hold(
        connector.title.ja and connector.title.en,
        f"{connector.name}: give a title in Japanese and in English",
    )
    hold(
        connector.sources or connector.sinks or connector.webhook_door,
        f"{connector.name}: it offers no source, no sink and no webhook",
    )


def descriptions_can_be_derived(stage: Stage) -> None:
    """Docs in both languages, the schema of the settings, and the connection form."""
    pages = (docs_page(stage.connector, "ja"), docs_page(stage.connector, "en"))
    derived = (*pages, repr(settings_schema(stage.connector)), repr(connection_form(stage.connector)))
    leaked = secrets_in(derived, stage.secrets)
    hold(not leaked, f"{stage.connector.name}: a default of the settings is a secret: {leaked}")


def secrets_are_secret(stage: Stage) -> None:
    """A setting whose name names a secret is a `SecretStr`; what only sounds so says `{"secret": False}`."""
    for name, field in stage.connector.config.model_fields.items():
        if not is_secret_key(name) or is_secret(field) or extras(field).get("secret") is False:
            continue
        text = field.annotation is str or "str" in repr(field.annotation)
        hold(
            not text,
            f"the setting {name!r} looks like a secret but is plain text: use SecretStr, "
            'or json_schema_extra={"secret": False} if it is none',
        )


def airflow_masks_the_secrets(stage: Stage) -> None:
    """Airflow masks what is kept in `extra` by the name of the key alone."""
    for name, field in stage.connector.config.model_fields.items():
        if is_secret(field) and standard_field(name, field) != "password":
            hold(
                any(word in name.lower() for word in _MASKED_BY_AIRFLOW.split()),
                f"Airflow's API would show the setting {name!r} in clear: keep it in the password "
                '(json_schema_extra={"connection": "password"}), or put secret, token or api_key into its name',
            )


def check_says_what_it_saw(stage: Stage, function: CheckFunction) -> None:
    """One line for the operator, without secrets."""
    with stage.open("check") as rig:
        said = function(rig.call)
    hold(isinstance(said, str) and said.strip(), f"check must say in one line what it saw; it said {said!r}")
    hold("\n" not in said, f"check must say one line: {said!r}")
    leaked = secrets_in([said, *map(repr, rig.steps), *rig.logs], stage.secrets)
    hold(not leaked, f"check shows a secret of the settings: {leaked}")


def _hold_check_raises(
    stage: Stage, function: CheckFunction, fault: Transform, wanted: type[Exception]
) -> None:
    with stage.open("check") as plain:
        function(plain.call)
    if not plain.requests:
        return
    with stage.open("check", through=fault) as rig:
        try:
            said = function(rig.call)
        except wanted as error:
            leaked = secrets_in([repr(error)], stage.secrets)
            hold(not leaked, f"check shows a secret of the settings: {leaked}")
            return
        except Exception as error:  # noqa: BLE001  (which one it is, is the question)
            broken(f"check should raise {wanted.__name__}; it raised {error!r}")
    broken(f"check should raise {wanted.__name__}; it said {said!r}")
