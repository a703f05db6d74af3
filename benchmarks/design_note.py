"""The sequential dispatch of the design note: executemany, then send, then update, one batch after another.

Only the dispatch benchmark uses it, as a baseline.
"""

from azure.servicebus import ServiceBusMessage, ServiceBusSender
from psycopg2.extensions import connection

from core.definitions import AlignedBatch

_INSERT_BATCH = """
INSERT INTO batches (batch_id, job_id, stage, batch_index, lane, task_count, open_tasks, status, digest)
VALUES (%s, %s, %s, %s, 'fast', %s, %s, 'pending_queue', 'none')
"""
_INSERT_TASK = """
INSERT INTO tasks (task_id, parent_job_id, task_type, stage, task_index, batch_id, status, parameters)
VALUES (%s, %s, %s, %s, %s, %s, 'pending_queue', %s)
"""
_UPDATE_BATCH = "UPDATE batches SET status = 'queued', queued_at = now() WHERE batch_id = %s"
_UPDATE_TASKS = "UPDATE tasks SET status = 'queued' WHERE batch_id = %s"


def queue_batch(conn: connection, sender: ServiceBusSender, batch: AlignedBatch) -> None:
    """Inserts, sends and updates one batch exactly as in the design note."""
    with conn, conn.cursor() as cursor:
        cursor.execute(
            _INSERT_BATCH,
            (batch.batch_id, batch.job_id, batch.stage, batch.batch_index, batch.task_count, batch.task_count),
        )
        cursor.executemany(
            _INSERT_TASK,
            [
                (
                    *(row.task_id, batch.job_id, row.task_type, batch.stage),
                    *(row.task_index, batch.batch_id, row.parameters),
                )
                for row in batch.rows
            ],
        )
    message_batch = sender.create_message_batch()
    for message in batch.messages():
        outgoing = message.outgoing()
        message_batch.add_message(
            ServiceBusMessage(outgoing.body, message_id=outgoing.message_id, content_type="application/json")
        )
    sender.send_messages(message_batch)
    with conn, conn.cursor() as cursor:
        cursor.execute(_UPDATE_BATCH, (batch.batch_id,))
        cursor.execute(_UPDATE_TASKS, (batch.batch_id,))
