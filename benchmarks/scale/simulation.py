"""Runs the model: instances receive messages, claim, run and record tasks, and complete the messages."""

from collections.abc import Generator
from math import ceil
from typing import Any

from simpy import Environment, Event, Resource, Store

from benchmarks.scale.model import BATCH, App, Cloud, Drained, Server

Steps = Generator[Event, Any, None]

_RESCHEDULED_SECONDS = 1.0
"""How far in the future a message is sent again at least."""


def drain(tasks: int, cloud: Cloud, server: Server, app: App) -> Drained:
    """Drains one stage whose messages all wait in the queue at the begin.

    Args:
        tasks: a multiple of 100.
        cloud: the broker and the scale controller.
        server: PostgreSQL.
        app: the app.
    """
    return _Stage(tasks, cloud, server, app).run()


class _Stage:
    def __init__(self, tasks: int, cloud: Cloud, server: Server, app: App) -> None:
        self._env = Environment()
        self._tasks = tasks
        # Each item is what one invocation receives. Receivers get them in the order in which they began to wait.
        self._queue = Store(self._env)
        self._queue.items.extend([BATCH] * (tasks // BATCH))
        self._ended = 0
        self._cloud = cloud
        self._app = app
        self._credits = _Credits(self._env, cloud.credits_per_second)
        self._postgres = _Postgres(self._env, server)
        self._instances = 0
        self._all_ended = self._env.event()

    def run(self) -> Drained:
        self._env.process(self._scale())
        self._env.run(until=self._all_ended)
        seconds = self._env.now
        return Drained(
            tasks=self._tasks,
            seconds=seconds,
            instances=self._instances,
            opened=self._postgres.most_opened,
            refused=self._postgres.refused,
            busy=self._postgres.cpu_seconds / (seconds * self._postgres.server.cores),
            stage_busy=self._postgres.stage_seconds / seconds,
            credit_busy=self._credits.used / seconds,
        )

    def _scale(self) -> Steps:
        """Starts all instances at once, or as the scale controller does: by the length of the queue."""
        if not self._app.is_scaled:
            for _ in range(self._app.most_instances):
                self._start()
            return
        per_instance = self._app.invocations * BATCH if self._app.message_per_batch else BATCH
        while self._queue.items:
            wanted = min(ceil(len(self._queue.items) * BATCH / per_instance), self._app.most_instances)
            for _ in range(min(wanted - self._instances, self._cloud.most_started)):
                self._env.process(self._start_later())
            yield self._env.timeout(self._cloud.decision_seconds)

    def _start_later(self) -> Steps:
        self._instances += 1
        yield self._env.timeout(self._cloud.start_seconds)
        self._run_instance()

    def _start(self) -> None:
        self._instances += 1
        self._run_instance()

    def _run_instance(self) -> None:
        pool = _Pool(self._postgres, self._app)
        for _ in range(self._app.invocations):
            self._env.process(self._receive(pool))

    def _receive(self, pool: "_Pool") -> Steps:
        """One of the invocations of an instance, again and again."""
        while True:
            tasks = yield self._queue.get()
            yield from self._hop(tasks)
            if (yield from pool.transaction(tasks)):
                yield self._env.timeout(self._app.run_seconds(tasks))
                yield from pool.transaction(tasks, ends_batch=True)
                yield from self._hop(0)  # Service Bus charges nothing for a completion
                self._end(tasks)
            else:
                yield self._env.timeout(_RESCHEDULED_SECONDS)
                self._queue.put(tasks)

    def _end(self, tasks: int) -> None:
        self._ended += tasks
        if self._ended == self._tasks:
            self._all_ended.succeed()

    def _hop(self, tasks: int) -> Steps:
        messages = ceil(tasks / BATCH) if self._app.message_per_batch else tasks
        yield from self._credits.take(messages)
        yield self._env.timeout(self._cloud.hop_seconds)


class _Credits:
    """Gives so many credits a second, in the order of those who ask."""

    def __init__(self, env: Environment, per_second: float | None) -> None:
        self._env = env
        self._per_second = per_second
        self._free_at = 0.0
        self.used = 0.0

    def take(self, messages: int) -> Steps:
        if self._per_second is None:
            return
        self._free_at = max(self._free_at, self._env.now) + messages / self._per_second
        self.used += messages / self._per_second
        yield self._env.timeout(self._free_at - self._env.now)


class _Postgres:
    """Cores that compute the transactions, and the row of the stage, which one of them locks at a time."""

    def __init__(self, env: Environment, server: Server) -> None:
        self.env = env
        self.server = server
        self._cores = Resource(env, server.cores)
        self._stage = Resource(env, 1)
        self._connections = Resource(env, server.connections) if server.pooled else None
        self._opened = 0
        self.most_opened = 0
        self.refused = 0
        self.cpu_seconds = 0.0
        self.stage_seconds = 0.0

    def connect(self) -> Generator[Event, Any, bool]:
        """Opens a connection; returns whether the server took it."""
        if self.server.pooled:
            return True
        if self._opened >= self.server.connections:
            self.refused += 1
            yield self.env.timeout(self.server.round_trip_seconds)
            return False
        self._opened += 1
        self.most_opened = max(self.most_opened, self._opened)
        yield from self._compute(self.server.connect_seconds)
        return True

    def transaction(self, tasks: int, *, ends_batch: bool) -> Steps:
        """Claims or records tasks; a record that ends a batch holds the row of its stage until the commit."""
        if self._connections is None:
            yield from self._run(tasks, ends_batch=ends_batch)
            return
        with self._connections.request() as mine:
            yield mine
            self.most_opened = max(self.most_opened, self._connections.count)
            yield from self._run(tasks, ends_batch=ends_batch)

    def _run(self, tasks: int, *, ends_batch: bool) -> Steps:
        server = self.server
        yield self.env.timeout(server.round_trip_seconds)
        yield from self._compute(server.transaction_seconds + tasks * server.task_seconds / 2)
        if not ends_batch:
            yield self.env.timeout(server.commit_seconds)
            return
        with self._stage.request() as locked:
            yield locked
            yield self.env.timeout(server.commit_seconds)
            self.stage_seconds += server.commit_seconds

    def _compute(self, seconds: float) -> Steps:
        with self._cores.request() as core:
            yield core
            yield self.env.timeout(seconds)
            self.cpu_seconds += seconds


class _Pool:
    """The connections of an instance: opened when needed, kept, and lent to one transaction at a time."""

    def __init__(self, postgres: _Postgres, app: App) -> None:
        self._postgres = postgres
        self._app = app
        self._permits = Resource(postgres.env, app.pool_size * app.processes)
        self._open = 0
        self._lent = 0

    def transaction(self, tasks: int, *, ends_batch: bool = False) -> Generator[Event, Any, bool]:
        """Runs a transaction on a connection of the pool; returns whether the server gave one in time."""
        env = self._postgres.env
        until = env.now + self._app.wait_seconds
        with self._permits.request() as permit:
            yield permit
            while self._lent == self._open:
                if (yield from self._postgres.connect()):
                    self._open += 1
                elif env.now > until:
                    return False
                else:
                    yield env.timeout(self._app.retry_seconds)
            self._lent += 1
            yield from self._postgres.transaction(tasks, ends_batch=ends_batch)
            self._lent -= 1
        return True
