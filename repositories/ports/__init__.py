"""The protocols by which the engine uses a database and a broker.

PostgreSQL, Service Bus and Storage Queues implement them, and so do the fakes of the test suite; one contract suite
tests all. Every method of a repository runs in the transaction of its unit of work, and may raise `DatabaseError` or a
subclass.
"""

from repositories.ports.backlog import BacklogRepository, OldestWaiting
from repositories.ports.batch_overviews import BatchOverviewRepository
from repositories.ports.batches import BatchRepository
from repositories.ports.blobs import BlobEntry, BlobPage, BlobRange, BlobStore
from repositories.ports.bulk_actions import BulkActionRepository
from repositories.ports.database import Database, UnitOfWork
from repositories.ports.dead_letters import DeadLetter, DeadLetterRepository, KeptDeadLetter
from repositories.ports.end_hooks import EndHookRepository
from repositories.ports.end_notices import EndNoticeRepository
from repositories.ports.job_events import JobEventRepository
from repositories.ports.job_listing import JobListingRepository
from repositories.ports.job_waits import JobWaitRepository
from repositories.ports.jobs import JobRepository
from repositories.ports.outcomes import OutcomeRepository
from repositories.ports.poison_queues import PoisonMessage, PoisonQueues
from repositories.ports.pruning import PruneRepository
from repositories.ports.queue import MessageQueue, SendResult
from repositories.ports.queue_counts import MessageCounts, QueueCounts
from repositories.ports.retry_parts import RetryPartRepository
from repositories.ports.rows import Row, Rows
from repositories.ports.schedules import ScheduleRepository
from repositories.ports.slots import SlotRepository
from repositories.ports.stages import StageRepository
from repositories.ports.stops import StopRepository
from repositories.ports.sweeps import SweepRepository
from repositories.ports.task_listing import TaskListingRepository
from repositories.ports.tasks import TaskRepository
from repositories.ports.transaction_kinds import TransactionKind

__all__ = [
    "BacklogRepository",
    "BatchOverviewRepository",
    "BatchRepository",
    "BlobEntry",
    "BlobPage",
    "BlobRange",
    "BlobStore",
    "BulkActionRepository",
    "Database",
    "DeadLetter",
    "DeadLetterRepository",
    "EndHookRepository",
    "EndNoticeRepository",
    "JobEventRepository",
    "JobListingRepository",
    "JobRepository",
    "JobWaitRepository",
    "KeptDeadLetter",
    "MessageCounts",
    "MessageQueue",
    "OldestWaiting",
    "OutcomeRepository",
    "PoisonMessage",
    "PoisonQueues",
    "PruneRepository",
    "QueueCounts",
    "RetryPartRepository",
    "Row",
    "Rows",
    "ScheduleRepository",
    "SendResult",
    "SlotRepository",
    "StageRepository",
    "StopRepository",
    "SweepRepository",
    "TaskListingRepository",
    "TaskRepository",
    "TransactionKind",
    "UnitOfWork",
]
