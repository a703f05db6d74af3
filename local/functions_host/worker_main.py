"""The entry point of a worker process: ``python -m local.functions_host.worker_main APP_DIR``.

The worker talks to the host over its standard input and output.
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
    """Use standard input and output for the channel, and redirect the app's prints to standard error."""
    reader, writer = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return Channel(reader, writer)


def main() -> int:
    """Index the app, report the result to the host, run invocations; returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the host stops the workers
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
    except BaseException:  # noqa: BLE001 - the app may raise anything at import; the host shows the traceback
        channel.send(LoadFailed(traceback.format_exc()))
        return 1
    channel.send(Ready(indexed(functions)))
    asyncio.run(worker.run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
