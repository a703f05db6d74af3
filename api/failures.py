"""HTTP route of the failed tasks of a job, grouped by their cause."""

from urllib.parse import urlsplit

import azure.functions as func

from api import page_places, requests, views
from api.failure_answers import FailureGroup, Failures
from api.known_parameters import takes
from api.problems import answers_problems
from bootstrap import app

blueprint = func.Blueprint()


@blueprint.function_name("list_failures")
@blueprint.route(route="jobs/{job_id}/failures", methods=["GET"])
@answers_problems
@takes("after")
def list_failures(req: func.HttpRequest) -> func.HttpResponse:
    """Groups a job's failed tasks by type and message of their errors, some batches a page: `?after={next}`."""
    job_id = requests.job_id(req)
    page = app().failure_reader.groups(job_id, page_places.after_task(req))
    # Without the host: the query of a whole URL would be redacted.
    tasks_url = f"{urlsplit(req.url).path.split('/jobs/')[0]}/jobs/{job_id}/tasks?status=failed&error="
    groups = [
        FailureGroup(
            each.group.id,
            each.group.type,
            each.group.message,
            each.tasks,
            each.example.task_id,
            tasks_url + each.group.id,
        )
        for each in page.groups
    ]
    return views.json_response(Failures(page.failed_tasks, page.read_tasks, groups, page.next))
