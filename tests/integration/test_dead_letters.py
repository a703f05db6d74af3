"""Dead letters on the real database and the real broker."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
import pytest

from core.errors import DatabaseError
from core.lanes import MessagePer
from engine.repair.dead_letters import DeadLetteredMessage
from tests.integration.conftest import BuildApp
from tests.integration.job_types import counting_job
from tests.support.mailbox import Mailbox

_REFUSE_WRITES = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE disk_full; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON tasks FOR EACH ROW EXECUTE FUNCTION refuse();
"""


@contextmanager
def refused_writes(database_url: str) -> Iterator[None]:
    """PostgreSQL refuses each UPDATE of a task, as on a full disk."""
    with closing(psycopg2.connect(database_url)) as conn:
        with conn, conn.cursor() as cursor:
            cursor.execute(_REFUSE_WRITES)
        yield
        with conn, conn.cursor() as cursor:
            cursor.execute("DROP FUNCTION refuse() CASCADE")


def test_a_database_that_refuses_writes_sends_no_message_that_it_cannot_count(
    build_app: BuildApp, mailbox: Mailbox, database_url: str
) -> None:
    app = build_app([counting_job(lambda context, parameters: None, message_per=MessagePer.TASK)])
    app.submitter.submit("counting", {"n": 1})
    app.stages.handle(mailbox.take_job_message())
    (message,) = mailbox.take("sb-tasks", 1)
    with refused_writes(database_url), pytest.raises(DatabaseError):
        app.dead_letters.task("sb-tasks", DeadLetteredMessage(message, "MaxDeliveryCountExceeded", "given up"))
    assert mailbox.waiting("sb-tasks") == 0
