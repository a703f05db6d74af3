"""Converts the messages of azure-functions."""

import azure.functions as func

from core.messages import ReceivedMessage


def received(message: func.ServiceBusMessage) -> ReceivedMessage:
    """Returns the message in the form that the engine reads."""
    return ReceivedMessage(message.get_body(), message.message_id, message.delivery_count)
