"""HTTP route of the results of a stage's tasks."""

from urllib.parse import urlencode

import azure.functions as func

from api import requests, result_formats
from api.problems import answers_problems
from bootstrap import app
from core.errors import FieldError, InvalidInputError
from core.ids import parse_task_id, task_id
from engine.jobs.result_reader import ResultPage

blueprint = func.Blueprint()


@blueprint.function_name("list_results")
@blueprint.route(route="jobs/{job_id}/results", methods=["GET"])
@answers_problems
def list_results(req: func.HttpRequest) -> func.HttpResponse:
    """Returns the results of a stage's ended tasks as lines, page by page: `?stage=&limit=&after={task_id}`.

    The worker of Functions cannot stream an answer without another package, so a large stage takes several requests.
    """
    job_id, limit = requests.job_id(req), requests.limit(req)
    stage, after_index = _place(req, job_id)
    page = app().result_reader.page(job_id, stage, after_index, limit)
    if stage is not None and stage > page.total_stages:
        raise _error("stage", f"must be at most {page.total_stages}: the job has no other stages")
    written = result_formats.format_for(req)
    text = written.write(result_formats.rows(job_id, page.stage, page.results), after_index < 0)
    return func.HttpResponse(text, mimetype=written.media_type, headers=_headers(req, job_id, page, limit))


def _place(req: func.HttpRequest, job_id: str) -> tuple[int | None, int]:
    """Reads the stage, None for the current one, and the index of the task after which the page begins."""
    stage, after = requests.stage(req), requests.after_task(req)
    if not after:
        return stage, -1
    address = parse_task_id(after)
    if address.job_id != job_id or stage not in {None, address.stage}:
        raise _error("after", "must be a task of this stage")
    return address.stage, address.task_index


def _headers(req: func.HttpRequest, job_id: str, page: ResultPage, limit: int) -> dict[str, str]:
    headers = {"Vary": "Accept"}
    if page.stage_status is not None:
        headers["Stage-Status"] = page.stage_status
    if page.has_more:
        after = task_id(job_id, page.stage, page.results[-1].task_index)
        query = urlencode({"stage": page.stage, "limit": limit, "after": after})
        headers["Next-After"] = after
        headers["Link"] = f'<{req.url.split("/jobs/")[0]}/jobs/{job_id}/results?{query}>; rel="next"'
    return headers


def _error(field: str, message: str) -> InvalidInputError:
    return InvalidInputError(f"{field} {message}", [FieldError(field, message)])
