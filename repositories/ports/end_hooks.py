"""The port of the table end_hooks."""

from datetime import datetime
from typing import Protocol

from core.end_hooks import HookTry
from core.models import StageOpening


class EndHookRepository(Protocol):
    """The table `end_hooks`: the hooks that are owed to jobs that have ended."""

    def owe(self, job_id: str) -> None:
        """Notes that the hook of a job that has ended is owed, from its first try on."""
        ...

    def begin(self, job_id: str, seconds: float) -> HookTry | None:
        """Counts a try of the hook, which no other host begins again before `seconds` have passed.

        Returns:
            None when no hook is owed, it is not due yet, the job goes on, or a task of its stage has not ended.
        """
        ...

    def succeed(self, attempt: HookTry) -> bool:
        """Ends the hook; False when the job has ended anew, or another try has begun."""
        ...

    def fail(self, attempt: HookTry, error: str, delay_seconds: float) -> datetime | None:
        """Notes the error of a try, JSON text; returns when the next is due, or None as `succeed` returns False."""
        ...

    def give_up(self, attempt: HookTry, error: str) -> bool:
        """Notes the error of the last try, and ends the hook; False as for `succeed`."""
        ...

    def overdue(self, age_seconds: float, limit: int) -> list[StageOpening]:
        """Finds up to `limit` jobs whose hook has been due for `age_seconds`, and restarts their time.

        Returns:
            The stages at which they ended; stage 1 for a job that had not begun.
        """
        ...
