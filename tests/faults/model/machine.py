"""The state machine: everything that may happen to the engine, in any order."""

from collections import Counter
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controllers.base import DispatchProtocol
from core.errors import QueueUnavailableError
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, TASKS_QUEUE, MessagePer
from core.statuses import JobStatus
from engine.repair.dead_letters import MAX_RESENDS
from tests.faults.model.broker import DEAD, LOCK_SECONDS, MAX_DELIVERIES
from tests.faults.model.invocation import Fault, Strike
from tests.faults.model.jobs import BEHAVIOURS, BREAKS, TOLERANCES, Kind, Plan
from tests.faults.model.rest import bring_to_rest, deliver_everything
from tests.faults.model.world import DEAD_QUEUES, QUEUES, World, job_of

_SIZES = (1, 2, 3, 1, 2, 3, 0, 99, 100, 101, 250)
_MOST_JOBS = 4
LONGEST_RESEND_SECONDS = 160
_STRIKES = [Fault(strike, at) for at in (1, 1, 2, 2, 3, 4, 5, 6, 8) for strike in (*Strike, Strike.STOP)]

Manner = tuple[DispatchProtocol, float, MessagePer]
"""What the kind of a job says beside the number of its stages."""

Waits = tuple[float | None, tuple[int, ...]]
"""Seconds until the start of a job, and the numbers of jobs before it."""

parts = st.sampled_from(["batch", "tasks", "errors", "errors", "unknown"])
processes = st.sampled_from([0, 1])
faults = st.sampled_from([None] * len(_STRIKES) + _STRIKES)
numbers = st.integers(0, 1_000)
places = st.sampled_from([1, 1, 2, 3, 4, 5, 6])
plans = st.builds(
    Plan,
    use_service_bus=st.sampled_from([True, True, True, False]),
    sizes=st.lists(st.sampled_from(_SIZES), min_size=1, max_size=3).map(tuple),
    behaviours=st.lists(st.sampled_from(BEHAVIOURS), min_size=1, max_size=3).map(tuple),
    lane=st.sampled_from(["fast", "fast", "long"]),
    breaks=st.sampled_from(BREAKS),
    key=st.sampled_from(["", "one", "one"]),
)
manners = st.tuples(st.sampled_from(DispatchProtocol), st.sampled_from(TOLERANCES), st.sampled_from(MessagePer))
waits = st.tuples(
    st.sampled_from([None, None, None, 30.0, 400.0]), st.lists(st.integers(0, _MOST_JOBS), max_size=2).map(tuple)
)


