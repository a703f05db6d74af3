"""Takes secrets out of the log lines of this process, those of libraries included."""

import logging

from core.redaction import redacted

_formatter = logging.Formatter()


class RedactedRecord(logging.LogRecord):
    """A log record whose message and traceback are redacted.

    A filter would see the records of one logger or one handler only; the Functions worker brings handlers of its own.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type] # passed on as they come
        try:
            message = self.getMessage()
        except Exception:  # noqa: BLE001 - a wrong format is reported when the record is handled
            return
        shown = redacted(message)
        if shown != message:
            self.msg, self.args = shown, ()
        if self.exc_info and self.exc_info[0] is not None:
            self.exc_text = redacted(_formatter.formatException(self.exc_info))


def redact_logs() -> None:
    """Redacts all log lines of this process from now on; calling it again changes nothing."""
    logging.setLogRecordFactory(RedactedRecord)
