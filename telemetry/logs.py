"""Sends log lines to OpenTelemetry, with the ids of the job, stage, batch and task that they are about."""

import logging
import re

from opentelemetry._logs import Logger, LoggerProvider, LogRecord, SeverityNumber
from opentelemetry.context import get_current, get_value
from typing_extensions import override

from telemetry.names import BATCH_ID, IDS, JOB_ID, STAGE, TASK_ID

_SEVERITIES = (
    (logging.CRITICAL, SeverityNumber.FATAL),
    (logging.ERROR, SeverityNumber.ERROR),
    (logging.WARNING, SeverityNumber.WARN),
    (logging.INFO, SeverityNumber.INFO),
)

_ID = re.compile(
    r"(?<![0-9A-Za-z])(?P<job>[0-9a-f]{32})"
    r"(?:-s(?P<stage>[0-9]{1,2})(?:-(?:b(?P<batch>[0-9]{1,7})|t(?P<task>[0-9]{7})))?)?(?![0-9A-Za-z])"
)
"""A job id, or an id of a batch or task, which contains those of its job and stage."""

_STAGE_AND_JOB = re.compile(r"\bstage (?P<stage>[0-9]{1,2}) of job (?P<job>[0-9a-f]{32})\b")


def ids_of(text: str) -> dict[str, str | int]:
    """Returns the ids that a log line is about: those of the first id in it."""
    if (match := _STAGE_AND_JOB.search(text)) is not None:
        return {JOB_ID: match["job"], STAGE: int(match["stage"])}
    if (match := _ID.search(text)) is None:
        return {}
    ids: dict[str, str | int] = {JOB_ID: match["job"]}
    if match["stage"] is not None:
        ids[STAGE] = int(match["stage"])
    if match["batch"] is not None:
        ids[BATCH_ID] = match[0]
    elif match["task"] is not None:
        ids[TASK_ID] = match[0]
    return ids


class LogLines(logging.Handler):
    """Sends log lines; their texts and tracebacks are redacted when they are made (`core/log_redaction.py`).

    The handler of OpenTelemetry's SDK would send the text of the exception itself, which nobody has redacted.
    """

    def __init__(self, provider: LoggerProvider) -> None:
        super().__init__()
        self._provider = provider
        self._loggers: dict[str, Logger] = {}

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(("opentelemetry", "urllib3", "requests")):
            return  # what sends log lines must not make more of them
        try:
            self._logger(record.name).emit(_converted(record))
        except Exception:  # noqa: BLE001 - as every handler of logging does
            self.handleError(record)

    def _logger(self, name: str) -> Logger:
        logger = self._loggers.get(name)
        if logger is None:
            logger = self._loggers[name] = self._provider.get_logger(name)
        return logger


def _converted(record: logging.LogRecord) -> LogRecord:
    text = record.getMessage()
    of_thread = get_value(IDS)
    attributes = {**(of_thread if isinstance(of_thread, dict) else {}), **ids_of(text)}
    if record.exc_info and record.exc_info[0] is not None:
        attributes["exception.type"] = record.exc_info[0].__name__
        if record.exc_text:
            attributes["exception.stacktrace"] = record.exc_text
    return LogRecord(
        timestamp=int(record.created * 1e9),
        context=get_current(),
        severity_text=record.levelname,
        severity_number=next((found for least, found in _SEVERITIES if record.levelno >= least), SeverityNumber.DEBUG),
        body=text,
        attributes=attributes,
    )
