"""The trace context in the body of a message, for a transport whose messages have no properties.

It is the last field of a body that the app has written. Bodies are read field by field, so a version that does not know
the field ignores it, and one that knows it does without.
"""

import re

_BEGIN = b'{"v":'
"""Of each message that the app writes (`core.messages`)."""

_FIELD = re.compile(rb',"traceparent":"([0-9a-f-]{55})"}$')


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
