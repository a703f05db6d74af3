class ProtocolError(Exception):
    """The peer violates AMQP 1.0; its connection must be closed."""
