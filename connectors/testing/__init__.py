"""The author's test kit: contract tests on recorded answers, a recorder, and twins in memory.

from connectors.testing import contract_tests

test_contract = contract_tests(connector, config=CONFIG, recordings=Path(__file__).parent / "recordings")
"""

from connectors.testing.contract import contract_checks, contract_tests
from connectors.testing.findings import Check, ContractBroken
from connectors.testing.memory import MemoryFiles, MemoryHistory
from connectors.testing.playback import Playback, Recorded, UnmatchedRequest, load_recording
from connectors.testing.recorder import record

__all__ = [
    "Check",
    "ContractBroken",
    "MemoryFiles",
    "MemoryHistory",
    "Playback",
    "Recorded",
    "UnmatchedRequest",
    "contract_checks",
    "contract_tests",
    "load_recording",
    "record",
]
