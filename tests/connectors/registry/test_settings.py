"""Settings put together from the system file and the connection."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

from connectors.contract import Misconfigured
from connectors.settings import settings_from_connection


class Config(BaseModel):
    base_url: str = "https://api.example"
    shop_url: str = Field(title="Shop", json_schema_extra={"title_ja": "店舗URL"})
    service_secret: SecretStr = Field(title="Service secret")
    license_key: SecretStr = Field(json_schema_extra={"title_ja": "ライセンスキー", "connection": "password"})
    login: str | None = None
    timeout: Annotated[int, Field(ge=1)] = 60
    dry: bool = False
    folders: tuple[str, ...] = ()
    overlap: timedelta = timedelta(hours=1)


CONNECTION: dict[str, Any] = {
    "conn_type": "shop",
    "login": "shop-user",
    "password": "lic-secret",
    "host": "",
    "port": None,
    "extra": {"service_secret": "srv-secret", "timeout": "30", "note": "not a setting"},
}
SETTINGS = {"shop_url": "tokyo", "timeout": 10}


def test_the_connection_overrides_the_system_file_and_brings_the_secrets() -> None:
    config = settings_from_connection(Config, SETTINGS, CONNECTION)
    assert config.shop_url == "tokyo"
    assert config.timeout == 30
    assert config.login == "shop-user"
    assert config.license_key == SecretStr("lic-secret")
    assert config.service_secret == SecretStr("srv-secret")
    assert config.base_url == "https://api.example"


def test_extra_may_be_json_text_and_wins_over_the_parts() -> None:
    extra = {"service_secret": "s", "license_key": "from extra", "folders": '["in", "out"]', "dry": "true"}
    config = settings_from_connection(Config, SETTINGS, CONNECTION | {"extra": json.dumps(extra)})
    assert config.license_key == SecretStr("from extra")
    assert config.folders == ("in", "out")
    assert config.dry is True


@pytest.mark.parametrize("empty", ["", None])
def test_empty_means_not_set(empty: str | None) -> None:
    connection = CONNECTION | {"login": empty, "extra": CONNECTION["extra"] | {"timeout": empty}}
    config = settings_from_connection(Config, SETTINGS, connection)
    assert config.login is None
    assert config.timeout == 10


def problem(
    settings: dict[str, Any],
    connection: dict[str, Any],
    model: type[BaseModel] = Config,
    system: str = "shop-1",
) -> str:
    with pytest.raises(Misconfigured) as error:
        settings_from_connection(model, settings, connection, system=system)
    assert error.value.__cause__ is None
    text = str(error.value)
    for secret in ("lic-secret", "srv-secret"):
        assert secret not in text
    return text


def test_every_missing_setting_is_named_with_its_place() -> None:
    text = problem({}, {})
    assert text.startswith("shop-1: the settings are not complete: ")
    assert (
        "shop_url (店舗URL) is missing; set 'shop_url' in 'extra' of the connection shop-1 (AIRFLOW_CONN_SHOP_1), "
        "or 'shop_url' under 'settings' in systems/shop-1.yaml"
    ) in text
    assert (
        "license_key (ライセンスキー) is missing; set 'password' of the connection shop-1 (AIRFLOW_CONN_SHOP_1)"
        in text
    )
    assert "service_secret (Service secret) is missing; set 'service_secret' in 'extra'" in text
    assert "'license_key' under 'settings'" not in text


def test_a_wrong_value_is_shown_unless_it_is_secret() -> None:
    text = problem(
        SETTINGS | {"timeout": 0, "dry": "perhaps"},
        CONNECTION | {"extra": {"service_secret": ["srv-secret"]}},
    )
    assert "timeout is not valid: Input should be greater than or equal to 1 (it is 0)" in text
    assert "dry is not valid" in text
    assert "'perhaps'" in text
    assert "service_secret (Service secret) is not valid;" in text


def test_a_validator_that_quotes_a_secret_does_not_give_it_away() -> None:
    class Strict(BaseModel):
        service_secret: SecretStr

        @field_validator("service_secret")
        @classmethod
        def _starts_with_sp(cls, value: SecretStr) -> SecretStr:
            raise ValueError(f"{value.get_secret_value()} does not start with SP")

    class Whole(BaseModel):
        service_secret: SecretStr

        @model_validator(mode="after")
        def _never(self) -> Whole:
            raise ValueError(f"{self.service_secret.get_secret_value()} does not fit")

    extra = {"extra": {"service_secret": "srv-secret"}}
    assert "is not valid" in problem({}, extra, Strict)
    assert "*** does not fit" in problem({}, extra, Whole)


def test_a_secret_in_the_system_file_is_refused() -> None:
    text = problem(SETTINGS | {"license_key": "lic-secret"}, CONNECTION)
    assert (
        "license_key (ライセンスキー) is a secret and must not stand in the system file; set 'password'"
        in text
    )


def test_an_unknown_setting_gets_a_hint() -> None:
    text = problem(SETTINGS | {"shop_ulr": "x", "zzz": 1}, CONNECTION)
    assert "'shop_ulr' in systems/shop-1.yaml is no setting of this connector; did you mean shop_url?" in text
    assert (
        "'zzz' in systems/shop-1.yaml is no setting of this connector; known are: base_url, shop_url" in text
    )


@pytest.mark.parametrize("extra", ["{", "[1]", 7])
def test_extra_that_is_no_object_is_refused(extra: Any) -> None:
    assert "'extra' of the connection" in problem(SETTINGS, CONNECTION | {"extra": extra})


def test_text_that_looks_like_json_stays_text_where_text_is_wanted() -> None:
    extra = CONNECTION["extra"] | {"shop_url": "[tokyo]", "license_key": "{secret}"}
    config = settings_from_connection(Config, {}, CONNECTION | {"extra": extra})
    assert config.shop_url == "[tokyo]"
    assert config.license_key == SecretStr("{secret}")


def test_places_are_told_in_general_where_the_system_is_not_known() -> None:
    assert "AIRFLOW_CONN_<ID>" in problem({}, {}, system="")
