"""Counts the visits of each page, day by day, into a table of its own: the example of a job type that has one."""

from collections import Counter
from pathlib import Path

from controllers import authoring as lockstep
from tests.integration.page_visits.visits import Visits


class Log(lockstep.JobParameters):
    pages_by_day: dict[str, list[str]]


@lockstep.task_type("page_visits.count_day")
def count_day(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> int:
    visits: Counter[str] = Counter(parameters["pages"])
    return context.services.transact(lambda work: work.repository(Visits).replace_day(parameters["day"], visits))


class PageVisits(lockstep.JobController[Log]):
    job_type = "page_visits"
    stages = (lockstep.StageSpec("count"),)
    task_types = (count_day,)
    migrations = Path(__file__).with_name("migrations")

    def create_stage_tasks(self, job: lockstep.JobContext[Log], stage: lockstep.StageContext) -> lockstep.Tasks:
        for index, (day, pages) in enumerate(sorted(job.parameters.pages_by_day.items())):
            yield count_day.task(index, {"day": day, "pages": pages})

    def aggregate_stage_results(
        self, job: lockstep.JobContext[Log], stage: lockstep.StageContext, results: lockstep.TaskResults
    ) -> int:
        return sum(result.result for result in results)
