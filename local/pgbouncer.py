"""PgBouncer in transaction mode, before a local PostgreSQL: what a deployment with many instances connects through."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg2

from local.ports import HOST, free_port
from local.postgres import system_user

_START_SECONDS = 60
_STOP_SECONDS = 10
_POLL_SECONDS = 0.02

SETTINGS: Mapping[str, str] = {
    "pool_mode": "transaction",
    "max_client_conn": "2000",
    "default_pool_size": "40",
    "server_round_robin": "1",  # so that a session is hardly ever the one of the transaction before
    "server_check_delay": "0",  # a test may end the connections of all others, of which no client should get one
    "server_login_retry": "1",
    "query_wait_timeout": "20",
}


class PgBouncerError(Exception):
    """PgBouncer does not start; the message contains its log."""


def program() -> str | None:
    """The path of PgBouncer, None if it is not installed."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


@contextmanager
def pgbouncer(server_port: int, **settings: str) -> Iterator[int]:
    """Runs PgBouncer for the length of a block; yields its port, on which each database of the server can be reached.

    Args:
        server_port: of PostgreSQL, on the loopback interface.
        settings: of the section pgbouncer, beside `SETTINGS`.

    Raises:
        PgBouncerError: it is not installed, or does not start.
    """
    path = program()
    if path is None:
        raise PgBouncerError("pgbouncer is not installed; Debian: apt-get install pgbouncer")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="lockstep-pgbouncer-") as directory:
        config = _write_config(Path(directory), port, server_port, {**SETTINGS, **settings})
        log = config.with_suffix(".log")
        with log.open("wb") as said:
            # PgBouncer refuses to run as root. It ends with its parent, even if that is killed.
            user = system_user()
            run_as = ["--reuid", user.pw_name, "--clear-groups"] if user else []
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *run_as, "--", path, str(config)],  # noqa: S607 - as all of Debian
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
        try:
            _wait_until_ready(process, port, log)
            yield port
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _write_config(directory: Path, port: int, server_port: int, settings: Mapping[str, str]) -> Path:
    users = directory / "users.txt"
    users.write_text('"postgres" ""\n')
    every = {
        "listen_addr": HOST,
        "listen_port": str(port),
        "unix_socket_dir": "",
        "auth_type": "trust",
        "auth_file": str(users),
        "admin_users": "postgres",
        **settings,
    }
    lines = [f"{name} = {value}" for name, value in every.items()]
    config = directory / "pgbouncer.ini"
    config.write_text("\n".join(["[databases]", f"* = host={HOST} port={server_port}", "[pgbouncer]", *lines, ""]))
    user = system_user()
    if user is not None:
        for path in (directory, users, config):
            os.chown(path, user.pw_uid, user.pw_gid)
    return config


def _wait_until_ready(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg2.connect(f"postgresql://postgres@{HOST}:{port}/pgbouncer").close()
        except psycopg2.OperationalError as exc:
            if process.poll() is not None or time.monotonic() > deadline:
                raise PgBouncerError(f"PgBouncer does not start: {log.read_text(errors='replace')[-2000:]}") from exc
        else:
            return
        time.sleep(_POLL_SECONDS)
