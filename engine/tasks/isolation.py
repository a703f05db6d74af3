"""Runs isolated tasks in child processes, so that a crash, a lack of memory or a timeout ends that process alone."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from controllers.base import JobController
from controllers.run_state import RunState
from controllers.services import Services
from controllers.storage.blob_accounts import BlobAccounts
from controllers.task_type import TaskType
from core.task_runs import ClaimedTask
from core.telemetry import telemetry
from engine.process.shutdown import Shutdown
from engine.tasks.cancellation import Cancellation
from engine.tasks.isolated_run import IsolatedRun, crash, result_of
from engine.tasks.task_channel import TaskCall
from engine.tasks.task_process import ProcessEndedError, TaskProcess

logger = logging.getLogger(__name__)


class Isolation:
    """The child processes of this process; safe to use from several threads.

    Each run has a child process and a channel of its own, and the thread of its task waits for it. So nothing is shared
    that a child could leave locked or half-written when it is killed (docs/decisions/0016).

    Args:
        controller_of_task: returns the controller that declares a task type.
        services: gives the directory, the hosts and the storage accounts that handlers may read from.
        max_result_bytes: the maximum size of a result as JSON.
        shutdown: tells whether the grace time of a shutdown is over.
    """

    def __init__(
        self,
        controller_of_task: Callable[[str], JobController[Any] | None],
        services: Services,
        max_result_bytes: int,
        shutdown: Shutdown,
    ) -> None:
        self._controller_of_task = controller_of_task
        self._services = services
        self._max_result_bytes = max_result_bytes
        self._shutdown = shutdown
        self._lock = threading.Lock()
        self._idle: list[TaskProcess] = []
        self._busy: set[TaskProcess] = set()
        # Linux kills a child when the thread that started it ends, so one thread that lives long starts them all.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="task-processes")

    def run(self, declared: TaskType, task: ClaimedTask, cancellation: Cancellation, state: RunState) -> str:
        """Runs a task; returns its result as JSON text.

        Args:
            declared: its type.
            task: the task.
            cancellation: of this run.
            state: writes the checkpoints and the progress of this run, in the thread that calls.

        Raises:
            RelayedError: what the handler raised.
            ContinueLater: the task goes on in another run.
            TaskTimeoutError: the run took longer than the timeout of its task type.
            TaskMemoryError: it needed more memory than its task type allows.
            TaskCrashedError: its child process has ended.
            ShutdownError: the grace time of a shutdown is over; the outcome must not count.
            OSError: the system cannot start a process.
        """
        call = self._call(declared, task, state.last_checkpoint)
        while True:
            process, is_new = self._take()
            run = IsolatedRun(process, declared.policy, cancellation, self._shutdown, state)
            try:
                answer = run.follow(call)
            except ProcessEndedError:
                process.wait()
                how = self._end(process)
                if is_new or run.has_started:
                    raise crash(how, declared.policy) from None
                # It ended while it had nothing to run: this is no fault of the task.
            except BaseException:
                self._end(process)
                raise
            else:
                break
        self._release(process, reusable=not answer.get("out_of_memory"))
        if answer["told"]:
            cancellation()
        return result_of(answer, declared.policy)

    def close(self) -> None:
        """Ends all child processes."""
        with self._lock:
            idle, self._idle = self._idle, []
            for process in self._busy:
                process.kill()
        for process in idle:
            process.end()
        self._starter.shutdown()

    def _call(self, declared: TaskType, task: ClaimedTask, checkpoint: Any) -> TaskCall:
        controller = self._controller_of_task(declared.name)
        return TaskCall(
            module=type(controller).__module__,
            qualname=type(controller).__qualname__,
            task_type=declared.name,
            job_id=task.job_id,
            task_id=task.task_id,
            batch_id=task.batch_id,
            stage=task.stage,
            task_index=task.task_index,
            attempt=task.attempt,
            parameters=dict(task.parameters),
            data_dir=str(self._services.data_dir),
            allowed_source_hosts=sorted(self._services.allowed_source_hosts),
            max_result_bytes=self._max_result_bytes,
            max_memory_mib=declared.policy.max_memory_mib,
            log_level=logging.getLogger().getEffectiveLevel(),
            checkpoint=checkpoint,
            traceparent=telemetry().traceparent(),
            blobs=_blobs(self._services.blobs),
        )

    def _take(self) -> tuple[TaskProcess, bool]:
        """Returns a child process for one run, and whether it is new."""
        with self._lock:
            ended = [each for each in self._idle if each.has_ended]
            self._idle = [each for each in self._idle if each not in ended]
            # The last one that ran: the others end when they have been idle for a minute.
            process = self._idle.pop() if self._idle else None
            if process is not None:
                self._busy.add(process)
        for each in ended:
            each.end()
        if process is not None:
            return process, False
        process = self._starter.submit(TaskProcess).result()
        with self._lock:
            self._busy.add(process)
        return process, True

    def _release(self, process: TaskProcess, *, reusable: bool) -> None:
        if not reusable:
            self._end(process)
            return
        with self._lock:
            self._busy.discard(process)
            self._idle.append(process)

    def _end(self, process: TaskProcess) -> str:
        how = process.end()
        with self._lock:
            self._busy.discard(process)
        return how


def _blobs(accounts: BlobAccounts) -> dict[str, Any] | None:
    return None if accounts.reopening is None else {**vars(accounts.reopening), "default": accounts.default}
