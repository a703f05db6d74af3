"""The scenarios: between them they pass every place where the engine commits or sends."""

from controllers.base import DispatchProtocol
from core.ids import batch_id, task_id
from core.messages import JobAction, JobMessage, TaskMessage
from core.statuses import JobStatus
from engine.dead_letters import MAX_RESENDS
from tests.faults.crash import jobs
from tests.faults.crash.host import JOB_ID, Host
from tests.faults.crash.points import Point
from tests.faults.crash.story import (
    LOCK_SECONDS,
    SILENCE_SECONDS,
    Life,
    Scenario,
    asking,
    burying,
    end_locks,
    lose_messages,
    refusing,
    running,
)
from tests.faults.crash.world import World

_BURIED = 3
_CLAIMED = Point("run_tasks", "Worker._claim", "commit of claim", "after")
_DISPATCHED = Point("run_job_message", "Lockstep.two_phase", "commit of batch_create_tasks", "after")
_ENDED = Point(
    "run_tasks",
    "Recorder._write_or_keep_lease",
    "commit of record, apply_outcomes, add_finished_batches, finish_if_complete",
    "after",
)
_ADVANCED = Point("run_job_message", "Advancer._start_next", "commit of advance, record_result, create", "after")
_CLOSED = Point("run_job_message", "StageDispatcher._close", "commit of finish_dispatch, finish_if_complete", "after")
_NO_JOB = "0" * 32
_STRANGE_TASKS = (b"no task", TaskMessage(task_id(_NO_JOB, 1, 0), batch_id(_NO_JOB, 1, 0)).outgoing().body)
_STRANGE_JOBS = (b"no job", JobMessage(_NO_JOB, 1, JobAction.DISPATCH).outgoing().body)
_CANCELLED = {"submit_job": JobStatus.COMPLETED, "cancel_job": JobStatus.CANCELLED}
_RESUMED = {**_CANCELLED, "resume_job": JobStatus.COMPLETED}
_SIDE_BY_SIDE = {"DISPATCH_PARALLEL": "2"}
_SHORT_SLICES = {"DISPATCH_SLICE_SECONDS": "0.001"}


def _repair(host: Host) -> None:
    host.shared.set("repaired")


def _send_strange_messages(host: Host) -> None:
    host.send("sb-tasks", *_STRANGE_TASKS)
    host.send("sb-jobs", *_STRANGE_JOBS)


def _meet_strange_messages(host: Host) -> None:
    _send_strange_messages(host)
    host.everything()


def _bury_strange_messages(host: Host) -> None:
    _send_strange_messages(host)
    host.bury("sb-tasks", len(_STRANGE_TASKS))
    host.bury("sb-jobs", len(_STRANGE_JOBS))
    host.everything()


def _bury_leased_tasks(host: Host) -> None:
    host.bury("sb-tasks", _BURIED)
    host.consume("dead_task")


def _bury_a_message_of_an_ended_task(host: Host) -> None:
    host.send("sb-tasks", TaskMessage(task_id(JOB_ID, 1, 0), batch_id(JOB_ID, 1, 0)).outgoing().body)
    host.bury("sb-tasks", 1)
    host.consume("dead_task")


def _bury_the_last_dispatch(host: Host) -> None:
    host.send("sb-jobs", JobMessage(JOB_ID, 2, JobAction.DISPATCH, deaths=MAX_RESENDS).outgoing().body)
    host.bury("sb-jobs", 1)
    host.consume("dead_job_message")


def _spend_all_resends(world: World) -> None:
    world.execute("UPDATE tasks SET dead_letters = %s", MAX_RESENDS)


