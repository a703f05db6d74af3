"""Receives messages from the real queues, for tests that stand in for the Functions host."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, TASKS_QUEUE, MessagePer
from core.messages import BatchMessage, JobMessage, ReceivedMessage, TaskMessage
from tests.support.waiting import LONG_SECONDS
from wiring import App

WAIT_SECONDS = LONG_SECONDS
SHORT_SECONDS = 0.05
_JOB_ID_LENGTH = 32
_PAGE = 1_000


@dataclass(frozen=True)
class TaskMessages:
    """Messages of short tasks, in sb-tasks or, a message for each batch, in sb-batches.

    Attributes:
        queue: that of the messages.
        messages: as they were received.
        task_ids: the tasks that they are about, in their order.
        most_per_invocation: how many of them an invocation gets; of envelopes, always one.
    """

    queue: str
    messages: Sequence[ReceivedMessage]
    task_ids: Sequence[str]
    most_per_invocation: int

    def run(self, app: App) -> None:
        """Runs the tasks, invocation by invocation, as the host does."""
        if self.queue == BATCHES_QUEUE:
            for envelope in self.messages:
                app.worker.run_batch(envelope)
            return
        for start in range(0, len(self.messages), self.most_per_invocation):
            app.worker.run(self.queue, self.messages[start : start + self.most_per_invocation])


class Mailbox(ABC):
    """Receives and deletes messages."""

    _quiet_seconds: float
    """How long a queue delivers nothing when it has no more."""

    _most_per_invocation: int
    """How many messages of short tasks the host gives to an invocation."""

    def take(self, queue: str, expected: int | None = None) -> list[ReceivedMessage]:
        """Exactly that many messages of a queue, or all there are, at least one.

        One call that finds nothing proves nothing: if its thread is held up, its time is over before it has looked.
        """
        received: list[ReceivedMessage] = []
        while len(received) < (expected or 1):
            page = self._receive(queue, WAIT_SECONDS)
            received += page
            if not page:
                break
        found_nothing = 0
        while found_nothing < 2:
            is_empty = self._is_empty(queue)
            page = self._receive(queue, self._quiet_seconds)
            received += page
            found_nothing = found_nothing + 1 if is_empty and not page else 0
        assert received if expected is None else len(received) == expected, f"{queue} held {len(received)} messages"
        return received

    def take_some(self, queue: str) -> list[ReceivedMessage]:
        """The messages that a queue delivers at once, perhaps none."""
        return self._receive(queue, SHORT_SECONDS)

    def take_job_message(self) -> JobMessage:
        """The only message in sb-jobs."""
        (message,) = self.take(JOBS_QUEUE, 1)
        return JobMessage.decode(message.body)

    def take_singles(self, queue: str, expected: int | None = None) -> TaskMessages:
        """Exactly that many messages of one task each, or all there are, at least one."""
        messages = self.take(queue, expected)
        task_ids = [TaskMessage.decode(each.body).task_id for each in messages]
        return TaskMessages(queue, messages, task_ids, self._most_per_invocation)

    def take_tasks(self, app: App, expected: int | None = None) -> TaskMessages:
        """The messages of exactly that many tasks, or of any, as a stage sends them that does not say `message_per`."""
        if app.settings.message_per == MessagePer.TASK:
            return self.take_singles(TASKS_QUEUE, expected)
        envelopes = self.take(BATCHES_QUEUE)
        task_ids = [task_id for each in envelopes for task_id in _tasks_in(app, each)]
        assert expected in (None, len(task_ids)), f"{BATCHES_QUEUE} held messages of {len(task_ids)} tasks"
        return TaskMessages(BATCHES_QUEUE, envelopes, task_ids, most_per_invocation=1)

    def take_some_tasks(self, app: App) -> list[str]:
        """The tasks that the messages are about which the queues of short tasks deliver at once, perhaps none."""
        singles = [TaskMessage.decode(each.body).task_id for each in self.take_some(TASKS_QUEUE)]
        return singles + [task_id for each in self.take_some(BATCHES_QUEUE) for task_id in _tasks_in(app, each)]

    @abstractmethod
    def waiting(self, queue: str) -> int:
        """How many messages are in a queue, those for later included."""

    @abstractmethod
    def _receive(self, queue: str, wait_seconds: float) -> list[ReceivedMessage]:
        """The next messages of a queue, none after so many seconds."""

    @abstractmethod
    def _is_empty(self, queue: str) -> bool:
        """Whether a queue has delivered all that it has to deliver now; the last of it may still be on its way."""


def _tasks_in(app: App, envelope: ReceivedMessage) -> Iterator[str]:
    batch_id = BatchMessage.decode(envelope.body).batch_id
    last, has_more = "", True
    while has_more:
        with app.database.transaction() as work:
            page = work.tasks.page(batch_id[:_JOB_ID_LENGTH], None, last, _PAGE)
        yield from (task.task_id for task in page if task.batch_id == batch_id)
        last, has_more = page[-1].task_id if page else last, page.has_more
