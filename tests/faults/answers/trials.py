"""One trial: a scenario, and a call in it that is answered late, never, or with an error."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

from tests.faults.answers.calls import MOST_SILENT_SECONDS, Call, Calls, Strike
from tests.faults.answers.host import SIDE_BY_SIDE, AnsweringHost
from tests.faults.answers.proxy import Answer
from tests.faults.answers.world import AnsweringWorld
from tests.faults.crash.broken_stories import OtherCourseError, RestlessError, played
from tests.faults.crash.invariants import violations
from tests.faults.crash.story import LOCK_SECONDS, SILENCE_SECONDS, Life, Scenario
from tests.faults.crash.trials import has_messages, is_over
from tests.faults.crash.world import Subject

HEALTH_SECONDS = MOST_SILENT_SECONDS * 3 / 4
"""Whoever tells it later has waited for the end of a silence."""
NEIGHBOUR_SECONDS = LOCK_SECONDS - 5
"""From the last disturbed call: most of it are the pauses of the client and of the application between two tries. One
that waits for the sweeper or for the end of a lease takes `LOCK_SECONDS` more."""
SLOW_NEIGHBOUR_SECONDS = 2 * LOCK_SECONDS - 5
"""Where the sweeper sends a message that the broker did not take, or tasks wait for the end of a lease."""
_RELEASES = {"Releaser.release", "Worker._run_claimed"}
_MOST_LIVES = 40


@dataclass(frozen=True)
class Recording:
    """An undisturbed scenario.

    Attributes:
        scenario: its name.
        calls: the calls that concern the job, in order.
        spent: how many attempts its tasks have spent.
        lives: how many processes it took.
        depends_on_threads: whether the order of threads decides which calls it makes.
        has_two_versions: whether hosts of two versions run it side by side.
    """

    scenario: str
    calls: tuple[Call, ...]
    spent: int
    lives: int
    depends_on_threads: bool
    has_two_versions: bool


@dataclass(frozen=True)
class Outcome:
    """The outcome of a trial.

    Attributes:
        struck: whether the call was made.
        violations: what did not hold.
        late: what took too long, as it may on a busy machine.
        health_seconds: the longest that a request for the health took during the fault.
        neighbour_seconds: how long after the call the neighbour ended.
        passed_seconds: how much time passed until all was at rest, by the clock of the rows.
        lives: how many processes it took.
        played_again: how often the trial was played before, each time until a call exceeded its limit, or with
            something that took too long.
    """

    struck: bool
    violations: tuple[str, ...]
    late: tuple[str, ...] = ()
    health_seconds: float = 0.0
    neighbour_seconds: float = 0.0
    passed_seconds: float = 0.0
    lives: int = 0
    played_again: int = 0


class Trial:
    """Plays a scenario in a world.

    Args:
        world: where it plays; it is emptied first.
        scenario: the story.
        size: how many tasks the job has.
        strike: which call is answered how; None for an undisturbed scenario.
    """

    def __init__(self, world: AnsweringWorld, scenario: Scenario, size: int, strike: Strike | None = None) -> None:
        world.reset()
        self._world = world
        self._scenario = scenario
        self._size = size
        self._strike = strike
        self._subject = Subject(scenario.controller, size, scenario.environment)
        self._lives = 0
        self._waits = 0

    def record(self) -> Recording:
        """Plays it undisturbed."""
        outcome = self._play()
        assert not outcome.violations, (self._scenario.name, outcome)
        calls = tuple(Call(**line) for line in self._world.trace.read("call"))
        return Recording(
            *(self._scenario.name, calls, self._spent(), self._lives, self._scenario.depends_on_threads),
            has_two_versions=SIDE_BY_SIDE in self._scenario.environment,
        )

    def disturb(self, spent: int) -> Outcome:
        """Plays it with the disturbed call.

        Args:
            spent: how many attempts the tasks spend undisturbed.

        Raises:
            UnplayedError: the story broke off before the call, because another call exceeded its limit.
            StoryError: it broke off otherwise.
        """
        assert self._strike is not None, "something disturbs it"
        self._world.shared.arm(1)
        with played(self._is_struck):
            outcome = self._play()
        broken = (*outcome.violations, *self._broken(spent))
        return replace(outcome, violations=broken, late=tuple(self._late(outcome)))

    def _play(self) -> Outcome:
        self._tell()
        while not is_over(self._world):
            self._live(Life())
            if not is_over(self._world):
                # At first a neighbour may wait for the sweeper's next run, then only the job for what was lost.
                short = self._waits == 0 or has_messages(self._world)
                self._world.let_pass(LOCK_SECONDS if short else SILENCE_SECONDS)
                self._waits += 1
        return Outcome(
            struck=self._is_struck(),
            violations=tuple(violations(self._world, self._scenario, self._size)),
            health_seconds=max((line["seconds"] for line in self._world.trace.read("health")), default=0.0),
            neighbour_seconds=self._neighbour_seconds(),
            passed_seconds=self._world.passed_seconds,
            lives=self._lives,
        )

    def _tell(self) -> None:
        """Plays the story, until a call is disturbed."""
        for life in self._scenario.lives:
            if life.before:
                life.before(self._world)
            if self._live(life):
                return
            if life.after:
                life.after(self._world)
            self._world.let_pass(life.pass_seconds)

    def _live(self, life: Life) -> bool:
        """Lets a process live; returns whether a call was disturbed for the first time."""
        self._lives += 1
        if self._lives > _MOST_LIVES:
            raise RestlessError("it does not come to rest", self._world.log())
        before = self._is_struck()
        dies_at = None if before else life.dies_at
        calls = Calls(self._world.shared, dies_at, self._strike, self._world.trace, self._world.ahead_seconds)
        died = self._world.live(self._subject, lambda host: cast(AnsweringHost, host).live(life.act), calls)
        struck = self._is_struck() and not before
        if struck:
            self._waits = 0
        if before or struck:
            self._world.emulator.control.clear_faults()
        elif not died and life.dies_at is not None:
            what = f"life {self._lives} of {self._scenario.name!r} does not pass {life.dies_at}"
            raise OtherCourseError(what, self._world.log())
        return struck

    def _broken(self, spent: int) -> Iterator[str]:
        """What else did not hold."""
        if self._spent() > spent:
            yield f"the tasks spend {self._spent()} attempts instead of {spent}"
        for wrong in self._world.execute(
            "SELECT job_id, status, result, error FROM jobs WHERE job_type = 'neighbour' AND status <> 'completed'"
        ):
            yield f"a neighbour is {wrong}"

    def _late(self, outcome: Outcome) -> Iterator[str]:
        if outcome.health_seconds > HEALTH_SECONDS:
            yield f"the health is told after {outcome.health_seconds} s"
        assert self._strike is not None, "something disturbs it"
        call, answer = self._strike.call, self._strike.answer
        slow = call.place in _RELEASES or (call.is_send and answer == Answer.REFUSED)
        slow = slow or any(each["pending"] for each in self._world.trace.read("neighbour"))
        if outcome.neighbour_seconds > (SLOW_NEIGHBOUR_SECONDS if slow else NEIGHBOUR_SECONDS):
            yield f"the neighbour ends after {outcome.neighbour_seconds} s"

    def _is_struck(self) -> bool:
        return bool(self._world.trace.read("strike"))

    def _spent(self) -> int:
        return int(self._number("SELECT coalesce(sum(failures), 0) FROM tasks"))

    def _neighbour_seconds(self) -> float:
        """How long after the last disturbed call the neighbours of that life ended, by the clock of the rows."""
        strikes = self._world.trace.read("strike")
        if not strikes:
            return 0.0
        neighbours = self._world.trace.read("neighbour")
        query = "SELECT extract(epoch FROM max(finished_at)) FROM jobs WHERE job_id = ANY(%s)"
        ids = [each["job_id"] for each in neighbours if each["pid"] == strikes[0]["pid"]]
        last_at: float = strikes[-1]["at"]
        return max(self._number(query, ids) - last_at, 0.0)

    def _number(self, query: str, *values: object) -> float:
        [(number,)] = self._world.execute(query, *values)
        return float(number)
