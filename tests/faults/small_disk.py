"""Disks that are full while a test wants them to be."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from tests.faults.postgres import FragilePostgres

_DISK_MEGABYTES = 40
_CHUNK = bytes(64 * 1024)
_TABLESPACE = "small_disk"

_REFUSE = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
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
    """

    database_url: str
    fill: Callable[[], None]
    free: Callable[[], None]


@contextmanager
def small_file_system(postgres: FragilePostgres) -> Iterator[SmallDisk]:
    """A database whose tables are on a file system of 40 MB; only root can mount one."""
    # Where the server's user may enter: beside its own data.
    with tempfile.TemporaryDirectory(dir=postgres.server.data_dir.parent) as name:
        owner = postgres.server.data_dir.stat()
        os.chown(name, owner.st_uid, owner.st_gid)
        options = f"size={_DISK_MEGABYTES}m,uid={owner.st_uid},gid={owner.st_gid},mode=0700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "small", name], check=True)
        try:
            location = Path(name, "tablespace")
            location.mkdir()
            os.chown(location, owner.st_uid, owner.st_gid)
            postgres.execute(f"CREATE TABLESPACE {_TABLESPACE} LOCATION '{location}'")
            try:
                with postgres.database(_TABLESPACE) as url:
                    filler = Path(name, "filler")
                    yield SmallDisk(url, lambda: _fill(filler), filler.unlink)
            finally:
                postgres.execute(f"DROP TABLESPACE {_TABLESPACE}")
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


@contextmanager
def refusing_tables(postgres: FragilePostgres) -> Iterator[SmallDisk]:
    """A database that says of itself that its disk is full, for those who may not mount one."""
    with postgres.database() as url:
        yield SmallDisk(url, lambda: _execute(url, _REFUSE), lambda: _execute(url, "DROP FUNCTION refuse CASCADE"))


def kinds() -> list[Callable[[FragilePostgres], AbstractContextManager[SmallDisk]]]:
    """The kinds of disk that this user can have."""
    return [refusing_tables, small_file_system] if os.geteuid() == 0 else [refusing_tables]


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(_CHUNK) == len(_CHUNK):
            pass


def _execute(database_url: str, statement: str) -> None:
    with closing(psycopg2.connect(database_url)) as conn, conn, conn.cursor() as cursor:
        cursor.execute(statement)
