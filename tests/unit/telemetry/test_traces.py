"""A job through the app, as a collector sees it: its submission, its steps, the invocations and the handlers."""

from collections.abc import Callable, Mapping
from typing import Any

import azure.functions as func
import pytest
from opentelemetry.context import attach, detach

from controllers.base import StageSpec
from controllers.context import JsonValue, TaskContext
from controllers.task_type import TaskType
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, TASKS_QUEUE, MessagePer
from core.message_traces import with_traceparent
from core.retry import TaskPolicy
from telemetry.contexts import inside, of_job, of_messages, parse
from tests.support.collector import Collector
from tests.support.deliveries import Delivery, called_as_by_the_host
from tests.support.isolated_jobs import IsolatedJob
from tests.support.sample_jobs import TASK_TYPE, counted, sample_job
from tests.unit.telemetry.conftest import Watch, Watched, run_job_message, run_tasks
from triggers import jobs, storage_queues

storage_job_message: Callable[[Any], None] = called_as_by_the_host(
    storage_queues.storage_job_message._function.get_user_function()
)
storage_batch: Callable[[Any], None] = called_as_by_the_host(storage_queues.storage_batch._function.get_user_function())

CLIENT = "00-11111111111111111111111111111111-2222222222222222-01"
HOST = "00-11111111111111111111111111111111-3333333333333333-00"
SECRET = "hunter2-is-the-password"

Parameters = Mapping[str, Any]


def one_of(collector: Collector, name: str, count: int = 1) -> list[tuple[str, str]]:
    spans = collector.named(name)
    assert len(spans) == count, [each.name for each in collector.spans]
    return [each.place for each in spans]


def test_a_job_is_one_connected_picture(watch: Watch) -> None:
    it = watch(sample_job(counted(2, 1), stages=(StageSpec("first"), StageSpec("second"))))
    it.submit(traceparent=CLIENT)
    it.pump()
    told = it.told()
    submit = told.span("POST /api/jobs/{job_type}")
    job_id = submit.attributes["lockstep.job.id"]
    root = told.span("job sample")
    assert (submit.trace_id, submit.parent_id) == tuple(CLIENT.split("-")[1:3])
    assert (root.trace_id, root.parent_id, root.links) == (job_id, "", (submit.place,))
    assert submit.links == (root.place,)

    dispatch, *others = told.named(f"dispatch {JOBS_QUEUE}")
    steps = [dispatch, *others, *told.named(f"advance {JOBS_QUEUE}")]
    assert {(each.trace_id, each.parent_id) for each in steps} == {root.place}
    assert submit.place in dispatch.links

    first, second = told.named(f"process {TASKS_QUEUE}")
    assert first.links == (dispatch.place,), "two messages of one batch have one context"
    assert len({first.trace_id, second.trace_id, job_id}) == 3, "an invocation has a trace of its own"
    assert first.attributes["messaging.batch.message_count"] == 2
    assert "messaging.batch.message_count" not in second.attributes

    handlers = told.named(f"run {TASK_TYPE}")
    assert [each.place[0] for each in handlers] == [first.trace_id, first.trace_id, second.trace_id]
    assert [each.parent_id for each in handlers] == [first.span_id, first.span_id, second.span_id]
    assert [each.attributes["lockstep.task.id"] for each in handlers] == [
        *(f"{job_id}-s01-t0000000", f"{job_id}-s01-t0000001", f"{job_id}-s02-t0000000")
    ]
    assert {each.attributes["lockstep.task.outcome"] for each in handlers} == {"completed"}

    advances = told.named(f"advance {JOBS_QUEUE}")
    assert [each.attributes["lockstep.stage"] for each in advances] == [1, 2]
    assert first.place in advances[0].links, "the invocation that ended the stage"


