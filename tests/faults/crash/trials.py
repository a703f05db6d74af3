"""One trial: a scenario, a size, and a point at which its process is killed."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from tempfile import TemporaryFile

from tests.faults.crash.broken_stories import OtherCourseError, RestlessError, played
from tests.faults.crash.invariants import violations
from tests.faults.crash.points import Passing, Point, Points, Watch
from tests.faults.crash.story import LOCK_SECONDS, SILENCE_SECONDS, Life, Scenario
from tests.faults.crash.world import Subject, World

_MOST_LIVES = 60
_ENDED = "('completed', 'completed_with_errors', 'failed', 'cancelled')"
_AT_REST = f"""
    SELECT EXISTS (SELECT FROM jobs UNION ALL SELECT FROM deleted_jobs)
        AND NOT EXISTS (SELECT FROM jobs WHERE status NOT IN {_ENDED})
        AND NOT EXISTS (SELECT FROM batches WHERE status IN ('pending_queue', 'queued'))
        AND NOT EXISTS (SELECT FROM end_hooks)
        AND NOT EXISTS (SELECT FROM end_notices)
        AND NOT EXISTS (SELECT FROM bulk_actions WHERE finished_at IS NULL)
        AND NOT EXISTS (SELECT FROM schedules WHERE last_job_id IS NULL)
"""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a trial.

    Attributes:
        kills: how often the process was killed.
        violations: the invariants that did not hold.
        passed_seconds: how much time passed until all was at rest, by the clock of the rows.
        lives: how many processes it took.
        played_again: how often the trial was played before, each time until a call exceeded its limit.
    """

    kills: int
    violations: tuple[str, ...]
    passed_seconds: float
    lives: int
    played_again: int = 0


class Trial:
    """Plays a scenario in a world.

    Args:
        world: where it plays; it is emptied first.
        scenario: the story.
        size: how many tasks the job has.

    Attributes:
        scenario: the story.
        lives: how many processes it has taken.
    """

    def __init__(self, world: World, scenario: Scenario, size: int) -> None:
        world.reset()
        self._world = world
        self.scenario = scenario
        self._size = size
        self._subject = Subject(scenario.controller, size, scenario.environment)
        self._fatal: list[Point] = []
        self._watch: Watch | None = None
        self._kills = 0
        self.lives = 0

    def record(self) -> list[Passing]:
        """Plays it undisturbed; returns the points that it passes."""
        with TemporaryFile() as trace:

            def watch(passing: Passing) -> None:
                os.write(trace.fileno(), f"{json.dumps(asdict(passing))}\n".encode())

            self._watch = watch
            outcome = self._play()
            assert not outcome.violations, outcome
            trace.seek(0)
            lines = [json.loads(line) for line in trace]
        return [Passing(**{**line, "point": Point(**line["point"])}) for line in lines]

    def kill(self, points: Sequence[Point], passing: int) -> Outcome:
        """Plays it, and kills the process at the first point, and its successors at the others.

        Args:
            points: where to kill; a successor that does not reach its point lives on.
            passing: the first process dies when it passes there for the n-th time, the others at the first.

        Raises:
            UnplayedError: the story broke off before the first kill, because a call exceeded its limit.
            StoryError: it broke off otherwise.
        """
        self._fatal = list(points)
        self._world.shared.arm(passing)
        with played(lambda: self._kills > 0):
            return self._play()

    def _play(self) -> Outcome:
        self._tell()
        while not is_over(self._world):
            if not self._live(Life()) and not is_over(self._world):
                self._world.let_pass(LOCK_SECONDS if has_messages(self._world) else SILENCE_SECONDS)
        broken = tuple(violations(self._world, self.scenario, self._size))
        return Outcome(self._kills, broken, self._world.passed_seconds, self.lives)

    def _tell(self) -> None:
        """Plays the story, until the process is killed."""
        for life in self.scenario.lives:
            if life.before:
                life.before(self._world)
            if self._live(life):
                return
            if life.after:
                life.after(self._world)
            self._world.let_pass(life.pass_seconds)

    def _live(self, life: Life) -> bool:
        """Lets a process live; returns whether it was killed."""
        self.lives += 1
        if self.lives > _MOST_LIVES:
            raise RestlessError("it does not come to rest", self._world.log())
        fatal = self._fatal[0] if self._fatal else None
        points = Points(self._world.shared, fatal, life.dies_at, self._watch)
        died = self._world.live(self._subject, life.act, points)
        if died and fatal is not None and self._world.shared.passings_left <= 0:
            self._count_kill()
            return True
        if not died and life.dies_at is not None:
            what = f"{self.scenario.name}, {self._size} tasks, life {self.lives} does not pass {life.dies_at}"
            raise OtherCourseError(what, self._world.log())
        return False

    def _count_kill(self) -> None:
        """The next process starts at once if it will be killed, too; the last one when locks and leases have ended."""
        self._kills += 1
        self._fatal.pop(0)
        self._world.shared.arm(1)
        if not self._fatal:
            self._world.let_pass(LOCK_SECONDS)


def is_over(world: World) -> bool:
    """Whether every job and every batch has ended, every request was answered, and no message is left."""
    [(at_rest,)] = world.execute(_AT_REST)
    return at_rest and not world.shared.unanswered() and not has_messages(world)


def has_messages(world: World) -> bool:
    """Whether any queue holds a message."""
    queues = world.emulator.queues()
    return any(each.active + each.locked + each.scheduled + each.dead_letter for each in queues)
