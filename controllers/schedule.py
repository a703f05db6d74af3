from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from core.cron import Cron
from core.declared import require_flag, require_name

TickParameters = Callable[[datetime], Mapping[str, Any]]


@dataclass(frozen=True)
class Schedule:
    """Submits a job at each tick of a cron expression: `Schedule("0 3 * * *", "hello_world", {"n": 10})`.

    A tick has one job, however many instances run. Ticks that were missed while no instance ran have one job together,
    that of the last of them.

    Attributes:
        cron: minute, hour, day of the month, month and day of the week.
        job_type: the job type.
        parameters: the job's parameters, or a function that makes them of the tick, an aware time in the schedule's
            time zone. The function may be called several times for a tick; what it returned first counts.
        timezone: the IANA name of the time zone.
        name: names the schedule among all others, and in its row; that of the job type unless given.
        urgent: whether its jobs are.
    """

    cron: str
    job_type: str
    parameters: Mapping[str, Any] | TickParameters = field(default_factory=dict, repr=False)
    timezone: str = "UTC"
    name: str = ""
    urgent: bool = False
    ticks: Cron = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Parses the cron expression.

        Raises:
            ConfigurationError: names what is wrong and what would be right.
        """
        require_name("the job type of a schedule", self.job_type)
        if self.name == "":
            object.__setattr__(self, "name", self.job_type)
        require_name(f"the name of a schedule of {self.job_type}", self.name)
        require_flag(f"urgent of schedule {self.name!r}", self.urgent)
        object.__setattr__(self, "ticks", Cron(f"schedule {self.name!r}", self.cron, self.timezone))

    def parameters_at(self, tick: datetime) -> Mapping[str, Any]:
        """Returns the parameters of the job of a tick."""
        return self.parameters(tick) if callable(self.parameters) else self.parameters
