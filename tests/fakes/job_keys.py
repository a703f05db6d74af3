from core.models import StageKey
from core.statuses import BATCH_ENDS
from tests.fakes.tables import Tables


def delete_key(tables: Tables, job_id: str) -> bool:
    """Releases the exclusive key of a job that has ended, unless one of its tasks may run."""
    job = tables.jobs.get(job_id)
    held = [key for key in tables.job_keys.all_keys() if tables.job_keys.get(key) == job_id]
    if job is None or job.finished_at is None or not held:
        return False
    if any(batch.status not in BATCH_ENDS for batch in tables.batches_of(StageKey(job_id, job.stage))):
        return False
    for key in held:
        tables.job_keys.delete(key)
    return True
