import io
import logging
from collections.abc import Iterator

import pytest

from core.log_redaction import RedactedRecord, redact_logs

URL = "https://user:pssst@store.example/a.csv?sig=pssst"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What a handler of a library's logger writes."""
    factory, written = logging.getLogRecordFactory(), io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("some.library")
    logger.addHandler(handler)
    redact_logs()
    yield written
    logger.removeHandler(handler)
    logging.setLogRecordFactory(factory)


def test_messages_lose_the_secrets_of_their_arguments(lines: io.StringIO) -> None:
    logging.getLogger("some.library").warning("%s cannot be read: %d", URL, 404)
    assert lines.getvalue() == "https://store.example/a.csv cannot be read: 404\n"


def test_tracebacks_lose_the_secrets_of_each_exception(lines: io.StringIO) -> None:
    error = ValueError(f"{URL} is odd")
    error.__cause__ = KeyError(URL)
    try:
        raise error
    except ValueError:
        logging.getLogger("some.library").exception("it failed")
    assert "ValueError: https://store.example/a.csv is odd" in lines.getvalue()
    assert "in test_tracebacks_lose_the_secrets_of_each_exception" in lines.getvalue()
    assert "pssst" not in lines.getvalue()


def test_a_message_without_secrets_keeps_its_arguments(lines: io.StringIO, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("some.library").warning("%d tasks", 3)
    assert (caplog.records[0].msg, caplog.records[0].args) == ("%d tasks", (3,))
    assert lines.getvalue() == "3 tasks\n"


def test_a_wrong_format_is_left_to_the_handler() -> None:
    record = RedactedRecord("some.library", logging.WARNING, "file.py", 1, "%d odd", ("x",), None)
    assert (record.msg, record.args) == ("%d odd", ("x",))
