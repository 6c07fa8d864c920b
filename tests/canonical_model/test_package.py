"""What the package costs and needs."""

from __future__ import annotations

import subprocess
import sys


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_it_needs_nothing_but_pydantic() -> None:
    loaded = run(
        "import sys, canonical_model, canonical_model.mach, canonical_model.derive\n"
        "print(*sorted({n.partition('.')[0] for n in sys.modules} - set(sys.stdlib_module_names)))"
    ).split()
    allowed = {"canonical_model", "pydantic", "pydantic_core", "annotated_types", "typing_extensions"}
    allowed |= {"typing_inspection"}
    ours = {name for name in loaded if not name.startswith("_")}
    assert ours <= allowed, f"unexpected imports: {ours - allowed}"


def test_the_e_mail_library_is_loaded_only_for_addresses_that_need_it() -> None:
    code = (
        "import sys\n"
        "from pydantic import TypeAdapter\n"
        "from canonical_model.values import Email\n"
        "take = TypeAdapter(Email).validate_python\n"
        "take('a@example.jp'); print('email_validator' in sys.modules)\n"
        "take('あ@例え.jp'); print('email_validator' in sys.modules)\n"
    )
    assert run(code).split() == ["False", "True"]
