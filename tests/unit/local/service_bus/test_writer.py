import asyncio
import socket
from collections.abc import Awaitable, Callable

from local.service_bus.amqp.writer import DelayedWriter

LONG_MS = 600_000

Use = Callable[[DelayedWriter, asyncio.StreamReader], Awaitable[None]]


class Setting:
    """The current delay."""

    delay_ms = 0


def with_writer(setting: Setting, use: Use) -> None:
    """Runs `use` with a writer at one end of a connection and a reader at the other."""

    async def run() -> None:
        here, there = socket.socketpair()
        reader, far = await asyncio.open_connection(sock=there)
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=here)
        writer = DelayedWriter(transport, lambda: setting.delay_ms)
        async with asyncio.timeout(120):
            await use(writer, reader)
        writer.abort()
        far.close()

    asyncio.run(run())


def test_without_a_delay_it_writes_at_once() -> None:
    async def use(writer: DelayedWriter, reader: asyncio.StreamReader) -> None:
        writer.write(b"ab")
        writer.write_eof()
        assert await reader.read() == b"ab"

    with_writer(Setting(), use)


def test_delayed_writes_are_in_order_and_the_end_of_the_stream_is_last() -> None:
    setting = Setting()
    setting.delay_ms = 20

    async def use(writer: DelayedWriter, reader: asyncio.StreamReader) -> None:
        for letter in (b"a", b"b", b"c"):
            writer.write(letter)
        writer.write_eof()
        assert await reader.read() == b"abc"

    with_writer(setting, use)


def test_released_writes_are_in_order_and_before_later_ones() -> None:
    setting = Setting()

    async def use(writer: DelayedWriter, reader: asyncio.StreamReader) -> None:
        setting.delay_ms = LONG_MS
        for letter in (b"a", b"b", b"c"):
            writer.write(letter)
        setting.delay_ms = 0
        writer.release()
        writer.write(b"d")
        writer.write_eof()
        assert await reader.read() == b"abcd"

    with_writer(setting, use)


def test_an_abort_drops_delayed_writes() -> None:
    setting = Setting()

    async def use(writer: DelayedWriter, reader: asyncio.StreamReader) -> None:
        setting.delay_ms = LONG_MS
        writer.write(b"a")
        writer.abort()
        writer.release()
        assert await reader.read() == b""

    with_writer(setting, use)
