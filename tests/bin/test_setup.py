"""`bin/setup` on machines as they are: no venv, no uv, an old Python. Interpreter, apt and uv are stand-ins here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PYTHON = """#!/bin/sh
case "$*" in
  "-c import sys; sys.exit("*) exit {too_old} ;;
  "-m venv "*)
    echo "$*" >>{room}/log
    [ -e {room}/venv-works ] || {{ echo "ensurepip is not available"; exit 1; }}
    for where; do :; done
    mkdir -p "$where/bin" && cp "$0" "$where/bin/python" && cp {room}/bin/pip "$where/bin/pip" ;;
  *) exec {real} "$@" ;;
esac
"""
LOGGING = """#!/bin/sh
echo "{name} $*" >>{room}/log
{then}
"""


class Machine:
    """A folder with a copy of the set-up, and a PATH of stand-ins in front of the real one."""

    def __init__(self, room: Path) -> None:
        self.room = room
        self.path = room / "bin"
        self.checkout = room / "checkout"
        (self.checkout / "bin").mkdir(parents=True)
        self.path.mkdir()
        for name in ("setup", "pip-settings", "uv"):
            shutil.copy(ROOT / "bin" / name, self.checkout / "bin")
        (self.checkout / "requirements.lock").write_text("orjson==3.11.0\n")
        (self.checkout / "pyproject.toml").write_text("")
        (room / "venv-works").touch()
        self.python()
        self.program("id", "echo ${FAKE_UID:-1000}")
        self.program("apt-get", f"touch {room}/venv-works")
        self.program("uv")
        # `pip install uv` brings uv into the folder pip itself lies in
        self.program(
            "pip",
            f'case "$*" in *"uv>="*) cp {self.path}/uv "$(dirname "$0")/uv" ;; "config get"*) exit 1 ;; esac',
        )

    def python(self, *, too_old: bool = False) -> None:
        for name in ("python3.13", "python3.12", "python3.11", "python3"):
            self._write(name, PYTHON.format(room=self.room, real=sys.executable, too_old=int(too_old)))

    def program(self, name: str, then: str = "") -> None:
        self._write(name, LOGGING.format(name=name, room=self.room, then=then))

    def run(self, **env: str) -> subprocess.CompletedProcess[str]:
        clean = {"PATH": f"{self.path}:/usr/bin:/bin", "HOME": str(self.room), **env}
        return subprocess.run(
            ["bash", self.checkout / "bin" / "setup"], env=clean, capture_output=True, text=True, check=False
        )

    def log(self) -> list[str]:
        log = self.room / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [line for line in lines if not line.startswith(("id ", "pip config"))]

    def _write(self, name: str, text: str) -> None:
        (self.path / name).write_text(text)
        (self.path / name).chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_first_run_installs_the_lock_and_the_second_does_nothing(machine: Machine) -> None:
    assert machine.run().returncode == 0
    first = machine.log()
    assert first == [
        "-m venv --without-pip .venv",
        "-m venv .venv/.uv",
        "pip install -q --disable-pip-version-check uv>=0.9,<1",
        "uv pip sync -q --python .venv/bin/python requirements.lock",
        "uv pip install -q --python .venv/bin/python --no-deps -e .",
    ]
    assert machine.run().returncode == 0
    assert machine.log() == first


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_a_changed_lock_or_project_installs_again_into_the_same_environment(
    machine: Machine, name: str
) -> None:
    machine.run()
    before = len(machine.log())
    with (machine.checkout / name).open("a") as file:
        file.write("# changed\n")
    machine.run()
    assert [line.split(" -q")[0] for line in machine.log()[before:]] == ["uv pip sync", "uv pip install"]


def test_an_interrupted_installation_is_not_taken_for_done(machine: Machine) -> None:
    machine.program("uv", "exit 1")
    machine.program(
        "pip", f'case "$*" in *"uv>="*) cp {machine.path}/uv "$(dirname "$0")/uv" ;; *) exit 1 ;; esac'
    )
    failed = machine.run()
    assert failed.returncode == 1
    assert "cannot be installed" in failed.stderr
    assert not (machine.checkout / ".venv" / ".stamp").exists()


def test_root_installs_the_missing_venv_package(machine: Machine) -> None:
    (machine.room / "venv-works").unlink()
    done = machine.run(FAKE_UID="0")
    assert done.returncode == 0, done.stderr
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"apt-get install -qq -y --no-install-recommends python{version}-venv" in machine.log()


def test_anyone_else_is_told_what_to_install(machine: Machine) -> None:
    (machine.room / "venv-works").unlink()
    failed = machine.run()
    assert failed.returncode == 1
    assert "sudo apt-get install python3-venv" in failed.stderr
    assert "ensurepip is not available" in failed.stderr
    assert not any(line.startswith("apt-get") for line in machine.log())


def test_where_uv_cannot_be_used_pip_does_it(machine: Machine) -> None:
    machine.program("uv", "exit 1")
    assert machine.run().returncode == 0
    assert (
        "pip --python .venv/bin/python install -q --disable-pip-version-check -r requirements.lock"
        in machine.log()
    )


def test_a_python_that_is_too_old_is_refused(machine: Machine) -> None:
    machine.python(too_old=True)
    failed = machine.run(PYTHON="python3")
    assert failed.returncode == 1
    assert "PYTHON=python3 is not a Python of 3.11 or newer" in failed.stderr


def test_shims_that_do_not_run_are_passed_over(machine: Machine) -> None:
    for name in ("python3.13", "python3.12"):
        machine.program(name, "exit 127")
    done = machine.run()
    assert done.returncode == 0
    assert "(python3.11)" in done.stderr


def test_settings_of_pip_reach_uv(machine: Machine) -> None:
    machine.program("uv", 'echo "index $UV_DEFAULT_INDEX" >>"$HOME/log"')
    take_uv = f'cp {machine.path}/uv "$(dirname "$0")/uv"'
    machine.program(
        "pip",
        f'case "$*" in *"uv>="*) {take_uv} ;; *"global.index-url") echo simple-index ;; "config get"*) exit 1 ;; esac',
    )
    assert machine.run().returncode == 0
    assert "index simple-index" in machine.log()


def test_uv_by_itself_has_the_settings_of_pip_too(machine: Machine) -> None:
    program = machine.checkout / "bin" / "uv"
    env = {"PATH": f"{machine.path}:/usr/bin:/bin", "HOME": str(machine.room)}
    early = subprocess.run([program, "pip", "list"], env=env, capture_output=True, text=True, check=False)
    assert early.returncode == 1
    assert "run bin/setup first" in early.stderr
    machine.program("uv", 'echo "index $UV_DEFAULT_INDEX" >>"$HOME/log"')
    take_uv = f'cp {machine.path}/uv "$(dirname "$0")/uv"'
    machine.program(
        "pip",
        f'case "$*" in *"uv>="*) {take_uv} ;; *"global.index-url") echo simple-index ;; "config get"*) exit 1 ;; esac',
    )
    machine.run()
    before = len(machine.log())
    subprocess.run([program, "pip", "list"], env=env, check=True)
    assert machine.log()[before:] == ["uv pip list", "index simple-index"]


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_the_scripts_are_clean_shell() -> None:
    scripts = [ROOT / "bin" / "setup", ROOT / "bin" / "uv", ROOT / "bin" / "test-setup", ROOT / ".ci" / "run"]
    subprocess.run(["shellcheck", "-x", *scripts], check=True)


def test_every_target_of_the_makefile_is_listed() -> None:
    listed = subprocess.run(
        ["make", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"MAKEFLAGS": ""},
    ).stdout
    for target in ("setup", "demo", "test", "lint", "type", "bench", "chaos", "docs", "stop", "clean"):
        assert any(line.split(" ")[0] == target for line in listed.splitlines()), target
