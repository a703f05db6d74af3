"""Which functions receive messages: those of the transports that the settings have connections of."""

from collections.abc import Iterator

import azure.functions as func

from core.lanes import Transport
from settings import configured_transports
from triggers import dead_letters, jobs, storage_queues, tasks


def blueprints() -> Iterator[func.Blueprint]:
    """Yields the functions of Service Bus, of storage queues, or of both.

    A function whose connection has no setting cannot start. With both, an app that has changed its transport still
    receives what is left in the queues of the other. Without any setting, as when tools read the functions of this app,
    it has those of Service Bus.
    """
    transports = configured_transports()
    if Transport.SERVICE_BUS in transports or not transports:
        yield from (jobs.blueprint, tasks.blueprint, dead_letters.blueprint)
    if Transport.STORAGE in transports:
        yield storage_queues.blueprint
