"""SIGTERM: the platform is about to end this process.

At scale-in Azure first stops the triggers and lets running invocations go on, of which a Python worker is told nothing.
What still runs when the instance goes gets SIGTERM, and SIGKILL some seconds later; so does everything at once when an
app is restarted. The worker has no handler of its own.
"""

import logging
import os
import signal
import threading
from types import FrameType

from bootstrap import drain

logger = logging.getLogger(__name__)

_LAST_ANSWERS_SECONDS = 0.5
"""After the last invocation has ended: its end has to reach the Functions host."""


def drain_on_sigterm() -> None:
    """Has SIGTERM drain this process before it ends it; a second one ends it at once.

    To be called where the app is imported: the Functions worker does that in its main thread, to which Python gives
    signals, and calls functions in others.
    """
    ending = signal.getsignal(signal.SIGTERM) or signal.SIG_DFL

    def on_sigterm(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, ending)
        threading.Thread(target=_drain_and_end, name="drain", daemon=True).start()

    signal.signal(signal.SIGTERM, on_sigterm)


def _drain_and_end() -> None:
    try:
        drain()
    except Exception:
        logger.exception("The process ends undrained")
    threading.Event().wait(_LAST_ANSWERS_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
