"""The broker loses all messages: it restarts empty."""

from tests.faults.crash import jobs
from tests.faults.crash.host import Host
from tests.faults.crash.scenarios.places import CLAIMED
from tests.faults.crash.scenarios.runs import MAX_RUNNING
from tests.faults.crash.story import (
    LOCK_SECONDS,
    SILENCE_SECONDS,
    SMALL_ROOM,
    Life,
    Scenario,
    in_turn,
    lose_messages,
    refusing,
    running,
)


def _up_to_the_second_stage(host: Host) -> None:
    in_turn("run_job_message", "run_tasks")(host)
    host.consume("run_job_message", most=1)


def _first_of_the_tasks(host: Host) -> None:
    running("run_job_message")(host)
    host.consume("run_tasks", most=1)


SCENARIOS = (
    Scenario(
        "the first message is lost",
        jobs.job_type(),
        (Life(running(), after=lose_messages, pass_seconds=SILENCE_SECONDS),),
    ),
    Scenario(
        "the messages of tasks are lost",
        jobs.job_type(),
        (Life(running("run_job_message"), after=lose_messages, pass_seconds=SILENCE_SECONDS),),
    ),
    Scenario(
        "the messages of urgent tasks are lost",
        jobs.job_type(urgent=True),
        (Life(running("run_job_message"), after=lose_messages, pass_seconds=SILENCE_SECONDS),),
    ),
    Scenario(
        "the messages of retries are lost",
        jobs.job_type(jobs.fail_now_and_then, tolerated=0.5),
        (
            Life(
                in_turn("run_job_message", "run_tasks"),
                after=lose_messages,
                pass_seconds=SILENCE_SECONDS + jobs.BACKOFF_SECONDS,
            ),
        ),
        failed=jobs.failures_now_and_then,
    ),
    Scenario(
        "the messages that wake parked tasks are lost",
        jobs.job_type(max_running=MAX_RUNNING),
        (Life(_first_of_the_tasks, after=lose_messages, pass_seconds=SILENCE_SECONDS),),
    ),
    Scenario(
        "the messages of a worker that dies are lost",
        jobs.job_type(),
        (
            Life(
                running("run_job_message", "run_tasks"),
                dies_at=CLAIMED,
                after=lose_messages,
                pass_seconds=SILENCE_SECONDS + LOCK_SECONDS,
            ),
        ),
    ),
    Scenario(
        "the message that ends a stage is lost",
        jobs.job_type(),
        (Life(in_turn("run_job_message", "run_tasks"), after=lose_messages, pass_seconds=SILENCE_SECONDS),),
    ),
    Scenario(
        "the message that begins a stage is lost",
        jobs.job_type(),
        (Life(_up_to_the_second_stage, after=lose_messages, pass_seconds=SILENCE_SECONDS),),
    ),
    Scenario(
        "the message of a long task is lost",
        jobs.job_type(),
        (
            Life(
                in_turn("run_job_message", "run_tasks", "run_job_message"),
                after=lose_messages,
                pass_seconds=SILENCE_SECONDS,
            ),
        ),
    ),
    Scenario(
        "the message that goes on with a dispatch that waited for room is lost",
        jobs.job_type(checkpoints=True),
        (Life(in_turn("run_job_message", "run_tasks"), after=lose_messages, pass_seconds=SILENCE_SECONDS),),
        environment=SMALL_ROOM,
    ),
    Scenario(
        "the messages of tasks are lost, and their stage waits for room",
        jobs.job_type(),
        (Life(running("run_job_message"), after=lose_messages, pass_seconds=SILENCE_SECONDS),),
        environment=SMALL_ROOM,
    ),
    Scenario(
        "the message that goes on with a dispatch is lost",
        jobs.job_type(),
        (
            Life(
                in_turn("run_job_message", "run_tasks", "run_job_message"),
                before=refusing("sb-tasks-long"),
                after=lose_messages,
                pass_seconds=LOCK_SECONDS,
            ),
        ),
    ),
)
