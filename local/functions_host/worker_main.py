"""The worker process's start: ``python -m local.functions_host.worker_main APP_DIR``.

Its channel to the host is standard input and output.
"""

import asyncio
import logging
import os
import signal
import sys
import traceback
from pathlib import Path

from local.functions_host.errors import AppLoadError
from local.functions_host.indexing import indexed, load_app
from local.functions_host.protocol import Channel, LoadFailed, Ready
from local.functions_host.worker import Worker


def _open_channel() -> Channel:
    """Take standard input and output for the channel, and leave the app's own prints to standard error."""
    reader, writer = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return Channel(reader, writer)


def main() -> int:
    """Index the app, report, serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the host drains us
    channel = _open_channel()
    app_dir = Path(sys.argv[1])
    os.chdir(app_dir)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("azure").setLevel(logging.WARNING)
    try:
        functions = load_app(app_dir)
        worker = Worker(channel, functions, app_dir)
    except AppLoadError as exc:
        channel.send(LoadFailed(str(exc)))
        return 1
    except BaseException:  # noqa: BLE001 - whatever the app raises at import is shown as it is
        channel.send(LoadFailed(traceback.format_exc()))
        return 1
    channel.send(Ready(indexed(functions)))
    asyncio.run(worker.run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
