"""For a single message, the Functions host lays the fields of its JSON body over its metadata, whatever their case."""

import inspect
import json
import re

import azure.functions as func
import pytest
from azure.functions import queue, servicebus

from core.message_traces import with_traceparent
from core.messages import BatchMessage, JobAction, JobMessage, OutgoingMessage, TaskMessage
from triggers import dead_letters, jobs, tasks

_JOB = "0" * 32
_METADATA = {name.lower() for name in re.findall(r"trigger_metadata, '(\w+)'", inspect.getsource(servicebus))}

_QUEUE_METADATA = {name.lower() for name in re.findall(r"trigger_metadata,\s+'(\w+)'", inspect.getsource(queue))}


def test_the_metadata_that_azure_functions_reads_is_known() -> None:
    assert {"deliverycount", "messageid", "applicationproperties", "enqueuedtimeutc", "timetolive"} <= _METADATA


@pytest.mark.parametrize(
    "message",
    [
        TaskMessage(f"{_JOB}-s01-t0000000", f"{_JOB}-s1-b0").outgoing(),
        BatchMessage(f"{_JOB}-s1-b0").outgoing(),
        JobMessage(_JOB, 1, JobAction.DISPATCH).outgoing(),
    ],
    ids=["task", "batch", "job"],
)
def test_no_field_of_a_message_hides_its_metadata(message: OutgoingMessage) -> None:
    traced = with_traceparent(message.body, f"00-{_JOB}-{'0' * 16}-01")
    assert {name.lower() for name in json.loads(traced)} & (_METADATA | _QUEUE_METADATA) == set()
    assert "dequeuecount" in _QUEUE_METADATA


@pytest.mark.parametrize(
    "function",
    [
        dead_letters.dead_task,
        dead_letters.dead_urgent_task,
        dead_letters.dead_long_task,
        dead_letters.dead_batch,
        dead_letters.dead_job_message,
        tasks.run_tasks,
        tasks.run_urgent_tasks,
    ],
)
def test_functions_that_must_take_any_body_take_batches(function: object) -> None:
    trigger = function._function.get_trigger()  # type: ignore[attr-defined]
    assert trigger.cardinality == func.Cardinality.MANY


@pytest.mark.parametrize("function", [jobs.run_job_message, tasks.run_long_task, tasks.run_batch])
def test_the_broker_gives_up_on_a_body_that_a_function_of_single_messages_cannot_take(function: object) -> None:
    """It fails ten times; then the function of the dead-letter queue keeps it."""
    trigger = function._function.get_trigger()  # type: ignore[attr-defined]
    assert trigger.cardinality != func.Cardinality.MANY
    assert not trigger.queue_name.endswith("$deadletterqueue")
