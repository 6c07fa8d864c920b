"""What is asked of every connector this package ships, whatever it speaks to."""

from __future__ import annotations

import json
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from connectors.contract import Connector
from connectors.describe import capabilities, connection_form, docs_page, settings_schema
from connectors.registry import GROUP, gather
from connectors.settings import is_secret
from connectors.testing import contract_checks

REPOSITORY = Path(__file__).parents[3]
POINTS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"][GROUP]
SHIPPED = gather([EntryPoint(name, value, GROUP) for name, value in POINTS.items()])


def test_all_of_them_load() -> None:
    assert SHIPPED.faults == ()
    assert set(SHIPPED) == set(POINTS)


@pytest.mark.parametrize("connector", SHIPPED.values(), ids=SHIPPED.keys())
def test_name_and_settings_hold_to_the_contract(connector: Connector[Any], tmp_path: Path) -> None:
    config = connector.config.model_construct(**dict.fromkeys(connector.config.model_fields, None))
    checks = contract_checks(connector, config=config, recordings=tmp_path)
    for check in checks:
        if check.id.startswith(("connector:", "settings:")):
            check.run()
    assert connector.check_function is not None


@pytest.mark.parametrize("name", SHIPPED)
def test_contract_tests_on_recordings_stand_beside_it(name: str) -> None:
    tests = REPOSITORY / "tests" / "connectors"
    own, shared = tests / name / "test_contract.py", tests / "contract" / f"test_{name}.py"
    assert own.is_file() or shared.is_file()


@pytest.mark.parametrize("connector", SHIPPED.values(), ids=SHIPPED.keys())
def test_its_form_can_be_drawn_by_airflow(connector: Connector[Any]) -> None:
    form = json.loads(json.dumps(connection_form(connector)))
    assert form["connection-type"] == connector.name
    for name, field in form["conn-fields"].items():
        jsonschema.Draft202012Validator.check_schema(field["schema"])
        secret = is_secret(connector.config.model_fields[name])
        assert (field["schema"].get("format") == "password") == secret, name
        assert not (secret and "default" in field["schema"]), name
    jsonschema.Draft202012Validator.check_schema(settings_schema(connector))
    json.dumps(capabilities(connector))


@pytest.mark.parametrize("connector", SHIPPED.values(), ids=SHIPPED.keys())
def test_what_people_read_is_in_both_languages(connector: Connector[Any]) -> None:
    for part in (connector, *connector.sources.values(), *connector.sinks.values()):
        assert part.title.ja not in ("", part.name), f"{connector.name}.{part.name} has no Japanese title"
        assert part.title.en, part.name
    assert docs_page(connector, "ja") != docs_page(connector, "en")
