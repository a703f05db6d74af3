"""A record of every change of a status, and of the slots held at every start of a task whose type has limits.

Triggers write it in the transaction that makes the change. Handlers note each step of their work beside it, in
transactions of their own.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2

# Not where the audited tables are, whose disk may be full.
_SCHEMA = """
    CREATE SCHEMA audit;
    CREATE TABLE audit.changes (
        change_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY USING INDEX TABLESPACE pg_default,
        machine text NOT NULL,
        key text NOT NULL,
        old text NOT NULL,
        new text NOT NULL,
        at timestamptz NOT NULL DEFAULT clock_timestamp()
    ) TABLESPACE pg_default;

    CREATE TABLE audit.steps (
        step_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY USING INDEX TABLESPACE pg_default,
        task_id text NOT NULL,
        run text NOT NULL,
        step integer NOT NULL
    ) TABLESPACE pg_default;

    CREATE FUNCTION audit.job() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.status <> OLD.status THEN
            INSERT INTO audit.changes (machine, key, old, new) VALUES ('job', NEW.job_id, OLD.status, NEW.status);
        END IF;
        IF NEW.stage <> OLD.stage THEN
            INSERT INTO audit.changes (machine, key, old, new) VALUES ('advance', NEW.job_id, OLD.stage, NEW.stage);
        END IF;
        RETURN NULL;
    END $$;
    CREATE FUNCTION audit.stage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO audit.changes (machine, key, old, new)
        VALUES ('stage', NEW.job_id || '-s' || NEW.stage, OLD.status, NEW.status);
        RETURN NULL;
    END $$;
    CREATE FUNCTION audit.batch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO audit.changes (machine, key, old, new) VALUES ('batch', NEW.batch_id, OLD.status, NEW.status);
        RETURN NULL;
    END $$;
    CREATE FUNCTION audit.task() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO audit.changes (machine, key, old, new) VALUES ('task', NEW.task_id, OLD.status, NEW.status);
        RETURN NULL;
    END $$;

    CREATE FUNCTION audit.slots() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO audit.changes (machine, key, old, new)
        SELECT 'slots', NEW.task_type, '', count(*) FROM task_starts AS s
        JOIN tasks AS t ON t.task_id = s.task_id AND t.lease_id = s.lease_id AND t.lease_expires_at > now()
        WHERE s.task_type = NEW.task_type AND s.holds_slot;
        RETURN NULL;
    END $$;

    CREATE TRIGGER audit AFTER UPDATE ON jobs FOR EACH ROW
        WHEN (OLD.status <> NEW.status OR OLD.stage <> NEW.stage) EXECUTE FUNCTION audit.job();
    CREATE TRIGGER audit AFTER UPDATE ON stages FOR EACH ROW
        WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION audit.stage();
    CREATE TRIGGER audit AFTER UPDATE ON batches FOR EACH ROW
        WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION audit.batch();
    CREATE TRIGGER audit AFTER UPDATE ON tasks FOR EACH ROW
        WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION audit.task();
    CREATE TRIGGER audit AFTER INSERT ON task_starts FOR EACH ROW EXECUTE FUNCTION audit.slots();
"""

# An open transaction with a lock would prevent the schema from being dropped.
_STOP_ALL = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@contextmanager
def audited(database_url: str) -> Iterator[str]:
    """Keeps the record, the table ``audit.changes`` of a migrated database, for the length of a block."""
    _execute(database_url, _SCHEMA)
    try:
        yield database_url
    finally:
        _execute(database_url, _STOP_ALL)
        _execute(database_url, "DROP SCHEMA audit CASCADE")


def _execute(database_url: str, statement: str) -> None:
    with closing(psycopg2.connect(database_url)) as conn, conn, conn.cursor() as cursor:
        cursor.execute(statement)
