"""The job types of this app, one line each, and its schedules."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from controllers.base import DispatchProtocol, JobController, StageSpec, WhenExclusive
from controllers.hello_world import HelloWorld
from controllers.ingest_csv import IngestCsv
from controllers.schedule import Schedule
from controllers.task_type import TaskType
from controllers.tile_raster import TileRaster
from controllers.verify_files import VerifyFiles
from core import json_text
from core.bulk_actions import BulkKind
from core.declared import require_name, require_one_of, require_type, require_whole_number
from core.errors import ConfigurationError, LockstepError, UnknownJobTypeError
from core.ids import MAX_STAGES
from core.task_limits import NO_LIMIT, TaskLimit

CONTROLLERS: tuple[type[JobController[Any]], ...] = (
    HelloWorld,
    IngestCsv,
    TileRaster,
    VerifyFiles,
)

SCHEDULES: tuple[Schedule, ...] = ()
"""For example `Schedule("0 3 * * *", "hello_world", {"n": 10}, timezone="Europe/Berlin")`."""

MAX_ALIGNED_THRESHOLD = 100_000

_NEEDED = ("job_type", "Parameters", "stages", "task_types")


class Registry:
    """Looks up controllers by job type and task types by name.

    Args:
        controllers: the classes of the job types.
        schedules: when jobs of these types are submitted.

    Raises:
        ConfigurationError: two job types or two task types share a name, a job type is not complete or declares a value
            that cannot work, or its directory of migrations is missing, empty, or holds something else; two schedules
            share a name, or the job type or the parameters of one are wrong.
    """

    def __init__(
        self, controllers: Iterable[type[JobController[Any]]] = CONTROLLERS, schedules: Iterable[Schedule] = ()
    ) -> None:
        self._controllers: dict[str, JobController[Any]] = {}
        self._task_types: dict[str, TaskType] = {}
        self._controllers_of_tasks: dict[str, JobController[Any]] = {}
        self._migrations: list[Path] = []
        for controller_class in controllers:
            _check_complete(controller_class)
            _check_values(controller_class)
            self._add(controller_class())
        self._schedules: dict[str, Schedule] = {}
        for schedule in schedules:
            self._check_schedule(schedule)
            _put(self._schedules, schedule.name, schedule, "schedule")

    def controller(self, job_type: str) -> JobController[Any]:
        """Returns the controller of a job type.

        Raises:
            UnknownJobTypeError: the job type is not registered; the error lists the registered ones.
        """
        try:
            return self._controllers[job_type]
        except KeyError:
            raise UnknownJobTypeError(job_type, self.job_types) from None

    def task_type(self, name: str) -> TaskType | None:
        """Returns the task type with this name, or None."""
        return self._task_types.get(name)

    def controller_of_task(self, task_type: str) -> JobController[Any] | None:
        """Returns the controller that declares a task type, or None."""
        return self._controllers_of_tasks.get(task_type)

    @property
    def task_limits(self) -> dict[str, TaskLimit]:
        """The limits of the task types that have any, by name."""
        limits = {name: task_type.policy.limit for name, task_type in sorted(self._task_types.items())}
        return {name: limit for name, limit in limits.items() if limit != NO_LIMIT}

    @property
    def job_types(self) -> list[str]:
        """The registered job types, sorted."""
        return sorted(self._controllers)

    @property
    def migrations(self) -> list[Path]:
        """The directories of the job types' own migrations, in the order of registration."""
        return list(self._migrations)

    @property
    def schedules(self) -> list[Schedule]:
        """The schedules, in the order of registration."""
        return list(self._schedules.values())

    def _check_schedule(self, schedule: Schedule) -> None:
        """Refuses a schedule whose jobs could not be submitted; asks a function for the parameters of a tick."""
        require_type("one of the SCHEDULES", schedule, Schedule, "a Schedule(...)")
        try:
            model = self.controller(schedule.job_type).Parameters
        except UnknownJobTypeError as exc:
            raise ConfigurationError(f"schedule {schedule.name!r}: {exc}") from exc
        try:
            parameters = schedule.parameters_at(schedule.ticks.example)
            model.model_validate_json(json_text.encode(parameters, what="the parameters"), strict=True)
        except ValidationError as exc:
            wrong = "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors())
            raise ConfigurationError(
                f"the parameters of schedule {schedule.name!r} do not fit {schedule.job_type}: {wrong}"
            ) from exc
        except LockstepError as exc:
            raise ConfigurationError(f"schedule {schedule.name!r}: {exc}") from exc
        except Exception as exc:
            raise ConfigurationError(
                f"the function for the parameters of schedule {schedule.name!r} raises {type(exc).__name__}"
            ) from exc

    def _add(self, controller: JobController[Any]) -> None:
        if not 1 <= len(controller.stages) <= MAX_STAGES:
            raise ConfigurationError(f"job type {controller.job_type} must have 1 to {MAX_STAGES} stages")
        _put(self._controllers, controller.job_type, controller, "job type")
        for task_type in controller.task_types:
            _put(self._task_types, task_type.name, task_type, "task type")
            self._controllers_of_tasks[task_type.name] = controller
        if controller.migrations is not None:
            _check_migrations(controller.job_type, controller.migrations)
            self._migrations.append(controller.migrations)


