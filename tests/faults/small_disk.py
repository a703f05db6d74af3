"""Disks that a test can fill and free."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from tests.faults.postgres import FragilePostgres

_TABLESPACE_MEGABYTES = 40
_SERVER_MEGABYTES = 200
_CHUNK = bytes(64 * 1024)
_TABLESPACE = "small_disk"

_REFUSE = """
    CREATE TABLE disk (is_full boolean);
    INSERT INTO disk VALUES (false);
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF (SELECT is_full FROM disk) THEN
            RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON tasks EXECUTE FUNCTION refuse();
    CREATE TRIGGER refuse BEFORE UPDATE ON batches EXECUTE FUNCTION refuse();
"""


@dataclass(frozen=True)
class SmallDisk:
    """A database on a disk that can be full.

    Attributes:
        database_url: the database.
        fill: leaves no room on the disk.
        free: makes room again.
        symptoms: the errors of which the app gets one meanwhile.
    """

    database_url: str
    fill: Callable[[], None]
    free: Callable[[], None]
    symptoms: tuple[str, ...] = ("No space left on device",)


@contextmanager
def small_tablespace(postgres: FragilePostgres) -> Iterator[SmallDisk]:
    """A database whose tables are on a small file system: PostgreSQL refuses writes that need more room."""
    with _file_system(_TABLESPACE_MEGABYTES) as directory:
        location, filler = directory / "tablespace", directory / "filler"
        location.mkdir()
        owner = postgres.server.data_dir.stat()
        os.chown(location, owner.st_uid, owner.st_gid)
        postgres.execute(f"CREATE TABLESPACE {_TABLESPACE} LOCATION '{location}'")
        try:
            with postgres.database(_TABLESPACE) as url:
                yield SmallDisk(url, lambda: _fill(filler), filler.unlink)
        finally:
            postgres.execute(f"DROP TABLESPACE {_TABLESPACE}")


@contextmanager
def small_data_directory(_: FragilePostgres) -> Iterator[SmallDisk]:
    """A server with everything on a small file system: it panics because it cannot write its log, and stays down."""
    with _file_system(_SERVER_MEGABYTES) as directory, FragilePostgres.start(directory) as postgres:
        filler = directory / "filler"

        def fill() -> None:
            _fill(filler)
            with suppress(psycopg2.OperationalError):
                postgres.execute("SELECT pg_switch_wal()")
                postgres.execute("CREATE TABLE needs_a_new_log_file ()")

        def free() -> None:
            filler.unlink()
            postgres.start_again()

        with postgres.database() as url:
            # PgBouncer, which may stand before the server, takes connections all the same.
            yield SmallDisk(url, fill, free, ("cannot connect to PostgreSQL", "server closed the connection"))


@contextmanager
def refusing_tables(postgres: FragilePostgres) -> Iterator[SmallDisk]:
    """A database that simulates a full disk: it accepts claims and refuses outcomes."""
    with postgres.database() as url:
        _execute(url, _REFUSE)
        yield SmallDisk(
            url,
            lambda: _execute(url, "UPDATE disk SET is_full = true"),
            lambda: _execute(url, "UPDATE disk SET is_full = false"),
        )


Kind = Callable[[FragilePostgres], AbstractContextManager[SmallDisk]]

# Only root can mount a file system; for other users the database simulates a full disk.
KINDS: list[Kind] = [refusing_tables]
if os.geteuid() == 0:
    KINDS += [small_tablespace, small_data_directory]


@contextmanager
def _file_system(megabytes: int) -> Iterator[Path]:
    # Not under pytest's directories, which PostgreSQL's user may not enter.
    with tempfile.TemporaryDirectory(prefix="lockstep-disk-") as name:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "small", name], check=True)
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(_CHUNK) == len(_CHUNK):
            pass


def _execute(database_url: str, statement: str) -> None:
    with closing(psycopg2.connect(database_url)) as conn, conn, conn.cursor() as cursor:
        cursor.execute(statement)