class EngineMachine(RuleBasedStateMachine):
    """One run: steps, none of which may violate anything, and then the way to rest.

    Class attributes:
        tally: what has happened in all runs.
    """

    tally: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.world = World(EngineMachine.tally)

    @initialize(
        plan=plans,
        manner=manners,
        second=st.none() | waits,
        limited=st.sampled_from([True, True, False]),
    )
    def begin_with_a_job(self, plan: Plan, manner: Manner, second: Waits | None, limited: bool) -> None:  # noqa: FBT001 - drawn by name
        """Some runs begin with two jobs, which may have the same key; in some, no task type has limits."""
        self.world.deploy(limited=limited)
        self.submit(plan, manner, (None, ()), 0, None)
        if second is not None:
            self.submit(plan, manner, second, 1, None)
        self.world.deliver(0, JOBS_QUEUE, 1)

    # --- clients and the timer ---------------------------------------------------------------

    @precondition(lambda self: len(self.world.submitted) < _MOST_JOBS)
    @rule(
        plan=plans,
        manner=manners,
        waits=waits,
        process=processes,
        fault=faults,
    )
    def submit(self, plan: Plan, manner: Manner, waits: Waits, process: int, fault: Fault | None) -> None:
        """Submits a job; some wait for a time or for jobs before them."""
        before = list(self.world.submitted)
        after = tuple(dict.fromkeys(before[number % len(before)] for number in waits[1] if before))
        kind = Kind(len(plan.sizes), *manner)
        self.world.submit(process, job_of(len(before), kind, plan, waits[0], after), fault)

    @rule(number=numbers, process=processes, fault=faults)
    def submit_again(self, number: int, process: int, fault: Fault | None) -> None:
        self.world.submit(process, self.world.submitted[self.job(number)], fault)

    @rule(number=numbers, process=processes, fault=faults)
    def cancel(self, number: int, process: int, fault: Fault | None) -> None:
        self.world.cancel(process, self.job(number), fault)

    @precondition(lambda self: self.ended(JobStatus.FAILED, JobStatus.COMPLETED_WITH_ERRORS))
    @rule(number=numbers, process=processes, fault=faults)
    def retry(self, number: int, process: int, fault: Fault | None) -> None:
        ended = self.ended(JobStatus.FAILED, JobStatus.COMPLETED_WITH_ERRORS)
        self.world.retry(process, ended[number % len(ended)], fault)

    @precondition(lambda self: self.ended(JobStatus.FAILED, JobStatus.COMPLETED_WITH_ERRORS))
    @rule(number=numbers, process=processes, fault=faults, what=parts, which=numbers)
    def retry_a_part(self, number: int, process: int, fault: Fault | None, what: str, which: int) -> None:
        ended = self.ended(JobStatus.FAILED, JobStatus.COMPLETED_WITH_ERRORS)
        self.world.retry(process, ended[number % len(ended)], fault, (what, which))

    @precondition(lambda self: self.ended(JobStatus.CANCELLED))
    @rule(number=numbers, process=processes, fault=faults)
    def resume(self, number: int, process: int, fault: Fault | None) -> None:
        ended = self.ended(JobStatus.CANCELLED)
        self.world.resume(process, ended[number % len(ended)], fault)

    @rule(process=processes, fault=faults)
    def sweep(self, process: int, fault: Fault | None) -> None:
        self.world.sweep(process, fault)

    # --- the broker --------------------------------------------------------------------------

    @precondition(lambda self: self.world.broker.ready(JOBS_QUEUE))
    @rule(process=processes, fault=faults)
    def deliver_a_job_message(self, process: int, fault: Fault | None) -> None:
        self.world.deliver(process, JOBS_QUEUE, 1, 0, fault)

    @precondition(lambda self: self.world.broker.ready(TASKS_QUEUE))
    @rule(process=processes, most=st.sampled_from([100, 10, 1]), seed=numbers, fault=faults)
    def deliver_task_messages(self, process: int, most: int, seed: int, fault: Fault | None) -> None:
        self.world.deliver(process, TASKS_QUEUE, most, seed, fault)

    @precondition(lambda self: self.world.broker.ready(BATCHES_QUEUE))
    @rule(process=processes, seed=numbers, fault=faults)
    def deliver_an_envelope(self, process: int, seed: int, fault: Fault | None) -> None:
        self.world.deliver(process, BATCHES_QUEUE, 1, seed, fault)

    @precondition(lambda self: self.ready())
    @rule(queue=numbers, first=places, second=places)
    def a_second_process_takes_over_and_the_first_goes_on(self, queue: int, first: int, second: int) -> None:
        """Both stop in the middle of the same work; the second begins when the first's locks and leases are over."""
        name, stopped = self.pick(queue), len(self.world.stopped)
        self.world.deliver(0, name, 100, 0, Fault(Strike.STOP, first))
        self.world.pass_time(LOCK_SECONDS)
        self.world.deliver(1, name, 100, 0, Fault(Strike.STOP, second))
        if len(self.world.stopped) > stopped:
            self.world.go_on(stopped)

    @precondition(lambda self: self.ready())
    @rule(process=processes, queue=numbers, seed=numbers, fault=faults)
    def deliver_of_any_queue(self, process: int, queue: int, seed: int, fault: Fault | None) -> None:
        self.world.deliver(process, self.pick(queue), 10, seed, fault)

    @precondition(lambda self: self.ready())
    @rule()
    def deliver_everything(self) -> None:
        deliver_everything(self.world)

    @precondition(lambda self: self.ready())
    @rule(queue=numbers, seed=numbers, copies=st.integers(1, 4))
    def duplicate(self, queue: int, seed: int, copies: int) -> None:
        self.world.broker.duplicate(self.pick(queue), seed, copies)

    @precondition(lambda self: self.ready())
    @rule(queue=numbers, seed=numbers)
    def lose_messages(self, queue: int, seed: int) -> None:
        self.world.broker.lose(self.pick(queue), seed)

    @rule(times=st.integers(1, 3))
    def refuse_sends(self, times: int) -> None:
        self.world.queue.failures.extend([QueueUnavailableError("away")] * times)

    # --- everything else ---------------------------------------------------------------------

    @precondition(lambda self: self.ready())
    @rule(process=processes, queue=numbers, times=st.sampled_from([1, 1, MAX_RESENDS + 1]))
    def postgres_is_unavailable_until_messages_die(self, process: int, queue: int, times: int) -> None:
        name = self.pick(queue).removesuffix(DEAD)
        for _ in range(times):
            for _ in range(MAX_DELIVERIES):
                self.world.deliver(process, name, 100, 0, Fault(Strike.AWAY, 0))
            while self.world.broker.ready(name + DEAD):
                self.world.deliver(process, name + DEAD, 1)
            self.world.pass_time(LONGEST_RESEND_SECONDS)

    @rule(seconds=st.sampled_from([1, 10, 51, 61, 301, 1_000]))
    def pass_time(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule(process=processes)
    def kill(self, process: int) -> None:
        self.world.kill(process)

    @precondition(lambda self: self.world.stopped)
    @rule(number=numbers, fault=faults)
    def go_on(self, number: int, fault: Fault | None) -> None:
        self.world.go_on(number % len(self.world.stopped), fault)

    # --- what must hold ----------------------------------------------------------------------

    @invariant()
    def nothing_is_violated(self) -> None:
        assert not self.world.audit.violations

    def teardown(self) -> None:
        try:
            bring_to_rest(self.world)
        finally:
            self.world.end()

    def ready(self) -> list[str]:
        """The queues with messages that can be delivered."""
        return [name for name in (*QUEUES, *DEAD_QUEUES) if self.world.broker.ready(name)]

    def ended(self, *statuses: JobStatus) -> list[str]:
        """The jobs that have ended with one of these statuses."""
        return [job.job_id for job in self.world.audit.tables.jobs.rows() if job.status in statuses]

    def job(self, number: int) -> str:
        """A job that was submitted."""
        return list(self.world.submitted)[number % len(self.world.submitted)]

    def pick(self, number: int) -> str:
        """One of these."""
        ready = self.ready()
        return ready[number % len(ready)]
