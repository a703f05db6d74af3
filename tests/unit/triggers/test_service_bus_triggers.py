"""The triggers, called as the Functions host calls them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

import bootstrap
from controllers.hello_world import HelloWorld
from controllers.schedule import Schedule
from core.errors import (
    ConfigurationError,
    ConstraintViolationError,
    DatabaseError,
    DatabaseUnavailableError,
    EngineFaultError,
    QueueNotFoundError,
)
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, LONG_TASKS_QUEUE, TASKS_QUEUE, URGENT_TASKS_QUEUE, MessagePer
from core.messages import BatchMessage, JobAction, JobMessage, TaskMessage
from core.statuses import JobStatus, TaskStatus
from engine.process.keeping import ORPHAN, UNREADABLE
from tests.fakes.tasks import FakeTaskRepository
from tests.support.deliveries import Delivery, called_as_by_the_host, deliveries
from tests.support.drive import Stand, stand
from triggers import dead_letters, jobs, pruner, scheduler, sweeper, tasks

# The decorated names are builders of the Functions model; the host calls the functions behind them.
run_job_message: Callable[[Any], None] = called_as_by_the_host(jobs.run_job_message._function.get_user_function())
run_tasks: Callable[[Any], None] = called_as_by_the_host(tasks.run_tasks._function.get_user_function())
run_urgent_tasks: Callable[[Any], None] = called_as_by_the_host(tasks.run_urgent_tasks._function.get_user_function())
run_long_task: Callable[[Any], None] = called_as_by_the_host(tasks.run_long_task._function.get_user_function())
run_batch: Callable[[Any], None] = called_as_by_the_host(tasks.run_batch._function.get_user_function())
dead_task: Callable[[Any], None] = dead_letters.dead_task._function.get_user_function()
dead_urgent_task: Callable[[Any], None] = dead_letters.dead_urgent_task._function.get_user_function()
dead_long_task: Callable[[Any], None] = dead_letters.dead_long_task._function.get_user_function()
dead_batch: Callable[[Any], None] = dead_letters.dead_batch._function.get_user_function()
dead_job_message: Callable[[Any], None] = dead_letters.dead_job_message._function.get_user_function()
prune: Callable[[Any], None] = pruner.prune._function.get_user_function()
run_schedules: Callable[[Any], None] = scheduler.run_schedules._function.get_user_function()
sweep: Callable[[Any], None] = sweeper.sweep._function.get_user_function()


@pytest.fixture
def it(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    nightly = Schedule("0 3 * * *", "hello_world", {"n": 1})
    with stand(HelloWorld, schedules=[nightly]) as it:
        for module in (jobs, tasks, dead_letters, sweeper, pruner, scheduler):
            monkeypatch.setattr(module, "app", lambda: it.app)
        monkeypatch.setattr(bootstrap, "app", lambda: it.app)
        monkeypatch.setattr(bootstrap, "outages", it.outages)
        monkeypatch.setenv("DATABASE_URL", it.app.settings.database_url)
        monkeypatch.setenv("ServiceBusConnection", "Endpoint=sb://nowhere;SharedAccessKeyName=any;SharedAccessKey=any")
        yield it


def test_the_triggers_carry_a_job_from_its_message_to_its_tasks(it: Stand) -> None:
    job_id = it.submit("hello_world", n=3)
    (message,) = deliveries(it.queue.receive(JOBS_QUEUE))
    run_job_message(message)
    run_tasks(deliveries(it.queue.receive(TASKS_QUEUE)))
    assert {task.status for task in it.tasks(job_id)} == {TaskStatus.COMPLETED}
    assert it.queue.size(JOBS_QUEUE) == 1


def test_a_long_task_runs_alone(it: Stand) -> None:
    job_id = it.submit("hello_world", n=1)
    it.deliver_job_messages()
    (message,) = deliveries(it.queue.receive(TASKS_QUEUE))
    run_long_task(message)
    assert it.tasks(job_id)[0].status == TaskStatus.COMPLETED


def test_a_job_message_that_cannot_be_read_is_kept(it: Stand) -> None:
    run_job_message(Delivery(b"{rubbish", "m-1", 4))
    (letter,) = it.dead_letters()
    assert (letter.queue, letter.reason, letter.body) == (JOBS_QUEUE, UNREADABLE, b"{rubbish")
    assert (letter.message_id, letter.delivery_count) == ("m-1", 4)


def test_a_job_message_without_a_job_is_kept(it: Stand) -> None:
    message = JobMessage("f" * 32, 1, JobAction.DISPATCH).outgoing()
    run_job_message(Delivery(message.body))
    (letter,) = it.dead_letters()
    assert (letter.queue, letter.reason, letter.body) == (JOBS_QUEUE, ORPHAN, message.body)


def test_a_task_message_that_cannot_be_read_is_kept_with_its_queue(it: Stand) -> None:
    run_tasks([Delivery(b"1")])
    run_long_task(Delivery(b"2"))
    run_urgent_tasks([Delivery(b"3")])
    run_batch(Delivery(b"4"))
    assert [letter.queue for letter in it.dead_letters()] == [
        BATCHES_QUEUE,
        URGENT_TASKS_QUEUE,
        LONG_TASKS_QUEUE,
        TASKS_QUEUE,
    ]


def test_an_envelope_runs_its_batch_and_a_dead_one_sends_its_tasks(it: Stand) -> None:
    job_id = it.submit("hello_world", n=2)
    it.deliver_job_messages()
    it.queue.receive(TASKS_QUEUE)
    envelope = Delivery(BatchMessage(f"{job_id}-s1-b0").outgoing().body)
    dead_batch([envelope])
    assert it.queue.size(TASKS_QUEUE) == 2
    run_batch(envelope)
    assert {task.status for task in it.tasks(job_id)} == {TaskStatus.COMPLETED}


def test_a_host_that_gives_no_delivery_count_is_taken_to_deliver_for_the_first_time(it: Stand) -> None:
    job_id = it.submit("hello_world", n=1)
    (message,) = it.queue.receive(JOBS_QUEUE)
    run_job_message(Delivery(message.body, delivery_count=None))
    assert it.job(job_id).status == JobStatus.PROCESSING


def test_dead_letters_are_handled_with_the_brokers_reason(it: Stand) -> None:
    why = {"DeadLetterReason": "MaxDeliveryCountExceeded", "DeadLetterErrorDescription": "10 times"}
    job_id = it.submit("hello_world", n=1)
    (message,) = it.queue.receive(JOBS_QUEUE)
    for _ in range(6):
        body = message.body
        dead_job_message([Delivery(body, application_properties=why)])
        scheduled = it.queue.scheduled(JOBS_QUEUE)
        it.clock.advance(1_000)
        it.queue.receive(JOBS_QUEUE)
        message = scheduled[0] if scheduled else message
    error = it.job(job_id).error
    assert error is not None
    assert "MaxDeliveryCountExceeded: 10 times" in error["message"]


def test_the_tasks_of_an_urgent_job_have_a_function_of_their_own(it: Stand) -> None:
    job_id = it.app.submitter.submit("hello_world", {"n": 3}, urgent=True).job_id
    it.deliver_job_messages()
    run_urgent_tasks(deliveries(it.queue.receive(URGENT_TASKS_QUEUE)))
    assert {task.status for task in it.tasks(job_id)} == {TaskStatus.COMPLETED}


def test_dead_letters_of_tasks_are_resent_to_the_queue_that_they_died_in(it: Stand) -> None:
    it.submit("hello_world", n=3)
    it.deliver_job_messages()
    short, long, urgent = deliveries(it.queue.receive(TASKS_QUEUE))
    dead_task([short])
    dead_long_task([long])
    dead_urgent_task([urgent])
    assert {it.queue.size(name) for name in (TASKS_QUEUE, LONG_TASKS_QUEUE, URGENT_TASKS_QUEUE)} == {1}


@pytest.mark.parametrize("seconds", [45, 1_000])
def test_the_triggers_wait_for_the_database_nearly_as_long_as_a_message_lock(it: Stand, seconds: float) -> None:
    job_id = it.submit("hello_world", n=1)
    message = Delivery(it.queue.receive(JOBS_QUEUE)[0].body)
    it.deliver_job_messages()
    task = Delivery(TaskMessage(f"{job_id}-s01-t0000000", f"{job_id}-s1-b0").outgoing().body)
    envelope = Delivery(BatchMessage(f"{job_id}-s1-b0").outgoing().body)
    calls: list[Callable[[], None]] = [
        lambda: run_job_message(message),
        lambda: run_tasks([task]),
        lambda: run_urgent_tasks([task]),
        lambda: run_long_task(task),
        lambda: run_batch(envelope),
        lambda: dead_task([task]),
        lambda: dead_urgent_task([task]),
        lambda: dead_long_task([task]),
        lambda: dead_batch([envelope]),
        lambda: dead_job_message([message]),
    ]
    for call in calls:
        before = it.clock.now()
        it.database.go_away(seconds)
        if seconds > it.app.settings.lease_seconds:
            with pytest.raises(DatabaseUnavailableError):
                call()
            assert (it.clock.now() - before).total_seconds() == it.app.settings.lease_seconds
            it.clock.advance(seconds)
        else:
            call()


@dataclass
class Fault:
    """Has a method of a repository fail, and counts its calls."""

    error: Exception
    calls: int = 0

    @contextmanager
    def of(self, repository: type, method: str) -> Iterator[None]:
        def fail(*_: object, **__: object) -> None:
            self.calls += 1
            raise self.error

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(repository, method, fail)
            yield


FAULTS = [DatabaseError("permission denied"), KeyError("a bug"), ConstraintViolationError("a bug", "some_check")]


def due_in_seconds(it: Stand, queue: str) -> float:
    (message,) = it.queue.scheduled(queue)
    assert message.enqueue_at is not None
    return (message.enqueue_at - it.clock.now()).total_seconds()


@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
def test_a_fault_of_the_engine_costs_a_job_message_no_delivery(it: Stand, error: Exception) -> None:
    job_id = it.submit("hello_world", n=1)
    fault = Fault(error)
    with fault.of(FakeTaskRepository, "batch_create_tasks"):
        for _ in range(20):
            before = it.clock.now()
            run_job_message(*deliveries(it.queue.receive(JOBS_QUEUE)))
            assert (it.clock.now() - before).total_seconds() == it.app.settings.lease_seconds
            it.clock.advance(due_in_seconds(it, JOBS_QUEUE))
    assert 20 <= fault.calls < 500
    assert it.job(job_id).status == JobStatus.PROCESSING
    it.pump()
    assert it.job(job_id).status == JobStatus.COMPLETED


@pytest.mark.parametrize("error", FAULTS[:2], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("method", ["claim", "record"])
def test_a_fault_of_the_engine_costs_a_task_message_no_delivery_and_no_attempt(
    it: Stand, error: Exception, method: str
) -> None:
    job_id = it.submit("hello_world", n=1)
    it.deliver_job_messages()
    with Fault(error).of(FakeTaskRepository, method):
        for _ in range(12):
            run_tasks(deliveries(it.queue.receive(TASKS_QUEUE)))
            it.clock.advance(max(due_in_seconds(it, TASKS_QUEUE), 0))
    it.pump_through_time()
    task = it.tasks(job_id)[0]
    assert (task.status, task.attempt, it.dead_letters()) == (TaskStatus.COMPLETED, 1, [])
    assert it.job(job_id).status == JobStatus.COMPLETED


@pytest.mark.parametrize("method", ["claim_batch", "record"])
def test_a_fault_of_the_engine_costs_an_envelope_no_delivery_and_no_attempt(
    monkeypatch: pytest.MonkeyPatch, it: Stand, method: str
) -> None:
    stages = tuple(replace(each, message_per=MessagePer.BATCH) for each in HelloWorld.stages)
    monkeypatch.setattr(HelloWorld, "stages", stages)
    job_id = it.submit("hello_world", n=2)
    it.deliver_job_messages()
    with Fault(KeyError("a bug")).of(FakeTaskRepository, method):
        for _ in range(3):
            run_batch(*deliveries(it.queue.receive(BATCHES_QUEUE)))
            it.clock.advance(max(due_in_seconds(it, BATCHES_QUEUE), 0))
    it.pump_through_time()
    assert {(task.status, task.attempt) for task in it.tasks(job_id)} == {(TaskStatus.COMPLETED, 1)}
    assert (it.job(job_id).status, it.dead_letters()) == (JobStatus.COMPLETED, [])


def test_messages_that_cannot_be_rescheduled_go_back_to_the_broker_with_the_first_error(it: Stand) -> None:
    it.submit("hello_world", n=1)
    (message,) = deliveries(it.queue.receive(JOBS_QUEUE))
    with Fault(DatabaseError("permission denied")).of(FakeTaskRepository, "batch_create_tasks"):
        it.queue.failures.append(QueueNotFoundError("there is no sb-jobs"))
        with pytest.raises(DatabaseError, match="permission denied"):
            run_job_message(message)


def test_a_dead_letter_waits_as_long_before_it_is_delivered_again(it: Stand) -> None:
    it.submit("hello_world", n=1)
    it.deliver_job_messages()
    (task,) = deliveries(it.queue.receive(TASKS_QUEUE))
    before = it.clock.now()
    denied = Fault(DatabaseError("permission denied"))
    with denied.of(FakeTaskRepository, "count_dead_letter"), pytest.raises(DatabaseError):
        dead_task([task])
    assert (it.clock.now() - before).total_seconds() == it.app.settings.lease_seconds


def test_an_app_with_a_wrong_setting_keeps_its_messages_for_a_message_lock(
    it: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    it.submit("hello_world", n=1)
    (message,) = deliveries(it.queue.receive(JOBS_QUEUE))

    def broken() -> None:
        raise ConfigurationError("LEASE_SECONDS is wrong")

    monkeypatch.setenv("LEASE_SECONDS", "long")
    monkeypatch.setattr(jobs, "app", broken)
    monkeypatch.setattr(bootstrap, "app", broken)
    before = it.clock.now()
    with pytest.raises(EngineFaultError):
        run_job_message(message)
    assert (it.clock.now() - before).total_seconds() == it.app.settings.lease_seconds


def test_the_timer_sweeps(it: Stand) -> None:
    job_id = it.submit("hello_world", n=1)
    it.queue.receive(JOBS_QUEUE)
    it.clock.advance(1_000)
    sweep(None)
    it.pump()
    assert it.job(job_id).status == JobStatus.COMPLETED


def test_the_timer_prunes(it: Stand) -> None:
    job_id = it.submit("hello_world", n=1)
    it.pump()
    it.clock.advance(31 * 24 * 60 * 60)
    prune(None)
    with it.database.transaction() as work:
        assert work.jobs.get(job_id) is None


def test_the_timer_submits_the_jobs_of_schedules(it: Stand) -> None:
    run_schedules(None)
    it.clock.advance(24 * 60 * 60)
    run_schedules(None)
    (shown,) = it.app.schedules.all()
    assert shown.last_job_id is not None
    it.pump()
    assert it.job(shown.last_job_id).status == JobStatus.COMPLETED
