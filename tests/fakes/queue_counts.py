import threading
from collections import Counter

from typing_extensions import override

from repositories.ports import MessageCounts, QueueCounts


class FakeQueueCounts(QueueCounts):
    """Counts in each queue as many messages as its name has letters.

    Attributes:
        may_answer: set while a request is answered; otherwise it hangs.
        asked: the requests by queue.
        is_closed: whether its user has closed it.
        fails: what each request fails with.
    """

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.asked: Counter[str] = Counter()
        self.fails: Exception | None = None
        self.is_closed = False

    @override
    def counts(self, queue: str) -> MessageCounts:
        self.asked[queue] += 1
        self.may_answer.wait(30)
        if self.fails:
            raise self.fails
        return MessageCounts(active=len(queue), scheduled=1, dead_lettered=0)

    @override
    def close(self) -> None:
        self.is_closed = True
