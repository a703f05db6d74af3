"""Applies a client's disposition to the queue."""

from typing import Any

from cproton_ffi import lib

from local.service_bus.amqp.decode import read
from local.service_bus.amqp.engine import data_bytes, text
from local.service_bus.broker.queue import Queue


def settle(queue: Queue, lock_token: bytes, delivery: Any) -> int | None:
    """Applies the remote state of `delivery`; returns the state of the answer, None while the state is not final.

    Raises:
        BrokerError: the queue refuses the operation, usually because the lock is lost.
    """
    state = lib.pn_delivery_remote_state(delivery)
    if state == lib.PN_ACCEPTED:
        queue.complete(lock_token)
    elif state == lib.PN_RELEASED:
        queue.release(lock_token)
    elif state == lib.PN_MODIFIED:
        _modify(queue, lock_token, delivery)
    elif state == lib.PN_REJECTED:
        queue.dead_letter(lock_token, *_reason(lib.pn_disposition_condition(lib.pn_delivery_remote(delivery))))
    else:
        return None
    return int(state)


def _modify(queue: Queue, lock_token: bytes, delivery: Any) -> None:
    asked = lib.pn_delivery_remote(delivery)
    failed, undeliverable = lib.pn_disposition_is_failed(asked), lib.pn_disposition_is_undeliverable(asked)
    if undeliverable:
        queue.defer(lock_token)
    elif failed:
        queue.abandon(lock_token)
    else:
        queue.release(lock_token)
    # The clients compare the flags of the answer with their own.
    answer = lib.pn_delivery_local(delivery)
    lib.pn_disposition_set_failed(answer, failed)
    lib.pn_disposition_set_undeliverable(answer, undeliverable)


def _reason(condition: Any) -> tuple[str | None, str | None]:
    """The client's reason and description for a dead letter."""
    if text(lib.pn_condition_get_name(condition)) != "com.microsoft:dead-letter":
        return None, None
    encoded = data_bytes(lib.pn_condition_info(condition))
    info = read(encoded)[0] if encoded else None
    if not isinstance(info, dict):
        return None, None
    values = [info.get(name) for name in ("DeadLetterReason", "DeadLetterErrorDescription")]
    reason, description = (value if isinstance(value, str) else None for value in values)
    return reason, description