SCENARIOS = (
    Scenario("plain", jobs.job_type(), environment=_SIDE_BY_SIDE),
    Scenario("atomic", jobs.job_type(protocol=DispatchProtocol.ATOMIC), environment=_SIDE_BY_SIDE),
    Scenario("retries", jobs.job_type(jobs.fail_now_and_then, tolerated=0.5), failed=jobs.failures_now_and_then),
    Scenario("failing", jobs.job_type(jobs.fail), ends={"submit_job": JobStatus.FAILED}),
    Scenario("cannot be dispatched", jobs.job_type(before_tasks=jobs.refuse), ends={"submit_job": JobStatus.FAILED}),
    Scenario(
        "refused by the broker",
        jobs.job_type(),
        (
            Life(before=refusing("sb-jobs"), pass_seconds=LOCK_SECONDS),
            # Its continuation is due before the sweeper is.
            Life(running("run_job_message", most=1), before=refusing("sb-tasks"), pass_seconds=2),
            Life(lambda host: host.consume("run_job_message")),
        ),
    ),
    Scenario(
        "refused by the broker, atomic",
        jobs.job_type(protocol=DispatchProtocol.ATOMIC),
        (Life(before=refusing("sb-tasks")),),
    ),
    Scenario(
        "every message lost",
        jobs.job_type(jobs.fail_now_and_then, tolerated=0.5),
        (
            Life(running(), after=lose_messages, pass_seconds=SILENCE_SECONDS),
            Life(running("run_job_message"), after=lose_messages, pass_seconds=SILENCE_SECONDS),
            Life(running("run_tasks"), after=lose_messages, pass_seconds=SILENCE_SECONDS + jobs.BACKOFF_SECONDS),
            Life(running("run_tasks"), dies_at=_CLAIMED, after=lose_messages, pass_seconds=SILENCE_SECONDS + 50),
            Life(running("run_tasks"), after=lose_messages, pass_seconds=SILENCE_SECONDS),
            Life(running("run_job_message", most=1), after=lose_messages, pass_seconds=SILENCE_SECONDS),
            Life(
                running("run_job_message", most=1),
                before=refusing("sb-tasks-long"),
                after=lose_messages,
                pass_seconds=LOCK_SECONDS,
            ),
        ),
        failed=jobs.failures_now_and_then,
    ),
    Scenario(
        "redelivered at once",
        jobs.job_type(),
        (
            # A dispatcher dies; its message finds the stage leased.
            Life(dies_at=_DISPATCHED, after=end_locks),
            Life(pass_seconds=LOCK_SECONDS),
            # A worker dies with its tasks; their messages find them leased.
            Life(dies_at=_CLAIMED, after=end_locks),
            Life(pass_seconds=LOCK_SECONDS),
            # The worker that ends the stage dies before it says so; its messages find their tasks ended.
            Life(dies_at=_ENDED, after=end_locks),
            # The job has advanced, and nobody was told.
            Life(dies_at=_ADVANCED, after=end_locks),
            # The dispatch is done, but its message is not completed: it comes again when the stage has ended.
            Life(running("run_job_message"), dies_at=_CLOSED),
            Life(running("run_long_task"), after=end_locks),
        ),
    ),
    Scenario(
        "dead letters sent again",
        jobs.job_type(),
        (
            Life(burying("sb-jobs", 1)),
            Life(pass_seconds=LOCK_SECONDS),
            Life(burying("sb-tasks", _BURIED, after=running("run_job_message"))),
            Life(pass_seconds=LOCK_SECONDS),
            Life(burying("sb-tasks-long", 1, after=running("run_tasks", "run_job_message"))),
        ),
    ),
    Scenario(
        "dead letters given up",
        jobs.job_type(tolerated=1.0),
        (
            Life(running("run_job_message"), after=_spend_all_resends),
            Life(dies_at=_CLAIMED, after=end_locks),
            Life(_bury_leased_tasks, pass_seconds=LOCK_SECONDS),
            Life(_bury_leased_tasks),
            Life(running("run_tasks"), after=lose_messages),
            Life(_bury_a_message_of_an_ended_task),
            Life(burying("sb-tasks-long", 1, after=running("run_job_message")), after=_spend_all_resends),
        ),
        failed=lambda size: min(size, _BURIED) + 1,
        letters=lambda size: min(size, _BURIED) + 1,
        depends_on_its_story=True,
    ),
    Scenario(
        "a stage given up",
        jobs.job_type(),
        (
            Life(running("run_job_message", "run_tasks", most=None), after=lose_messages),
            Life(_bury_the_last_dispatch),
        ),
        ends={"submit_job": JobStatus.FAILED},
        letters=lambda _: 1,
        depends_on_its_story=True,
    ),
    Scenario("strange messages", jobs.job_type(), (Life(_meet_strange_messages),), letters=lambda _: 4),
    Scenario("strange messages, dead", jobs.job_type(), (Life(_bury_strange_messages),), letters=lambda _: 4),
    Scenario("an exception in the job's code", jobs.job_type(before_results=jobs.raise_once)),
    Scenario(
        "cancelled while it is dispatched, resumed",
        jobs.job_type(),
        (
            Life(running("run_job_message"), dies_at=_DISPATCHED),
            Life(asking("cancel_job"), pass_seconds=LOCK_SECONDS),
            Life(asking("resume_job")),
        ),
        ends=_RESUMED,
        environment=_SHORT_SLICES,
    ),
    Scenario(
        "cancelled while it runs, resumed",
        jobs.job_type(jobs.cancel_amid_the_run),
        (Life(), Life(asking("resume_job"))),
        ends=_RESUMED,
    ),
    Scenario(
        "cancelled before it begins, resumed",
        jobs.job_type(),
        (Life(asking("cancel_job")), Life(asking("resume_job"))),
        ends=_RESUMED,
    ),
    Scenario(
        "cancelled, and its workers die",
        jobs.job_type(),
        (
            Life(running("run_job_message", "run_tasks"), dies_at=_CLAIMED),
            Life(asking("cancel_job"), after=lose_messages, pass_seconds=LOCK_SECONDS),
        ),
        ends=_CANCELLED,
    ),
    Scenario("told to end", jobs.job_type(jobs.end_amid_the_run), depends_on_threads=True),
    Scenario(
        "failed, retried",
        jobs.job_type(jobs.fail_until_repaired),
        (Life(), Life(asking("retry_job", after=_repair))),
        ends={"submit_job": JobStatus.FAILED, "retry_job": JobStatus.COMPLETED},
    ),
    Scenario(
        "slow",
        jobs.job_type(jobs.work_slowly, before_tasks=jobs.pause),
        environment={"LEASE_SECONDS": str(jobs.LEASE_SECONDS), **_SHORT_SLICES},
    ),
)
