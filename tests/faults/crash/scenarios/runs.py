"""Jobs that run undisturbed, whose own code fails, or whose messages the broker refuses."""

from controllers.base import DispatchProtocol
from core.statuses import JobStatus
from tests.faults.crash import jobs
from tests.faults.crash.story import LOCK_SECONDS, SHORT_SLICES, Life, Scenario, miss_a_tick, refusing, running

MAX_RUNNING = 60
"""So that the jobs of 99 and more tasks have tasks that are parked."""
_SIDE_BY_SIDE = {"DISPATCH_PARALLEL": "2"}

SCENARIOS = (
    Scenario("plain", jobs.job_type(), environment=_SIDE_BY_SIDE),
    Scenario("atomic", jobs.job_type(protocol=DispatchProtocol.ATOMIC), environment=_SIDE_BY_SIDE),
    Scenario("retries", jobs.job_type(jobs.fail_now_and_then, tolerated=0.5), failed=jobs.failures_now_and_then),
    Scenario(
        "in lists",
        jobs.job_type(jobs.fail_now_and_then, tolerated=0.5, lists=True),
        failed=jobs.failures_now_and_then,
        own_trials=frozenset({"run_tasks", "run_long_task"}),
    ),
    Scenario("tasks that go on later", jobs.job_type(jobs.go_on_later)),
    Scenario("limited", jobs.job_type(max_running=MAX_RUNNING)),
    Scenario("failing", jobs.job_type(jobs.fail), ends={"submit_job": JobStatus.FAILED}),
    Scenario("cannot be dispatched", jobs.job_type(before_tasks=jobs.refuse), ends={"submit_job": JobStatus.FAILED}),
    Scenario("an exception in the job's code", jobs.job_type(before_results=jobs.raise_once)),
    Scenario("a hook that fails at first", jobs.job_type(hook=True)),
    Scenario("told to end", jobs.job_type(jobs.end_amid_the_run), depends_on_threads=True),
    Scenario("urgent", jobs.job_type(urgent=True)),
    Scenario(
        "on schedule",
        jobs.job_type(scheduled=True),
        (Life(before=miss_a_tick),),
        own_trials=frozenset({"run_schedules"}),
    ),
    Scenario(
        "slow",
        jobs.job_type(jobs.work_slowly, before_tasks=jobs.pause),
        environment={"LEASE_SECONDS": str(jobs.LEASE_SECONDS), **SHORT_SLICES},
    ),
    Scenario("from checkpoints", jobs.job_type(checkpoints=True), environment=SHORT_SLICES),
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
)
