"""A job type whose tasks fail until a test has mended what they need."""

import threading
import time
from enum import StrEnum

from pydantic import Field, SecretStr

from controllers import authoring as lockstep

MENDED = "mended.txt"
HELD_ROUTE = "held-route.txt"
HELD_PLOTS = "held-plots.txt"
"""While the directory has one of these files, no route or no plot is finished."""


class Detail(StrEnum):
    """How much a survey looks at."""

    COARSE = "coarse"
    FINE = "fine"


class SurveyParameters(lockstep.JobParameters):
    """What is surveyed."""

    plots: int = Field(ge=1, le=1_000_000, description="how many plots there are, a task each")
    area: str = Field(default="north", description="the area's name", max_length=40)
    detail: Detail = Detail.COARSE
    fail_every: int = Field(default=0, ge=0, description="every so many plots cannot be reached; 0 for none")
    seconds: float = Field(default=0, ge=0, le=60, description="how long a plot takes")
    tags: list[str] = Field(default_factory=list, description="words to find the job by")
    is_final: bool = False
    note: str | None = None
    token: SecretStr | None = Field(default=None, description="for the archive")


def wait(context: lockstep.TaskContext, held: str, seconds: float = 0) -> None:
    """Waits for some seconds, and then while there is a file, unless the job is cancelled."""
    ends_at = time.monotonic() + seconds
    file = context.services.data_dir / held
    while (time.monotonic() < ends_at or file.exists()) and not context.is_cancelled():
        threading.Event().wait(0.1)


@lockstep.task_type("survey.plot", max_attempts=1)
def survey_plot(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    if parameters["seconds"]:
        context.progress(0.25, f"walks to plot {parameters['plot']}")
    wait(context, HELD_PLOTS, parameters["seconds"])
    if parameters["is_cut_off"] and not (context.services.data_dir / MENDED).exists():
        raise lockstep.PermanentTaskError(f"plot {parameters['plot']} cannot be reached: the bridge is closed")
    return {"trees": parameters["plot"] % 17}


@lockstep.task_type("survey.route")
def plan_route(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    wait(context, HELD_ROUTE)
    return "planned"


class Survey(lockstep.JobController[SurveyParameters]):
    """Plans a route, then surveys the plots along it."""

    job_type = "survey"
    stages = (lockstep.StageSpec("route"), lockstep.StageSpec("plots", max_failed_fraction=0.5))
    task_types = (plan_route, survey_plot)

    def create_stage_tasks(
        self, job: lockstep.JobContext[SurveyParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        if stage.number == 1:
            yield plan_route.task(0, {})
            return
        every = job.parameters.fail_every
        for index in range(job.parameters.plots):
            is_cut_off = every > 0 and index % every == every - 1
            yield survey_plot.task(index, {"plot": index, "seconds": job.parameters.seconds, "is_cut_off": is_cut_off})
