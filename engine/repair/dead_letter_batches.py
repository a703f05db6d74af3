"""The dead letters of one invocation: none keeps the others from being handled, and each ends somewhere.

The functions of the dead-letter queues take messages in batches. For a single message, the Functions host lays the
fields of a JSON body over the message's own metadata, so a foreign body such as {"DeliveryCount": "many"} would fail in
azure-functions, before any code here runs, at every delivery. A dead-letter queue gives up on no message.
"""

import logging
from collections.abc import Callable, Sequence

from core.errors import LockstepError
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE
from engine.process.keeping import keep
from engine.repair.dead_letters import DeadLetteredMessage, DeadLetters
from repositories.ports import Database

logger = logging.getLogger(__name__)

UNHANDLED = "unhandled"
"""The reason of a dead letter whose handling failed again and again, for another reason than an outage. Its task or
stage is not lost: the sweeper finds it silent."""

MAX_DELIVERIES = 100
"""A dead letter that was delivered so often is kept unhandled: it may end each process that handles it. An outage uses
up one delivery in `LEASE_SECONDS`, so this takes more than an hour of it."""

_PAUSES_SECONDS = (1.0, 2.0, 4.0)
"""The pauses before an invocation tries again the dead letters whose handling failed. In all much shorter than a
message lock, and long enough for a lost race or a broken connection."""


class DeadLetterBatches:
    """Handles the dead letters of an invocation.

    Args:
        database: keeps the dead letters that cannot be handled.
        letters: handles one.
        wait: waits for a number of seconds; returns True at once when the process shuts down.
    """

    def __init__(self, database: Database, letters: DeadLetters, wait: Callable[[float], bool]) -> None:
        self._database = database
        self._letters = letters
        self._wait = wait

    def handle(self, queue_name: str, left: list[DeadLetteredMessage]) -> None:
        """Handles dead letters. Returning completes their messages.

        Args:
            queue_name: the queue that the dead-letter queue belongs to.
            left: the dead letters; each is removed once it is handled, so that a repetition goes on with the rest.

        Raises:
            LockstepError: infrastructure failed; the messages stay in the dead-letter queue.
            Exception: the handling of one failed, and the process shuts down.
        """
        for dead in [each for each in left if (each.raw.delivery_count or 1) >= MAX_DELIVERIES]:
            self._keep(queue_name, dead, f"it was delivered {dead.raw.delivery_count} times")
            left.remove(dead)
        for pause_seconds in (*_PAUSES_SECONDS, None):
            failures = self._try_each(queue_name, left)
            if not failures:
                return
            if pause_seconds is None:
                break
            if self._wait(pause_seconds):
                raise failures[0]
        for dead, exc in zip(list(left), failures, strict=True):
            self._keep(queue_name, dead, f"{type(exc).__name__}: {exc}")
            left.remove(dead)

    def _try_each(self, queue_name: str, left: list[DeadLetteredMessage]) -> Sequence[Exception]:
        """Handles each dead letter once; returns the failures of those that stay in the list, in its order."""
        failures: list[Exception] = []
        for dead in list(left):
            try:
                self._handle(queue_name, dead)
            except Exception as exc:
                if isinstance(exc, LockstepError) and exc.waited_out:
                    raise
                logger.exception("a dead letter of %s (%s) could not be handled", queue_name, dead.raw.message_id)
                failures.append(exc)
            else:
                left.remove(dead)
        return failures

    def _handle(self, queue_name: str, dead: DeadLetteredMessage) -> None:
        if queue_name == JOBS_QUEUE:
            self._letters.job(dead)
        elif queue_name == BATCHES_QUEUE:
            self._letters.envelope(dead)
        else:
            self._letters.task(queue_name, dead)

    def _keep(self, queue_name: str, dead: DeadLetteredMessage, why: str) -> None:
        description = f"{why}; the broker's reason was {dead.reason}: {dead.description}"
        keep(self._database, queue_name, dead.raw, UNHANDLED, description)
