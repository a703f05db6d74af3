"""Converts the messages of azure-functions, and names the invocation that handles them."""

from contextlib import AbstractContextManager

import azure.functions as func

from core.log_threads import invocation
from core.messages import ReceivedMessage


def received(message: func.ServiceBusMessage) -> ReceivedMessage:
    """Returns the message in the form that the engine reads."""
    return ReceivedMessage(message.get_body(), message.message_id, message.delivery_count)


def logged_under(context: func.Context) -> AbstractContextManager[None]:
    """Makes the threads that work for this invocation in a block log under its id."""

    def join() -> None:
        context.thread_local_storage.invocation_id = context.invocation_id  # type: ignore[attr-defined]

    return invocation(join)
