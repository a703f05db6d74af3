"""The port of waiting jobs."""

from typing import Protocol

from core.job_waits import JobWait, StartConditions


class JobWaitRepository(Protocol):
    """What jobs wait for, and the exclusive keys that they hold: `job_waits`, `job_dependencies` and `job_keys`."""

    def add(self, job_id: str, conditions: StartConditions, exclusive_key: str | None) -> list[str]:
        """Notes what a job that was just created waits for; none of the jobs before it ends meanwhile.

        Returns:
            The ids of the jobs before it that do not exist.
        """
        ...

    def lock(self, job_id: str) -> JobWait | None:
        """Locks a waiting job, notes which jobs before it have completed, and returns what it waits for now.

        Returns:
            None when the job does not wait.
        """
        ...

    def get(self, job_id: str) -> JobWait | None:
        """Returns what a job waits for; None when it does not wait."""
        ...

    def take_key(self, job_id: str, *, in_turn: bool) -> bool:
        """Takes the exclusive key of a job, if it is free; returns whether the job has all the keys that it needs.

        Args:
            job_id: the job.
            in_turn: whether a job goes first that waits for nothing but the same key and was submitted before.
        """
        ...

    def rival(self, job_id: str) -> str | None:
        """Returns the job that holds the key that this one needs, or takes it next; None when nobody does."""
        ...

    def release(self, job_id: str, *, is_told: bool = True) -> None:
        """Moves a job waiting -> pending_queue; an event tells it unless its submission does."""
        ...

    def tell(self, job_id: str) -> None:
        """Writes the event of a job that waits."""
        ...

    def wait_again(self, job_id: str) -> None:
        """Notes that a reopened job waits again, but for no time."""
        ...

    def release_key(self, job_id: str) -> bool:
        """Releases the key of a job that has ended, unless one of its tasks may still run; returns whether it did."""
        ...

    def candidates_after(self, job_id: str, limit: int) -> list[str]:
        """Returns waiting jobs that the end of a job concerns.

        They are those that were to start after it and, if its key is free, the first one that waits only for the key.
        """
        ...

    def candidates(self, after_turn: int, limit: int) -> list[tuple[int, str]]:
        """Returns waiting jobs that may start, or whose wait for another job has ended, in the order of their turns.

        Returns:
            Turn and id of each, of turns above `after_turn`.
        """
        ...

    def release_kept_keys(self, limit: int) -> int:
        """Releases keys of jobs that ended without releasing theirs, for example on an older host; returns how many."""
        ...
