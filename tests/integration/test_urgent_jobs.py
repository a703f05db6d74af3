"""An urgent job ends while the backlog of another job waits, as the rows tell: real database, real broker."""

from core.lanes import URGENT_TASKS_QUEUE
from core.statuses import JobStatus, TaskStatus
from tests.integration.conftest import BuildApp
from tests.integration.job_types import counting_job, returning
from tests.support.mailbox import Mailbox

BACKLOG = 1_000


def test_an_urgent_job_ends_while_the_backlog_of_another_job_waits(build_app: BuildApp, mailbox: Mailbox) -> None:
    app = build_app([counting_job(returning(lambda index: index))])
    large = app.submitter.submit("counting", {"n": BACKLOG}).job_id
    app.stages.handle(mailbox.take_job_message())
    urgent = app.submitter.submit("counting", {"n": 10}, urgent=True).job_id
    app.stages.handle(mailbox.take_job_message())
    mailbox.take_singles(URGENT_TASKS_QUEUE, 10).run(app)
    app.stages.handle(mailbox.take_job_message())
    with app.database.transaction() as work:
        jobs = {job_id: work.jobs.get(job_id) for job_id in (urgent, large)}
        waiting = work.tasks.page(large, TaskStatus.QUEUED, "", BACKLOG)
    assert {job_id: (job.status, job.urgent) for job_id, job in jobs.items() if job is not None} == {
        urgent: (JobStatus.COMPLETED, True),
        large: (JobStatus.PROCESSING, False),
    }
    assert len(waiting) == BACKLOG
    assert set(mailbox.take_tasks(app, BACKLOG).task_ids) == {task.task_id for task in waiting}