def test_a_job_over_storage_queues_is_connected_by_the_bodies_of_its_messages(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = watch(sample_job(counted(2), stages=(StageSpec("only", message_per=MessagePer.BATCH),)))
    for module in (jobs, storage_queues):
        monkeypatch.setattr(module, "app", lambda: it.stand.app)
        monkeypatch.setattr(module, "telemetry", lambda: it.wired.telemetry)

    def deliver(function: Callable[[Any], None], queue: str) -> None:
        for message in it.stand.queue.receive(queue):
            body = with_traceparent(message.body, it.stand.queue.traceparents[message.message_id])
            function(func.QueueMessage(id="m", body=body, pop_receipt="r"))

    it.submit()
    deliver(storage_job_message, JOBS_QUEUE)
    deliver(storage_batch, BATCHES_QUEUE)
    told = it.told()
    submit, dispatch = told.span("POST /api/jobs/{job_type}"), told.span(f"dispatch {JOBS_QUEUE}")
    envelope = told.span(f"process {BATCHES_QUEUE}")
    assert submit.place in dispatch.links
    assert envelope.links == (dispatch.place,)
    assert {each.attributes["messaging.system"] for each in (dispatch, envelope)} == {"azure_storage_queues"}
    for queue in (JOBS_QUEUE, BATCHES_QUEUE):
        place = {"messaging__destination__name": queue, "messaging__operation__name": "process"}
        system = {"messaging__system": "azure_storage_queues"}
        assert told.metric("messaging.client.consumed.messages", **place, **system) == 1
        assert told.metric("messaging.process.duration", **place, **system) == 1


def test_a_request_is_a_part_of_what_the_host_tells_if_the_worker_names_it(watch: Watch) -> None:
    it = watch(sample_job(counted(1)))
    token = attach(inside(parse(HOST)))
    it.submit(traceparent=CLIENT)
    detach(token)
    submit = it.told().span("POST /api/jobs/{job_type}")
    assert (submit.trace_id, submit.parent_id) == tuple(HOST.split("-")[1:3])


def test_an_invocation_is_a_part_of_what_the_host_tells(watch: Watch) -> None:
    it = watch(sample_job(counted(1)))
    it.submit()
    it.pump()
    assert it.told().span(f"process {TASKS_QUEUE}").parent_id, "the context of the invocation"


def test_the_trace_of_a_job_begins_once_however_often_it_is_submitted(watch: Watch) -> None:
    it = watch(sample_job(counted(1)))
    it.submit()
    it.submit()
    assert len(it.told().named("job sample")) == 1


def test_the_context_of_a_job_follows_from_its_id() -> None:
    context = of_job("0123456789abcdeffedcba9876543210")
    assert (f"{context.trace_id:032x}", f"{context.span_id:016x}") == (
        *("0123456789abcdeffedcba9876543210", "0123456789abcdef"),
    )
    assert of_job("0" * 16 + "f" * 16).is_valid


@pytest.mark.parametrize("text", [None, "", "rubbish", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "00-1-2-3"])
def test_what_is_no_trace_context_is_ignored(text: str | None) -> None:
    assert not parse(text).is_valid


def test_properties_that_are_no_mapping_are_ignored() -> None:
    properties: list[Any] = [None, "rubbish", {}, {"traceparent": 7}, {"Diagnostic-Id": CLIENT}]
    assert of_messages(properties) == [parse(CLIENT)]


def test_messages_of_a_host_without_telemetry_have_no_context(watch: Watch) -> None:
    it = watch(sample_job(counted(1)))
    it.submit()
    (message,) = it.stand.queue.receive(JOBS_QUEUE)
    run_job_message(Delivery(message.body))
    run_tasks([Delivery(each.body) for each in it.stand.queue.receive(TASKS_QUEUE)])
    told = it.told()
    (task,) = told.named(f"process {TASKS_QUEUE}")
    assert task.links == ()
    assert told.span(f"run {TASK_TYPE}").parent_id == task.span_id


def test_messages_that_the_sweeper_sends_belong_to_their_jobs(watch: Watch) -> None:
    it = watch(sample_job(counted(2)))
    it.submit()
    it.stand.queue.receive(JOBS_QUEUE)  # and it is lost
    sweep(it)
    it.deliver_jobs()
    assert it.stand.queue.receive(TASKS_QUEUE)  # these are lost too
    sweep(it)
    it.pump()
    told = it.told()
    root, *_ = told.named("job sample")
    job_id = root.attributes["lockstep.job.id"]
    dispatch = told.span(f"dispatch {JOBS_QUEUE}")
    assert (dispatch.trace_id, dispatch.parent_id) == (job_id, root.span_id)
    assert root.place not in dispatch.links, "its parent is the same"
    assert told.span(f"process {TASKS_QUEUE}").links == (root.place,)


def test_invocations_of_messages_of_the_sweeper_are_traced_if_their_job_is(watch: Watch) -> None:
    it = watch(sample_job(counted(1)), traces_sampler="traceidratio", traces_sampler_arg=0.3)
    for number in range(40):
        it.submit(b'{"label": "%d"}' % number)
        it.deliver_jobs()
        it.stand.queue.receive(TASKS_QUEUE)
    sweep(it)
    for message in it.stand.queue.receive(TASKS_QUEUE):
        run_tasks([it.delivery(message)])
    told = it.told()
    traced = {each.trace_id for each in told.named("job sample")}
    assert 0 < len(traced) < 40
    handlers = told.named(f"run {TASK_TYPE}")
    assert {each.attributes["lockstep.job.id"] for each in handlers} == traced


def sweep(it: Watched) -> None:
    """Sweeps when everything is overdue."""
    it.stand.clock.advance(1_000)
    it.stand.app.sweeper.sweep()


def test_jobs_are_traced_whole_or_not_at_all(watch: Watch) -> None:
    it = watch(sample_job(counted(2)), traces_sampler="traceidratio", traces_sampler_arg=0.3)
    for number in range(40):
        it.submit(b'{"label": "%d"}' % number)
        it.pump()  # so that no invocation has tasks of two jobs
    told = it.told()
    traced = {each.trace_id for each in told.named("job sample")}
    assert 0 < len(traced) < 40
    for name in (f"dispatch {JOBS_QUEUE}", f"advance {JOBS_QUEUE}"):
        assert {each.trace_id for each in told.named(name)} == traced
    handlers = told.named(f"run {TASK_TYPE}")
    assert {each.attributes["lockstep.job.id"] for each in handlers} == traced
    assert len(handlers) == 2 * len(traced)
    assert len(told.named(f"process {TASKS_QUEUE}")) == len(traced)


def test_a_client_that_traces_its_request_has_it_traced(watch: Watch) -> None:
    it = watch(sample_job(counted(1)), traces_sampler="always_off")
    it.submit(traceparent=CLIENT)
    it.pump()
    assert [each.name for each in it.told().spans] == ["POST /api/jobs/{job_type}"]


def test_a_handler_adds_spans_to_its_run_and_names_it_to_others(watch: Watch) -> None:
    named: list[str | None] = []

    def handler(context: TaskContext, parameters: Parameters) -> JsonValue:
        with it.wired.tracers.get_tracer("author").start_as_current_span("ask a service"):
            named.append(context.traceparent)
        return None

    it = watch(sample_job(counted(1), handler))
    it.submit()
    it.pump()
    told = it.told()
    inner, run = told.span("ask a service"), told.span(f"run {TASK_TYPE}")
    assert (inner.trace_id, inner.parent_id) == run.place
    assert named == [f"00-{inner.trace_id}-{inner.span_id}-01"]


def test_an_isolated_task_learns_its_trace(watch: Watch) -> None:
    it = watch(IsolatedJob)
    it.submit(b'{"tasks": [{"of": "isolated.free", "do": "trace"}]}', "isolated")
    it.pump()
    run = it.told().span("run isolated.free")
    (task,) = it.stand.tasks(run.attributes["lockstep.job.id"])
    assert task.result == f"00-{run.trace_id}-{run.span_id}-01"


def test_a_failure_leaves_its_outcome_and_no_text(watch: Watch) -> None:
    def handler(context: TaskContext, parameters: Parameters) -> JsonValue:
        raise ValueError(f"password={SECRET}")

    it = watch(sample_job(counted(1), declared=TaskType(TASK_TYPE, handler, TaskPolicy(max_attempts=1))))
    it.submit()
    it.pump()
    told = it.told()
    assert told.span(f"run {TASK_TYPE}").attributes["lockstep.task.outcome"] == "failed"
    assert not any(SECRET.encode() in body for body in told.bodies)
    assert any("password=***" in line.text for line in told.lines), "the line is sent, without the secret"