def _check_complete(controller: type[JobController[Any]]) -> None:
    """Names all that a class lacks at once, before something fails that needs it."""
    missing = [name for name in _NEEDED if not hasattr(controller, name)] + sorted(controller.__abstractmethods__)
    if missing:
        raise ConfigurationError(
            f"the job type {controller.__qualname__} is not complete: it lacks {', '.join(missing)}"
            + ("; Parameters come from the brackets, JobController[...]" if "Parameters" in missing else "")
        )


def _check_values(controller: type[JobController[Any]]) -> None:
    of_it = f"of {controller.__qualname__}"
    require_name(f"job_type {of_it}", controller.job_type, without="/")
    if controller.job_type in list(BulkKind):
        raise ConfigurationError(
            f"job_type {of_it} must not be {controller.job_type}: that route is for many jobs (docs/architecture.md)"
        )
    require_whole_number(f"aligned_threshold {of_it}", controller.aligned_threshold, 0, MAX_ALIGNED_THRESHOLD)
    require_one_of(f"dispatch_protocol {of_it}", controller.dispatch_protocol, DispatchProtocol)
    require_one_of(f"when_exclusive {of_it}", controller.when_exclusive, WhenExclusive)
    for spec in controller.stages:
        require_type(f"one of the stages {of_it}", spec, StageSpec, "a StageSpec")
    for task_type in controller.task_types:
        require_type(
            f"one of the task_types {of_it}", task_type, TaskType, "a task type, which task_type(...) declares"
        )
        if task_type.policy.isolated and ("<locals>" in controller.__qualname__ or controller.__module__ == "__main__"):
            raise ConfigurationError(
                f"{controller.__qualname__} has the isolated task type {task_type.name!r}, whose child process must "
                "import the class: define it at the top level of a module that is not the main program"
            )


def _put(table: dict[str, Any], name: str, value: Any, what: str) -> None:
    if name in table:
        raise ConfigurationError(f"{what} {name!r} is registered twice")
    table[name] = value


def _check_migrations(job_type: str, directory: Path) -> None:
    """Refuses names by which migrations of two job types could clash, and files that would silently not be applied."""
    right = re.compile(rf"{re.escape(job_type)}\.\d{{4}}\.[a-z0-9_]+\.sql")
    files = sorted(path for path in directory.glob("*") if not path.name.startswith("."))  # those are of editors
    if not files:
        raise ConfigurationError(f"job type {job_type} has no migrations in {directory}")
    for path in files:
        if not right.fullmatch(path.name):
            raise ConfigurationError(f"{path} is no migration: it needs a name like {job_type}.0001.what_it_does.sql")
