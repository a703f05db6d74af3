import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from core.errors import MessageFormatError
from core.ids import MAX_STAGE_TASKS, MAX_STAGES, batch_id, task_id
from core.messages import JobAction, JobMessage, TaskMessage

job_ids = st.text("0123456789abcdef", min_size=32, max_size=32)
stages = st.integers(1, MAX_STAGES)
counts = st.integers(0, 1_000_000)


@st.composite
def task_messages(draw: st.DrawFn) -> TaskMessage:
    job_id, stage = draw(job_ids), draw(stages)
    index = draw(st.integers(0, MAX_STAGE_TASKS - 1))
    return TaskMessage(
        task_id(job_id, stage, index),
        batch_id(job_id, stage, draw(st.integers(0, index))),
        draw(st.integers(1, 1_000_000)),
        draw(counts),
    )


job_messages = st.builds(JobMessage, job_ids, stages, st.sampled_from(JobAction), counts)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=5,
)


@given(task_messages())
def test_a_task_message_is_decoded_as_it_was_sent(message: TaskMessage) -> None:
    assert TaskMessage.decode(message.outgoing().body) == message


@given(job_messages)
def test_a_job_message_is_decoded_as_it_was_sent(message: JobMessage) -> None:
    assert JobMessage.decode(message.outgoing().body) == message


@given(st.binary() | values.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_decoded_or_refused(body: bytes) -> None:
    for decode in (TaskMessage.decode, JobMessage.decode):
        try:
            decode(body)
        except MessageFormatError:
            continue


@given(task_messages(), st.sampled_from(["v", "task_id", "batch_id", "send", "misses"]), values)
def test_a_task_message_with_any_value_in_a_field_can_be_sent_again_or_is_refused(
    message: TaskMessage, name: str, value: Any
) -> None:
    fields = {**json.loads(message.outgoing().body), name: value}
    try:
        decoded = TaskMessage.decode(json.dumps(fields).encode())
    except MessageFormatError:
        return
    assert TaskMessage.decode(decoded.outgoing().body) == decoded


@given(job_messages, st.sampled_from(["v", "job_id", "stage", "action", "redispatches", "resumes"]), values)
def test_a_job_message_with_any_value_in_a_field_can_be_sent_again_or_is_refused(
    message: JobMessage, name: str, value: Any
) -> None:
    fields = {**json.loads(message.outgoing().body), name: value}
    try:
        decoded = JobMessage.decode(json.dumps(fields).encode())
    except MessageFormatError:
        return
    assert JobMessage.decode(decoded.outgoing().body) == decoded
