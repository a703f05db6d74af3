"""The broker dead-letters messages: they are resent, or their task or job fails."""

from core.ids import batch_id, task_id
from core.messages import VERSION, JobAction, JobMessage, TaskMessage
from core.statuses import JobStatus
from engine.repair.dead_letters import EXPIRED, MAX_RESENDS
from tests.faults.crash import jobs
from tests.faults.crash.host import Host
from tests.faults.crash.scenarios.places import CLAIMED
from tests.faults.crash.story import LOCK_SECONDS, Life, Scenario, burying, end_locks, in_turn, lose_messages, running
from tests.faults.crash.world import World

_BURIED = 3
_KEEP_TWO = """
    WITH message AS (
        SELECT jsonb_build_object('v', %s::integer, 'task_id', task_id, 'batch_id', batch_id) AS body FROM tasks
        JOIN jobs ON job_id = parent_job_id
        WHERE job_type = 'crash' AND tasks.stage = 1 AND task_index = 0
    )
    INSERT INTO dead_letters (dead_letter_id, queue, reason, description, body) OVERRIDING SYSTEM VALUE
    SELECT 1, 'sb-tasks', 'unhandled', 'kept by the story', convert_to(body::text, 'UTF8') FROM message
    UNION ALL
    SELECT 2, 'sb-tasks', 'unreadable', 'kept by the story', 'no task'
"""


def _bury_a_message_of_an_ended_task(host: Host) -> None:
    host.send("sb-tasks", TaskMessage(task_id(host.job_id, 1, 0), batch_id(host.job_id, 1, 0)).outgoing().body)
    host.bury("sb-tasks", 1)
    host.consume("dead_task")


def _expire(host: Host) -> None:
    host.bury("sb-tasks", _BURIED, reason=EXPIRED)
    host.everything()


def _retry_and_bury_a_dispatch_of_the_first_opening(host: Host) -> None:
    host.submit()
    host.shared.set("repaired")
    host.ask("retry_job")
    host.send("sb-jobs", JobMessage(host.job_id, 1, JobAction.DISPATCH, deaths=MAX_RESENDS).outgoing().body)
    host.bury("sb-jobs", 2)  # and the DISPATCH of the second opening
    host.everything()


def _bury_the_last_dispatch(host: Host) -> None:
    host.send("sb-jobs", JobMessage(host.job_id, 2, JobAction.DISPATCH, deaths=MAX_RESENDS).outgoing().body)
    host.bury("sb-jobs", 1)
    host.consume("dead_job_message")


def _spend_all_resends(world: World) -> None:
    world.execute("UPDATE tasks SET dead_letters = %s", MAX_RESENDS)


def _end_locks_and_spend_all_resends(world: World) -> None:
    end_locks(world)
    _spend_all_resends(world)


def _lose_messages_and_keep_two(world: World) -> None:
    """The message of a task and one that nobody can read are dead letters; all others are lost."""
    lose_messages(world)
    world.execute(_KEEP_TWO, str(VERSION))


def _resend_one_and_discard_the_other(host: Host) -> None:
    host.submit()
    host.ask("resend_dead_letter")
    host.ask("discard_dead_letter")
    host.everything()


_TO_THE_LONG_TASK = in_turn("run_job_message", "run_tasks", "run_job_message")

SCENARIOS = (
    Scenario("the first message dies", jobs.job_type(), (Life(burying("sb-jobs", 1)),)),
    Scenario(
        "messages of tasks die",
        jobs.job_type(),
        (Life(burying("sb-tasks", _BURIED, after=running("run_job_message"))),),
    ),
    Scenario(
        "messages of urgent tasks die",
        jobs.job_type(urgent=True),
        (Life(burying("sb-tasks-urgent", _BURIED, after=running("run_job_message"))),),
    ),
    Scenario(
        "the message of a long task dies",
        jobs.job_type(),
        (Life(burying("sb-tasks-long", 1, after=_TO_THE_LONG_TASK)),),
    ),
    Scenario(
        "messages of leased tasks die",
        jobs.job_type(tolerated=1.0),
        (
            Life(dies_at=CLAIMED, after=_end_locks_and_spend_all_resends),
            # While another worker holds their leases they do not fail.
            Life(burying("sb-tasks", _BURIED), pass_seconds=LOCK_SECONDS),
            Life(burying("sb-tasks", _BURIED)),
        ),
        failed=lambda size: min(size, _BURIED),
        letters=lambda size: min(size, _BURIED),
        depends_on_its_story=True,
    ),
    Scenario(
        "the message of an ended task dies",
        jobs.job_type(),
        (
            Life(in_turn("run_job_message", "run_tasks"), after=lose_messages),
            Life(_bury_a_message_of_an_ended_task),
        ),
    ),
    Scenario(
        "messages of tasks expire after all resends",
        jobs.job_type(),
        (Life(running("run_job_message"), after=_spend_all_resends), Life(_expire)),
        depends_on_its_story=True,
    ),
    Scenario(
        "tasks given up",
        jobs.job_type(tolerated=1.0),
        (Life(running("run_job_message"), after=_spend_all_resends), Life(burying("sb-tasks", _BURIED))),
        failed=lambda size: min(size, _BURIED),
        letters=lambda size: min(size, _BURIED),
        depends_on_its_story=True,
    ),
    Scenario(
        "a long task given up",
        jobs.job_type(tolerated=1.0),
        (Life(_TO_THE_LONG_TASK, after=_spend_all_resends), Life(burying("sb-tasks-long", 1))),
        failed=lambda _: 1,
        letters=lambda _: 1,
        depends_on_its_story=True,
    ),
    Scenario(
        "a stage given up in an earlier opening",
        jobs.job_type(jobs.fail_until_repaired),
        (Life(), Life(_retry_and_bury_a_dispatch_of_the_first_opening)),
        ends={"submit_job": JobStatus.FAILED, "retry_job": JobStatus.COMPLETED},
    ),
    Scenario(
        "a stage given up",
        jobs.job_type(),
        (Life(_TO_THE_LONG_TASK, after=lose_messages), Life(_bury_the_last_dispatch)),
        ends={"submit_job": JobStatus.FAILED},
        letters=lambda _: 1,
        depends_on_its_story=True,
    ),
    Scenario(
        "kept messages, one resent and one discarded",
        jobs.job_type(),
        (
            Life(running("run_job_message"), after=_lose_messages_and_keep_two),
            Life(_resend_one_and_discard_the_other),
        ),
        ends=dict.fromkeys(("submit_job", "resend_dead_letter", "discard_dead_letter"), JobStatus.COMPLETED),
        letters=lambda _: 2,
        depends_on_its_story=True,
    ),
)
