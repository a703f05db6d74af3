"""A small job behind a large one: all tasks in the queue run before more are sent: real database, real broker."""

from core.lanes import JOBS_QUEUE
from core.messages import JobMessage
from core.statuses import JobStatus, StageStatus
from tests.integration.conftest import BuildApp
from tests.integration.job_types import counting_job
from tests.support.mailbox import Mailbox
from wiring import App

AHEAD = 200
LARGE, SMALL = 1_000, 10


def handle(app: App, mailbox: Mailbox) -> None:
    for message in mailbox.take(JOBS_QUEUE):
        app.stages.handle(JobMessage.decode(message.body))


def test_a_small_job_ends_long_before_a_large_one_that_was_submitted_before_it(
    build_app: BuildApp, mailbox: Mailbox
) -> None:
    app = build_app([counting_job(lambda context, parameters: None)], DISPATCH_AHEAD=str(AHEAD), DISPATCH_PARALLEL="1")
    large = app.submitter.submit("counting", {"n": LARGE}).job_id
    handle(app, mailbox)
    small = app.submitter.submit("counting", {"n": SMALL}).job_id
    handle(app, mailbox)
    mailbox.take_tasks(app, AHEAD + SMALL).run(app)
    handle(app, mailbox)  # one goes on, one has ended
    assert app.status.job(small).job.status == JobStatus.COMPLETED
    [stage] = app.status.job(large).stages
    assert (stage.counts.tasks, stage.counts.completed) == (2 * AHEAD, AHEAD)
    assert stage.stage.waits_for_room
    for _ in range(LARGE // AHEAD - 2):
        mailbox.take_tasks(app, AHEAD).run(app)
        handle(app, mailbox)
    mailbox.take_tasks(app, AHEAD).run(app)
    handle(app, mailbox)
    [stage] = app.status.job(large).stages
    assert stage.stage.status == StageStatus.FINISHED
    assert app.status.job(large).job.status == JobStatus.COMPLETED
    assert stage.counts.completed == LARGE
