"""Drains the process on SIGTERM, if one comes.

It saves time where a host sends SIGTERM, as the local one and container runtimes do. Nothing depends on it: no test ran
on Azure, and by its source, its host kills workers that do not declare support for its `WorkerTerminate` message, as
the Python worker does not. A killed process leaves leases, which expire (docs/reliability.md, "Shutdown").
"""

import logging
import os
import signal
import threading
from types import FrameType

from bootstrap import drain

logger = logging.getLogger(__name__)

_LAST_ANSWERS_SECONDS = 0.5
"""How long the result of the last invocation may take to reach the Functions host."""


def drain_on_sigterm() -> None:
    """Makes SIGTERM drain this process before it dies; a second SIGTERM does not wait.

    Call it where the app is imported: the Functions worker imports the app in its main thread, the only one in which
    Python can install a signal handler, and calls functions in other threads. Another host may import it elsewhere:
    then the process does not drain, and its functions work all the same.
    """
    ending = signal.getsignal(signal.SIGTERM) or signal.SIG_DFL

    def on_sigterm(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, ending)
        threading.Thread(target=_drain_and_end, name="drain", daemon=True).start()

    try:
        signal.signal(signal.SIGTERM, on_sigterm)
    except ValueError as exc:
        logger.warning("this process does not drain on SIGTERM, so its tasks wait for their leases to expire: %s", exc)


def _drain_and_end() -> None:
    try:
        drain()
    except Exception:
        logger.exception("draining failed; the process ends anyway")
    threading.Event().wait(_LAST_ANSWERS_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
