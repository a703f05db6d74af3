"""The command line of ``python -m local.functions_host``, which runs a function app on this machine."""

import argparse
import contextlib
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from local.functions_host.errors import FunctionsHostError
from local.functions_host.functions import FunctionTable
from local.functions_host.host import Host
from local.functions_host.http_server import HOST, bind
from local.functions_host.settings import load_local_settings

logger = logging.getLogger(__name__)


def main() -> int:
    """Run until a signal arrives; returns 0 after a clean stop and 1 if the app does not start."""
    options = _parse()
    _set_up_logging()
    stopping = _stop_on_signal()
    if options.exit_with_parent:
        threading.Thread(target=_wait_for_parent, args=(stopping,), daemon=True).start()
    app_dir = options.app_dir.resolve()
    try:
        load_local_settings(app_dir)
        with contextlib.ExitStack() as unless_running:
            listening = unless_running.enter_context(bind(options.port))
            port = listening.getsockname()[1]
            host = Host(app_dir, listening, options.batch_concurrency, options.keys)
            unless_running.pop_all()
    except FunctionsHostError as exc:
        print(f"The function app in {app_dir} does not start: {exc}", file=sys.stderr)
        return 1
    _list(host.table, port)
    host.start()
    print(json.dumps({"http_port": port}), flush=True)
    stopping.wait()
    logger.info("Stopping: waiting up to %s s for running invocations", options.grace)
    host.stop(options.grace, options.kill_after)
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.functions_host", description=__doc__)
    parser.add_argument("--app-dir", type=Path, default=Path(), help="directory that contains function_app.py")
    parser.add_argument("--port", type=int, default=7071, help="HTTP port, 0 for a free one")
    parser.add_argument(
        "--batch-concurrency",
        type=int,
        default=2,
        help="concurrent invocations of a batch function; Azure runs one per instance",
    )
    parser.add_argument("--grace", type=float, default=30.0, help="seconds to wait for running invocations at a stop")
    parser.add_argument(
        "--kill-after", type=float, default=10.0, help="seconds from SIGTERM to SIGKILL for workers still busy then"
    )
    parser.add_argument("--keys", type=Path, help="JSON file of access keys; by default HTTP functions need no key")
    parser.add_argument("--exit-with-parent", action="store_true", help="stop when standard input ends")
    return parser.parse_args()


def _set_up_logging() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # The clients log every failed attempt; the host logs an outage once.
    logging.getLogger("azure").setLevel(logging.CRITICAL)


def _stop_on_signal() -> threading.Event:
    stopping = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if stopping.is_set():
            os._exit(1)  # a second signal; the workers exit too, because their pipes close
        stopping.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return stopping


def _wait_for_parent(stopping: threading.Event) -> None:
    while os.read(0, 4096):
        continue
    stopping.set()


def _list(table: FunctionTable, port: int) -> None:
    lines = ["Functions:"]
    for function in (each for each in table.http if not each.is_disabled):
        methods = f"[{','.join(sorted(function.methods))}] " if function.methods else ""
        lines.append(f"  {function.name}: {methods}http://{HOST}:{port}/{function.route.template}")
    lines += [
        f"  {function.name}: serviceBusTrigger {function.entity}{' (many)' if function.many else ''}"
        for function in table.service_bus
    ]
    lines += [f"  {function.name}: queueTrigger {function.queue}" for function in table.storage_queues]
    lines += [f"  {timer.name}: timerTrigger {timer.schedule_text}" for timer in table.timers]
    lines += [f"  {name}: disabled by an app setting" for name in table.disabled]
    print("\n".join(lines), file=sys.stderr)
