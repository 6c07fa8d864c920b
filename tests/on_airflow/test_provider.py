"""What Airflow learns of the hub as a provider: connection types that it accepts, with their test button."""

from __future__ import annotations

from importlib.metadata import distribution, entry_points

import pytest
from airflow.sdk.module_loading import import_string
from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

from connectors.registry import load_connectors
from plugins.plugin import TsunagiPlugin
from plugins.provider import get_provider_info

TYPES = {form["connection-type"]: form for form in get_provider_info()["connection-types"]}


def test_airflow_finds_provider_and_plugin_by_their_entry_points() -> None:
    providers = entry_points(group="apache_airflow_provider")
    assert "plugins.provider:get_provider_info" in {point.value for point in providers}
    assert {point.value for point in entry_points(group="airflow.plugins")} >= {
        "plugins.plugin:TsunagiPlugin"
    }
    assert get_provider_info()["package-name"] == distribution("tsunagi").metadata["Name"]


def test_every_connector_is_a_connection_type_that_airflow_takes() -> None:
    assert set(TYPES) == set(load_connectors())
    hooks = ProvidersManagerTaskRuntime().hooks
    for name in TYPES:
        found = hooks[name]
        assert found is not None
        assert found.connection_id_attribute_name == "system"


@pytest.mark.parametrize("name", sorted(TYPES))
def test_its_hook_is_of_that_type(name: str) -> None:
    hook = import_string(TYPES[name]["hook-class-name"])
    assert hook.conn_type == name
    assert callable(hook(system="x").test_connection)


def test_no_field_is_filled_in_beforehand_so_that_the_system_file_stays_in_force() -> None:
    fields = [field for form in TYPES.values() for field in form["conn-fields"].values()]
    assert fields
    assert not [field for field in fields if "default" in field["schema"]]
    assert any("既定値" in field.get("description", "") for field in fields)


def test_the_plugin_mounts_the_console_and_names_it_in_the_menu() -> None:
    assert [app["url_prefix"] for app in TsunagiPlugin.fastapi_apps] == ["/tsunagi"]
    assert {view["destination"] for view in TsunagiPlugin.external_views} == {"nav", "dag"}
    assert not [view for view in TsunagiPlugin.external_views if view["href"].startswith("/")]
