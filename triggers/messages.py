import azure.functions as func

from core.messages import ReceivedMessage


def received(message: func.ServiceBusMessage) -> ReceivedMessage:
    """What the engine needs of a message."""
    return ReceivedMessage(message.get_body(), message.message_id, message.delivery_count)
