import mmap
import struct
import threading

_REQUESTS = (
    *("submit_companion", "submit_job", "cancel_job", "retry_part", "retry_job", "resume_job"),
    *("cancel_jobs", "retry_jobs", "delete_jobs", "resend_dead_letter", "discard_dead_letter"),
)
_ONCE = (
    *("controller raised", "controller paused", "handler paused", "handler cancelled", "handler ended", "repaired"),
    *("hook raised", "hook ran"),
)
_NAMES = (*(f"{request} {state}" for request in _REQUESTS for state in ("sent", "answered")), *_ONCE)
_COUNTDOWN = struct.Struct("q")


class Shared:
    """Memory that outlives a killed process: it shares it with its parent and with its successors."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Clears the memory; from now on only processes that this one forks share it."""
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)

    def arm(self, passings: int) -> None:
        """Sets how many passings there are until `countdown` is True."""
        _COUNTDOWN.pack_into(self._memory, 0, passings)

    def countdown(self) -> bool:
        """Counts a passing; returns whether it is the last one."""
        with self._lock:
            self.arm(self.passings_left - 1)
            return self.passings_left == 0

    @property
    def passings_left(self) -> int:
        """How many passings are left."""
        left: int = _COUNTDOWN.unpack_from(self._memory)[0]
        return left

    def is_set(self, name: str) -> bool:
        """Whether a process has set the flag."""
        return self._memory[self._index(name)] == 1

    def set(self, name: str) -> None:
        """Sets a flag for this process and all to come."""
        self._memory[self._index(name)] = 1

    def answered(self) -> list[str]:
        """The requests of the client that were answered."""
        return [request for request in _REQUESTS if self.is_set(f"{request} answered")]

    def unanswered(self) -> list[str]:
        """The requests of the client that were sent and not answered."""
        return [request for request in _REQUESTS if self.is_set(f"{request} sent") and request not in self.answered()]

    def first(self, name: str) -> bool:
        """Sets a flag; returns whether this is the first such call of all processes."""
        with self._lock:
            before = self.is_set(name)
            self.set(name)
            return not before

    def _index(self, name: str) -> int:
        return _COUNTDOWN.size + _NAMES.index(name)


SHARED = Shared()
"""Shared by this process and those that it forks."""
