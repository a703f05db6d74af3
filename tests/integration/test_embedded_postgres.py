import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg2
import pytest

from local.postgres import EmbeddedPostgres, EmbeddedPostgresError
from tests.support.ports import lasting_port


@pytest.fixture
def directory() -> Iterator[Path]:
    # As root, PostgreSQL runs as another user, who cannot enter pytest's own directories.
    with tempfile.TemporaryDirectory(prefix="lockstep-postgres-") as name:
        yield Path(name)


def _ask(server: EmbeddedPostgres, statement: str) -> str:
    with closing(psycopg2.connect(server.url())) as conn, conn, conn.cursor() as cursor:
        cursor.execute(statement)
        (value,) = cursor.fetchone() or ("",)
        return str(value)


def test_data_outlives_a_stop_a_takeover_and_a_kill(directory: Path) -> None:
    data_dir = directory / "not" / "there" / "yet"
    with EmbeddedPostgres.start(data_dir) as server:
        _ask(server, "CREATE TABLE kept (n integer); INSERT INTO kept VALUES (42) RETURNING n")
        with EmbeddedPostgres.start(data_dir) as other:
            assert (other.pid, other.port) == (server.pid, server.port)
    with EmbeddedPostgres.start(data_dir) as stopped_before:
        assert stopped_before.pid != server.pid
        assert _ask(stopped_before, "SELECT n FROM kept") == "42"
        os.kill(stopped_before.pid, signal.SIGKILL)
        with EmbeddedPostgres.start(data_dir) as killed_before:
            assert _ask(killed_before, "SELECT n FROM kept") == "42"


def test_servers_on_two_directories_do_not_meet(directory: Path) -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(EmbeddedPostgres.start(directory / name, durable=False)) for name in "ab"]
        assert servers[0].port != servers[1].port
        servers[0].stop()
        assert _ask(servers[1], "SELECT 1") == "1"
        # The pid in the file of a killed server may belong to another process by now, even to another PostgreSQL.
        (directory / "a" / "postmaster.pid").write_text(f"{servers[1].pid}\n{directory / 'a'}\n0\n1\n\n\n\nready\n")
        with EmbeddedPostgres.start(directory / "a", durable=False) as again:
            assert _ask(again, "SHOW listen_addresses") == "127.0.0.1"
        assert _ask(servers[1], "SELECT 1") == "1"


def test_a_directory_with_something_else_in_it_is_left_alone(directory: Path) -> None:
    (directory / "data").mkdir()
    (directory / "data" / "thesis.txt").write_text("precious")
    with pytest.raises(EmbeddedPostgresError, match="not empty"):
        EmbeddedPostgres.start(directory / "data")
    assert (directory / "data" / "thesis.txt").read_text() == "precious"


def test_a_server_left_on_another_port_moves_to_the_one_asked_for(directory: Path) -> None:
    port = lasting_port()
    with (
        EmbeddedPostgres.start(directory / "data", durable=False) as left,
        EmbeddedPostgres.start(directory / "data", port=port, durable=False) as moved,
    ):
        assert left.port != moved.port == port
        assert _ask(moved, "SHOW port") == str(port)
