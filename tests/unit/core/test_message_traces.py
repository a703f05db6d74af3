"""Trace contexts in the bodies of messages, for transports whose messages have no properties."""

import json

import pytest

from core.ids import batch_id, task_id
from core.message_traces import traceparent_of, with_traceparent
from core.messages import BatchMessage, JobAction, JobMessage, TaskMessage

JOB = "0123456789abcdef" * 2
FIRST = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
SECOND = "00-fedcba9876543210fedcba9876543210-fedcba9876543210-00"

TASK = TaskMessage(task_id(JOB, 1, 7), batch_id(JOB, 1, 0), 2, 1)
MESSAGES = [TASK, BatchMessage(batch_id(JOB, 1, 7), 2, 1), JobMessage(JOB, 3, JobAction.ADVANCE, 1, 2, 3, 4)]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_with_a_context_is_the_same_message(message: TaskMessage | BatchMessage | JobMessage) -> None:
    body = with_traceparent(message.outgoing().body, FIRST)
    assert type(message).decode(body) == message
    assert traceparent_of(body) == FIRST
    assert traceparent_of(message.outgoing().body) is None


def test_a_task_message_with_a_context_is_read_as_fast_as_one_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object) -> None:
        raise AssertionError("it was read as JSON")

    body = with_traceparent(TASK.outgoing().body, FIRST)
    monkeypatch.setattr("core.messages.json.loads", slow)
    assert TaskMessage.decode(body) == TASK


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_that_is_sent_once_more_has_the_context_of_its_last_send(
    message: TaskMessage | BatchMessage | JobMessage,
) -> None:
    once = with_traceparent(message.outgoing().body, FIRST)
    assert traceparent_of(with_traceparent(once, SECOND)) == SECOND
    assert with_traceparent(once, SECOND).count(b"traceparent") == 1
    assert with_traceparent(once, None) == once


def test_a_version_that_does_not_know_the_field_ignores_it() -> None:
    """All versions read a body that they have not written as JSON, field by field."""
    fields = json.loads(with_traceparent(TASK.outgoing().body, FIRST))
    known = {name: value for name, value in fields.items() if name != "traceparent"}
    assert known == json.loads(TASK.outgoing().body)
    assert TaskMessage.decode(json.dumps({"new": "field", **fields}).encode()) == TASK


@pytest.mark.parametrize("body", [b"", b"rubbish", b"[]", b'{"data": 1}', b'{"v": 1', b'{"v":1} '])
def test_what_the_app_has_not_written_stays_as_it_is(body: bytes) -> None:
    assert with_traceparent(body, FIRST) == body
    assert traceparent_of(body) is None


def test_a_context_that_is_none_is_not_read() -> None:
    assert traceparent_of(b'{"v":1,"traceparent":"rubbish"}') is None
