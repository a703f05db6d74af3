"""Lists and fan-in on the real database: a call runs many tasks, and one task gathers the results of all."""

from controllers import authoring as lockstep
from core.statuses import JobStatus
from tests.integration.conftest import BuildApp
from tests.support.mailbox import Mailbox
from wiring import App

N = 130
_RESULT_BYTES = 20_000
"""About 50 results fill a page."""

lists: list[int] = []


class MosaicParameters(lockstep.JobParameters):
    n: int


@lockstep.batch_handler("mosaic.cut", backoff=lockstep.Backoff(base_seconds=0))
def cut(items: lockstep.TaskItems) -> lockstep.ItemOutcomes:
    """Every tenth tile is refused in its first attempt."""
    lists.append(len(items))
    for item in items:
        tile = item.parameters["tile"]
        if tile % 10 == 9 and item.context.attempt == 1:
            yield OSError("busy")
        else:
            yield {"tile": tile, "pixels": "x" * _RESULT_BYTES}


@lockstep.task_type("mosaic.join")
def join(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Uses the only connection of the pool between two results: an open page would keep it."""
    tiles = []
    for result in context.previous_results():
        with context.services.database.transaction() as work:
            work.now()
        tiles.append(result.result["tile"])
    return tiles == list(range(context.job_parameters.n))


class Mosaic(lockstep.JobController[MosaicParameters]):
    job_type = "mosaic"
    stages = (lockstep.StageSpec("cut"), lockstep.StageSpec("join"))
    task_types = (cut, join)

    def create_stage_tasks(
        self, job: lockstep.JobContext[MosaicParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        if stage.number == 1:
            for index in range(job.parameters.n):
                yield cut.task(index, {"tile": index})
        else:
            yield join.task(0, {})

    def aggregate_stage_results(
        self, job: lockstep.JobContext[MosaicParameters], stage: lockstep.StageContext, results: lockstep.TaskResults
    ) -> lockstep.JsonValue:
        return next(results).result if stage.number == 2 else None


def _run(app: App, mailbox: Mailbox) -> str:
    """Runs a job to its end, as the host would."""
    job_id = app.submitter.submit("mosaic", {"n": N}).job_id
    app.stages.handle(mailbox.take_job_message())
    mailbox.take_tasks(app, N).run(app)
    while app.status.job(job_id).stages[0].stage.completed_tasks < N:
        mailbox.take_singles("sb-tasks").run(app)  # the second attempts
    app.stages.handle(mailbox.take_job_message())
    app.stages.handle(mailbox.take_job_message())
    mailbox.take_tasks(app, 1).run(app)
    app.stages.handle(mailbox.take_job_message())
    return job_id


def test_tasks_run_in_lists_and_one_task_gathers_their_results_without_keeping_a_connection(
    build_app: BuildApp, mailbox: Mailbox
) -> None:
    lists.clear()
    app = build_app([Mosaic], DATABASE_POOL_SIZE="1")
    view = app.status.job(_run(app, mailbox))
    assert view.job.status == JobStatus.COMPLETED
    assert view.job.result == [None, True]
    assert sorted(lists[:2]) == [30, 100]  # the messages of the two batches are sent side by side
    assert sum(lists) == N + N // 10
    tasks = app.status.tasks(view.job.job_id, None, "", 1000)
    assert {task.failures for task in tasks} == {0, 1}
