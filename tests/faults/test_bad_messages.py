"""Unusable messages, over the engine with fakes: each is kept once and unchanged."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bootstrap
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, LONG_TASKS_QUEUE, TASKS_QUEUE, URGENT_TASKS_QUEUE
from core.messages import JobAction, JobMessage, TaskMessage
from core.statuses import JobStatus, TaskStatus
from engine.process.keeping import ORPHAN, UNREADABLE
from tests.faults.bad_messages import (
    ROWLESS_ENVELOPES,
    ROWLESS_JOBS,
    ROWLESS_TASKS,
    RUBBISH,
    SPOILT_ENVELOPES,
    SPOILT_JOBS,
    SPOILT_TASKS,
)
from tests.faults.figures import record
from tests.faults.sizes import size
from tests.support.deliveries import Delivery, called_as_by_the_host, deliveries
from tests.support.drive import Stand, stand
from tests.support.sample_jobs import counted, sample_job
from triggers import dead_letters, jobs, tasks

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

WHY = {"DeadLetterReason": "MaxDeliveryCountExceeded", "DeadLetterErrorDescription": "\ud800\0"}
Entry = tuple[str, Callable[[Any], None]]
TASK_ENTRIES: dict[str, Entry] = {
    "run_tasks": (TASKS_QUEUE, lambda message: run_tasks([message])),
    "run_urgent_tasks": (URGENT_TASKS_QUEUE, lambda message: run_urgent_tasks([message])),
    "run_long_task": (LONG_TASKS_QUEUE, run_long_task),
    "dead_task": (TASKS_QUEUE, lambda message: dead_task([message])),
    "dead_urgent_task": (URGENT_TASKS_QUEUE, lambda message: dead_urgent_task([message])),
    "dead_long_task": (LONG_TASKS_QUEUE, lambda message: dead_long_task([message])),
}
JOB_ENTRIES: dict[str, Entry] = {
    "run_job_message": (JOBS_QUEUE, run_job_message),
    "dead_job_message": (JOBS_QUEUE, lambda message: dead_job_message([message])),
}
BATCH_ENTRIES: dict[str, Entry] = {
    "run_batch": (BATCHES_QUEUE, run_batch),
    "dead_batch": (BATCHES_QUEUE, lambda message: dead_batch([message])),
}
ENTRIES = {**TASK_ENTRIES, **BATCH_ENTRIES, **JOB_ENTRIES}

many = settings(
    max_examples=size(200, 5_000),
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


kept: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def figures() -> Iterator[None]:
    yield
    record("bad messages over the fakes", kept=kept.total(), **kept)


@contextmanager
def app_behind_the_triggers() -> Iterator[Stand]:
    with stand(sample_job(counted(3))) as it, pytest.MonkeyPatch.context() as patch:
        for module in (jobs, tasks, dead_letters):
            patch.setattr(module, "app", lambda: it.app)
        patch.setattr(bootstrap, "outages", it.outages)
        patch.setenv("DATABASE_URL", it.app.settings.database_url)
        patch.setenv("ServiceBusConnection", "Endpoint=sb://nowhere;SharedAccessKeyName=any;SharedAccessKey=any")
        yield it


def assert_kept(entry: str, body: bytes, reason: str) -> None:
    """Asserts that a delivered message becomes one dead letter and changes nothing else."""
    queue, deliver = ENTRIES[entry]
    with app_behind_the_triggers() as it:
        deliver(Delivery(body, "m-1", 7, WHY))
        it.pump_through_time()
        (letter,) = it.dead_letters()
        assert (letter.queue, letter.reason, letter.body) == (queue, reason, body)
        assert 0 < len(letter.description) < 500
        kept[letter.reason] += 1


@many
@given(entry=st.sampled_from(sorted(ENTRIES)), body=RUBBISH)
def test_rubbish_is_kept(entry: str, body: bytes) -> None:
    assert_kept(entry, body, UNREADABLE)


@many
@given(entry=st.sampled_from(sorted(TASK_ENTRIES)), body=SPOILT_TASKS | SPOILT_JOBS | ROWLESS_JOBS | ROWLESS_ENVELOPES)
def test_a_task_message_with_something_wrong_is_kept(entry: str, body: bytes) -> None:
    assert_kept(entry, body, UNREADABLE)


@many
@given(entry=st.sampled_from(sorted(JOB_ENTRIES)), body=SPOILT_JOBS | SPOILT_TASKS | ROWLESS_TASKS)
def test_a_job_message_with_something_wrong_is_kept(entry: str, body: bytes) -> None:
    assert_kept(entry, body, UNREADABLE)


@many
@given(entry=st.sampled_from(sorted(BATCH_ENTRIES)), body=SPOILT_ENVELOPES | SPOILT_JOBS | ROWLESS_JOBS | ROWLESS_TASKS)
def test_an_envelope_with_something_wrong_is_kept(entry: str, body: bytes) -> None:
    assert_kept(entry, body, UNREADABLE)


@many
@given(
    found=st.tuples(st.sampled_from(sorted(TASK_ENTRIES)), ROWLESS_TASKS)
    | st.tuples(st.sampled_from(sorted(BATCH_ENTRIES)), ROWLESS_ENVELOPES)
    | st.tuples(st.sampled_from(sorted(JOB_ENTRIES)), ROWLESS_JOBS)
)
def test_a_message_without_a_row_is_kept_as_an_orphan(found: tuple[str, bytes]) -> None:
    assert_kept(*found, ORPHAN)


@many
@given(bad=st.lists(RUBBISH | SPOILT_TASKS | SPOILT_JOBS, min_size=1, max_size=20), data=st.data())
def test_bad_messages_do_not_harm_the_good_ones_of_their_invocation(bad: list[bytes], data: st.DataObject) -> None:
    with app_behind_the_triggers() as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        good = deliveries(it.queue.receive(TASKS_QUEUE))
        run_tasks(data.draw(st.permutations([*good, *(Delivery(body, f"bad-{n}") for n, body in enumerate(bad))])))
        assert {task.status for task in it.tasks(job_id)} == {TaskStatus.COMPLETED}
        assert sorted(letter.body for letter in it.dead_letters()) == sorted(bad)


COUNTS = st.integers(0, 10**6)


@many
@given(data=st.data())
def test_well_formed_messages_that_do_not_fit_a_job_do_it_no_harm(data: st.DataObject) -> None:
    with app_behind_the_triggers() as it:
        job_id = it.submit("sample")
        job_messages = st.builds(
            JobMessage, st.just(job_id), st.integers(1, 99), st.sampled_from(JobAction), COUNTS, COUNTS, COUNTS
        )
        task_messages = st.builds(
            TaskMessage,
            st.builds("{}-s{:02d}-t{:07d}".format, st.just(job_id), st.integers(1, 3), st.integers(0, 9)),
            st.just(""),
            st.integers(1, 10**6),
            COUNTS,
        )
        for message in data.draw(st.lists(job_messages | task_messages, max_size=12)):
            if isinstance(message, JobMessage):
                run_job_message(Delivery(message.outgoing().body))
            else:
                batch_id = f"{job_id}-s{message.address.stage}-b{data.draw(st.integers(0, 9))}"
                run_tasks(
                    [Delivery(TaskMessage(message.task_id, batch_id, message.send, message.misses).outgoing().body)]
                )
        it.pump_through_time()
        assert (it.job(job_id).status, it.job(job_id).result) == (JobStatus.COMPLETED, [3])
        assert [batch.open_tasks for batch in it.batches(job_id)] == [0]
        assert {letter.reason for letter in it.dead_letters()} <= {ORPHAN}
