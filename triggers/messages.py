"""Converts the messages of azure-functions, and names the invocation that handles them."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

import azure.functions as func

from core.log_threads import invocation
from core.messages import ReceivedMessage
from core.telemetry import Incoming


def received(message: func.ServiceBusMessage) -> ReceivedMessage:
    """Returns the message in the form that the engine reads."""
    return ReceivedMessage(message.get_body(), message.message_id, message.delivery_count)


def incoming(messages: Sequence[func.ServiceBusMessage], context: func.Context) -> Incoming:
    """Returns what tells whose work an invocation goes on with; it is read when it is asked for."""
    return Incoming(
        lambda: context.trace_context.trace_parent, lambda: (message.application_properties for message in messages)
    )


def logged_under(context: func.Context) -> AbstractContextManager[None]:
    """Makes the threads that work for this invocation in a block log under its id."""

    def join() -> None:
        context.thread_local_storage.invocation_id = context.invocation_id  # type: ignore[attr-defined]

    return invocation(join)
