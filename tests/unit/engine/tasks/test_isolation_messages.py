"""What a child process of isolated tasks receives from its worker, in whatever order it arrives."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import Pipe
from typing import Any

import pytest
from typing_extensions import override

from controllers.run_state import PROGRESS_SECONDS
from core.errors import TaskLeaseLostError
from engine.tasks.task_channel import TaskCall, TaskChannel
from engine.tasks.task_process_state import RelayedRunState, WorkerMessages
from tests.support.waiting import wait_until

CALL = TaskCall("m", "Q", "t", "job", "task", "b", 1, 0, 1, {}, "data", [], 100, None, 20, {"row": 1})


@dataclass
class Ends:
    worker: TaskChannel
    messages: WorkerMessages
    threads: ThreadPoolExecutor

    def answer(self, number: int, error: str | None = None) -> None:
        self.worker.put("answer", number=number, error=error, text="why")

    def asked(self) -> dict[str, Any]:
        assert self.worker.poll(120)
        return self.worker.receive()


@pytest.fixture
def ends() -> Iterator[Ends]:
    mine, other = Pipe()
    worker, child = TaskChannel(mine), TaskChannel(other)
    with ThreadPoolExecutor(2) as threads:
        yield Ends(worker, WorkerMessages(child, "task"), threads)
        worker.close()
    child.close()


def test_a_cancellation_that_arrives_before_an_answer_is_kept(ends: Ends) -> None:
    asking = ends.threads.submit(ends.messages.ask, "checkpoint", state="1")
    assert ends.asked() == {"kind": "checkpoint", "number": 1, "state": "1"}
    ends.worker.put("cancel")
    ends.answer(1)
    asking.result(120)
    assert not ends.messages.told
    assert ends.messages.is_cancelled()
    assert ends.messages.told


def test_a_thread_learns_of_a_cancellation_while_another_one_waits_for_an_answer(ends: Ends) -> None:
    asking = ends.threads.submit(ends.messages.ask, "checkpoint", state="1")
    ends.asked()
    assert not ends.threads.submit(ends.messages.is_cancelled).result(120)
    ends.worker.put("cancel")
    wait_until(ends.messages.is_cancelled)
    assert not asking.done()
    ends.answer(1)
    asking.result(120)


def test_an_answer_that_another_thread_has_received_is_kept() -> None:
    mine, other = Pipe()
    worker = TaskChannel(mine)

    class Answered(TaskChannel):
        @override
        def put(self, kind: str, **fields: Any) -> None:
            worker.put("answer", number=fields["number"], error=None, text="")
            assert not messages.is_cancelled()
            assert not self.poll(0), "it has received the answer"

    child = Answered(other)
    messages = WorkerMessages(child, "task")
    messages.ask("checkpoint", state="1")
    worker.close()
    child.close()


def test_the_answer_to_an_earlier_question_is_not_taken_for_the_next_one(ends: Ends) -> None:
    ends.answer(0, "CheckpointError")
    asking = ends.threads.submit(ends.messages.ask, "checkpoint", state="1")
    ends.asked()
    ends.answer(1)
    asking.result(120)


def test_when_the_worker_ends_a_run_is_no_longer_wanted_and_keeps_nothing(ends: Ends) -> None:
    asking = ends.threads.submit(ends.messages.ask, "checkpoint", state="1")
    ends.asked()
    ends.worker.close()
    with pytest.raises(TaskLeaseLostError):
        asking.result(120)
    with pytest.raises(TaskLeaseLostError):
        ends.messages.ask("checkpoint", state="1")
    assert ends.messages.is_cancelled()


def test_after_its_run_a_thread_receives_nothing_of_the_next_one(ends: Ends) -> None:
    ends.messages.end()
    ends.worker.put("call", call={})
    assert ends.messages.is_cancelled()
    assert not ends.messages.told
    with pytest.raises(TaskLeaseLostError):
        ends.messages.ask("checkpoint", state="1")
    assert ends.messages._channel.poll(0), "the call is still there"
    assert ends.messages._channel.receive() == {"kind": "call", "call": {}}
    assert not ends.worker.poll(0)


def test_a_checkpoint_counts_when_it_is_written(ends: Ends) -> None:
    state = RelayedRunState(ends.messages, CALL)
    assert state.last_checkpoint == {"row": 1}
    kept = {"rows": [2]}
    asking = ends.threads.submit(state.checkpoint, kept)
    assert ends.asked()["state"] == '{"rows":[2]}'
    kept["rows"].append(3)
    assert state.last_checkpoint == {"row": 1}
    ends.answer(1)
    asking.result(120)
    assert state.last_checkpoint == {"rows": [2]}
    asking = ends.threads.submit(state.checkpoint, 4)
    ends.answer(ends.asked()["number"], "TaskLeaseLostError")
    with pytest.raises(TaskLeaseLostError):
        asking.result(120)
    assert state.last_checkpoint == {"rows": [2]}


def test_progress_is_sent_at_most_every_few_seconds_after_the_last_answer(ends: Ends) -> None:
    now = [100.0]
    state = RelayedRunState(ends.messages, CALL, lambda: now[0])
    asking = ends.threads.submit(state.progress, 1, "a note")
    assert ends.asked() == {"kind": "progress", "number": 1, "fraction": 1.0, "note": "a note"}
    ends.threads.submit(state.progress, 0.2, "meanwhile").result(120)  # nobody waits for another one's answer
    now[0] += 1  # the worker writes
    ends.answer(1)
    asking.result(120)
    now[0] += PROGRESS_SECONDS - 0.5
    ends.threads.submit(state.progress, 0.5, "too soon").result(120)
    assert not ends.worker.poll(0)
    now[0] += 0.5
    asking = ends.threads.submit(state.progress, 0.5, "in time")
    ends.answer(ends.asked()["number"])
    asking.result(120)
