"""The calls to PostgreSQL and to the broker, and how one of them is answered."""

import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

from local.service_bus.control.client import ControlClient
from local.service_bus.faults import Condition
from repositories.ports import UnitOfWork
from repositories.postgres import PostgresUnitOfWork
from tests.faults.answers.proxy import Answer, Proxy
from tests.faults.crash.points import Point, Points
from tests.faults.crash.shared import Shared

LATE_SECONDS = 0.3
SILENT_SECONDS = 2.5
"""How long a server is silent at least: longer than the client's limit for one call."""
MOST_SILENT_SECONDS = 60.0
"""How long it is silent if the health is not told before: so long that no busy machine delays the health as much."""
COMMIT = "commit"
"""As what a call does: any commit of its place."""
_REFUSED_SENDS = 5
"""One more than the client tries within a call."""
_SEND = "send to "
_CONDITIONS: tuple[Condition, ...] = (
    "amqp:resource-limit-exceeded",
    "amqp:unauthorized-access",
    "amqp:not-found",
    "com.microsoft:entity-disabled",
)
_PREPARING = b"SET "
"""What psycopg2 sends when it connects. A transaction begins in one message with its first statement."""
_REFUSAL = b"DO $$ BEGIN RAISE EXCEPTION 'permission denied for table' USING ERRCODE = 'insufficient_privilege'; END $$"
_TRANSFER, _TOKEN = b"\x00\x53\x14", b"put-token"


@dataclass(frozen=True, order=True)
class Call:
    """A call to PostgreSQL or to the broker.

    Attributes:
        function: the Functions function that runs.
        place: the function of the engine that makes it.
        what: a method of a repository, a commit, or a send.
    """

    function: str
    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.function} | {self.place} | {self.what}"

    def is_one_of(self, others: "Call") -> bool:
        """Whether it is such a call."""
        what = COMMIT if others.what == COMMIT and self.what.startswith(f"{COMMIT} of") else self.what
        return replace(self, what=what) == others

    @property
    def is_send(self) -> bool:
        """Whether it is a call to the broker."""
        return self.what.startswith(_SEND)


@dataclass(frozen=True)
class Strike:
    """A call, the first of its kind in a scenario, and how it is answered.

    Attributes:
        call: the call.
        answer: how it is answered.
        times: how many of these calls are refused.
    """

    call: Call
    answer: Answer
    times: int


class Trace:
    """Lines of JSON that processes write and their parent reads."""

    def __init__(self, fileno: int) -> None:
        self._fileno = fileno

    def write(self, kind: str, **values: Any) -> None:
        """Writes a line."""
        os.write(self._fileno, f"{json.dumps({'kind': kind, **values})}\n".encode())

    def read(self, kind: str) -> list[dict[str, Any]]:
        """The lines of a kind."""
        data = os.pread(self._fileno, os.fstat(self._fileno).st_size, 0)
        lines = [json.loads(line) for line in data.splitlines()]
        return [line for line in lines if line.pop("kind") == kind]

    def clear(self) -> None:
        """Forgets all lines."""
        os.ftruncate(self._fileno, 0)
        os.lseek(self._fileno, 0, os.SEEK_SET)


class Calls(Points):
    """Notes every call that concerns the job, and has one of them answered otherwise.

    Args:
        shared: counts the calls down, across lives.
        dies_at: where the story kills the process.
        strike: which call is answered how; None to note all calls.
        trace: gets what happens.
        ahead_seconds: how far the clock of the rows is ahead.
    """

    def __init__(
        self, shared: Shared, dies_at: Point | None, strike: Strike | None, trace: Trace, ahead_seconds: float
    ) -> None:
        super().__init__(shared, None, dies_at, None)
        self.concerns_the_job = True
        self.database_proxy: Proxy
        self.broker_proxy: Proxy
        self.control: ControlClient
        self.on_strike: Callable[[float], None]
        self._counts = shared
        self._ahead_seconds = ahead_seconds
        self._strike = strike
        self.trace = trace
        self._one_at_a_time = threading.Lock()

    def call(self, place: str, what: str, work: UnitOfWork | None = None) -> None:
        call = Call(self.function, place, what)
        if self._strike is None:
            if self.concerns_the_job:
                self.trace.write("call", **asdict(call))
        elif call.is_one_of(self._strike.call) and self.concerns_the_job:
            with self._one_at_a_time:
                self._meet(self._strike, work)

    def _meet(self, strike: Strike, work: UnitOfWork | None) -> None:
        first = self._counts.countdown()
        if not (first or (strike.answer == Answer.REFUSED and -strike.times < self._counts.passings_left < 0)):
            return
        self.trace.write("strike", at=time.time() + self._ahead_seconds, pid=os.getpid())
        if first:
            never = strike.answer in (Answer.UNHEARD, Answer.UNANSWERED)
            self.on_strike(SILENT_SECONDS if never else LATE_SECONDS)
        if strike.call.is_send:
            self._disturb_broker(strike)
        else:
            assert work is not None, "every other call is one to PostgreSQL"
            substitute = refused if strike.answer == Answer.REFUSED else None
            self.database_proxy.arm(strike.answer, _client_port(work), substitute)

    def _disturb_broker(self, strike: Strike) -> None:
        if strike.answer != Answer.REFUSED:
            self.broker_proxy.arm(strike.answer)
        else:
            queue = strike.call.what.removeprefix(_SEND)
            condition = _CONDITIONS[sum(map(ord, str(strike.call))) % len(_CONDITIONS)]
            self.control.refuse(condition, count=_REFUSED_SENDS, entity=queue)


def is_statement(data: bytes) -> bool:
    """Whether bytes to PostgreSQL are a statement that the application asks for."""
    return data[:1] == b"Q" and not data[5:].startswith(_PREPARING)


def is_message(data: bytes) -> bool:
    """Whether bytes to the broker are a message of the application, or open the connection for one."""
    return data.startswith(b"AMQP") or (_TRANSFER in data and _TOKEN not in data)


def refused(statement: bytes) -> bytes:
    """The statement that PostgreSQL gets instead of one that it refuses."""
    assert len(statement) == 1 + struct.unpack("!I", statement[1:5])[0], "a statement comes in one piece"
    return b"Q" + struct.pack("!I", len(_REFUSAL) + 5) + _REFUSAL + b"\x00"


def _client_port(work: UnitOfWork) -> int:
    cursor = cast(PostgresUnitOfWork, work)._rows._cursor
    with socket.socket(fileno=os.dup(cursor.connection.fileno())) as connection:
        port: int = connection.getsockname()[1]
    return port
