"""HTTP route of the results of a stage's tasks."""

from urllib.parse import urlencode

import azure.functions as func

from api import page_places, requests, result_formats
from api.known_parameters import takes
from api.problems import answers_problems
from bootstrap import app
from engine.jobs.result_reader import ResultPage

blueprint = func.Blueprint()


@blueprint.function_name("list_results")
@blueprint.route(route="jobs/{job_id}/results", methods=["GET"])
@answers_problems
@takes("stage", "after", "limit")
def list_results(req: func.HttpRequest) -> func.HttpResponse:
    """Returns the results of a stage's ended tasks as lines, page by page: `?stage=&limit=&after={task_index}`.

    The worker of Functions cannot stream an answer without another package, so a large stage takes several requests.
    """
    job_id, limit, after_index = requests.job_id(req), requests.limit(req), page_places.after_index(req)
    page = app().result_reader.page(job_id, requests.stage(req), after_index, limit)
    written = result_formats.format_for(req)
    text = written.write(result_formats.rows(job_id, page.stage, page.results), after_index < 0)
    return func.HttpResponse(text, mimetype=written.media_type, headers=_headers(req, job_id, page, limit))


def _headers(req: func.HttpRequest, job_id: str, page: ResultPage, limit: int) -> dict[str, str]:
    headers = {"Vary": "Accept"}
    if page.stage_status is not None:
        headers |= {"Stage": str(page.stage), "Stage-Status": page.stage_status}
    if page.has_more:
        after = str(page.results[-1].task_index)
        query = urlencode({"stage": page.stage, "limit": limit, "after": after})
        headers["Next-After"] = after
        headers["Link"] = f'<{req.url.split("/jobs/")[0]}/jobs/{job_id}/results?{query}>; rel="next"'
    return headers
