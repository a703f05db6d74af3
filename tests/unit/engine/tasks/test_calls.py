"""The calls of a run share the threads of their process, and a short call costs no hand-over to a thread."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from typing import Any

import pytest

from core.lanes import TASKS_QUEUE
from core.statuses import TaskStatus
from core.task_runs import ClaimedTask, TaskOutcome
from engine.tasks.calls import Calls, Outcomes
from engine.tasks.handler_threads import HandlerThreads
from tests.support.drive import received, stand
from tests.support.sample_jobs import counted, sample_job
from tests.support.waiting import LONG_SECONDS, wait_until

WAIT_SECONDS = LONG_SECONDS


def tasks(count: int) -> list[list[ClaimedTask]]:
    return [[ClaimedTask(str(index), "job", 1, index, "batch", "type", {}, 1, 0)] for index in range(count)]


def completed(each: Sequence[ClaimedTask]) -> Outcomes:
    return [TaskOutcome(task.task_id, TaskStatus.COMPLETED) for task in each]


def test_a_hundred_short_tasks_are_handed_to_a_few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    submits = 0
    submit = HandlerThreads.submit

    def counting(self: HandlerThreads, *args: Any, **kwargs: Any) -> Future[Any]:
        nonlocal submits
        submits += 1
        return submit(self, *args, **kwargs)

    monkeypatch.setattr(HandlerThreads, "submit", counting)
    with stand(sample_job(counted(100)), worker_threads=4) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.app.worker.run(TASKS_QUEUE, received(it.queue.receive(TASKS_QUEUE)))
        assert [task.status for task in it.tasks(job_id)] == [TaskStatus.COMPLETED] * 100
    assert 1 <= submits <= 4  # one, unless the machine is too busy for it


def test_calls_that_block_run_side_by_side() -> None:
    threads, barrier = HandlerThreads(4), threading.Barrier(4)

    def run(each: Sequence[ClaimedTask]) -> Outcomes:
        barrier.wait(WAIT_SECONDS)
        return completed(each)

    calls = Calls(threads, run, tasks(8))
    calls.wait(WAIT_SECONDS)
    assert [call.outcomes() for call in calls.open] == [completed(each) for each in tasks(8)]
    threads.close()


def test_a_slow_call_delays_no_other() -> None:
    threads, others = HandlerThreads(2), threading.Semaphore(0)

    def run(each: Sequence[ClaimedTask]) -> Outcomes:
        if each[0].task_index == 0:
            assert all(others.acquire(timeout=WAIT_SECONDS) for _ in range(20))
        others.release()
        return completed(each)

    calls = Calls(threads, run, tasks(21))
    calls.wait(WAIT_SECONDS)
    assert all(call.ended for call in calls.open)
    threads.close()


def test_when_calls_that_never_end_keep_all_threads_the_others_are_made_on_new_ones() -> None:
    threads, gate = HandlerThreads(2), threading.Event()

    def run(each: Sequence[ClaimedTask]) -> Outcomes:
        if each[0].task_index < 2:
            gate.wait(WAIT_SECONDS)
        return completed(each)

    with ExitStack() as last:
        last.callback(gate.set)
        calls = Calls(threads, run, tasks(10))
        calls.wait(0.01)
        stuck, others = calls.open[:2], calls.open[2:]
        wait_until(lambda: all(call.runner is not None for call in stuck))
        assert not any(call.ended for call in others)
        assert [calls.give_up(call) for call in stuck] == [True, True]
        calls.wait(WAIT_SECONDS)
        assert [call.outcomes() for call in others] == [completed(call.tasks) for call in others]
    threads.close()


def test_a_thread_whose_call_was_given_up_makes_no_other() -> None:
    threads, gates = HandlerThreads(1), [threading.Event(), threading.Event()]

    def run(each: Sequence[ClaimedTask]) -> Outcomes:
        if each[0].task_index < 2:
            gates[each[0].task_index].wait(WAIT_SECONDS)
        return completed(each)

    with ExitStack() as last:
        for gate in gates:
            last.callback(gate.set)
        calls = Calls(threads, run, tasks(3))
        first, second, third = calls.open
        wait_until(lambda: first.runner is not None)
        assert calls.give_up(first)
        wait_until(lambda: second.runner is not None)
        gates[0].set()
        wait_until(lambda: first.runner is not None and first.runner.done())
        assert third.runner is None
        gates[1].set()
        calls.wait(WAIT_SECONDS)
        assert third.outcomes() == completed(third.tasks)
    threads.close()


def test_a_call_that_has_begun_cannot_be_withdrawn_and_one_that_has_ended_is_not_given_up() -> None:
    threads, gate = HandlerThreads(1), threading.Event()

    def run(each: Sequence[ClaimedTask]) -> Outcomes:
        gate.wait(WAIT_SECONDS)
        return completed(each)

    calls = Calls(threads, run, tasks(3))
    first, second, third = calls.open
    wait_until(lambda: first.runner is not None)
    assert not calls.withdraw(first)
    assert calls.withdraw(second)
    gate.set()
    calls.wait(WAIT_SECONDS)
    assert (first.ended, second.ended, third.ended) == (True, False, True)
    assert not calls.give_up(first)
    threads.close()


def test_no_call_begins_after_a_stop() -> None:
    threads, gate = HandlerThreads(1), threading.Event()
    begun: list[int] = []

    def run(each: Sequence[ClaimedTask]) -> Outcomes:
        begun.append(each[0].task_index)
        gate.wait(WAIT_SECONDS)
        return completed(each)

    calls = Calls(threads, run, tasks(3))
    wait_until(lambda: bool(begun))
    calls.stop()
    gate.set()
    threads.close()
    assert begun == [0]


def test_an_error_of_the_engine_reaches_the_run() -> None:
    threads = HandlerThreads(1)

    def run(each: Sequence[ClaimedTask]) -> Outcomes:
        raise AssertionError("a bug")

    calls = Calls(threads, run, tasks(1))
    calls.wait(WAIT_SECONDS)
    with pytest.raises(AssertionError, match="a bug"):
        calls.open[0].outcomes()
    threads.close()
