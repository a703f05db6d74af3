"""HTTP route of one task."""

from typing import cast

import azure.functions as func

from api import requests, views
from api.answers import TaskDetails
from api.problems import answers_problems
from bootstrap import app
from core.pages import TaskPayload

blueprint = func.Blueprint()


@blueprint.function_name("get_task")
@blueprint.route(route="jobs/{job_id}/tasks/{task_id}", methods=["GET"])
@answers_problems
def get_task(req: func.HttpRequest) -> func.HttpResponse:
    """Shows a task: parameters, result, checkpoint, the errors of its attempts, its worker and its times."""
    view = app().task_reader.task(requests.job_id(req), str(req.route_params.get("task_id", "")))
    shown = {**views.task(view.task, frozenset(TaskPayload)), "checkpoint": view.checkpoint}
    return views.json_response(cast("TaskDetails", shown))
