"""The places for parameters and results that the payload benchmark compares."""

from psycopg2.extensions import cursor

from core.definitions import AlignedBatch
from core.pages import TaskPayload
from core.statuses import BatchStatus, TaskStatus
from core.task_runs import BatchDelta, TaskOutcome
from repositories import queries
from repositories.postgres import PostgresUnitOfWork

DISPATCH_LEASE, LEASE = "dispatcher", "worker"
_LEASE_SECONDS = 600.0


class TaskRows:
    """The rows of tasks, as they are without settings. Subclasses have settings, or a table of payloads.

    Args:
        cur: a cursor of the benchmark's only connection.
    """

    table = "ALTER TABLE tasks RESET (toast_tuple_target)"
    """Statements that change the schema before the first row."""

    def __init__(self, cur: cursor) -> None:
        self.cursor = cur
        self.work = PostgresUnitOfWork(cur)

    def create(self, batch: AlignedBatch) -> None:
        """Inserts a batch and its tasks."""
        self.work.tasks.batch_create_tasks(batch, BatchStatus.PENDING_QUEUE, DISPATCH_LEASE)

    def queue(self, batch: AlignedBatch) -> None:
        """Marks a batch and its tasks as queued."""
        self.work.batches.mark_queued(batch.batch_id, 1)

    def claim(self, batch: AlignedBatch) -> object:
        """Claims the tasks of a batch, with their parameters."""
        return self.work.tasks.claim(_ids(batch), LEASE, _LEASE_SECONDS, "benchmark")

    def renew(self, batch: AlignedBatch) -> None:
        """Renews the leases of the tasks of a batch."""
        self.work.tasks.renew_leases(_ids(batch), LEASE, _LEASE_SECONDS)

    def record(self, batch: AlignedBatch) -> None:
        """Completes the tasks of a batch, with results that are as large as their parameters."""
        outcomes = [TaskOutcome(row.task_id, TaskStatus.COMPLETED, row.parameters) for row in batch.rows]
        self.work.tasks.record(LEASE, outcomes)
        self.work.batches.apply_outcomes([BatchDelta(batch.batch_id, completed=batch.task_count)])

    def list(self, batch: AlignedBatch) -> object:
        """Lists a page of 100 tasks."""
        return self.work.tasks.page(batch.job_id, None, "", 100)

    def list_payload(self, batch: AlignedBatch) -> object:
        """Lists a page of at most 100 tasks with their parameters and results."""
        return self.work.tasks.page(batch.job_id, None, "", 100, TaskPayload)

    def prune(self, batch: AlignedBatch) -> None:
        """Deletes the oldest batch and its tasks."""
        self.work.pruning.delete_batches(batch.job_id, 1)


class Target128(TaskRows):
    """A row of over 2 KB is made as small as possible: not only its payload leaves it, but also its ids."""

    table = "ALTER TABLE tasks SET (toast_tuple_target = 128)"


class Target768(TaskRows):
    """The payload of a row of over 2 KB leaves it, also if it could be compressed to fit: migration 0016."""

    table = "ALTER TABLE tasks SET (toast_tuple_target = 768)"


class Uncompressed(TaskRows):
    """As `Target768`, and no payload is compressed."""

    table = """
        ALTER TABLE tasks SET (toast_tuple_target = 768);
        ALTER TABLE tasks ALTER parameters SET STORAGE EXTERNAL, ALTER result SET STORAGE EXTERNAL
    """


class OwnTable(TaskRows):
    """A table of payloads whose rows are inserted and never changed; a claim joins it."""

    table = """
        CREATE TABLE task_payloads (
            task_id text COLLATE "C", is_result boolean, value jsonb NOT NULL, PRIMARY KEY (task_id, is_result)
        ) WITH (autovacuum_enabled = false)
    """
    _INSERT = """
        INSERT INTO task_payloads (task_id, is_result, value)
        SELECT task_id, %s, value FROM unnest(%s::text[], %s::jsonb[]) AS t (task_id, value)
    """

    def create(self, batch: AlignedBatch) -> None:
        """Inserts the tasks with empty parameters, and their parameters."""
        bare = AlignedBatch(batch.job_id, batch.stage, batch.batch_index, batch.lane, batch.definitions)
        values = {
            "dispatch_lease_id": DISPATCH_LEASE,
            "batch_id": bare.batch_id,
            "job_id": bare.job_id,
            "stage": bare.stage,
            "batch_index": bare.batch_index,
            "lane": bare.lane,
            "task_count": bare.task_count,
            "status": BatchStatus.PENDING_QUEUE,
            "digest": "",
            "enveloped": None,
            "task_ids": _ids(batch),
            "task_types": [row.task_type for row in batch.rows],
            "task_indexes": [row.task_index for row in batch.rows],
            "parameters": ["{}"] * batch.task_count,
        }
        self.cursor.execute(queries.load("tasks")["batch_create_tasks"], values)
        self.cursor.execute(self._INSERT, (False, _ids(batch), [row.parameters for row in batch.rows]))

    def claim(self, batch: AlignedBatch) -> object:
        """Claims the tasks by the app's query, and joins their parameters in the same statement."""
        lock, claim = queries.load("tasks")["claim"].split(";\n")
        values = {"task_ids": _ids(batch), "lease_id": LEASE, "lease_seconds": _LEASE_SECONDS, "worker": "benchmark"}
        joined = f"WITH claimed AS ({claim}) SELECT * FROM claimed JOIN task_payloads AS p USING (task_id) WHERE NOT p.is_result"  # noqa: E501, S608 - constants
        self.cursor.execute(f"{lock};\n{joined}", values)
        return self.cursor.fetchall()

    def record(self, batch: AlignedBatch) -> None:
        """Completes the tasks without results, and inserts these."""
        self.work.tasks.record(LEASE, [TaskOutcome(row.task_id, TaskStatus.COMPLETED) for row in batch.rows])
        self.cursor.execute(self._INSERT, (True, _ids(batch), [row.parameters for row in batch.rows]))
        self.work.batches.apply_outcomes([BatchDelta(batch.batch_id, completed=batch.task_count)])

    def prune(self, batch: AlignedBatch) -> None:
        """Deletes the tasks and their payloads."""
        super().prune(batch)
        self.cursor.execute("DELETE FROM task_payloads WHERE task_id = ANY(%s)", (_ids(batch),))


PLACES: dict[str, type[TaskRows]] = {
    "task rows": TaskRows,
    "target 128": Target128,
    "target 768": Target768,
    "uncompressed": Uncompressed,
    "own table": OwnTable,
}


def _ids(batch: AlignedBatch) -> list[str]:
    return [row.task_id for row in batch.rows]
