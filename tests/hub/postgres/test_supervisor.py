"""The embedded server is started, found, killed and stopped for real, in every way that happens on machines."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from hub import postgres, postgres_place
from hub.home import Home, Settings
from hub.postgres import EmbeddedPostgres, PostgresError
from hub.postgres_place import packaged_binaries, run_as
from hub.postgres_process import server_processes

REPOSITORY = Path(__file__).resolve().parents[3]
AS_ROOT = os.geteuid() == 0
FAST = {"fsync": "off", "shared_buffers": "16MB"}

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder that another user may walk through, as pytest's own are not."""
    room = Path(tempfile.mkdtemp(prefix="tsunagi-room-"))
    room.chmod(0o711)
    yield room
    for lock in room.rglob("running.lock"):
        EmbeddedPostgres(Home(lock.parent.parent), outside=room / "outside").stop()
    shutil.rmtree(room)


@pytest.fixture
def server(room: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(Home(room / "var"), settings=FAST, outside=room / "outside")


def starter(room: Path, then: str = "") -> subprocess.Popen[str]:
    """Another process that starts the server, prints the port and does `then`."""
    code = f"""
        import os, sys, time
        from pathlib import Path
        from hub.home import Home
        from hub.postgres import EmbeddedPostgres
        server = EmbeddedPostgres(
            Home(Path({str(room / "var")!r})), settings={FAST!r}, outside=Path({str(room / "outside")!r})
        )
        print("ready", flush=True)
        print(server.start(), flush=True)
        {then}
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env=os.environ | {"AIRFLOW_CONN_SHOP": "secret"},
    )  # fmt: skip


def data_of(server: EmbeddedPostgres) -> Path:
    state = json.loads((server.home.postgres / "server.json").read_text("utf-8"))
    return server.home.postgres / state["data"]


def head_of(server: EmbeddedPostgres) -> int:
    return int((data_of(server) / "postmaster.pid").read_text().splitlines()[0])


def kill_head(server: EmbeddedPostgres) -> None:
    head = head_of(server)
    os.kill(head, signal.SIGKILL)
    while head in server_processes(data_of(server)):
        time.sleep(0.005)


def test_starts_once_and_the_second_process_attaches(server: EmbeddedPostgres, room: Path) -> None:
    port = server.start()
    head = head_of(server)
    second = EmbeddedPostgres(Home(room / "var"), outside=room / "outside")
    assert second.start() == port
    assert second.running()
    assert head_of(second) == head


def test_stop_ends_every_process_and_start_uses_the_same_port_again(server: EmbeddedPostgres) -> None:
    port = server.start()
    assert server.stop()
    assert server_processes(data_of(server)) == []
    assert not server.running()
    assert not server.stop()
    assert server.start() == port


def test_stop_and_running_create_nothing_where_there_was_no_server(server: EmbeddedPostgres) -> None:
    assert not server.stop()
    assert not server.running()
    assert not server.home.root.exists()


def test_the_server_outlives_a_starter_that_was_killed(server: EmbeddedPostgres, room: Path) -> None:
    with starter(room, "time.sleep(60)") as process:
        assert process.stdout is not None
        process.stdout.readline()
        port = int(process.stdout.readline())
        os.killpg(os.getpgid(head_of(server)), 0)  # it leads a group of its own, out of reach of Ctrl-C
        assert os.getsid(head_of(server)) != os.getsid(0)
        process.kill()
    assert server.start() == port


def test_the_server_does_not_inherit_the_secrets_of_its_starter(server: EmbeddedPostgres, room: Path) -> None:
    with starter(room) as process:
        process.wait()
    assert b"AIRFLOW_CONN" not in Path(f"/proc/{head_of(server)}/environ").read_bytes()


@pytest.mark.chaos
@pytest.mark.parametrize("part", range(5))
def test_a_starter_killed_at_any_moment_leaves_nothing_that_hinders_the_next(
    room: Path, part: int, chaos_rounds: Callable[[int], int]
) -> None:
    for number in range(part, chaos_rounds(5), 5):
        here = room / str(number)
        here.mkdir(mode=0o711)
        with starter(here) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.15 * part + random.uniform(0, 0.15))
            process.kill()
        server = EmbeddedPostgres(Home(here / "var"), settings=FAST, outside=here / "outside")
        assert select_one(server.database_url("tsunagi")) == 1
        assert list(data_of(server).parent.glob("initdb-*")) == []
        server.stop()


def test_starters_racing_get_one_server(server: EmbeddedPostgres, room: Path) -> None:
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(starter(room)) for _ in range(4)]
        answers = {process.communicate()[0] for process in processes}
    assert answers == {f"ready\n{server.start()}\n"}
    assert len([pid for pid in server_processes(data_of(server)) if pid == head_of(server)]) == 1


@pytest.mark.chaos
def test_committed_rows_survive_kill_9_of_the_server(room: Path, chaos_rounds: Callable[[int], int]) -> None:
    server = EmbeddedPostgres(Home(room / "var"), outside=room / "outside")
    with psycopg.connect(server.database_url("tsunagi")) as connection:
        connection.execute("create table kept (n int)")
    for number in range(chaos_rounds(2)):
        with psycopg.connect(server.database_url("tsunagi")) as connection:
            connection.execute("insert into kept select generate_series(1, 1000)")
        kill_head(server)
        with psycopg.connect(server.database_url("tsunagi")) as connection:
            assert connection.execute("select count(*) from kept").fetchone() == (1000 * (number + 1),)


def test_a_child_deep_in_a_query_does_not_block_the_restart(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_ORPHAN_SECONDS", 0.2)
    url = server.database_url("tsunagi")
    first = head_of(server)

    def burn() -> None:
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url) as connection:
            connection.execute(
                "select count(*) from generate_series(1, 1000000) a, generate_series(1, 1000000)"
            )

    burning = threading.Thread(target=burn)
    burning.start()
    with psycopg.connect(url) as watcher:
        watcher.autocommit = True
        while not watcher.execute(
            "select 1 from pg_stat_activity where query like 'select count%'"
        ).fetchone():
            time.sleep(0.02)
    kill_head(server)
    server.start()
    burning.join()
    assert head_of(server) != first


def test_who_comes_while_the_server_recovers_waits(server: EmbeddedPostgres) -> None:
    """kill -9 of one server process: the others are thrown out, while `postmaster.pid` goes on saying ready."""
    url = server.database_url("hub")
    for _ in range(5):
        with psycopg.connect(url) as victim:
            os.kill(victim.info.backend_pid, signal.SIGKILL)
        with psycopg.connect(server.database_url("hub")) as connection:
            assert connection.execute("select 1").fetchone() == (1,)


def test_a_stale_pid_file_naming_a_living_process_is_seen_through(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    pid_file = data_of(server) / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{data_of(server)}\n1\n15999\n\n127.0.0.1\n\nready\n")
    server.start()
    assert head_of(server) != os.getpid()


def test_another_program_on_the_remembered_port_moves_the_server(server: EmbeddedPostgres) -> None:
    port = server.start()
    server.stop()
    with occupied(port):
        assert server.start() != port


def test_a_port_taken_at_the_last_moment_is_given_up(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = server.start()
    server.stop()
    with occupied(port):
        seen = iter([True])  # free when looked at, taken when used
        free = postgres.is_free
        monkeypatch.setattr(postgres, "is_free", lambda port: next(seen, None) or free(port))
        assert server.start() != port


def test_a_server_started_by_hand_on_our_data_is_left_alone(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    data = data_of(server)
    owner = data.stat().st_uid if AS_ROOT else None
    pg_ctl = packaged_binaries() / "pg_ctl"
    assert (
        run_as(owner, [pg_ctl, "-D", data, "-s", "-o", "-k ''", "-l", "/dev/null", "start"]).returncode == 0
    )
    try:
        with pytest.raises(PostgresError, match="not started by us"):
            server.start()
    finally:
        run_as(owner, [pg_ctl, "-D", data, "-s", "-m", "fast", "stop"])


def test_a_server_in_another_container_is_not_doubled(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.start()
    monkeypatch.setattr(postgres, "server_processes", lambda data: [])  # not seen from here
    monkeypatch.setattr(postgres, "_UNSEEN_SECONDS", 0.1)
    with pytest.raises(PostgresError, match="another container"):
        server.start()


def test_a_server_that_cannot_start_says_why(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    with (data_of(server) / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    with pytest.raises(PostgresError) as caught:
        server.start()
    assert "no_such_setting" in caught.value.en
    assert "起動しません" in caught.value.ja
    assert not server.running()


def test_each_database_has_a_role_that_sees_no_other(server: EmbeddedPostgres) -> None:
    tsunagi, airflow = server.database_url("tsunagi"), server.database_url("airflow")
    assert select_one(tsunagi) == select_one(airflow) == 1
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(airflow.rpartition("/")[0] + "/tsunagi")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(tsunagi.replace("tsunagi:", "tsunagi:not-"))


def test_a_lost_password_file_is_mended_by_the_superuser(server: EmbeddedPostgres) -> None:
    server.database_url("tsunagi")
    (server.home.secrets / "postgres-tsunagi.txt").unlink()
    assert select_one(server.database_url("tsunagi")) == 1


def test_a_lost_superuser_password_is_explained(server: EmbeddedPostgres) -> None:
    server.start()
    (server.home.secrets / "postgres-admin.txt").unlink()
    with pytest.raises(PostgresError, match="superuser"):
        server.database_url("tsunagi")


def test_no_secret_reaches_the_log_or_other_users(server: EmbeddedPostgres) -> None:
    server.database_url("tsunagi")
    log = (server.home.logs / "postgres.log").read_text()
    for path in server.home.secrets.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.read_text().strip() not in log
    assert stat.S_IMODE(data_of(server).stat().st_mode) == 0o700


def test_a_database_name_that_is_no_plain_word_is_refused(server: EmbeddedPostgres) -> None:
    with pytest.raises(PostgresError, match="cannot be a database name"):
        server.database_url('x"; drop database tsunagi')


def test_a_moved_home_finds_its_data_again(server: EmbeddedPostgres, room: Path) -> None:
    with psycopg.connect(server.database_url("tsunagi")) as connection:
        connection.execute("create table kept ()")
    server.stop()
    server.home.root.rename(room / "elsewhere")
    moved = EmbeddedPostgres(Home(room / "elsewhere"), settings=FAST, outside=room / "outside")
    with psycopg.connect(moved.database_url("tsunagi")) as connection:
        connection.execute("table kept")


def test_tsunagi_database_url_starts_nothing(room: Path) -> None:
    env = {
        "TSUNAGI_HOME": str(room / "var"),
        "TSUNAGI_DATABASE_URL": "postgresql+psycopg://me@db.example/hub",
    }
    settings = Settings.from_env(env)
    assert postgres.database_url("airflow", settings) == "postgresql://me@db.example/hub"
    assert not (room / "var").exists()


def test_database_url_uses_the_home_of_the_settings(server: EmbeddedPostgres) -> None:
    server.start()
    assert postgres.database_url(settings=Settings(home=server.home)) == server.database_url("tsunagi")


@pytest.mark.skipif(not AS_ROOT, reason="needs root")
def test_root_runs_the_server_as_a_user_nobody_else_is(server: EmbeddedPostgres) -> None:
    server.start()
    status = Path(f"/proc/{head_of(server)}/status").read_text()
    uids = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
    assert set(uids) == {str(data_of(server).stat().st_uid)} != {"0"}
    assert "Groups:\t \n" in status
    assert data_of(server) == server.home.postgres / "data"
    assert stat.S_IMODE(server.home.root.stat().st_mode) == 0o711


@pytest.mark.skipif(not AS_ROOT, reason="needs root")
def test_root_in_a_closed_folder_keeps_data_and_programs_outside(
    room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, package = room / "closed", packaged_binaries().parent.parent
    closed.mkdir(mode=0o700)
    for name in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.parent / name, closed / name, symlinks=True)
    hidden = closed / package.name / "pginstall" / "bin"
    monkeypatch.setattr(postgres_place, "packaged_binaries", lambda: hidden)
    server = EmbeddedPostgres(Home(closed / "var"), settings=FAST, outside=room / "outside")
    assert select_one(server.database_url("tsunagi")) == 1
    data = data_of(server)
    assert data.is_relative_to(room / "outside")
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert stat.S_IMODE(server.home.root.stat().st_mode) == 0o700
    server.stop()
    assert select_one(server.database_url("tsunagi")) == 1
    assert data_of(server) == data
    server.remove()
    assert not data.exists()


@pytest.mark.skipif(not AS_ROOT, reason="needs root")
def test_a_home_moved_to_a_closed_folder_takes_its_data_outside(room: Path) -> None:
    server = EmbeddedPostgres(Home(room / "var"), settings=FAST, outside=room / "outside")
    with psycopg.connect(server.database_url("tsunagi")) as connection:
        connection.execute("create table kept ()")
    server.stop()
    (room / "closed").mkdir(mode=0o700)
    server.home.root.rename(room / "closed" / "var")
    moved = EmbeddedPostgres(Home(room / "closed" / "var"), settings=FAST, outside=room / "outside")
    with psycopg.connect(moved.database_url("tsunagi")) as connection:
        connection.execute("table kept")
    assert data_of(moved).is_relative_to(room / "outside")


@pytest.mark.skipif(not AS_ROOT, reason="an ordinary user runs all other tests this way")
def test_an_ordinary_user_runs_the_server_as_himself(room: Path) -> None:
    home = room / "var"
    home.mkdir()
    shutil.chown(home, "nobody")
    if run_as(65534, ["/usr/bin/test", "-x", packaged_binaries() / "postgres"]).returncode != 0:
        pytest.skip("the wheel lies in a folder that an ordinary user cannot enter")
    code = f"""
        import encodings.ascii, encodings.idna, os, pwd, psycopg  # its Python may be closed to nobody
        from pathlib import Path
        from hub.home import Home
        from hub.postgres import EmbeddedPostgres
        nobody = pwd.getpwnam("nobody")
        os.setgroups([]); os.setgid(nobody.pw_gid); os.setuid(nobody.pw_uid)
        server = EmbeddedPostgres(Home(Path({str(home)!r})), settings={FAST!r})
        with psycopg.connect(server.database_url("tsunagi")) as connection:
            print(connection.execute("select 1").fetchone())
        assert server.stop()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("(1,)\n", "")
    assert (home / "postgres" / "data").stat().st_uid == 65534
    assert stat.S_IMODE((home / "postgres").stat().st_mode) == 0o700


def select_one(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("select 1").fetchone()
    assert row is not None
    return int(row[0])


@contextlib.contextmanager
def occupied(port: int) -> Iterator[None]:
    with socket.socket() as blocker:
        blocker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        blocker.bind(("127.0.0.1", port))
        blocker.listen()
        yield
