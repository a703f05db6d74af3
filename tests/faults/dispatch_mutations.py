"""The guards of what makes a dispatch fast, each with the tests that fail without it."""

from collections.abc import Sequence

from tests.faults.mutants import Edit

_ENCODED = "repositories/encoded_messages.py"
_BROKER = "repositories/service_bus.py"
_THREADS = "engine/stages/batch_threads.py"


def _encoded(test: str) -> list[str]:
    return [f"tests/unit/repositories/test_encoded_messages.py::{test}"]


def _lent(test: str) -> list[str]:
    return [f"tests/unit/repositories/test_lent_clients.py::{test}"]


def _threads(test: str) -> list[str]:
    return [f"tests/unit/engine/stages/test_batch_threads.py::{test}"]


MUTATIONS: dict[str, tuple[Sequence[Edit], list[str]]] = {
    "the version of the SDK whose batches are known": (
        [Edit(_ENCODED, "if azure.servicebus.__version__ != KNOWN_SDK:", "if False:")],
        _encoded("test_the_sdk_encodes_all_messages_when_it_is_another_version"),
    ),
    "the message that the SDK has encoded as we do": (
        [Edit(_ENCODED, " or sections != known[:1]")],
        _encoded("test_the_sdk_encodes_all_messages_when_it_encodes_the_first_differently"),
    ),
    "the size of messages that are encoded here": (
        [Edit(_ENCODED, " or size_bytes > batch.max_size_in_bytes")],
        _encoded("test_messages_that_are_too_large_for_the_tier_are_refused_by_the_sdk"),
    ),
    "the scheduled message that is not encoded here": (
        [Edit(_ENCODED, "message.enqueue_at is None and ")],
        _encoded("test_the_sdk_encodes_a_batch_with_a_message_that_we_do_not_encode[scheduled]"),
    ),
    "the message of another type that is not encoded here": (
        [Edit(_ENCODED, " and message.content_type == JSON_TYPE")],
        _encoded("test_a_message_of_another_type_is_encoded_by_the_sdk"),
    ),
    "the few batches that are in flight at first": (
        [Edit(_THREADS, "self.at_once = min(AT_FIRST, most)", "self.at_once = most")],
        _threads("test_a_dispatch_whose_waits_are_short_has_two_batches_in_flight"),
    ),
    "the most batches in flight": (
        [Edit(_THREADS, "if self.at_once == self._most:", "if False:")],
        _threads("test_no_more_batches_than_allowed_are_in_flight"),
    ),
    "the look at the outcomes before a batch starts": (
        [
            Edit(
                "engine/stages/dispatch_window.py",
                "        self._threads.await_turn()\n"
                "        self._drain(down_to=self._limits.dispatch_parallel + _REMEMBERED)\n",
                "        self._threads.await_turn()\n",
            )
        ],
        _threads("test_a_dispatch_starts_no_batch_after_one_that_was_refused_while_the_next_waited"),
    ),
    "the wait for a client that another send uses": (
        [Edit(_BROKER, "            if self._open and not self._idle:", "            if False:")],
        _lent("test_sends_that_end_soon_share_a_client"),
    ),
    "the few clients that are opened at a time": (
        [Edit(_BROKER, "bool(self._idle) or self._opening < max(self._open, 1)", "True")],
        _lent("test_no_more_clients_are_opened_at_a_time_than_are_open"),
    ),
}
