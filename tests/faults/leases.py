"""Long leases, which no worker loses on a busy machine; those of workers that have died are ended by the test."""

import socket
from contextlib import closing

import psycopg2

from tests.faults.stand import Stand

LEASE_SECONDS = 60
"""Far longer than a machine holds a living worker up: it renews its leases every third of this."""

_OF_TASKS = """
    UPDATE tasks SET lease_expires_at = now() - interval '1 hour'
    WHERE task_id IN (
        SELECT task_id FROM tasks
        WHERE status = 'processing' AND lease_expires_at > now() AND worker <> ALL(%s)
        FOR NO KEY UPDATE SKIP LOCKED
    )
"""
# A lease of a dispatch does not tell its holder. One that lives goes on as a dispatcher that was held up does.
_OF_DISPATCHES = """
    UPDATE stages SET dispatch_lease_expires_at = now() - interval '1 hour' WHERE dispatch_lease_expires_at > now()
"""


def kill(stand: Stand, worker: int) -> None:
    """Kills a worker of the crew, starts another in its place, and ends the leases of the dead."""
    stand.crew.kill(worker)
    end_leases_of_the_dead(stand)
    _execute(stand, _OF_DISPATCHES)


def end_all_leases(stand: Stand) -> None:
    """Ends all leases, when nobody is alive who holds one."""
    _execute(stand, _OF_TASKS, [""])
    _execute(stand, _OF_DISPATCHES)


def end_leases_of_the_dead(stand: Stand) -> None:
    """Ends the leases of tasks whose workers do not belong to the crew any more."""
    living = [f"{socket.gethostname()} {stand.crew.pid(index)}" for index in range(len(stand.crew))]
    _execute(stand, _OF_TASKS, living)


def rest(stand: Stand) -> None:
    """Makes messages due that were rescheduled to the end of a lease, when the job has ended."""
    stand.broker.control.let_pass(LEASE_SECONDS)


def _execute(stand: Stand, statement: str, *values: object) -> None:
    with closing(psycopg2.connect(stand.database_url)) as conn, conn, conn.cursor() as cursor:
        cursor.execute(statement, values)
