class ProtocolError(Exception):
    """The peer breaks AMQP 1.0; its connection is beyond repair."""
