"""Random operations and restores: a queue restored from its journal loses its locks and nothing else."""

from hypothesis import settings
from hypothesis.stateful import rule

from local.service_bus.broker.namespace import Namespace
from tests.unit.local.service_bus.test_queue_properties import SETTINGS, QueueMachine


class RestoredQueueMachine(QueueMachine):
    @rule()
    def start_again(self) -> None:
        namespace = Namespace(self.clock, journal=self.journal)
        self.queue = namespace.create_queue("q", SETTINGS)
        self.journal.restore(namespace)
        self.model.lose_locks()
        # The journal records neither the ids of duplicate detection nor the numbers of dropped duplicates.
        self.model.last_number = self.journal.last_numbers.get("q", 0)
        self.model.seen.clear()
        for taker in self.takers:
            taker.waits = False
        self.queue.tick()


TestRestoredQueueMachine = RestoredQueueMachine.TestCase
TestRestoredQueueMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
