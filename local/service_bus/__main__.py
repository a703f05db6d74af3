"""The command line of the Service Bus emulator: `python -m local.service_bus`."""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from local.service_bus.broker.journal import JournalError
from local.service_bus.config import DEFAULT_CONFIG, ConfigError, load_config
from local.service_bus.entities import Tier
from local.service_bus.server import PortInUseError, Server
from local.service_bus.store import Store, StoreError

_new_event_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    import uvloop
except ImportError:  # uvloop does not support Windows
    _new_event_loop = asyncio.new_event_loop
else:
    _new_event_loop = uvloop.new_event_loop


def main() -> int:
    """Runs the emulator until SIGTERM or SIGINT; returns the exit code."""
    arguments = _parser().parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        config = load_config(arguments.config)
        store = Store(arguments.data) if arguments.data else None
        with asyncio.Runner(loop_factory=_new_event_loop) as runner:
            runner.run(_run(Server(config, arguments.tier, arguments.credits_per_second, store), arguments))
    except (ConfigError, PortInUseError, StoreError, JournalError) as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.service_bus", description="A local Azure Service Bus.")
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG, help="entities, as in Microsoft's Config.json")
    parser.add_argument("--port", type=_port, default=5672, help="AMQP port, 0 for a free one")
    parser.add_argument("--http-port", type=_port, default=5300, help="port of the control interface, 0 for a free one")
    parser.add_argument("--data", type=Path, help="file that keeps messages across restarts; by default none are kept")
    parser.add_argument("--tier", type=Tier, choices=list(Tier), default=Tier.STANDARD, help="256 KB or 1 MB a message")
    parser.add_argument(
        "--credits-per-second", type=_credits, help="throttle sends and receives; Azure's Standard tier has 1000"
    )
    parser.add_argument("--exit-with-parent", action="store_true", help="stop when standard input ends")
    return parser


def _port(text: str) -> int:
    number = int(text)
    if number not in range(65_536):
        raise argparse.ArgumentTypeError(f"{number} is not a port number")
    return number


def _credits(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number


async def _run(server: Server, arguments: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    if arguments.exit_with_parent:
        _watch_stdin(lambda: loop.call_soon_threadsafe(stopping.set))
    ports = await server.start(arguments.port, arguments.http_port)
    print(json.dumps(asdict(ports)), flush=True)
    await stopping.wait()
    await server.stop()


def _watch_stdin(on_end: Callable[[], object]) -> None:
    """Calls `on_end` from a thread when the process at the other end of standard input has ended."""

    def watch() -> None:
        # Not sys.stdin: the interpreter cannot close it at exit while this thread reads from it.
        while os.read(0, 4096):
            pass
        on_end()

    threading.Thread(target=watch, name="stdin", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
