"""A model of one stage that many instances drain: what each part of the cloud gives, and what a task takes of it.

No clock and no socket: SimPy moves the time. What a task takes is measured (`docs/scale.md` says where); the times of
the cloud are assumptions, which stand in `Cloud` and `Server` beside the limits and their sources.
"""

from dataclasses import dataclass
from math import ceil

BATCH = 100
"""Tasks of a batch, and messages of an invocation."""


@dataclass(frozen=True)
class Cloud:
    """The broker and the scale controller.

    Attributes:
        credits_per_second: messages sent and received in a second; Standard has 1,000 (docs: Service Bus, "Throttling
            operations"); None for Premium, whose limit is the CPU of its units.
        hop_seconds: a receive, or a completion, within a region. An assumption.
        start_seconds: from the decision to the first receive of a new instance. An assumption.
        decision_seconds: between two decisions of the scale controller. An assumption.
        most_started: instances that one decision adds (docs: Azure Functions, "Target-based scaling").
    """

    credits_per_second: float | None = 1_000
    hop_seconds: float = 0.01
    start_seconds: float = 5.0
    decision_seconds: float = 10.0
    most_started: int = 4


@dataclass(frozen=True)
class Server:
    """PostgreSQL.

    Attributes:
        cores: vCores.
        connections: how many clients it takes (docs: Azure Database for PostgreSQL, "Limits": those of users).
        pooled: whether clients connect through PgBouncer in transaction mode: then a client holds a connection for one
            transaction, and waits for one in turn.
        round_trip_seconds: between an instance and the server. An assumption.
        commit_seconds: until the WAL is on the disk; changed rows stay locked meanwhile. An assumption.
        connect_seconds: CPU of a new connection: a process, TLS, authentication. An assumption.
        transaction_seconds: CPU of a transaction, beside that of its tasks.
        task_seconds: CPU of the claim and of the record of one task.
    """

    cores: int = 4
    connections: int = 1_703
    pooled: bool = False
    round_trip_seconds: float = 0.001
    commit_seconds: float = 0.002
    connect_seconds: float = 0.005
    transaction_seconds: float = 0.000_3
    task_seconds: float = 0.000_04


@dataclass(frozen=True)
class App:
    """The app, as it is deployed.

    Attributes:
        most_instances: `maximumInstanceCount`; as many run from the begin on, unless `is_scaled`.
        is_scaled: whether the scale controller starts them.
        message_per_batch: whether a message carries a batch (`message_per="batch"`).
        invocations: that one instance runs at once.
        threads: `WORKER_THREADS`: handlers at once on an instance.
        pool_size: `DATABASE_POOL_SIZE`: the most connections of a worker process.
        processes: `FUNCTIONS_WORKER_PROCESS_COUNT`.
        handler_seconds: how long a task runs.
        python_seconds: CPU of the worker for one task, on the one core that Python computes on.
        retry_seconds: the pause before a connection is tried again that the server refused.
        wait_seconds: after this time the messages are rescheduled (`LEASE_SECONDS`).
    """

    most_instances: int = 40
    is_scaled: bool = False
    message_per_batch: bool = False
    invocations: int = 2
    threads: int = 8
    pool_size: int = 16
    processes: int = 1
    handler_seconds: float = 1.0
    python_seconds: float = 0.000_04
    retry_seconds: float = 1.0
    wait_seconds: float = 50.0

    @property
    def connections(self) -> int:
        """The most connections that all its instances may open."""
        return self.most_instances * self.processes * self.pool_size

    def run_seconds(self, tasks: int) -> float:
        """How long the handlers of one invocation take: it shares the threads of its instance with the others."""
        threads = max(self.threads * self.processes // self.invocations, 1)
        return ceil(tasks / threads) * self.handler_seconds + tasks * self.python_seconds


@dataclass(frozen=True)
class Drained:
    """How one stage was drained.

    Attributes:
        seconds: from the first receive to the last record.
        instances: the most that ran.
        opened: the most connections that clients held.
        refused: attempts to connect that the server refused.
        busy: the part of the time that the server's cores computed.
        stage_busy: the part of the time that the row of the stage was locked.
        credit_busy: the part of the time that the namespace's credits were used up.
    """

    tasks: int
    seconds: float
    instances: int
    opened: int
    refused: int
    busy: float
    stage_busy: float
    credit_busy: float

    @property
    def tasks_per_second(self) -> float:
        """The rate of the whole drain."""
        return self.tasks / self.seconds
