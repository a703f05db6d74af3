"""The trace contexts of messages, and how a body carries one, for a transport whose messages have no properties.

In a body, it is the last field of what the app has written. Bodies are read field by field, so a version that does not
know the field ignores it, and one that knows it does without.
"""

import re
from collections.abc import Sequence

from core.messages import OutgoingMessage
from core.telemetry import telemetry

_JOB_ID = re.compile(rb'"(?:job_id|task_id|batch_id)": ?"([0-9a-f]{32})')
"""The job of a message of the app: its id begins the ids of its tasks and batches."""

_BEGIN = b'{"v":'
"""Of each message that the app writes (`core.messages`)."""

_FIELD = re.compile(rb',"traceparent":"([0-9a-f-]{55})"}$')


def job_of(body: bytes) -> str | None:
    """Returns the id of the job of a message of the app; None if it names none."""
    found = _JOB_ID.search(body)
    return found[1].decode() if found else None


def traceparents(messages: Sequence[OutgoingMessage], sender: str | None) -> list[str | None]:
    """Returns the trace context that each message carries.

    Args:
        messages: the messages of one send.
        sender: the context of what sends them. Without one, as when the sweeper sends them, a message carries the one
            in which the trace of its job begins.
    """
    if sender is not None or not telemetry().is_on:
        return [sender] * len(messages)
    jobs = [job_of(message.body) for message in messages]
    return [None if job_id is None else telemetry().job_traceparent(job_id) for job_id in jobs]


def with_traceparent(body: bytes, traceparent: str | None) -> bytes:
    """Returns the body of a message of the app with a trace context; any other body, or without a context, as it is.

    A body that has a context, because its message is sent once more, gets the new one.
    """
    if traceparent is None or not (body.startswith(_BEGIN) and body.endswith(b"}")):
        return body
    return b'%b,"traceparent":"%b"}' % (_FIELD.sub(b"}", body)[:-1], traceparent.encode())


def traceparent_of(body: bytes) -> str | None:
    """Returns the trace context in the body of a message; None if it has none."""
    found = _FIELD.search(body)
    return found[1].decode() if found else None
