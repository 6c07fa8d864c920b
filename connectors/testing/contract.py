"""The contract kit: from a connector's declarations to the tests that hold it to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from connectors.contract import Connector
from connectors.testing.findings import Check, ContractBroken, broken
from connectors.testing.playback import UnmatchedRequest
from connectors.testing.settings_checks import settings_checks
from connectors.testing.sink_checks import sink_checks
from connectors.testing.source_checks import source_checks
from connectors.testing.stage import Stage
from connectors.testing.webhook_checks import webhook_checks
from connectors.testing.yaml_text import BadFile

__all__ = ["contract_checks", "contract_tests"]


def contract_checks(
    connector: Connector[Any], *, config: BaseModel, recordings: Path, cases: Path | None = None
) -> list[Check]:
    """Every check that follows from what the connector declares.

    config      settings to test with; give its secrets values that cannot occur by chance
    recordings  `<source or sink>.yaml` with recorded answers, or a folder of that name with the files of a file
                store; `check.yaml` for the check
    cases       what is fed in and expected, see `connectors.testing.cases`; the folder `cases` beside the
                recordings

    Where a source and a sink have one name: `<name>.source.yaml` and `<name>.sink.yaml`.
    """
    stage = Stage(connector, config, recordings, cases or recordings.parent / "cases")
    return list(_checks(stage))


def contract_tests(
    connector: Connector[Any],
    *,
    config: BaseModel,
    recordings: Path,
    cases: Path | None = None,
    skip: Mapping[str, str] | None = None,
) -> Callable[[Check], None]:
    """The checks as one parametrised pytest function:

        test_contract = contract_tests(connector, config=CONFIG, recordings=HERE / "recordings")

    `skip` maps the id of a check that cannot hold to the reason, which the test report shows.
    """
    import pytest

    checks = contract_checks(connector, config=config, recordings=recordings, cases=cases)
    reasons = dict(skip or {})
    unknown = reasons.keys() - {check.id for check in checks}
    if unknown:
        raise ValueError(
            f"no such checks: {', '.join(sorted(unknown))}; there are {', '.join(c.id for c in checks)}"
        )

    @pytest.mark.parametrize("check", checks, ids=[check.id for check in checks])
    def test_contract(check: Check) -> None:
        if check.id in reasons:
            pytest.skip(reasons[check.id])
        try:
            check.run()
        except (ContractBroken, UnmatchedRequest, BadFile) as finding:
            pytest.fail(str(finding), pytrace=False)  # the text says it all

    return test_contract


def _checks(stage: Stage) -> Iterator[Check]:
    connector = stage.connector
    yield from settings_checks(stage)
    for source in connector.sources.values():
        if stage.recorded(source.name, "source"):
            yield from source_checks(stage, source)
        else:
            yield _unrecorded(stage, f"source:{source.name}")
    for sink in connector.sinks.values():
        if stage.recorded(sink.name, "sink"):
            yield from sink_checks(stage, sink)
        else:
            yield _unrecorded(stage, f"sink:{sink.name}")
    if connector.webhook_door is not None:
        yield from webhook_checks(stage, connector.webhook_door)


def _unrecorded(stage: Stage, what: str) -> Check:
    name = what.partition(":")[2]
    place = f"{stage.recordings / name}.yaml (or a folder of that name)"
    return Check(
        f"{what}:recorded", partial(broken, f"{place} is missing; connectors.testing.record writes one")
    )
