"""A long stage is dispatched and aggregated slice by slice: real database, real broker."""

from collections import Counter
from typing import Any

from controllers import authoring as lockstep
from core.ids import task_id
from core.messages import JobAction
from core.models import StageKey
from core.statuses import JobStatus, StageStatus
from tests.integration.conftest import BuildApp
from tests.integration.job_types import CountParameters
from tests.support.mailbox import Mailbox
from wiring import App

N = 450
BATCHES = 5
DIES_AT = 255


class ProcessDied(BaseException):
    """Ends a dispatch as a crash would: nothing on the way catches it."""


@lockstep.task_type("long.one")
def one(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    return parameters["index"]


class Long(lockstep.JobController[CountParameters]):
    """Yields a task from its cursor on; its process dies once at a task; it adds up the results.

    Attributes:
        began_at: the first index of each slice of the dispatch.
        lives: how often the process may still die.
    """

    job_type = "long"
    stages = (lockstep.StageSpec("count"),)
    task_types = (one,)
    began_at: list[int]
    lives: list[int]

    def create_stage_tasks(
        self, job: lockstep.JobContext[CountParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        self.began_at.append(stage.first_index)
        assert stage.cursor == ({"last": stage.first_index - 1} if stage.first_index else None)
        for index in range(stage.first_index, job.parameters.n):
            if index == DIES_AT and self.lives:
                self.lives.pop()
                raise ProcessDied
            yield one.task(index, {"index": index}, {"last": index})

    def fold_stage_results(
        self,
        job: lockstep.JobContext[CountParameters],
        stage: lockstep.StageContext,
        state: lockstep.JsonValue,
        results: lockstep.TaskResults,
    ) -> lockstep.JsonValue:
        return (state or 0) + sum(each.result for each in results)


def slices_of(app: App, mailbox: Mailbox, action: JobAction) -> int:
    """Handles messages of sb-jobs until the job or its stage no longer asks for the action; returns how many."""
    slices = 0
    while True:
        message = mailbox.take_job_message()
        assert message.action == action
        slices += 1
        try:
            app.stages.handle(message)
        except ProcessDied:
            app.stages.handle(message)  # delivered again
        view = app.status.job(message.job_id)
        if view.job.status == JobStatus.COMPLETED or view.stages[0].stage.status == StageStatus.RUNNING:
            return slices


def test_a_long_stage_goes_on_slice_by_slice(build_app: BuildApp, mailbox: Mailbox) -> None:
    class Watched(Long):
        began_at: list[Any] = []  # noqa: RUF012 - of this test
        lives: list[int] = [1]  # noqa: RUF012 - of this test

    app = build_app([Watched], DISPATCH_SLICE_SECONDS="0.001", DISPATCH_PARALLEL="1")
    job_id = app.submitter.submit("long", {"n": N}).job_id

    assert slices_of(app, mailbox, JobAction.DISPATCH) > 2
    assert Watched.began_at == sorted(Watched.began_at)
    assert Watched.began_at[-1] >= DIES_AT - DIES_AT % 100
    stage = app.status.job(job_id).stages[0].stage
    assert (stage.total_tasks, stage.total_batches) == (N, BATCHES)
    messages = mailbox.take_tasks(app, N)
    assert Counter(messages.task_ids) == Counter(task_id(job_id, 1, index) for index in range(N))

    messages.run(app)
    assert slices_of(app, mailbox, JobAction.ADVANCE) == 3
    assert app.status.job(job_id).job.result == [sum(range(N))]
    with app.database.transaction() as work:
        assert work.stages.fold(StageKey(job_id, 1)).state is None


def test_two_hosts_that_fold_the_same_stage_give_one_result(build_app: BuildApp, mailbox: Mailbox) -> None:
    class Folding(Long):
        began_at: list[Any] = []  # noqa: RUF012 - of this test
        lives: list[int] = []  # noqa: RUF012 - of this test
        other: list[App] = []  # noqa: RUF012 - of this test

        def fold_stage_results(
            self,
            job: lockstep.JobContext[CountParameters],
            stage: lockstep.StageContext,
            state: lockstep.JsonValue,
            results: lockstep.TaskResults,
        ) -> lockstep.JsonValue:
            if self.other:
                self.other.pop().stages.handle(message)
            return super().fold_stage_results(job, stage, state, results)

    first, second = (build_app([Folding], DISPATCH_SLICE_SECONDS="0.001") for _ in range(2))
    job_id = first.submitter.submit("long", {"n": 250}).job_id
    slices_of(first, mailbox, JobAction.DISPATCH)
    mailbox.take_tasks(first, 250).run(first)

    message = mailbox.take_job_message()
    Folding.other.append(second)
    first.stages.handle(message)
    with first.database.transaction() as work:
        assert work.stages.fold(StageKey(job_id, 1)).tasks == 200
    assert slices_of(first, mailbox, JobAction.ADVANCE) == 1
    assert first.status.job(job_id).job.result == [sum(range(250))]
